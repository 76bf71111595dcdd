"""What the command line says of an application, through nginx: its interface, its factory, where it is mounted."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.behaviour.app_site import serve_app
from tests.behaviour.raw import Answer, exchange, scgi
from tests.harness import HTTP_ROUTES, Gateway, ProcessError, Response, Route, Site

pytestmark = pytest.mark.nginx

INTERFACES = ("ssgi", "asgi", "rsgi", "wsgi")


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_interface_is_set_where_shape_does_not_show_it(
    start: Callable[..., Gateway], tmp_path: Path, interface: str
) -> None:
    app = f"tests.apps.shapes:{interface}"
    websocket = () if interface == "wsgi" else ("tcp",)
    gateway = start("--interface", interface, app=app, websocket=websocket)
    answer = Answer(exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/a"})))
    assert b'"interface": "%b"' % interface.encode() in answer.body
    with pytest.raises(ProcessError, match="choose it with --interface: ssgi, asgi, rsgi, wsgi"):
        start(app=app)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_factory_and_a_root_path(site_with: Callable[..., Site], interface: str) -> None:
    site = site_with("--root-path", "/mounted", app=f"tests.apps.shapes:make.{interface}()", routes=HTTP_ROUTES)
    for route in HTTP_ROUTES:
        told = site.through(route).get("/mounted/a%20b").json()
        # WSGI and CGI split the path; the others have all of it in `path` (ASGI 2.3, "root_path"); RSGI has no root.
        expected = {"wsgi": "/a b", "ssgi": "/mounted/a b", "asgi": "/mounted/a b", "rsgi": "/mounted/a b"}[interface]
        assert told["path"] == expected
        assert told["root"] == ("" if interface == "rsgi" else "/mounted")


MOUNTED = {
    "django-asgi": ("asgi.django:app", "django"),
    "starlette": ("asgi.starlette:app", "starlette"),
    "fastapi": ("asgi.fastapi:app", "fastapi"),
    "django-wsgi": ("wsgi.django:app", "django"),
    "flask": ("wsgi.flask:app", "flask"),
}


@pytest.mark.parametrize("name", MOUNTED)
def test_a_framework_below_a_root_path(
    name: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    app, needs = MOUNTED[name]
    with serve_app(
        app, request.config, tmp_path_factory, "--root-path", "/site", routes=HTTP_ROUTES, needs=needs
    ) as running:
        for route in HTTP_ROUTES:
            http = running.through(route)
            assert http.get("/site/hello/one?n=5").json()["hello"] == "one"
            told = http.get("/site/facts").json()
            assert told["path"] in ("/site/facts", "/facts")
            if not route.stock:
                host, port = http.address
                assert told["url"] == f"http://{host}:{port}/site/facts"
            if needs == "django":
                location = http.get("/site/admin/").header("location")
                assert location == "/site/admin/login/?next=/site/admin/"
            if name == "starlette" and not route.stock:
                assert (http.get("/site/redirect").header("location") or "").endswith("/site/hello/redirected")


@pytest.mark.parametrize("route", HTTP_ROUTES, ids=lambda route: route.name)
def test_more_requests_than_may_wait_for_a_thread(site_with: Callable[..., Site], route: Route) -> None:
    options = ("--threads", "1", "--wsgi-queue", "1")
    site = site_with(*options, app="tests.apps.wsgi.raw:plain", routes=HTTP_ROUTES)
    http = site.through(route)

    def ask(_: int) -> Response:
        return http.get("/pause?seconds=1")

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(8)))
    refused = [answer for answer in answers if answer.status != 200]
    assert {answer.status for answer in refused} == {503}
    assert {answer.header("retry-after") for answer in refused} == {"1"}
    assert 1 <= len(answers) - len(refused) <= 4
    assert http.get("/pause?seconds=0").status == 200
