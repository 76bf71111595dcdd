"""The site stands: each route carries what it is for, and the harness sees what happens behind it."""

from __future__ import annotations

import hashlib

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.harness import HTTP_ROUTES, Endpoint, Site, WebSocketRejectedError, nginx_version, to_nginx

pytestmark = pytest.mark.nginx


def test_hello(http: Endpoint) -> None:
    answer = http.get("/do/hello")
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.body == HELLO
    assert answer.header("content-length") == str(len(HELLO))


def test_facts_name_the_route(http: Endpoint) -> None:
    facts = http.get("/a%2Fb/c%20d?e=%41").json()
    assert facts["type"] == "http"
    assert facts["method"] == "GET"
    assert facts["path"] == "/a/b/c d"
    assert facts["query_string"] == "e=%41"
    assert facts["remote_address"].startswith("127.0.0.1:")
    assert facts["extensions"]["protocol"] == http.route.protocol
    assert facts["extensions"]["raw_path"] == "/a%2Fb/c%20d"
    assert facts["extensions"]["scheme"] == "http"
    assert facts["extensions"]["root_path"] == ""


def test_our_files_pass_the_host_with_its_port_and_no_proxy(http: Endpoint) -> None:
    facts = http.request("GET", "/", [("Proxy", "http://evil.example:3128")]).json()
    assert "HTTP_PROXY" not in facts["environ"]
    if not http.route.stock:
        assert facts["headers"]["host"] == [to_nginx(http.address)]
        assert facts["server_address"] == to_nginx(http.address)


def test_an_upload_is_read_in_pieces(http: Endpoint) -> None:
    body = pattern(1 << 20)
    told = http.request("POST", "/do/body", body=body).json()
    assert told["length"] == len(body)
    assert told["sha256"] == hashlib.sha256(body).hexdigest()
    assert told["chunks"] > 1


def test_a_chunked_upload_arrives_whole(http: Endpoint) -> None:
    pieces = [pattern(5000), pattern(70000), pattern(1)]
    told = http.request("PUT", "/do/data", body=pieces, chunked=True).json()
    assert told["length"] == 75001
    assert told["sha256"] == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert told["again"] is True


def test_a_stream_arrives_whole(http: Endpoint) -> None:
    answer = http.get("/do/stream?size=1000000&chunk=30000")
    assert answer.body == pattern(1_000_000)


def test_requests_follow_each_other_on_one_connection(http: Endpoint) -> None:
    with http.connection() as connection:
        for _ in range(3):
            connection.send_head("GET", "/do/hello")
            assert connection.read_response().body == HELLO


def test_the_next_request_follows_a_body_that_had_to_wait(http: Endpoint) -> None:
    # More than the high-water mark, and all of it there before the application reads: reading stops, and must go on for
    # the next request on the same connection to the gateway, where the route keeps one.
    body = pattern(300_000)
    assert http.request("POST", "/do/body?delay=0.1", body=body).json()["length"] == len(body)
    assert http.get("/do/hello").body == HELLO


def test_an_abort_is_noted(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/do/hang?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
    assert http.aborted_after(key, left) < 1.0


@pytest.mark.parametrize(
    "message", ["grüße", b"\x00\xff" * 1000, "x" * 100_000, ""], ids=["text", "bytes", "long", "empty"]
)
def test_a_websocket_echoes(ws: Endpoint, message: str | bytes) -> None:
    with ws.websocket("/ws/echo") as client:
        client.send(message)
        assert client.receive() == message
        assert client.close(1000, "done")[0] == 1000


def test_a_websocket_pings_and_inflates(ws: Endpoint) -> None:
    with ws.websocket("/ws/echo", subprotocols=["one", "two"], deflate=True) as client:
        assert client.subprotocol == "one"
        assert "permessage-deflate" in (client.response.header("sec-websocket-extensions") or "")
        client.ping(b"there?")
        assert client.receive_pong() == b"there?"
        client.send("abc" * 1000)
        assert client.receive() == "abc" * 1000


def test_a_websocket_is_rejected_with_a_body(ws: Endpoint) -> None:
    with pytest.raises(WebSocketRejectedError) as caught:
        ws.websocket("/ws/reject?status=401&body=who%3F&h=X-Reason:%20none")
    answer = caught.value.response
    assert answer.status == 401
    assert answer.text == "who?"
    assert answer.header("x-reason") == "none"


def test_a_websocket_close_reaches_the_application(ws: Endpoint, key: str) -> None:
    with ws.websocket(f"/ws/echo?key={key}") as client:
        client.close(4001, "bye")
    assert ws.wait_for_record(key, "close")[2] == [4001, "bye"]


def test_each_route_was_carried_by_nginx(site: Site) -> None:
    for route in HTTP_ROUTES:
        answer = site.through(route).get("/do/hello")
        assert (answer.header("server") or "").startswith("nginx/" + ".".join(map(str, nginx_version())))
