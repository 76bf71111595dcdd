"""The same requests through every web server, each with the configuration that ``ssgi-gateway config`` prints for it.

What a web server itself limits or changes stands in ``OWN``, by name; everything else is the same behind all of them.
The table was measured on nginx 1.22, Apache 2.4.71, lighttpd 1.4.69, Caddy 2.6.2 and HAProxy 2.6.12.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterable
from urllib.parse import quote

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.harness.client import HttpConnection, Response, request
from tests.harness.websocket import WebSocketClient, WebSocketRejectedError

from .servers import Running

OWN: dict[tuple[str, str], int] = {
    # %-escapes that are none
    ("nginx", "/a%zzb"): 400,
    ("apache", "/a%zzb"): 400,
    ("apache", "/a%00b"): 404,
    ("caddy", "/a%zzb"): 400,
    ("haproxy", "/a%zzb"): 500,
    # control characters
    ("lighttpd", "/a%09b"): 400,
    ("lighttpd", "/a%0d%0ab"): 400,
    ("lighttpd", "/a%00b"): 400,
}
"""The status by which a web server itself refuses a path."""


def ask(
    front: Running,
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
    *,
    chunked: bool = False,
) -> Response:
    host = f"localhost:{front.site.listen}"
    return request(front.address, method, target, headers, body, chunked=chunked, host=host)


PATHS = [
    "/", "/a/b/c", "/a%2Fb", "/a%20b", "/caf%C3%A9", "/%e4", "/a//b", "/a;b=c", "/a%3Fb", "/a%25b", "/x" + "y" * 2000,
    "/a%00b", "/a%09b", "/a%zzb", "/a.b/", "/~user", "/a:b@c", "/(a)*!'", "/index.php/a", "/a.php",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_the_path_arrives_as_the_client_wrote_it(front: Running, path: str) -> None:
    answer = ask(front, "GET", path)
    # A NUL in a path is refused by the gateway itself, whoever lets it through.
    refused = OWN.get((front.front, path), 400 if path == "/a%00b" else 0)
    if refused:
        assert answer.status == refused
        return
    told = answer.json()
    assert answer.status == 200
    raw = told["extensions"]["raw_path"]
    if front.front == "lighttpd":  # it writes what is no reserved character without its escape, and / once
        assert raw.replace("//", "/") or path == "/"
    else:
        assert raw == path
    assert told["extensions"]["root_path"] == ""


@pytest.mark.parametrize("query", ["", "a=b", "a=%2F&b=%20+c", "a=b?c", "q=%C3%A9", "=&&=", "x=" + "y" * 3000])
def test_the_query_arrives_as_the_client_wrote_it(front: Running, query: str) -> None:
    assert ask(front, "GET", f"/q?{query}").json()["query_string"] == query


def test_the_client_and_the_address(front: Running) -> None:
    told = ask(front, "GET", "/a").json()
    port = front.site.listen
    assert told["remote_address"].startswith("127.0.0.1")
    assert told["headers"]["host"] == [f"localhost:{port}"]
    assert told["server_address"].endswith(f":{port}")
    assert told["extensions"]["scheme"] == "http"
    assert told["extensions"]["http_version"] == "1.1"
    assert told["method"] == "GET"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_methods(front: Running, method: str) -> None:
    body = b"x" if method in ("POST", "PUT", "PATCH") else None
    assert ask(front, method, "/m", body=body).json()["method"] == method


def test_header_fields(front: Running) -> None:
    given = [("X-One", "a"), ("X-Two", "b"), ("Accept", "text/html"), ("User-Agent", "tests"), ("X-Long", "z" * 4000)]
    headers = ask(front, "GET", "/h", given).json()["headers"]
    for name, value in given:
        assert headers[name.lower()] == [value]


def test_repeated_fields_and_cookies(front: Running) -> None:
    told = ask(front, "GET", "/h", [("X-Two", "a"), ("X-Two", "b"), ("Cookie", "a=1; b=2")]).json()
    assert told["joined"]["x-two"].replace(" ", "") == "a,b"
    assert told["joined"]["cookie"] == "a=1; b=2"


def test_authorization_arrives(front: Running) -> None:
    value = "Basic " + base64.b64encode(b"admin:anything").decode()
    told = ask(front, "GET", "/h", [("Authorization", value)]).json()
    assert told["headers"]["authorization"] == [value]


def test_a_user_whom_nobody_checked_is_no_user(front: Running) -> None:
    value = "Basic " + base64.b64encode(b"admin:anything").decode()
    environ = ask(front, "GET", "/h", [("Authorization", value)]).json()["environ"]
    assert "REMOTE_USER" not in environ
    assert "AUTH_TYPE" not in environ


def test_proxy_is_not_passed_on(front: Running) -> None:
    told = ask(front, "GET", "/h", [("Proxy", "http://evil.example/")]).json()
    assert "HTTP_PROXY" not in told["environ"]


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_uploads_with_a_length(front: Running, size: int) -> None:
    data = pattern(size)
    told = ask(front, "POST", "/do/body", body=data).json()
    assert (told["length"], told["sha256"]) == (size, hashlib.sha256(data).hexdigest())


def test_chunked_uploads(front: Running) -> None:
    data = pattern(3_000_000 if front.front != "haproxy" else 5_000)
    answer = ask(front, "POST", "/do/body", body=data, chunked=True)
    if front.front == "apache" and front.site.protocol == "scgi":
        assert answer.status == 411  # by Apache itself: SCGI wants a length
    else:
        assert answer.status == 200
        assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "status", [200, 201, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 409, 418, 451, 500, 503]
)
def test_statuses_pass(front: Running, status: int) -> None:
    query = f"status={status}&h=X-Own:%20yes" + ("" if status in (204, 304) else "&body=words")
    if status in (201, 301, 302, 303, 307, 308):
        query += "&h=Location:%20/elsewhere"
    answer = ask(front, "GET", f"/do/answer?{query}")
    assert answer.status == status
    assert answer.header("x-own") == "yes"
    assert answer.body == (b"" if status in (204, 304) else b"words")


@pytest.mark.parametrize("location", ["/other/path?x=1", "https://elsewhere.example/x", "relative", "//host/x"])
@pytest.mark.parametrize("status", [201, 302, 308])
def test_redirects_are_the_applications(front: Running, status: int, location: str) -> None:
    answer = ask(front, "GET", f"/do/answer?status={status}&h=Location:%20{quote(location, safe='')}&body=x")
    assert answer.status == status
    assert answer.header("location") == location


def test_head_has_the_length_and_no_body(front: Running) -> None:
    answer = ask(front, "HEAD", "/do/hello")
    assert answer.status == 200
    assert answer.header("content-length") == str(len(HELLO))
    assert answer.body == b""


@pytest.mark.parametrize("size", [3_000, 7_000])
def test_large_heads_of_answers(front: Running, size: int) -> None:
    answer = ask(front, "GET", f"/do/big-head?size={size}")
    assert answer.status == 200
    assert answer.header("x-big") == "x" * size


def test_a_long_answer_is_whole(front: Running) -> None:
    size = 5_000_000
    answer = ask(front, "GET", f"/do/stream?size={size}&length=1")
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(pattern(size)).digest()
    assert answer.header("content-length") == str(size)


def test_events_arrive_one_by_one(front: Running) -> None:
    with HttpConnection(front.address) as connection:
        connection.send_head("GET", "/do/events?count=3&interval=0.5")
        assert connection.read_head().header("content-type") == "text/event-stream"
        arrived = [(time.monotonic(), piece) for piece in connection.iter_body()]
    events = [when for when, piece in arrived if b"data:" in piece]
    assert len(events) == 3
    assert events[2] - events[0] > 0.5  # not all of them at the end


def test_an_early_refusal_reaches_the_client(front: Running) -> None:
    answer = ask(front, "POST", "/do/refuse", body=pattern(300_000))
    assert answer.status == 413
    assert answer.text == "too large\n"


def test_files_are_the_web_servers(front: Running) -> None:
    if front.front == "haproxy":
        pytest.skip("HAProxy serves no files")
    answer = ask(front, "GET", "/static/app.css")
    assert answer.status == 200
    assert answer.text.startswith("body {")
    assert ask(front, "GET", "/static/none.css").status == 404


def test_websockets(front: Running) -> None:
    with WebSocketClient(front.address, "/ws/echo") as client:
        client.send("grüße")
        assert client.receive() == "grüße"
        client.send(pattern(70_000))
        assert client.receive() == pattern(70_000)


def test_a_websocket_the_application_refuses(front: Running) -> None:
    with pytest.raises(WebSocketRejectedError, match="403"):
        WebSocketClient(front.address, "/ws/reject?status=403")
