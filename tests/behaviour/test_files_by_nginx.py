"""A file of any interface is sent by nginx itself where the settings let it: X-Accel-Redirect, an internal location.

The location marks what it sends, so that a test sees who did it. What is not the whole of a file below the root, or not
status 200, stays with the gateway, ranges included.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.app_site import serve_app
from tests.harness import HTTP_ROUTES, Endpoint, Site

pytestmark = pytest.mark.nginx

APPS = {
    "ssgi": ("files:app", "/?file=", ""),
    "asgi": ("asgi.raw_files:app", "/?file=", ""),
    "starlette": ("asgi.starlette:app", "/file/", "starlette"),
    "rsgi": ("rsgi.raw:app", "/file?path=", ""),
    "wsgi": ("wsgi.raw_files:app", "/?file=", ""),
    "flask": ("wsgi.raw_files:flask", "/?file=", "flask"),
}
"""Module, and what comes before the file's name; Starlette knows its files by their last name."""

THOROUGH = ("starlette", "flask")
"""Those that answer HEAD and ranges themselves; the others leave that to nginx."""

SIZES = {"small": 13, "large": 1_000_000}

OPTIONS = ("--file-header", "X-Accel-Redirect", "--file-root", "APP_FOLDER=/protected/")
LOCATION = "location /protected/ { internal; alias APP_FOLDER/; add_header X-Sent-By nginx always; }"


@pytest.fixture(scope="module", params=APPS)
def name(request: pytest.FixtureRequest) -> str:
    """Which application."""
    chosen: str = request.param
    return chosen


@pytest.fixture(scope="module")
def site(name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application behind an nginx that may send its files."""
    app, _, needs = APPS[name]
    with serve_app(
        app, request.config, tmp_path_factory, *OPTIONS, routes=HTTP_ROUTES, needs=needs, server=LOCATION
    ) as running:
        folder = running.directory / "app"
        for size_name, size in SIZES.items():
            (folder / f"{size_name} one.bin").write_bytes(pattern(size))
        yield running


@pytest.fixture
def sending(name: str, http: Endpoint) -> Files:
    """The application's files through each route."""
    return Files(http, APPS[name][1], http.site.directory / "app")


class Files:
    """An application that sends files, seen through a route."""

    def __init__(self, http: Endpoint, prefix: str, folder: Path) -> None:
        self.http = http
        self.folder = folder
        self._prefix = prefix

    def target(self, name: str) -> str:
        """What to ask for; the name is quoted."""
        return f"{self._prefix}{name}" if self._prefix.endswith("file/") else f"{self._prefix}{self.folder}/{name}"


@pytest.mark.parametrize("size", SIZES)
def test_nginx_sends_it(sending: Files, size: str, name: str) -> None:
    target = sending.target(f"{size}%20one.bin")
    answer = sending.http.get(target)
    assert (answer.status, answer.header("x-sent-by")) == (200, "nginx")
    assert answer.header("x-accel-redirect") is None
    assert answer.header("content-length") == str(SIZES[size])
    assert answer.body == pattern(SIZES[size])
    head = sending.http.request("HEAD", target)
    by = None if name in THOROUGH else "nginx"
    assert (head.status, head.header("x-sent-by"), head.body) == (200, by, b"")
    assert head.header("content-length") == str(SIZES[size])


def test_a_range_is_right_whoever_sends_it(sending: Files, name: str) -> None:
    answer = sending.http.get(sending.target("large%20one.bin"), [("Range", "bytes=500000-700000")])
    assert (answer.status, answer.header("content-range")) == (206, "bytes 500000-700000/1000000")
    assert answer.body == pattern(1_000_000)[500_000:700_001]
    assert answer.header("x-sent-by") == (None if name in THOROUGH else "nginx")


def test_what_lies_elsewhere_is_the_gateways(sending: Files, name: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(pattern(300_000))
    link = sending.folder / f"link-{sending.http.route.name}"
    link.symlink_to(tmp_path / "outside")
    answer = sending.http.get(sending.target(link.name))
    assert (answer.status, answer.header("x-sent-by")) == (200, None)
    assert answer.body == pattern(300_000)


def test_nobody_else_reaches_the_location(http: Endpoint) -> None:
    assert http.get("/protected/small%20one.bin").status == 404
