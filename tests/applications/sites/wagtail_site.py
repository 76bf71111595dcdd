"""Wagtail: its administration, its first page, and documents."""

import os
import sys

import django
from django.conf import settings

FOLDER = os.environ["APP_FOLDER"]
settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{FOLDER}/wagtail{os.getpid()}.sqlite3"}},
    INSTALLED_APPS=[
        "wagtail.users", "wagtail.images", "wagtail.documents", "wagtail.snippets", "wagtail.search", "wagtail.admin",
        "wagtail", "modelcluster", "taggit", "django.contrib.auth", "django.contrib.contenttypes",
        "django.contrib.sessions", "django.contrib.messages", "django.contrib.staticfiles",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[{
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "loaders": [
                ("django.template.loaders.locmem.Loader", {"wagtailcore/page.html": "<h1>{{ page.title }}</h1>"}),
                "django.template.loaders.app_directories.Loader",
            ],
        },
    }],
    ROOT_URLCONF=__name__, SECRET_KEY="x", STATIC_URL="/static/", MEDIA_URL="/media/", MEDIA_ROOT=f"{FOLDER}/media",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField", WAGTAIL_SITE_NAME="site", USE_TZ=True,
    WAGTAILADMIN_BASE_URL="http://localhost", WAGTAILDOCS_SERVE_METHOD="serve_view",
)  # fmt: skip
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402
from wagtail import urls as wagtail_urls  # noqa: E402
from wagtail.admin import urls as admin_urls  # noqa: E402
from wagtail.documents import urls as document_urls  # noqa: E402

urlpatterns = [
    path("admin/", include(admin_urls)), path("documents/", include(document_urls)), path("", include(wagtail_urls)),
]  # fmt: skip

call_command("migrate", verbosity=0, stdout=sys.stderr)
get_user_model().objects.create_superuser("admin", "a@b.example", "pw")
app = get_wsgi_application()
