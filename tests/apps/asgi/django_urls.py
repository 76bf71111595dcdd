"""The views of the Django project: sync and async, and the admin."""

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
    """Sync: Django runs it in a thread."""
    return JsonResponse({"hello": name, "n": int(request.GET.get("n", 0)), "state": "ready"})


async def facts(request: HttpRequest) -> HttpResponse:
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
async def echo(request: HttpRequest) -> HttpResponse:
    kind = request.headers["content-type"]
    return HttpResponse(request.body, kind, 201, headers={"x-length": str(len(request.body))})


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    file = request.FILES["file"]
    data = file.read()
    return JsonResponse(
        {"field": request.POST["field"], "filename": file.name, "length": len(data), "sha256": digest(data)}
    )


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(pieces(int(request.GET["size"])))


async def forever(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(endless(request.GET["key"]))


async def wait(request: HttpRequest) -> HttpResponse:
    """Django cancels the view of a client that has disconnected."""
    record(request.GET["key"], "started")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        record(request.GET["key"], "cancelled")
        raise
    return HttpResponse()


async def held(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Has used the database when its client disconnects: in the middle of a stream, or of nothing."""
    await User.objects.acount()
    return await forever(request) if request.GET["how"] == "stream" else await wait(request)


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({"seen": request.COOKIES.get("who")})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


def error(request: HttpRequest) -> HttpResponse:
    raise LookupError("raised by the application")


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(admin.__file__).open("rb"), as_attachment=True)


urlpatterns: list[Any] = [
    path("hello/<name>", hello),
    path("facts", facts),
    path("echo", echo),
    path("upload", upload),
    path("stream", stream),
    path("forever", forever),
    path("wait", wait),
    path("held", held),
    path("cookies", cookies),
    path("error", error),
    path("file", file),
    path("admin/", admin.site.urls),
]
