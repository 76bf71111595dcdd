"""Django's ASGI handler: views sync and async, the admin with its login, CSRF, uploads. No WebSockets, no lifespan.

This is the ``asgi.py`` of a project, and what ``manage.py migrate``, ``createsuperuser`` and ``collectstatic`` do.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

from django.core.asgi import get_asgi_application
from django.core.management import call_command

from .common import with_records

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.asgi.django_settings")

# Django leaves the file with a request's body to the garbage collector when the client has disconnected.
warnings.filterwarnings("ignore", "Unclosed file <tempfile.Spooled", ResourceWarning)


def make() -> Any:
    """The application over a database with one administrator."""
    application = get_asgi_application()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    from django.contrib.auth.models import User

    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", password="a password")
    return application


app = with_records(make())
