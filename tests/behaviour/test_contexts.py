"""What one request sets in a context variable no other request sees: every route, interface, way to answer and build.

The clients of one kept FastCGI connection are many, and so are those of one thread of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.harness import HTTP_ROUTES, ROUTES, WEBSOCKET_ROUTES, Endpoint, Route, Site, wait_until

pytestmark = pytest.mark.nginx

NOBODY = b"nobody"
WAYS = ("at-once", "waits", "streams", "large", "body", "run-async", "aborted")
APPS = {
    "ssgi": ("tests.apps.contexts:ssgi", WAYS),
    "asgi": ("tests.apps.contexts:asgi", WAYS),
    "rsgi": ("tests.apps.contexts:rsgi", WAYS),
    "wsgi": ("tests.apps.contexts:wsgi", ("at-once", "streams", "large", "body")),
    "wsgi-inline": ("tests.apps.contexts:wsgi", ("at-once", "streams", "large", "body")),
}


@pytest.fixture(scope="module", params=APPS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, codec: str) -> Iterator[Site]:
    """One application behind nginx; threads are few, so that each serves everybody."""
    app, _ = APPS[request.param]
    threads = "0" if request.param == "wsgi-inline" else "2"
    options = ("--threads", threads, "--interface", request.param.partition("-")[0])
    folder = tmp_path_factory.mktemp("contexts")
    routes = HTTP_ROUTES if request.param.startswith("wsgi") else ROUTES
    with Site(folder, app, options=options, env={"SSGI_CODEC": codec}, routes=routes) as running:
        running.ways = APPS[request.param][1]
        yield running


def test_nobody_is_found_in_a_request(http: Endpoint, site: Site) -> None:
    # The clients of these are others, the connections behind nginx and the threads are the same.
    for round_ in range(2):
        for way in site.ways:
            if way == "aborted":
                leave(http)
                continue
            body = pattern(700_000) if way == "body" else b""
            method = "POST" if body else "GET"
            answer = http.request(method, f"/{way}?user=alice{round_}", body=body)
            assert answer.status == 200
            assert answer.body.rstrip(b".") == NOBODY, f"{way}, itself"
            for after in ("at-once", "streams"):
                assert http.get(f"/{after}").body == NOBODY, f"{after} after {way}"


def leave(http: Endpoint) -> None:
    begun, gone = noted(http)
    with http.connection() as connection:
        connection.send_head("GET", "/aborted?user=alice")
        wait_until(lambda: noted(http)[0] > begun, "the request")
        connection.abort()
    wait_until(lambda: noted(http)[1] > gone, "the handler of the client that disconnected")


def noted(http: Endpoint) -> list[int]:
    return [int(word) for word in http.get("/gone").body.split()]


@pytest.mark.parametrize("route", WEBSOCKET_ROUTES, ids=lambda route: route.name)
def test_nobody_is_found_in_a_websocket(route: Route, site: Site) -> None:
    if "waits" not in site.ways:
        pytest.skip("a WSGI application without WebSockets")
    ws = site.through(route)
    for _ in range(2):
        with ws.websocket("/ws?user=alice") as client:
            client.send("bob")
            assert client.receive() == "alice", "its own"
            client.send("async")
            client.receive()
            client.send("carol")
            client.receive()
        with ws.websocket("/ws") as client:
            client.send("dave")
            assert client.receive() == NOBODY.decode()
