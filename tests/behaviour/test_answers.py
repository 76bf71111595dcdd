"""Answers on every route: whole, in order, in time and in bounded memory; a broken one never looks complete."""

from __future__ import annotations

import re
from collections.abc import Callable

import h11
import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.behaviour.raw import FLAT, MIB, Peer, complaints, records, scgi
from tests.harness import HTTP_ROUTES, Endpoint, Gateway, Site, wait_until
from tests.unit.wire.fastcgi_front import STDOUT, begin, params, record, stdin
from tests.unit.wire.flup_fastcgi import flup_records

pytestmark = pytest.mark.nginx

GROWTH = 16 * MIB
"""How much the process may grow by an upload or a download of any size."""


LISTENERS = [("scgi", "unix"), ("scgi", "tcp"), ("fastcgi", "unix"), ("fastcgi", "tcp")]


def ask(gateway: Gateway, protocol: str, kind: str, target: str, receive_buffer: int = 0) -> Peer:
    """A GET with nobody between."""
    fastcgi = begin(flags=0) + params({b"REQUEST_METHOD": b"GET", b"REQUEST_URI": target.encode()}) + stdin()
    data = fastcgi if protocol == "fastcgi" else scgi({"REQUEST_URI": target})
    return Peer(gateway.address(protocol, kind), data, receive_buffer=receive_buffer)


def broken_body(http: Endpoint, target: str) -> bytes:
    """Ask, and see the answer end before its end; returns what came of the body."""
    body = b""
    with http.connection() as connection:
        connection.send_head("GET", target)
        try:
            connection.read_head()
            for piece in connection.iter_body():
                body += piece
        except h11.RemoteProtocolError:
            return body
    raise AssertionError(f"{len(body)} bytes that look complete")


def test_hello_has_its_length_and_a_reason(http: Endpoint) -> None:
    answer = http.get("/do/hello")
    assert (answer.status, answer.reason, answer.body) == (200, "OK", HELLO)
    assert answer.header("content-length") == str(len(HELLO))


@pytest.mark.parametrize("target", ["/do/async?delay=0.01", "/do/run-async?delay=0.01"])
def test_answers_that_come_later(http: Endpoint, target: str) -> None:
    assert http.get(target).body == HELLO


@pytest.mark.parametrize(
    ("said", "status", "reason"),
    [("201", 201, "Created"), ("404", 404, "Not Found"), ("418 Short and stout", 418, "Short and stout"),
     ("503", 503, "Service Unavailable"), ("299", 299, "Unknown"), ("599 Odd", 599, "Odd")],
)  # fmt: skip
def test_statuses_and_reasons(http: Endpoint, said: str, status: int, reason: str) -> None:
    answer = http.get(f"/do/answer?status={said.replace(' ', '+')}&body=x")
    assert (answer.status, answer.reason, answer.body) == (status, reason, b"x")


def test_headers_arrive_as_they_were_sent(http: Endpoint) -> None:
    target = "/do/answer?body=x&h=Set-Cookie:%20a=1&h=Set-Cookie:%20b=2;%20Path=/&h=X-Empty:%20"
    answer = http.get(target + "&h=X-Latin:%20gr%C3%BC%C3%9Fe&h=Location:%20/elsewhere&h=Content-Type:%20a/b")
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2; Path=/"]
    assert answer.header("x-empty") == ""
    assert answer.header("x-latin") == "grüße"
    assert (answer.header("location") or "").endswith("/elsewhere")
    assert answer.header("content-type") == "a/b"


def test_there_is_no_content_type_by_default(http: Endpoint) -> None:
    assert http.get("/do/answer?body=x").header("content-type") is None


def test_an_empty_answer_has_length_0(http: Endpoint) -> None:
    answer = http.get("/do/answer")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("content-length") == "0"


def test_hop_by_hop_headers_of_an_application_are_dropped(http: Endpoint) -> None:
    dropped = ("Connection: close", "Keep-Alive: timeout=5", "Transfer-Encoding: chunked", "Trailer: x", "Status: 404")
    answer = http.get("/do/answer?body=ok&" + "&".join(f"h={line.replace(' ', '%20')}" for line in dropped))
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.header("keep-alive") is None
    assert answer.header("trailer") is None


def test_head_has_the_headers_of_a_get_and_no_body(http: Endpoint) -> None:
    with http.connection() as connection:
        for target in ("/do/hello", "/do/answer?body=Hello,+world!%0A", "/do/stream?size=14&chunk=5&length=1"):
            connection.send_head("HEAD", target)
            answer = connection.read_response()
            assert (answer.status, answer.body) == (200, b"")
            assert answer.header("content-length") == "14"
        connection.send_head("HEAD", "/do/stream?size=100000&chunk=5000")
        assert connection.read_response().body == b""
        connection.send_head("GET", "/do/hello")  # nothing of a body was left on the connection
        assert connection.read_response().body == HELLO


@pytest.mark.parametrize("status", [204, 304])
def test_204_and_304_have_no_body(http: Endpoint, status: int) -> None:
    with http.connection() as connection:
        for body in ("", "&body=discarded"):
            connection.send_head("GET", f"/do/answer?status={status}&h=X-A:%201{body}")
            answer = connection.read_response()
            assert (answer.status, answer.body, answer.header("x-a")) == (status, b"", "1")
            assert answer.header("content-length") is None
        connection.send_head("GET", "/do/hello")
        assert connection.read_response().body == HELLO


def test_streams_of_many_sizes_arrive_whole(http: Endpoint) -> None:
    for size, chunk in ((1, 1), (1000, 7), (65535, 65535), (65536, 65536), (1_000_000, 65537), (3_000_000, 1_500_000)):
        assert http.get(f"/do/stream?size={size}&chunk={chunk}").body == pattern(size)
        assert http.get(f"/do/stream?size={size}&chunk={chunk}&length=1").body == pattern(size)
        assert http.get(f"/do/flood?size={size}&chunk={chunk}").body == pattern(size)


def test_a_64_mb_download_by_a_slow_reader_takes_bounded_memory(http: Endpoint) -> None:
    process = http.site.gateway.process
    assert http.get("/do/stream?size=1000000").status == 200
    before = process.rss()
    process.reset_peak_rss()
    received, expected = 0, pattern(MIB + 251)
    with http.connection(receive_buffer=8192) as connection:
        connection.send_head("GET", f"/do/stream?size={64 * MIB}&chunk=100000")
        connection.read_head()
        for piece in connection.iter_body():
            start = received % 251
            assert piece == expected[start : start + len(piece)]
            received += len(piece)
    assert received == 64 * MIB
    assert process.peak_rss() - before < GROWTH


@pytest.mark.parametrize(("protocol", "kind"), LISTENERS)
def test_responses_69_a_reader_that_stops_makes_send_wait(
    start: Callable[..., Gateway], protocol: str, kind: str
) -> None:
    gateway = start()
    size = 64 * MIB
    with ask(gateway, protocol, kind, "/do/stream?size=1000000&chunk=50000") as peer:
        peer.read()  # to the end: what first requests load and look at is no growth by this one
    records(gateway, "stop")
    before = gateway.rss()
    gateway.process.reset_peak_rss()
    with ask(gateway, protocol, kind, f"/do/stream?size={size}&chunk=50000&key=stop", 8192) as peer:
        data = peer.receive(1000)
        assert settled(gateway, "stop") < 16 * MIB, "it went on without a reader"
        assert gateway.process.peak_rss() - before < FLAT
        data += peer.read()  # and goes on with one
    if protocol == "fastcgi":
        data = b"".join(content for kind, _, content in flup_records(data) if kind == STDOUT)
    assert data.partition(b"\r\n\r\n")[2] == pattern(size)


def settled(gateway: Gateway, key: str) -> int:
    """The bytes that ``do_stream`` got rid of, when it gets rid of no more."""
    seen: list[int] = []

    def stands() -> bool:
        with Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": f"/do/records?key={key}"})) as peer:
            told = re.findall(rb'"progress", (\d+)', peer.read())
        seen.append(int(told[-1]) if told else 0)
        return len(seen) > 20 and len(set(seen[-20:])) == 1 and seen[-1] > 0

    wait_until(stands, "the stream to stand still")
    return seen[-1]


def test_server_sent_events_arrive_in_time(http: Endpoint) -> None:
    with http.connection(timeout=5) as connection:
        # The second one would come after a minute: what arrives now is not held back for it.
        connection.send_head("GET", "/do/events?count=2&interval=60")
        head = connection.read_head()
        assert head.header("content-type") == "text/event-stream"
        assert re.fullmatch(rb"id: 0\ndata: [\d.]+\n\n", connection.read_some())


def test_server_sent_events_arrive_one_by_one(http: Endpoint) -> None:
    with http.connection() as connection:
        connection.send_head("GET", "/do/events?count=5&interval=0.05")
        connection.read_head()
        body, delays = b"", []
        for piece in connection.iter_body():
            body += piece
            sent = re.findall(rb"data: ([\d.]+)\n\n", piece)
            assert len(sent) == 1
            delays.append(http.now() - float(sent[0]))
    assert re.findall(rb"id: (\d)", body) == [b"0", b"1", b"2", b"3", b"4"]
    assert max(delays) < 1.0


def test_send_chunk_with_a_total_ends_by_itself(http: Endpoint, key: str) -> None:
    answer = http.get(f"/do/chunks?size=500000&chunk=100000&total=1&key={key}")
    assert answer.header("content-length") == "500000"
    assert answer.body == pattern(500_000)
    results = [detail for _, event, detail in http.site.records(key) if event == "result"]
    assert results == [[True, False]] * 4 + [[True, True]]


def test_send_chunk_without_a_total_is_ended_by_send(http: Endpoint, key: str) -> None:
    answer = http.get(f"/do/chunks?size=500000&chunk=100000&key={key}")
    assert answer.body == pattern(500_000)
    http.wait_for_record(key, "result")
    results = [detail for _, event, detail in http.site.records(key) if event == "result"]
    assert results == [[True, False]] * 5


@pytest.mark.parametrize("what", ["status-after-send", "headers-after-send"])
def test_what_comes_after_the_head_is_a_runtime_error(http: Endpoint, what: str) -> None:
    assert http.get(f"/do/misuse?what={what}").body.startswith(b"RuntimeError: ")


@pytest.mark.parametrize("target", ["/do/raise", "/do/raise-async", "/do/nothing"])
def test_no_answer_is_a_500_without_details(http: Endpoint, target: str) -> None:
    answer = http.get(target)
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    assert http.get("/do/hello").body == HELLO


def test_the_traceback_is_in_the_log_and_in_development_on_the_page(site_with: Callable[..., Site]) -> None:
    site = site_with("--development")
    for route in HTTP_ROUTES:
        answer = site.through(route).get("/do/raise")
        assert answer.status == 500
        assert answer.text.endswith("RuntimeError: behaviour: before the head\n")
        assert "Traceback" in answer.text
    assert sum("RuntimeError: behaviour: before the head" in line for line in site.gateway.log()) == len(HTTP_ROUTES)


def test_a_length_that_is_wrong_from_the_start_is_a_500(http: Endpoint) -> None:
    for declared, size in ((10, 5), (5, 10), (0, 1)):
        answer = http.get(f"/do/short?declared={declared}&size={size}")
        assert (answer.status, answer.body) == (500, b"Internal Server Error\n")


def arrived(http: Endpoint, body: bytes, sent: int) -> bool:
    """Whether ``body`` is what was sent before an answer broke; nginx drops some of it over FastCGI it keeps not."""
    return body == pattern(len(body)) and (len(body) == sent or (http.route.stock and len(body) < sent))


def test_a_body_that_turns_out_too_short_breaks_off(http: Endpoint, key: str) -> None:
    body = broken_body(http, f"/do/short-stream?declared=100000&size=50000&key={key}")
    assert arrived(http, body, 50_000)
    assert "50000 bytes fewer" in http.wait_for_record(key, "error")[2]
    assert http.get("/do/hello").body == HELLO


def test_of_a_body_that_turns_out_too_long_nothing_more_is_sent(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/do/short-stream?declared=100000&size=150000&key={key}")
        try:
            assert connection.read_response().body == pattern(100_000)  # all that was declared is there
        except h11.RemoteProtocolError:
            assert http.route.stock
    assert "50000 bytes more" in http.wait_for_record(key, "error")[2]
    assert http.get("/do/hello").body == HELLO


def test_an_exception_after_the_head_never_looks_complete(http: Endpoint) -> None:
    for size in (1000, 50_000):
        assert arrived(http, broken_body(http, f"/do/raise-late?size={size}&declared=100000"), size)
        if http.route.protocol == "fastcgi":  # without a length, what is missing is END_REQUEST; SCGI has no such thing
            assert arrived(http, broken_body(http, f"/do/raise-late?size={size}"), size)
        assert http.get("/do/hello").body == HELLO


def test_requests_on_one_connection_do_not_mix(http: Endpoint) -> None:
    with http.connection() as connection:
        for size in (1, 100_000, 7, 300_000, 0):
            connection.send_head("GET", f"/do/stream?size={size}&length=1")
            assert connection.read_response().body == pattern(size)
            connection.send_head("POST", "/do/data", [("Content-Length", str(size))])
            connection.send_body(pattern(size))
            assert (connection.read_response().json()["length"] or 0) == size


def test_answers_leave_no_complaints(start: Callable[..., Gateway]) -> None:
    gateway = start()
    for protocol, kind in LISTENERS:
        with ask(gateway, protocol, kind, "/do/stream?size=300000") as peer:
            assert len(peer.read()) > 300_000
    with Peer(gateway.address("fastcgi", "unix")) as peer:
        peer.send(begin() + params({b"REQUEST_METHOD": b"GET", b"REQUEST_URI": b"/do/hello"}) + record(5, 1))
        assert peer.read_fastcgi().body == HELLO
    assert complaints(gateway) == []
