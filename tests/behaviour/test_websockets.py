"""WebSockets on every route: in-band through SCGI, through the direct port behind nginx, and the direct port itself."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from wsproto.events import BytesMessage, Ping, TextMessage

from tests.apps.behaviour import pattern
from tests.behaviour.raw import FLAT, MIB
from tests.harness import (
    HTTP_ROUTES,
    WEBSOCKET_ROUTES,
    Endpoint,
    Gateway,
    Response,
    Site,
    WebSocketClient,
    WebSocketRejectedError,
    request,
    to_nginx,
    wait_until,
)

pytestmark = pytest.mark.nginx


def rejected(ws: Endpoint, target: str, **how: object) -> Response:
    """The answer in place of a 101."""
    with pytest.raises(WebSocketRejectedError) as caught:
        ws.websocket(target, **how)  # type: ignore[arg-type]
    return caught.value.response


def through_all(site: Site) -> list[Endpoint]:
    """A site of the test's own, seen through each route."""
    return [site.through(route) for route in WEBSOCKET_ROUTES]


# Messages


@pytest.mark.parametrize("behaviour", ["echo", "echo-async"])
def test_text_and_binary_of_many_sizes(ws: Endpoint, behaviour: str) -> None:
    with ws.websocket(f"/ws/{behaviour}") as client:
        for size in (0, 1, 125, 126, 127, 128, 16383, 16384, 65535, 65536, 65537, 1_000_000):
            client.send(pattern(size))
            assert client.receive() == pattern(size)
            text = ("grüße €😀" * (size // 8 + 1))[:size]
            client.send(text[: size // 2])
            assert client.receive() == text[: size // 2]
        assert client.close(1000, "done") == (1000, "")


def test_fragments_are_one_message(ws: Endpoint) -> None:
    with ws.websocket("/ws/count") as client:
        for parts in (["a", "b", "c"], ["", "", ""], ["gr", "üß", "e"], ["x" * 60_000] * 4):
            for index, part in enumerate(parts):
                client.send_fragment(part, last=index == len(parts) - 1)
            assert client.receive() == f"text {len(''.join(parts))}"
        for index in range(1000):
            client.send_fragment(b"z", last=index == 999)
        assert client.receive() == "binary 1000"


def test_a_character_may_be_cut_by_fragments(ws: Endpoint) -> None:
    euro = "€".encode()
    with ws.websocket() as client:
        client.send_raw(frame(0x01, euro[:1]) + frame(0x00, euro[1:2]) + frame(0x80, euro[2:]))
        assert client.receive() == "€"


def test_pings_between_fragments_are_answered_before_the_message(ws: Endpoint) -> None:
    with ws.websocket() as client:
        client.send_fragment("one ", last=False)
        client.ping(b"meanwhile")
        assert client.receive_pong() == b"meanwhile"
        client.send_fragment("message", last=True)
        assert client.receive() == "one message"


def frame(first: int, payload: bytes) -> bytes:
    """A short frame under a mask that changes nothing."""
    return bytes((first, 0x80 | len(payload), 0, 0, 0, 0)) + payload


def test_messages_in_any_cut(ws: Endpoint) -> None:
    chance = random.Random(6455)
    data = b"".join(frame(0x82, bytes([index] * index)) for index in range(1, 50))
    with ws.websocket() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data:
            size = chance.randint(1, 40)
            client.send_raw(data[:size])
            data = data[size:]
        for index in range(1, 50):
            assert client.receive() == bytes([index] * index)


def test_order_is_kept(ws: Endpoint) -> None:
    for behaviour in ("echo", "echo-async", "late"):
        with ws.websocket(f"/ws/{behaviour}") as client:
            for index in range(500):
                client.send(f"message {index}")
            for index in range(500):
                assert client.receive() == f"message {index}"


def test_messages_that_come_before_a_handler_wait_for_it(ws: Endpoint) -> None:
    with ws.websocket("/ws/late?delay=0.2") as client:
        for index in range(200):  # more than the queue holds: reading stops, nothing is lost
            client.send(bytes([index]))
        assert [client.receive() for _ in range(200)] == [bytes([index]) for index in range(200)]


def test_what_the_application_sends_unasked(ws: Endpoint) -> None:
    with ws.websocket("/ws/timer?count=3&interval=0.02") as client:
        assert [client.receive() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        assert client.receive_close() == (1000, "")


# Pings


def test_pings_are_answered_with_their_payload(ws: Endpoint) -> None:
    with ws.websocket() as client:
        for payload in (b"", b"x", bytes(range(125))):
            client.ping(payload)
            assert client.receive_pong() == payload


def test_pongs_are_not_answered(ws: Endpoint) -> None:
    with ws.websocket() as client:
        client.send_raw(frame(0x8A, b"unasked"))
        client.send("next")
        event = client.receive_event()
        assert isinstance(event, TextMessage)
        assert event.data == "next"


def test_the_gateway_pings_in_silence_and_gives_up_without_an_answer(site_with: Callable[..., Site]) -> None:
    endpoints = through_all(site_with("--websocket-ping-interval", "0.5", "--websocket-ping-timeout", "1"))
    with ExitStack() as opened:
        for ws in endpoints:  # which nobody reads, so nothing answers their pings
            opened.enter_context(ws.websocket(f"/ws/echo?key={ws.route.name}"))
        clients = [opened.enter_context(ws.websocket()) for ws in endpoints]
        for _ in range(2):
            for client in clients:
                assert isinstance(client.receive_event(), Ping)
        for client in clients:
            client.send("alive")
            assert client.receive() == "alive"
        for ws in endpoints:
            assert ws.wait_for_record(ws.route.name, "close")[2] == [1006, ""]


# Closing


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
def test_a_close_with_its_code_and_reason(ws: Endpoint, key: str, code: int) -> None:
    with ws.websocket(f"/ws/echo?key={key}") as client:
        assert client.close(code, "weiß nicht")[0] == code
    assert ws.wait_for_record(key, "close")[2] == [code, "weiß nicht"]


def test_a_close_without_a_code_is_1005(ws: Endpoint, key: str) -> None:
    with ws.websocket(f"/ws/echo?key={key}") as client:
        client.send_raw(frame(0x88, b""))
        assert client.receive_close()[0] == 1005
        client.read_eof()
    assert ws.wait_for_record(key, "close")[2] == [1005, ""]


def test_a_connection_that_breaks_is_1006_within_a_second(ws: Endpoint, key: str) -> None:
    for politely in (True, False):
        for behaviour in ("echo", "slow"):  # reading, and waiting for a handler
            name = f"{key}-{behaviour}-{politely}"
            with ws.websocket(f"/ws/{behaviour}?delay=0.5&key={name}") as client:
                client.send("x")
                if behaviour == "echo":
                    assert client.receive() == "x"
                else:
                    ws.wait_for_record(name, "begin")
                left = ws.now()
                client.socket.close() if politely else client.abort()
                assert ws.aborted_after(name, left, "close") < 1.0
            assert ws.wait_for_record(name, "close")[2] == [1006, ""]


def test_a_client_that_disconnects_before_the_handshake_is_answered(ws: Endpoint, key: str) -> None:
    with ws.connection() as connection:
        connection.send_head("GET", f"/ws/hang?key={key}", HANDSHAKE)
        ws.wait_for_record(key, "started")
        left = ws.now()
    assert ws.aborted_after(key, left, "close") < 1.0


HANDSHAKE = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", "13"),
]


def test_the_application_closes_with_code_and_reason(ws: Endpoint, key: str) -> None:
    for now in ("", "&now=1"):
        with ws.websocket(f"/ws/close?key={key}{now}&code=4321&reason=genug%20%E2%82%AC") as client:
            if not now:
                client.send("x")
            assert client.receive_close() == (4321, "genug €")
            client.read_eof()
        ws.wait_for_record(key, "close", lambda detail: detail[0] == 4321)


def test_a_handler_that_raises_closes_with_1011(ws: Endpoint) -> None:
    with ws.websocket("/ws/raise-late") as client:
        client.send("x")
        assert client.receive_close()[0] == 1011


# The handshake


def test_the_first_subprotocol_is_chosen_unless_the_application_chooses(ws: Endpoint) -> None:
    for target, chosen in (("echo", "one"), ("protocol?choose=two", "two"), ("protocol?choose=", None)):
        with ws.websocket(f"/ws/{target}", subprotocols=["one", "two"]) as client:
            assert client.subprotocol == chosen
            client.send("x")
            assert client.receive() == "x"
    with ws.websocket("/ws/echo") as client:
        assert client.subprotocol is None


def test_a_subprotocol_that_was_not_offered_is_the_applications_mistake(ws: Endpoint) -> None:
    assert rejected(ws, "/ws/protocol?choose=three", subprotocols=["one", "two"]).status == 500


def test_the_application_learns_of_the_request(ws: Endpoint) -> None:
    with ws.websocket("/ws/facts?q=%41", [("X-A", "1"), ("Cookie", "c=2")], subprotocols=["p"]) as client:
        facts = json.loads(client.receive())
        mine = to_nginx(client.socket.getsockname())
    assert facts["type"] == "websocket"
    assert facts["method"] == "GET"
    assert (facts["path"], facts["query_string"]) == ("/ws/facts", "q=%41")
    assert facts["headers"]["x-a"] == ["1"]
    assert facts["headers"]["cookie"] == ["c=2"]
    if ws.route.protocol == "websocket" and ws.route.nginx:
        assert facts["remote_address"] == mine.rpartition(":")[0]  # X-Forwarded-For has no port
    else:
        assert facts["remote_address"] == mine
    assert facts["extensions"]["subprotocols"] == ["p"]
    assert facts["extensions"]["protocol"] == ws.route.protocol
    assert facts["extensions"]["scheme"] == "ws"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 503])
def test_a_reject_is_a_whole_answer_with_a_body(ws: Endpoint, status: int) -> None:
    answer = rejected(ws, f"/ws/reject?status={status}&body=nicht+f%C3%BCr+dich&h=X-Reason:%20none&h=X-More:%201")
    assert (answer.status, answer.text) == (status, "nicht für dich")
    assert (answer.header("x-reason"), answer.header("x-more")) == ("none", "1")


def test_other_ways_to_no_websocket(ws: Endpoint) -> None:
    assert rejected(ws, "/ws/reject-plain").status == 403
    assert rejected(ws, "/ws/close-pending").status == 403
    assert rejected(ws, "/ws/raise").status == 500
    assert rejected(ws, "/elsewhere").status == 404


def test_a_plain_request_to_the_direct_port_is_426_in_words(site: Site) -> None:
    for route in WEBSOCKET_ROUTES:
        if route.protocol == "websocket":
            answer = request(site.address(route), "GET", "/ws/echo")
            assert answer.status == 426
            assert b"WebSockets are served here" in answer.body
            if not route.nginx:
                assert answer.header("upgrade") == "websocket"


def test_over_fastcgi_an_upgrade_is_an_ordinary_request(site: Site) -> None:
    for route in HTTP_ROUTES:
        if route.protocol == "fastcgi":
            answer = site.through(route).request("GET", "/facts", HANDSHAKE)
            assert answer.status == 200
            assert answer.json()["type"] == "http"


# Bounds


def test_messages_at_the_limit_of_1_mib_pass_and_one_byte_more_is_1009(ws: Endpoint) -> None:
    with ws.websocket("/ws/count") as client:
        client.send(pattern(MIB))
        assert client.receive() == f"binary {MIB}"
        client.send_raw(announce(0x82, MIB + 1))  # not a byte of it has to come
        assert client.receive_close()[0] == 1009
    with ws.websocket("/ws/count") as client:
        for last in (False, False, False, True):
            client.send_fragment(pattern(MIB // 4), last=last)
        assert client.receive() == f"binary {MIB}"
        for _ in range(4):
            client.send_fragment(pattern(MIB // 4), last=False)
        client.send_raw(frame(0x80, b"x")[:-1])
        assert client.receive_close()[0] == 1009


def test_16_mb_messages_pass_where_the_limit_allows_and_not_one_byte_more(site_with: Callable[..., Site]) -> None:
    site = site_with("--websocket-max-message-size", str(16 * MIB))
    message = pattern(16 * MIB)
    for ws in through_all(site):
        with ws.websocket(timeout=60) as client:
            client.send(message)
            assert client.receive() == message
            client.send_raw(announce(0x82, 16 * MIB + 1))
            assert client.receive_close()[0] == 1009
        with ws.websocket() as client:
            client.send("still served")
            assert client.receive() == "still served"


def announce(first: int, size: int) -> bytes:
    """The header of a frame of any size, under a mask that changes nothing."""
    return bytes((first, 0xFF)) + size.to_bytes(8, "big") + bytes(4)


def test_a_slow_reader_makes_send_wait_in_bounded_memory(ws: Endpoint, key: str) -> None:
    process = ws.site.gateway.process
    with ws.websocket("/ws/big?size=1000000") as client:
        client.receive()
    before = process.rss()
    process.reset_peak_rss()
    with ws.websocket(f"/ws/flood?count=1000&size=65536&key={key}", receive_buffer=4096) as client:
        seen: list[int] = []

        def stands() -> bool:
            seen.append(sum(event == "progress" for _, event, _ in ws.site.records(key)))
            return len(seen) > 10 and len(set(seen[-10:])) == 1 and seen[-1] > 0

        wait_until(stands, "the flood to stand still")
        assert seen[-1] < 250, "16 MiB of 64 went on without a reader"
        assert process.peak_rss() - before < FLAT
        message = pattern(65536)
        for _ in range(1000):
            assert client.receive() == message
        assert client.receive_close()[0] == 1000
    assert ws.wait_for_record(key, "sent")[2] == 1000


def test_an_application_that_is_slow_makes_the_client_wait(site_with: Callable[..., Site]) -> None:
    # Over TCP a client's disconnection waits behind what it sent and nobody reads; what finds it then is the next ping.
    site = site_with("--websocket-ping-interval", "0.5", "--websocket-ping-timeout", "60", "--deadline-drain", "0.1")
    for ws in through_all(site):
        key, process = ws.route.name, site.gateway.process
        before = process.rss()
        process.reset_peak_rss()
        with ws.websocket(f"/ws/slow?delay=60&key={key}") as client:
            client.socket.settimeout(0.3)
            data, sent = announce(0x82, 65536) + bytes(65536), 0
            try:
                while sent < 1000 * len(data):
                    sent += client.socket.send(data)
            except TimeoutError:
                pass
            assert sent < 16 * MIB
            assert process.peak_rss() - before < FLAT
            client.abort()
        assert ws.wait_for_record(key, "close")[2] == [1006, ""]


# Handlers


def test_handlers_of_one_websocket_run_one_at_a_time(ws: Endpoint, key: str) -> None:
    with ws.websocket(f"/ws/slow?delay=0.01&key={key}") as client:
        for index in range(1, 11):
            client.send("x" * index)
        for index in range(1, 11):
            assert client.receive() == "x" * index
    events = [(event, detail) for _, event, detail in ws.site.records(key) if event in ("begin", "end")]
    assert events == [(event, index) for index in range(1, 11) for event in ("begin", "end")]


def test_handlers_of_two_websockets_run_at_once(ws: Endpoint, key: str) -> None:
    with ws.websocket(f"/ws/slow?delay=0.3&key={key}") as one, ws.websocket(f"/ws/slow?delay=0.3&key={key}") as two:
        one.send("1")
        two.send("22")
        assert (one.receive(), two.receive()) == ("1", "22")
    events = [event for _, event, _ in ws.site.records(key) if event in ("begin", "end")]
    assert events == ["begin", "begin", "end", "end"]


# Compression


def test_deflate_both_ways(ws: Endpoint) -> None:
    with ws.websocket(deflate=True) as client:
        assert "permessage-deflate" in (client.response.header("sec-websocket-extensions") or "")
        for message in ("abc" * 10_000, pattern(500_000), "", b"", "kurz", random.Random(1).randbytes(100_000)):
            client.send(message)
            assert client.receive() == message
        for index in range(10):
            client.send_fragment(f"part {index}" * 1000, last=index == 9)
        assert client.receive() == "".join(f"part {index}" * 1000 for index in range(10))
        assert client.close(1000)[0] == 1000


def test_a_large_message_takes_few_bytes_when_it_may(ws: Endpoint) -> None:
    with ws.connection() as connection:
        offer = ("Sec-WebSocket-Extensions", "permessage-deflate")
        connection.send_head("GET", "/ws/big?size=1000000", [*HANDSHAKE, offer])
        assert connection.read_head().status == 101
        data = connection.trailing_data()
        while len(data) < 4:
            data += connection.socket.recv(65536)
    assert data[:2] == b"\xc2\x7e", "one binary frame, compressed, of at most 65535 bytes"


def test_without_the_setting_deflate_is_not_spoken(site_with: Callable[..., Site]) -> None:
    for ws in through_all(site_with("--no-websocket-deflate")):
        with ws.websocket(deflate=True) as client:
            assert client.response.header("sec-websocket-extensions") is None
            client.send("x" * 1000)
            assert client.receive() == "x" * 1000


def test_many_messages_in_one_write_come_back(start: Callable[..., Gateway]) -> None:
    gateway = start()
    for kind in ("unix", "tcp"):
        with WebSocketClient(gateway.address("websocket", kind), "/ws/echo") as client:
            client.send_raw(b"".join(frame(0x82, bytes([index % 251])) for index in range(10_000)))
            for index in range(10_000):
                event = client.receive_event()
                assert isinstance(event, BytesMessage)
                assert event.data == bytes([index % 251])
