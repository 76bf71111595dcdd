"""A client disconnects in the middle: the application knows within a second, whatever it is doing, on every route."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.apps.behaviour import HELLO, pattern
from tests.behaviour.raw import MIB, Answer, Peer, complaints, exchange, noted, records, scgi
from tests.harness import Endpoint, Gateway, HttpConnection, wait_until
from tests.unit.wire.fastcgi_front import begin, params, record, stdin

pytestmark = pytest.mark.nginx

SOON = 1.0
"""Seconds; a requirement, and half of it is the pace of the gateway's sweep."""

LISTENERS = [("scgi", "unix"), ("scgi", "tcp"), ("fastcgi", "unix"), ("fastcgi", "tcp")]


@pytest.fixture(params=["close", "reset"])
def leave(request: pytest.FixtureRequest) -> Callable[[HttpConnection], None]:
    """The two ways to go."""
    return HttpConnection.close if request.param == "close" else HttpConnection.abort


def test_while_the_application_waits(http: Endpoint, key: str, leave: Callable[[HttpConnection], None]) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/do/hang?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
        leave(connection)
        assert http.aborted_after(key, left) < SOON
    assert [event for _, event, _ in http.site.records(key)] == ["started", "aborted"]
    assert http.site.records(key)[1][2] is True, "res.aborted, as the handler saw it"


def test_an_application_without_a_handler_is_cancelled(http: Endpoint, key: str) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/do/hang-untold?key={key}")
        http.wait_for_record(key, "started")
        left = http.now()
    assert http.aborted_after(key, left, "cancelled") < SOON


def test_responses_70_while_it_streams_out(http: Endpoint, key: str, leave: Callable[[HttpConnection], None]) -> None:
    with http.connection() as connection:
        connection.send_head("GET", f"/do/stream?key={key}&size={64 * MIB}&chunk=1000&delay=0.005")
        connection.read_head()
        http.wait_for_record(key, "progress")
        left = http.now()
        leave(connection)
        assert http.aborted_after(key, left) < SOON
    sent = http.wait_for_record(key, "sent")
    assert sent[0] - left < SOON, "the application noticed by send's False"
    assert sent[2] < MIB


def test_behind_a_reader_that_had_stopped(http: Endpoint, key: str, leave: Callable[[HttpConnection], None]) -> None:
    if http.route.stock:
        pytest.skip("nginx's own settings let it keep the whole answer in a file, so nothing has to wait")
    with http.connection(receive_buffer=4096) as connection:
        connection.send_head("GET", f"/do/stream?key={key}&size={64 * MIB}&chunk=100000")
        connection.read_head()
        seen: list[int] = []

        def stands() -> bool:
            seen.append(sum(event == "progress" for _, event, _ in http.site.records(key)))
            return len(seen) > 10 and len(set(seen[-10:])) == 1

        wait_until(stands, "the stream to stand still")
        left = http.now()
        leave(connection)
        assert http.aborted_after(key, left) < SOON
    assert http.wait_for_record(key, "sent")[2] < 64 * MIB


def test_while_it_reads_a_body(http: Endpoint, key: str, leave: Callable[[HttpConnection], None]) -> None:
    with http.connection() as connection:
        connection.send_head("POST", f"/do/body?key={key}", [("Content-Length", "1000000")])
        connection.send_body(pattern(300_000))
        if not http.route.streams_uploads:
            leave(connection)  # nginx has kept the body to itself, and the application never hears of it
            assert http.get("/do/hello").body == HELLO
            assert http.site.records(key) == []
            return
        http.wait_for_record(key, "chunk")
        left = http.now()
        leave(connection)
        assert http.aborted_after(key, left) < SOON
    assert http.aborted_after(key, left, "broken") < SOON


def test_while_it_is_slow_to_read_a_body(http: Endpoint, key: str) -> None:
    if not http.route.streams_uploads:
        pytest.skip("nginx collects the body first")
    with http.connection() as connection:
        connection.send_head("POST", f"/do/body?key={key}&delay=0.2", [("Content-Length", str(MIB))])
        connection.send_body(pattern(MIB // 2))
        http.wait_for_record(key, "chunk")
        left = http.now()
    assert http.aborted_after(key, left) < SOON


@pytest.mark.parametrize(("protocol", "kind"), LISTENERS)
def test_without_nginx_while_it_waits_streams_and_reads(
    start: Callable[..., Gateway], protocol: str, kind: str
) -> None:
    gateway = start()
    for what, event in (("hang?", "started"), ("stream?size=64000000&delay=0.005&", "progress"), ("body?", "chunk")):
        key = what.partition("?")[0]
        target = f"/do/{what}key={key}"
        length = {"CONTENT_LENGTH": "100000"} if key == "body" else {}
        if protocol == "scgi":
            data = scgi({"REQUEST_METHOD": "POST", "REQUEST_URI": target, **length}, b"part" if length else b"")
        else:
            pairs = {"REQUEST_METHOD": "POST", "REQUEST_URI": target, **length}
            data = begin() + params({name.encode(): value.encode() for name, value in pairs.items()})
            data += record(5, 1, b"part") if length else stdin()
        with Peer(gateway.address(protocol, kind), data) as peer:
            noted(gateway, key, event)
            left = Endpoint.now()
            peer.reset() if key == "stream" else peer.socket.close()
        noted(gateway, key, "aborted")
        told = re.search(r'\[([\d.]+), "aborted", true\]', records(gateway, key))
        assert told
        assert float(told[1]) - left < SOON
    assert complaints(gateway) == []


def test_a_half_close_is_a_client_that_disconnected_unless_it_is_to_be_tolerated(start: Callable[..., Gateway]) -> None:
    data = scgi({"REQUEST_URI": "/do/async?delay=0.3&key=half"})
    strict, tolerant = start(), start("--half-close")
    for kind in ("unix", "tcp"):
        assert exchange(strict.address("scgi", kind), data, end=True) == b""
        assert Answer(exchange(tolerant.address("scgi", kind), data, end=True)).body == HELLO


def test_a_normal_end_is_no_abort(http: Endpoint, key: str) -> None:
    for _ in range(3):
        assert http.get(f"/do/stream?key={key}&size=100000").body == pattern(100_000)
    http.wait_for_record(key, "sent")
    assert "aborted" not in {event for _, event, _ in http.site.records(key)}


def test_nothing_is_left_of_those_who_went(start: Callable[..., Gateway]) -> None:
    gateway = start()
    address = gateway.address("scgi", "unix")

    def process() -> bytes:
        return Answer(exchange(address, scgi({"REQUEST_URI": "/do/process"}))).body

    before, descriptors = process(), gateway.process.descriptors()
    for behaviour in ("hang", "hang-untold", "stream", "body", "data", "events"):
        method = "POST" if behaviour in ("body", "data") else "GET"
        changes = {"REQUEST_METHOD": method, "REQUEST_URI": f"/do/{behaviour}?size=10000000&interval=60"}
        for _ in range(50):
            length = {"CONTENT_LENGTH": "1000"} if method == "POST" else {}
            Peer(address, scgi({**changes, **length})).socket.close()
    wait_until(lambda: process() == before, "the tasks to be gone")
    wait_until(lambda: gateway.process.descriptors() == descriptors, "the connections to be gone")
    assert complaints(gateway) == []
