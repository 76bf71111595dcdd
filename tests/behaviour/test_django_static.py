"""The static files of Django's admin, collected and sent by nginx, beside its pages, on every route."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from tests.behaviour.app_site import serve_app
from tests.behaviour.forms import Browser
from tests.harness import HTTP_ROUTES, Site, request

pytestmark = pytest.mark.nginx

STATIC = "location /static/ { alias APP_FOLDER/static/; }"


@pytest.fixture(scope="module", params=["asgi", "wsgi"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The project behind an nginx that knows where its static files are."""
    app = f"{request.param}.django:app"
    with serve_app(app, request.config, tmp_path_factory, routes=HTTP_ROUTES, needs="django", server=STATIC) as running:
        yield running


def test_static_files_come_from_nginx(site: Site) -> None:
    files = site.directory / "app" / "static"
    asked = []
    for route in HTTP_ROUTES:
        browser = Browser(site.through(route))
        browser.post("/admin/login/", {"username": "admin", "password": "a password", "next": "/admin/"})
        page = browser.get("/admin/")
        assert page.status == 200
        named = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js))"', page.text)
        assert "/static/admin/css/base.css" in named
        for target in named:
            answer = browser.get(target)
            assert answer.status == 200
            assert answer.body == (files / target.removeprefix("/static/")).read_bytes()
        style = browser.get("/static/admin/css/base.css")
        assert style.header("content-type") == "text/css"
        for picture in re.findall(r"url\((\S+\.svg)\)", style.text)[:3]:
            assert browser.get(urljoin("/static/admin/css/base.css", picture)).status == 200
        part = site.through(route).get("/static/admin/css/base.css", [("Range", "bytes=5-9")])
        assert (part.status, part.body) == (206, style.body[5:10])
        assert browser.get("/static/admin/missing.css").status == 404
        asked.append(route)
    site.gateway.stop()
    # Without the gateway they are still there: it never saw them.
    for route in asked:
        address = site.address(route)
        assert request(address, "GET", "/static/admin/css/base.css").status == 200
        assert request(address, "GET", "/admin/login/").status == 502
