"""The settings of the Django project, with the views of this package."""

from __future__ import annotations

from tests.apps.asgi.django_settings import *  # noqa: F403

ROOT_URLCONF = "tests.apps.wsgi.django_urls"
