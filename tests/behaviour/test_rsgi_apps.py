"""RSGI applications behind nginx on every route: one without a framework, and Emmett55, which RSGI was made for.

They run on the build that an installation chooses for itself, or SSGI_CODEC.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.app_site import serve_app
from tests.harness import HTTP_ROUTES, ROUTES, Endpoint, Site, WebSocketRejectedError, wait_until

pytestmark = pytest.mark.nginx


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The application without a framework, behind nginx."""
    with serve_app("rsgi.raw:app", request.config, tmp_path_factory) as running:
        yield running


# -- requests --------------------------------------------------------------------------------------------------------


def test_scope_and_life(http: Endpoint) -> None:
    facts = http.get("/facts?a=%20b", [("X-One", "1")]).json()
    assert facts["proto"] == "http"
    assert facts["rsgi_version"] == "1.6"
    assert facts["http_version"] == "1.1"
    assert facts["scheme"] == "http"
    assert (facts["method"], facts["path"], facts["query_string"]) == ("GET", "/facts", "a=%20b")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", facts["client"])
    assert facts["headers"]["x-one"] == "1"
    assert facts["authority"] is None
    assert facts["life"] == ["init False"]
    if not http.route.stock:
        host, port = http.address
        assert facts["server"] == f"{host}:{port}"


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        ("/empty", 204, b""),
        ("/text", 200, "grüße".encode()),
        ("/data", 200, bytes(range(256))),
        ("/at-once", 200, b"at once"),
        ("/missing", 404, b"404 Not Found\n"),
        ("/not/there", 404, b"not here\n"),
    ],
)
def test_responses(http: Endpoint, target: str, status: int, body: bytes) -> None:
    answer = http.get(target)
    assert (answer.status, answer.body) == (status, body)
    head = http.request("HEAD", target)
    assert (head.status, head.body) == (status, b"")


@pytest.mark.parametrize("size", [0, 100, 262_144, 3_000_000])
def test_a_file(http: Endpoint, tmp_path: Path, size: int) -> None:
    (tmp_path / "file").write_bytes(pattern(size))
    answer = http.get(f"/file?path={tmp_path}/file")
    assert answer.header("content-type") == "application/x-test"
    assert answer.header("content-length") == str(size)
    assert answer.body == pattern(size)


@pytest.mark.parametrize("asked", [(0, 0), (3, 8), (0, 999_999), (500_000, 2_000_000), (999_999, 999_999)])
def test_a_range_of_a_file(http: Endpoint, tmp_path: Path, asked: tuple[int, int]) -> None:
    (tmp_path / "file").write_bytes(pattern(1_000_000))
    start, end = asked
    answer = http.get(f"/range?path={tmp_path}/file", [("Range", f"bytes={start}-{end}")])
    assert answer.status == 206
    assert answer.body == pattern(1_000_000)[start : end + 1]
    assert answer.header("content-range") == f"bytes {start}-{min(end, 999_999)}/1000000"


def test_a_range_that_is_not_there(http: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    answer = http.get(f"/range?path={tmp_path}/file", [("Range", "bytes=10-20")])
    assert (answer.status, answer.header("content-range")) == (416, "bytes */10")


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
def test_bodies(http: Endpoint, size: int) -> None:
    answer = http.request("POST", "/echo", [("Content-Type", "application/x-test")], pattern(size))
    assert (answer.status, answer.header("x-length")) == (201, str(size))
    assert answer.body == pattern(size)
    assert http.request("PUT", "/sums", body=pattern(size)).text == hashlib.sha256(pattern(size)).hexdigest()


def test_a_stream_arrives_whole(http: Endpoint) -> None:
    assert http.get("/stream?size=5000000").body == pattern(5_000_000)


def test_events_arrive_one_by_one(http: Endpoint) -> None:
    with http.connection() as connection:
        connection.send_head("GET", "/events")
        assert connection.read_head().header("content-type") == "text/event-stream"
        pieces = [piece for piece in connection.iter_body() if piece]
    assert b"".join(pieces) == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert len(pieces) == 3


def test_an_exception_is_a_500(http: Endpoint) -> None:
    answer = http.get("/error")
    assert answer.status == 500
    assert b"raised by the application" not in answer.body


# -- clients that disconnect -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "error"), [("/forever", "RSGIProtocolClosed"), ("/watch", None)])
def test_a_client_that_disconnects_during_a_stream(http: Endpoint, key: str, target: str, error: str | None) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"{target}?key={key}")
        connection.read_head()
        assert connection.read_some()
        left = http.now()
    at, _, told = http.wait_for_record(key, "left")
    assert at - left < 2
    assert told == error


def test_a_client_that_disconnects_during_its_upload(http: Endpoint, key: str) -> None:
    if not http.route.streams_uploads:
        pytest.skip("nginx collects the body first")
    with http.connection() as connection:
        connection.send_head("POST", f"/read?key={key}", [("Content-Length", "1000000")])
        connection.send_body(pattern(1000))
        http.wait_for_record(key, "started")
        left = http.now()
    at, _, told = http.wait_for_record(key, "left")
    assert at - left < 2
    assert told == "RSGIProtocolClosed"


def test_dropped_clients_leave_nothing_behind(http: Endpoint, key: str) -> None:
    def drop(count: int) -> None:
        for number in range(count):
            with http.connection() as connection:
                connection.send_head("GET", f"/{'forever' if number % 2 else 'watch'}?key={key}")
                connection.read_head()
                connection.abort()

    def look() -> dict[str, int]:
        told: dict[str, int] = http.get("/do/process").json()
        return told

    drop(4)
    before = look()
    before["descriptors"] += 8  # the connections that nginx may keep
    drop(40)

    def settled() -> bool:
        now = look()
        return all(now[what] <= before[what] for what in now)

    wait_until(settled, f"no more than before, {before}")


# -- WebSockets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message", ["grüße", b"\x00\xff" * 500, "x" * 100_000, ""], ids=["text", "bytes", "long", "no"]
)
def test_a_websocket_echoes(ws: Endpoint, message: str | bytes) -> None:
    with ws.websocket("/ws/echo", deflate=True) as client:
        for _ in range(3):
            client.send(message)
            assert client.receive() == message
        assert client.close(1000, "done")[0] == 1000


def test_a_websocket_pushes_and_closes(ws: Endpoint) -> None:
    with ws.websocket("/ws/push") as client:
        assert [client.receive() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        assert client.receive_close() == (4000, "")


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_websocket_is_refused(ws: Endpoint, status: int) -> None:
    with pytest.raises(WebSocketRejectedError) as info:
        ws.websocket(f"/ws/reject?status={status}")
    assert info.value.response.status == status


def test_an_exception_closes_a_websocket_with_1011(ws: Endpoint) -> None:
    with ws.websocket("/ws/error") as client:
        assert client.receive_close()[0] == 1011


def test_a_websocket_that_nobody_is_there_for_is_refused(ws: Endpoint) -> None:
    with pytest.raises(WebSocketRejectedError):
        ws.websocket("/ws/nothing")


def test_an_application_that_floods_learns_that_its_client_disconnected(site: Site, ws: Endpoint, key: str) -> None:
    client = ws.websocket(f"/ws/flood?key={key}", receive_buffer=4096)
    assert client.receive() == bytes(65536)
    client.abort()
    assert site.wait_for_record(key, "left")[2] == "RSGIProtocolClosed"


# -- Emmett55 --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def emmett_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Emmett55 behind nginx."""
    with serve_app("rsgi.emmett:app", request.config, tmp_path_factory, needs="emmett55") as running:
        yield running


@pytest.fixture(params=ROUTES, ids=lambda route: route.name)
def emmett(request: pytest.FixtureRequest, emmett_site: Site) -> Endpoint:
    """It, through each route."""
    return emmett_site.through(request.param)


def test_emmett(emmett: Endpoint) -> None:
    if emmett.route.http:
        answer = emmett.get("/hello/J%C3%BCrgen?n=5")
        assert answer.json() == {"hello": "Jürgen", "n": 5}
        answer = emmett.request("POST", "/echo", [("Content-Type", "application/x-test")], pattern(300_000))
        assert (answer.status, answer.header("x-length"), answer.body) == (201, "300000", pattern(300_000))
        form = [("Content-Type", "application/x-www-form-urlencoded")]
        assert emmett.request("POST", "/form", form, b"a=1&b=%20x").json() == {"a": "1", "b": " x"}
        answer = emmett.get("/cookies", [("Cookie", "who=me; other=x")])
        assert answer.json() == {"seen": "me"}
        assert (answer.header("set-cookie") or "").startswith("one=1")
        assert b"from emmett55 import" in emmett.get("/file").body
        assert emmett.get("/error").status == 500
        assert emmett.get("/not/there").status == 404
    if emmett.route.websockets:
        with emmett.websocket("/ws/echo") as client:
            client.send("grüße")
            assert client.receive() == "grüße"
            client.send("again")
            assert client.receive() == "again"
            assert client.close(1000)[0] == 1000


# -- a framework of several interfaces -------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["wsgi", "rsgi", "asgi"])
def test_a_framework_that_mixes_interfaces(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    family: str,
) -> None:
    monkeypatch.setitem(os.environ, "FAMILY", family)
    with serve_app("rsgi.mixed:app", request.config, tmp_path_factory) as running:
        for route in HTTP_ROUTES:
            told = running.through(route).get("/here").json()
            assert told["interface"] == family
            assert told["path"] == "/here"
            assert told["started"] is True
            assert set(told["offered"]) >= {"ssgi", "asgi", "rsgi", "wsgi"}
        for route in ROUTES:
            if route.websockets:
                with running.through(route).websocket("/there") as client:
                    assert client.receive() == "websocket /there"
                    client.send("echo")
                    assert client.receive() == "echo"
                    assert client.close(1000)[0] == 1000


def test_the_end_of_its_life(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    with serve_app("rsgi.raw:app", request.config, tmp_path_factory) as running:
        running.gateway.stop()
        assert "__rsgi_del__ False" in running.gateway.log()
