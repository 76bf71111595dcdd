"""What an observer is told: every connection, request and message, once and in order."""

from __future__ import annotations

import asyncio

from ssgi_gateway.observe.observer import Observer, Observers, together
from tests.loops import settle, until
from tests.unit.server.peer import UPGRADE, bench, request


class Witness(Observer):
    """Writes down what it is told."""

    def __init__(self):
        self.seen = []

    def connection_opened(self, protocol):
        self.seen.append(f"opened {protocol}")

    def connection_closed(self, protocol):
        self.seen.append(f"closed {protocol}")

    def connection_refused(self, protocol):
        self.seen.append(f"refused {protocol}")

    def protocol_error(self, protocol):
        self.seen.append(f"error {protocol}")

    def request_started(self, exchange):
        assert exchange.began > 0
        self.seen.append(f"started {exchange.protocol}")

    def request_called(self, exchange):
        self.seen.append("called")

    def request_ended(self, exchange, status, seconds):
        assert seconds >= 0
        self.seen.append(f"ended {status} in={exchange.received()} out={exchange.sent}")

    def websocket_opened(self, exchange):
        self.seen.append("websocket opened")

    def websocket_closed(self, exchange, code):
        self.seen.append(f"websocket closed {code}")

    def message_received(self, exchange, message):
        self.seen.append(f"message {message!r}")

    def message_sent(self, exchange):
        self.seen.append("sent")

    def tick(self, now):
        self.seen.append("tick")

    def close(self):
        self.seen.append("close")


def hello(*args):
    args[-1].send("hello")


async def test_a_request_that_is_answered_at_once():
    witness = Witness()
    with bench(hello, observer=witness) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"four"))
        await peer.read_all()
    assert witness.seen == [
        "opened scgi", "started scgi", "ended 200 in=4 out=5", "closed scgi", "called", "close",
    ]  # fmt: skip


async def test_a_client_that_disconnects_is_reported_as_499():
    witness = Witness()
    waiting = asyncio.Event()

    async def app(*args):
        await waiting.wait()

    with bench(app, observer=witness) as b:
        _, peer = b.connect("scgi", request())
        await until(lambda: "called" in witness.seen)
        peer.close()
        await until(lambda: "closed scgi" in witness.seen)
    assert witness.seen[:-1] == ["opened scgi", "started scgi", "called", "ended 499 in=0 out=0", "closed scgi"]


async def test_an_application_that_raises_is_reported_as_500():
    witness = Witness()

    def app(*args):
        raise RuntimeError("oh")

    with bench(app, observer=witness) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    assert "ended 500 in=0 out=22" in witness.seen


async def test_a_websocket():
    witness = Witness()

    def app(*args):
        ws = args[-1]
        ws.accept()
        ws.on_receive(lambda ws, message: ws.send(message))

    with bench(None, app, observer=witness) as b:
        _, peer = b.connect("websocket", UPGRADE)
        await peer.read_until(b"\r\n\r\n")
        peer.send(b"\x82\x82\0\0\0\0ab")
        await peer.read(4)
        peer.send(b"\x88\x82\0\0\0\0\x03\xe8")
        await peer.read_all()
        await settle()
    assert witness.seen[:-1] == [
        "opened websocket", "started websocket", "ended 101 in=0 out=0", "websocket opened", "called",
        "message b'ab'", "sent", "closed websocket", "websocket closed 1000",
    ]  # fmt: skip


async def test_errors_and_connections_above_the_limit():
    witness = Witness()
    with bench(hello, observer=witness, max_connections=1) as b:
        _, peer = b.connect("scgi", b"no scgi at all")
        await peer.read_all()
        b.connect("scgi", request()[:10])
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    assert [it for it in witness.seen if it.startswith(("error", "refused"))] == [
        "error scgi", "refused scgi",
    ]  # fmt: skip


async def test_several_see_the_same_and_the_clock():
    first, second = Witness(), Witness()
    assert together([]) is None
    assert together([first]) is first
    both = together([first, second])
    assert isinstance(both, Observers)
    with bench(hello, observer=both) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
        await b.wait(1)
    assert first.seen == second.seen
    assert first.seen[-2:] == ["tick", "close"]
