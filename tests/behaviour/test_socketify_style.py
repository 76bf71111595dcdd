"""A framework of SSGI's own kind, chosen through ``get_supported``, on every route."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.app_site import serve_app
from tests.harness import Endpoint, Site, WebSocketRejectedError

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Its application behind nginx."""
    with serve_app("socketify_style:app", request.config, tmp_path_factory) as running:
        yield running


def test_handlers_that_answer_at_once(http: Endpoint) -> None:
    assert http.get("/").text == "Hello World socketify from Python!"
    assert http.get("/user/J%C3%BCrgen/7").json() == {"name": "Jürgen", "id": "7"}
    assert http.get("/agent", [("User-Agent", "a test")]).text == "a test"
    missing = http.get("/nothing")
    assert (missing.status, missing.reason, missing.text) == (404, "Not Found", "Not Found")


def test_what_it_was_offered_and_its_start(http: Endpoint) -> None:
    told = http.get("/state").json()
    assert told["state"] == {"started": "yes"}
    assert told["offered"] == {"ssgi": "1.0", "asgi": "2.5", "rsgi": "1.6", "wsgi": "1.0"}


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_bodies_both_ways(http: Endpoint, size: int) -> None:
    body = pattern(size)
    answer = http.request("POST", "/upload", body=body)
    assert (answer.status, answer.text) == (201, hashlib.sha256(body).hexdigest())
    echo = http.request("POST", "/echo", body=body)
    assert (echo.header("x-method"), echo.body) == ("POST", body)


def test_handlers_that_answer_later(http: Endpoint) -> None:
    assert http.get("/slowly").text == "first, later"
    answer = http.get("/download?size=3000000")
    assert answer.header("content-length") == "3000000"
    assert answer.body == pattern(3_000_000)


def test_a_client_that_disconnects(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/hang?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
    assert http.aborted_after(key, left) < 1
    assert http.wait_for_record(key, "left")[2] is True


@pytest.mark.parametrize("message", ["grüße", b"\x00\xff", "x" * 100_000], ids=["text", "bytes", "long"])
def test_a_websocket(ws: Endpoint, key: str, message: str | bytes) -> None:
    with ws.websocket(f"/room/one?key={key}") as client:
        assert client.receive() == "welcome"
        client.send(message)
        assert client.receive() == message
        assert client.close(4001, "enough")[0] == 4001
    assert ws.wait_for_record(key, "closed")[2] == [4001, "enough"]


def test_a_websocket_that_is_not_there(ws: Endpoint) -> None:
    with pytest.raises(WebSocketRejectedError) as caught:
        ws.websocket("/elsewhere")
    assert (caught.value.response.status, caught.value.response.text) == (404, "Not Found")


def test_nothing_was_complained_of(site: Site) -> None:
    """Runs last. (nginx's stock parameters lose the port of the host, which is said once.)"""
    told = [line for line in site.gateway.log() if "the web server's configuration" not in line]
    assert not [line for line in told if "ERROR" in line or "WARNING" in line]
