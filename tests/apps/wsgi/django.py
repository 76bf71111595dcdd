"""Django's WSGI handler: this is the ``wsgi.py`` of a project, and what ``manage.py`` does before it is served."""

from __future__ import annotations

import os
from typing import Any

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

from .common import with_records

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.apps.wsgi.django_settings")


def make() -> Any:
    """The application over a database with one administrator."""
    application = get_wsgi_application()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    from django.contrib.auth.models import User

    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", password="a password")
    return application


app = with_records(make())
