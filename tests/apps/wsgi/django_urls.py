"""The views of the Django project, and the admin."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

from tests.apps.records import record

from .common import digest, endless, pieces


def hello(request: HttpRequest, name: str) -> HttpResponse:
    return JsonResponse({"hello": name, "n": int(request.GET.get("n", 0))})


def facts(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "method": request.method,
            "path": request.path,
            "url": request.build_absolute_uri(),
            "client": request.META["REMOTE_ADDR"],
            "headers": {name.lower(): value for name, value in request.headers.items()},
        }
    )


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    kind = request.headers["content-type"]
    return HttpResponse(request.body, kind, 201, headers={"x-length": str(len(request.body))})


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    data = file.read()
    return JsonResponse(
        {"field": request.POST["field"], "filename": file.name, "length": len(data), "sha256": digest(data)}
    )


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces(int(request.GET["size"])))


def forever(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(endless(request.GET["key"]))


@csrf_exempt
def held(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Has used the database when its client disconnects: in the middle of a stream, or of its upload."""
    User.objects.count()
    if request.GET["how"] == "stream":
        return forever(request)
    record(request.GET["key"], "started")
    return HttpResponse(str(len(request.body)))


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"seen": request.COOKIES.get("who")})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def error(request: HttpRequest) -> HttpResponse:
    raise LookupError("raised by the application")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(admin.__file__).open("rb"), as_attachment=True)


def users(request: HttpRequest) -> HttpResponse:
    """The database, from a sync view: Django refuses that where it sees a running loop."""
    return JsonResponse({"users": User.objects.count()})


async def later(request: HttpRequest) -> HttpResponse:
    """An async view: under WSGI Django runs a loop for it."""
    await asyncio.sleep(0.001)
    return JsonResponse({"later": True})


urlpatterns: list[Any] = [
    path("hello/<name>", hello),
    path("facts", facts),
    path("echo", echo),
    path("upload", upload),
    path("stream", stream),
    path("forever", forever),
    path("held", held),
    path("cookies", cookies),
    path("error", error),
    path("file", file),
    path("users", users),
    path("later", later),
    path("admin/", admin.site.urls),
]
