"""Request bodies on every route: of any size in bounded memory, in any framing, read in any way or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.behaviour.raw import FLAT, MIB, Answer, Peer, noted, records, scgi
from tests.harness import HTTP_ROUTES, Endpoint, Gateway, Site
from tests.unit.wire.fastcgi_front import begin, params, record

pytestmark = pytest.mark.nginx

HEAD_OF_ECHO = b"content-type: application/octet-stream\r\nStatus: 200 OK\r\n\r\n"

GROWTH = 16 * MIB
"""How much the process may grow by an upload or a download of any size."""

NOTHING = hashlib.sha256().hexdigest()


def pieces(count: int, piece: bytes, digest: object) -> Iterator[bytes]:
    """``piece`` over and over, each time known to the digest."""
    for _ in range(count):
        digest.update(piece)  # type: ignore[attr-defined]
        yield piece


def test_an_empty_body_is_none(http: Endpoint) -> None:
    for method in ("POST", "PUT", "GET"):
        assert http.request(method, "/do/data", body=b"").json()["length"] is None
        told = http.request(method, "/do/body", body=b"").json()
        assert (told["length"], told["chunks"], told["sha256"]) == (0, 0, NOTHING)


def test_no_body_at_all_is_none(http: Endpoint) -> None:
    for method in ("POST", "GET", "DELETE"):
        assert http.request(method, "/do/data").json()["length"] is None


def test_an_empty_chunked_body_is_none(http: Endpoint) -> None:
    assert http.request("POST", "/do/data", body=[], chunked=True).json()["length"] is None


@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS", "PROPFIND"])
def test_any_method_may_have_a_body(http: Endpoint, method: str) -> None:
    assert http.request(method, "/do/data", body=b"12345").json()["length"] == 5


def test_bodies_of_many_sizes_are_read_whole(http: Endpoint) -> None:
    for size in (1, 2, 4095, 4096, 16383, 16384, 16385, 65535, 65536, 65537, 262144, 300_000):
        body = pattern(size)
        told = http.request("POST", "/do/data", body=body).json()
        assert (told["length"], told["again"]) == (size, True)
        assert told["sha256"] == hashlib.sha256(body).hexdigest()


def test_a_short_body_that_nobody_reads_costs_no_client_its_connection(http: Endpoint) -> None:
    """nginx closes it behind a "Connection: keep-alive" where the answer ends before the body has come."""
    with http.connection(timeout=60) as connection:
        for _ in range(10):
            connection.send_head("POST", "/do/hello", [("Content-Length", "2")])
            connection.send_body(b"{}")
            assert connection.read_response().status == 200


def test_64_mb_arrive_whole_in_bounded_memory(http: Endpoint) -> None:
    process, digest = http.site.gateway.process, hashlib.sha256()
    http.request("POST", "/do/body", body=pattern(MIB))
    before = process.rss()
    process.reset_peak_rss()
    with http.connection(timeout=60) as connection:
        connection.send_head("POST", "/do/body", [("Content-Length", str(64 * MIB))])
        for piece in pieces(64, pattern(MIB), digest):
            connection.send_body(piece)
        told = connection.read_response().json()
    assert told["length"] == 64 * MIB
    assert told["sha256"] == digest.hexdigest()
    assert process.peak_rss() - before < GROWTH


def test_64_mb_without_a_length_arrive_whole_in_bounded_memory(http: Endpoint) -> None:
    process, digest = http.site.gateway.process, hashlib.sha256()
    http.request("POST", "/do/body", body=pattern(MIB))
    before = process.rss()
    process.reset_peak_rss()
    body = pieces(64, pattern(MIB), digest)
    told = http.request("PUT", "/do/body", body=body, chunked=True, timeout=60).json()
    assert told["length"] == 64 * MIB
    assert told["sha256"] == digest.hexdigest()
    assert process.peak_rss() - before < GROWTH


def test_chunks_of_any_size_are_one_body(http: Endpoint) -> None:
    sizes = [1, 2, 3, 100, 4096, 1, 65536, 70_001, 5] * 3
    body = [pattern(size) for size in sizes]
    told = http.request("POST", "/do/data", body=body, chunked=True).json()
    assert told["length"] == sum(sizes)
    assert told["sha256"] == hashlib.sha256(b"".join(body)).hexdigest()


def test_a_chunk_and_then_the_rest(http: Endpoint) -> None:
    for size in (1, 1000, 500_000):
        body = pattern(size)
        told = http.request("POST", "/do/data?first=1", body=body).json()
        left = body[told["taken"] :]
        assert told["taken"] + (told["length"] or 0) == size
        assert told["sha256"] == (hashlib.sha256(left).hexdigest() if left else None)
        assert told["again"] is True


def test_an_upload_streams_to_the_application(site: Site, key: str) -> None:
    for route in HTTP_ROUTES:
        if route.streams_uploads:
            http, name = site.through(route), f"{key}-{route.name}"
            with http.connection() as connection:
                connection.send_head("POST", f"/do/body?key={name}", [("Transfer-Encoding", "chunked")])
                connection.send_chunk(b"first")
                http.wait_for_record(name, "chunk", lambda size: size == 5)  # and there is more to come
                connection.send_chunk(b"second")
                http.wait_for_record(name, "chunk", lambda size: size == 6)
                connection.end_chunks()
                assert connection.read_response().json()["length"] == 11


def test_a_body_is_sent_back_while_it_arrives(start: Callable[..., Gateway]) -> None:
    # Past nginx, which stops sending a body once the answer's head is there.
    gateway = start()
    body = pattern(65535)
    post = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/echo"}
    for kind in ("unix", "tcp"):
        with Peer(gateway.address("scgi", kind), scgi({**post, "CONTENT_LENGTH": str(64 * len(body))})) as peer:
            peer.send(body)
            echoed = Answer(peer.receive(len(HEAD_OF_ECHO) + len(body)))
            assert echoed.body == body
            for _ in range(63):
                assert peer.send(body).receive(len(body)) == body
            assert peer.read() == b""


def test_a_body_that_nobody_reads_does_no_harm(http: Endpoint) -> None:
    for size in (1000, 5_000_000):
        assert http.request("POST", "/do/hello", body=pattern(size)).body == HELLO
        assert http.get("/do/hello").body == HELLO


def test_expect_100_continue_is_met(http: Endpoint) -> None:
    with http.connection() as connection:
        connection.send_head("POST", "/do/data", [("Content-Length", "5"), ("Expect", "100-continue")])
        assert connection.socket.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send_body(b"12345")
        assert connection.read_response().json()["length"] == 5


def test_an_early_413_arrives_whole(http: Endpoint) -> None:
    answer = http.request("POST", "/do/refuse", body=(pattern(MIB) for _ in range(1)))
    assert (answer.status, answer.body) == (413, b"too large\n")
    with http.connection() as connection:  # which says more than it ever sends
        declared = 1 << 40 if http.route.streams_uploads else 8 * MIB
        connection.send_head("POST", "/do/refuse", [("Content-Length", str(declared))])
        if not http.route.streams_uploads:
            connection.send_body(pattern(8 * MIB))
        answer = connection.read_response()
        assert (answer.status, answer.body) == (413, b"too large\n")


def test_a_413_in_the_middle_of_a_body_arrives_whole(http: Endpoint) -> None:
    answer = http.request("POST", "/do/body?limit=100000", body=[pattern(MIB)] * 8)
    assert (answer.status, answer.body) == (413, b"too large\n")


def test_early_answers_arrive_whole_past_a_writer_that_does_not_listen(start: Callable[..., Gateway]) -> None:
    gateway = start()
    size = 32 * MIB
    post = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/refuse", "CONTENT_LENGTH": str(size)}
    for kind in ("unix", "tcp"):
        with Peer(gateway.address("scgi", kind), scgi(post)) as peer:
            peer.send(bytes(size))  # all of it before a look at the answer
            answer = Answer(peer.read())
            assert (answer.status, answer.whole) == (413, True)
        with Peer(gateway.address("fastcgi", kind)) as peer:
            peer.send(begin(flags=0) + params({name.encode(): value.encode() for name, value in post.items()}))
            for _ in range(size // 65535):
                peer.send(record(5, 1, bytes(65535)))
            assert peer.read_fastcgi().status == 413


def test_the_body_limit_is_413_declared_or_not(site_with: Callable[..., Site]) -> None:
    site = site_with("--max-body-size", "100000")
    for route in HTTP_ROUTES:
        http = site.through(route)
        assert http.request("POST", "/do/data", body=pattern(100_000)).json()["length"] == 100_000
        assert http.request("POST", "/do/data", body=[pattern(50_000)] * 2, chunked=True).json()["length"] == 100_000
        for chunked in (False, True):
            answer = http.request("POST", "/do/data", body=[pattern(50_001)] * 2, chunked=chunked)
            assert answer.status == 413
            assert b"100000" in answer.body
        assert http.get("/do/hello").body == HELLO


def test_a_body_that_the_application_does_not_read_makes_the_client_wait(start: Callable[..., Gateway]) -> None:
    gateway = start()
    post = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/hang?key=unread"}
    fastcgi = begin() + params({name.encode(): value.encode() for name, value in post.items()})
    size = 256 * MIB
    records(gateway, "unread")  # what a first request loads is no growth by a body
    for protocol, kind, piece in (
        ("scgi", "unix", bytes(65536)),
        ("scgi", "tcp", bytes(65536)),
        ("fastcgi", "unix", record(5, 1, bytes(65535))),
    ):
        head = fastcgi if protocol == "fastcgi" else scgi({**post, "CONTENT_LENGTH": str(size)})
        before = gateway.rss()
        gateway.process.reset_peak_rss()
        with Peer(gateway.address(protocol, kind), head) as peer:
            # The high-water mark, one read beyond it, and what the kernel keeps for both sides.
            assert peer.send_until_blocked(piece, size) < 16 * MIB
            assert gateway.process.peak_rss() - before < FLAT
            peer.reset()  # over TCP a polite end would wait behind what nobody reads
        noted(gateway, "unread", "aborted")


def test_a_silent_body_meets_its_deadline_and_a_slow_application_does_not(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-body", "0.5")
    post = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "10"}
    with Peer(gateway.address("scgi", "unix"), scgi({**post, "REQUEST_URI": "/do/body?key=silent"})) as peer:
        peer.send(b"12345")
        assert peer.read() == b""
    gateway.wait_for_log("nothing of a request's body came")
    with Peer(gateway.address("scgi", "unix"), scgi({**post, "REQUEST_URI": "/do/body?delay=1.2"})) as peer:
        peer.send(b"1234567890")
        assert Answer(peer.read()).status == 200
