"""Starlette in its whole range, on every route: what the ASGI frameworks built on it rely on."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from tests.apps.behaviour import pattern
from tests.behaviour.asgi_site import app_site
from tests.harness import Endpoint, Site, WebSocketRejectedError, wait_until

pytestmark = pytest.mark.nginx

LARGE = pattern(1_000_000)


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Starlette application behind nginx."""
    with app_site("starlette", request.config, tmp_path_factory) as running:
        yield running


# -- files and ranges ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/file/large.bin", "/static/large.bin"])
def test_a_file_is_sent_whole(http: Endpoint, path: str) -> None:
    answer = http.get(path)
    assert (answer.status, answer.header("content-length")) == (200, str(len(LARGE)))
    assert answer.body == LARGE
    assert answer.header("accept-ranges") == "bytes" or path.startswith("/static")


def test_a_small_file_is_sent_whole(http: Endpoint) -> None:
    answer = http.get("/file/small.txt")
    assert answer.body == b"a small file\n"
    assert answer.header("content-disposition") == 'attachment; filename="small.txt"'


def test_head_of_a_file(http: Endpoint) -> None:
    answer = http.request("HEAD", "/file/large.bin")
    assert (answer.status, answer.header("content-length"), answer.body) == (200, str(len(LARGE)), b"")


@pytest.mark.parametrize(
    ("asked", "part", "told"),
    [
        ("bytes=0-99", slice(0, 100), "bytes 0-99/1000000"),
        ("bytes=999990-", slice(999990, None), "bytes 999990-999999/1000000"),
        ("bytes=-5", slice(-5, None), "bytes 999995-999999/1000000"),
        ("bytes=100-700000", slice(100, 700001), "bytes 100-700000/1000000"),
    ],
)
def test_a_range_of_a_file(http: Endpoint, asked: str, part: slice, told: str) -> None:
    answer = http.get("/file/large.bin", [("Range", asked)])
    assert (answer.status, answer.header("content-range")) == (206, told)
    assert answer.body == LARGE[part]


def test_several_ranges_of_a_file(http: Endpoint) -> None:
    answer = http.get("/file/large.bin", [("Range", "bytes=0-9,500-509")])
    assert answer.status == 206
    match = re.fullmatch(r"multipart/byteranges; boundary=(\S+)", answer.header("content-type") or "")
    assert match
    parts = answer.body.split(b"--" + match[1].encode())
    assert [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts[1:3]] == [LARGE[:10], LARGE[500:510]]


def test_a_range_that_is_none(http: Endpoint) -> None:
    answer = http.get("/file/large.bin", [("Range", "bytes=2000000-")])
    assert (answer.status, answer.header("content-range")) == (416, "bytes */1000000")


def test_a_file_that_has_not_changed(http: Endpoint) -> None:
    etag = http.get("/static/small.txt").header("etag") or ""
    answer = http.get("/static/small.txt", [("If-None-Match", etag)])
    assert (answer.status, answer.body) == (304, b"")


# -- requests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_methods(http: Endpoint, method: str) -> None:
    assert http.request(method, "/facts").json()["method"] == method


def test_a_session_is_kept_in_its_cookie(http: Endpoint) -> None:
    cookie = ""
    for count in range(1, 4):
        answer = http.get("/session", [("Cookie", cookie)] if cookie else [])
        assert answer.json() == {"count": count}
        cookie = (answer.header("set-cookie") or "").partition(";")[0]


def test_a_redirect_is_to_where_the_client_is(http: Endpoint) -> None:
    answer = http.get("/redirect")
    assert answer.status == 307
    host, port = http.address
    if not http.route.stock:
        assert answer.header("location") == f"http://{host}:{port}/hello/redirected"


def test_a_body_is_read_while_it_arrives(http: Endpoint, key: str) -> None:
    if not http.route.streams_uploads:
        pytest.skip("nginx collects the body first on this route")
    with http.connection() as connection:
        connection.send_head("POST", f"/digest?key={key}", [("Content-Length", "200000")])
        connection.send_body(bytes(100000))
        http.wait_for_record(key, "chunk")
        connection.send_body(bytes(100000))
        assert connection.read_response().json() == {"length": 200000}


def test_a_client_that_disconnects_in_the_middle_of_its_body(http: Endpoint, key: str) -> None:
    if not http.route.streams_uploads:
        pytest.skip("nginx collects the body first on this route")
    with http.connection() as connection:
        connection.send_head("POST", f"/digest?key={key}", [("Content-Length", "200000")])
        connection.send_body(bytes(100000))
        http.wait_for_record(key, "chunk")
    http.wait_for_record(key, "left")


def test_is_disconnected_becomes_true(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/poll?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
    assert http.aborted_after(key, left, "left") < 2


# -- responses -------------------------------------------------------------------------------------------------------


def test_events_come_one_by_one(http: Endpoint) -> None:
    with http.connection() as connection:
        connection.send_head("GET", "/events")
        connection.read_head()
        times = []
        body = b""
        for piece in connection.iter_body():
            times.append(http.now())
            body += piece
        assert body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        assert times[-1] - times[0] > 0.1, "they came all at once"


def test_a_slow_reader_gets_everything(http: Endpoint) -> None:
    with http.connection(receive_buffer=4096) as connection:
        connection.send_head("GET", "/stream?size=3000000")
        connection.read_head()
        pause = threading.Event()
        body = bytearray()
        for count, piece in enumerate(connection.iter_body()):
            body += piece
            if count < 20:
                pause.wait(0.01)
    assert bytes(body) == pattern(3_000_000)


# -- middleware that wraps receive and send --------------------------------------------------------------------------


def test_middleware_sees_the_response(http: Endpoint) -> None:
    answer = http.get("/wrapped/plain")
    assert answer.header("x-stamp") == "seen"
    assert answer.body == b"plain\n" * 1000


def test_middleware_compresses(http: Endpoint) -> None:
    answer = http.get("/wrapped/plain", [("Accept-Encoding", "gzip")])
    assert answer.header("content-encoding") == "gzip"
    assert len(answer.body) < 1000


def test_work_after_the_response_behind_middleware(http: Endpoint, key: str) -> None:
    assert http.get(f"/wrapped/late?key={key}").status == 200
    http.wait_for_record(key, "later")


def test_a_client_that_disconnects_behind_middleware(http: Endpoint, key: str) -> None:
    before = http.get("/do/process").json()["tasks"]
    with http.connection() as connection:
        connection.send_head("GET", f"/wrapped/forever?key={key}")
        connection.read_head()
        connection.read_some()
    # The source of the stream is left to the garbage collector, on every server; the tasks must be gone.
    wait_until(lambda: http.get("/do/process").json()["tasks"] <= before, "the middleware's tasks to be gone")


def test_an_exception_behind_middleware(http: Endpoint) -> None:
    assert http.get("/wrapped/error").status == 500


# -- WebSockets ------------------------------------------------------------------------------------------------------


def test_a_denial_is_a_whole_response(ws: Endpoint) -> None:
    with pytest.raises(WebSocketRejectedError) as caught:
        ws.websocket("/ws/deny")
    answer = caught.value.response
    assert answer.status == 401
    assert answer.json() == {"error": "who are you?"}


def test_a_websocket_that_is_not_there(ws: Endpoint) -> None:
    with pytest.raises(WebSocketRejectedError) as caught:
        ws.websocket("/ws/nowhere")
    # Starlette closes before it accepts: ASGI says 403 for that.
    assert caught.value.response.status in (403, 404)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_json_until_the_client_disconnects(ws: Endpoint, key: str, how: str) -> None:
    with ws.websocket(f"/ws/json?key={key}") as client:
        client.send('{"count": 41}')
        assert client.receive() == '{"count":42}'
        if how == "close":
            client.close(1001)
        else:
            client.abort()
    ws.wait_for_record(key, "left")
