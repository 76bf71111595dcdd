"""WebSockets on a connection: in-band behind SCGI and on the direct port, whole conversations over real sockets."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ssgi_gateway.server.websocket import PORTION
from ssgi_gateway.ssgi import WebSocketStatus
from tests.loops import settle, until
from tests.unit.server.peer import ROOM, Bench, Peer, bench, request, split_answer
from tests.unit.wire.websocket_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close, frame, zero_frame

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
ROUTES = pytest.mark.parametrize("route", ["scgi", "websocket"])


def upgrade(route: str = "scgi", subprotocols: str = "") -> bytes:
    """An upgrade request, as nginx passes it on or as it comes to the direct port."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY, "Sec-WebSocket-Version": "13"}
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = subprotocols
    if route == "websocket":
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"GET / HTTP/1.1\r\nHost: example.org\r\n{lines}\r\n".encode()
    return request(**{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()})


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """What the server sent: opcodes and payloads; what is left over is an error."""
    found = []
    while data:
        assert data[0] & 0x80, "the server sends whole messages"
        assert not data[1] & 0x80, "and unmasked frames"
        size, begin = data[1] & 0x7F, 2
        if size == 126:
            size, begin = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, begin = int.from_bytes(data[2:10], "big"), 10
        assert len(data) >= begin + size, "half a frame"
        found.append((data[0] & 0x0F, data[begin : begin + size]))
        data = data[begin + size :]
    return found


def closing(code: int, reason: str = "") -> tuple[int, bytes]:
    return CLOSE, code.to_bytes(2, "big") + reason.encode()


class Served:
    """An accepted WebSocket: what the application heard, and the peer."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.closes: list[tuple[int, str]] = []
        self.ws = None

    def app(self, *args):
        ws = args[-1]
        self.ws = ws
        ws.on_close(lambda _, code, reason: self.closes.append((code, reason)))
        self.accept(ws)

    def accept(self, ws):
        ws.on_receive(lambda _, message: self.heard.append(message))
        ws.accept()


async def opened(b: Bench, route: str = "scgi", room: int = 0) -> tuple[object, Peer]:
    """The connection after its 101."""
    connection, peer = b.connect(route, upgrade(route), room=room)
    await peer.read_until(b"\r\n\r\n")
    return connection, peer


# -- the handshake -------------------------------------------------------------------------------------------------


@ROUTES
async def test_an_upgrade_is_answered_with_101(route):
    served = Served()
    with bench(None, served.app) as b:
        _, peer = b.connect(route, upgrade(route, "chat, superchat"))
        status, headers, rest = split_answer(await peer.read_until(b"\r\n\r\n"))
        assert status.endswith("101 Switching Protocols")
        assert headers["upgrade"].lower() == "websocket"
        assert headers["connection"].lower() == "upgrade"
        assert headers["sec-websocket-accept"] == ACCEPT
        assert headers["sec-websocket-protocol"] == "chat"
        assert rest == b""
        assert served.ws.status is WebSocketStatus.ACCEPTED
        assert served.ws.extensions["protocol"] == route
        assert served.ws.extensions["subprotocols"] == ["chat", "superchat"]


@ROUTES
async def test_a_rejection_is_a_complete_answer(route):
    def app(*args):
        args[-1].reject(404, "no such room", [("Content-Type", "text/plain")])

    with bench(None, app) as b:
        _, peer = b.connect(route, upgrade(route))
        status, headers, body = split_answer(await peer.read_all())
        assert status.endswith("404 Not Found")
        assert headers["content-length"] == "12"
        assert body == b"no such room"
        assert b.idle


@ROUTES
@pytest.mark.parametrize(("app", "status"), [(lambda *args: None, "403"), (lambda *args: 1 / 0, "500")])
async def test_nobody_who_decides_is_403_and_an_exception_500(route, app, status):
    with bench(None, app) as b:
        _, peer = b.connect(route, upgrade(route))
        assert split_answer(await peer.read_all())[0].split()[1] == status


@ROUTES
async def test_a_decision_may_come_later(route):
    gate = asyncio.Event()

    async def app(*args):
        await gate.wait()
        await args[-1].accept()
        await args[-1].send("welcome")

    with bench(None, app) as b:
        _, peer = b.connect(route, upgrade(route))
        await settle()
        assert peer.take() == b""
        gate.set()
        await peer.read_until(b"\r\n\r\n")
        assert frames_of(await peer.read(9)) == [(TEXT, b"welcome")]


async def test_messages_right_behind_a_direct_handshake_are_not_lost():
    served = Served()
    with bench(None, served.app) as b:
        b.connect("websocket", upgrade("websocket") + frame(TEXT, b"a") + frame(TEXT, b"b"))
        await until(lambda: len(served.heard) == 2)
        assert served.heard == ["a", "b"]


@ROUTES
async def test_a_client_that_disconnects_before_the_decision_is_a_1006(route):
    told = []

    async def app(*args):
        args[-1].on_close(lambda _, code, reason: told.append(code))
        await asyncio.sleep(0)
        await until(lambda: told)
        told.append(await args[-1].accept())

    with bench(None, app) as b:
        _, peer = b.connect(route, upgrade(route))
        await settle()
        peer.close()
        await until(lambda: len(told) == 2)
        assert told == [1006, False]


async def test_a_client_found_gone_by_the_accept_is_a_1006():
    told = []
    held = []

    def app(*args):
        ws = args[-1]
        held.append(ws)
        ws.on_close(lambda _, code, reason: told.append(code))
        ws.run_async(asyncio.get_running_loop().create_future())

    with bench(None, app) as b:
        connection, peer = b.connect("scgi", upgrade())
        connection.stop_reading()
        peer.close()
        assert await held[0].accept() is False
        assert told == [1006]
        assert await held[0].send("x") is False
        assert connection not in b.gateway.connections


# -- messages ------------------------------------------------------------------------------------------------------


@ROUTES
async def test_text_and_binary_come_and_go(route):
    def app(*args):
        args[-1].on_receive(lambda ws, message: ws.send(message))
        args[-1].accept()

    with bench(None, app) as b:
        _, peer = await opened(b, route)
        peer.send(frame(TEXT, "é".encode()) + frame(BINARY, b"\0\1") + frame(TEXT))
        assert frames_of(await peer.read(4 + 4 + 2)) == [(TEXT, "é".encode()), (BINARY, b"\0\1"), (TEXT, b"")]


async def test_a_message_in_fragments_is_one_message_and_pings_come_between():
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        wire = frame(TEXT, b"one ", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"message")
        for index in range(len(wire)):
            peer.send(wire[index : index + 1])
            await settle()
        await until(lambda: served.heard)
        assert served.heard == ["one message"]
        assert frames_of(peer.take()) == [(PONG, b"p")]


async def test_pongs_go_out_before_the_application_is_called():
    def app(*args):
        args[-1].on_receive(lambda ws, message: ws.send(message))
        args[-1].accept()

    with bench(None, app) as b:
        _, peer = await opened(b)
        peer.send(frame(PING, b"1") + frame(TEXT, b"a") + frame(PING, b"2"))
        assert frames_of(await peer.read(9)) == [(PONG, b"1"), (TEXT, b"a"), (PONG, b"2")]


@pytest.mark.parametrize("size", [10, 20_000, 2_000_000])
async def test_a_buffer_may_be_used_again_after_send(size):
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b, room=ROOM)
        data = bytearray(b"a" * size)
        served.ws.send("x" * 400_000)  # what follows has to wait
        served.ws.send(data)
        data[:] = b"b" * size
        data += b"grows"
        served.ws.close()
        await settle()
        # Answering the Close ends the connection, behind all that was written.
        received = b""
        while closing(1000)[1] not in received[-2:] or len(received) < size + 400_000:
            received += await peer.read()
        assert frames_of(received) == [(TEXT, b"x" * 400_000), (BINARY, b"a" * size), closing(1000)]


# -- handlers and backpressure -------------------------------------------------------------------------------------


class Slow(Served):
    """An async handler that waits to be let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Semaphore(0)
        self.ended: list[object] = []

    def accept(self, ws):
        ws.on_receive(self.handle)
        ws.accept()

    async def handle(self, ws, message):
        self.heard.append(message)
        await self.gate.acquire()
        self.ended.append(message)


async def test_one_at_a_time_and_in_order_and_none_is_lost():
    served = Slow()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(20)) + close(1000))
        for number in range(20):
            await until(lambda number=number: len(served.heard) == number + 1)
            await settle()
            assert len(served.heard) == number + 1
            assert served.closes == [], "the Close comes behind them"
            served.gate.release()
        await until(lambda: served.closes)
        assert served.ended == [str(number) for number in range(20)]
        assert served.closes == [(1000, "")]


async def test_while_an_async_handler_runs_reading_stops_and_the_peer_has_to_wait():
    served = Slow()
    with bench(None, served.app) as b:
        connection, peer = await opened(b, room=ROOM)
        message = frame(BINARY, bytes(4000))
        sent = 0
        for _ in range(500):
            sent += peer.send_some((message * 2)[sent % len(message) :][: len(message)])
            await settle()
        assert connection.paused
        assert sent < 1_000_000
        for _ in range(1000):
            served.gate.release()
        await until(lambda: len(served.ended) >= sent // len(message))


async def test_messages_before_a_handler_wait_in_a_bounded_queue():
    served = Served()
    served.accept = lambda ws: ws.accept()
    with bench(None, served.app, websockets={"max_queue": 4}) as b:
        connection, peer = await opened(b)
        peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(10)))
        await until(lambda: connection.paused)
        served.ws.on_receive(lambda ws, message: served.heard.append(message))
        await until(lambda: len(served.heard) == 10)
        assert served.heard == [str(number) for number in range(10)]
        assert not connection.paused


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_handler_that_fails_closes_with_1011(is_async, caplog):
    async def fail_async(ws, message):
        await asyncio.sleep(0)
        raise KeyError("handler")

    def fail(ws, message):
        raise KeyError("handler")

    served = Served()
    served.accept = lambda ws: (ws.on_receive(fail_async if is_async else fail), ws.accept())
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
        assert frames_of(await peer.read(4)) == [closing(1011)]
        peer.send(close(1011))
        assert await peer.read_all() == b""
        await until(lambda: served.closes)
        assert served.closes == [(1011, "")]
        assert "KeyError: 'handler'" in caplog.text


async def test_a_slow_reader_makes_send_wait():
    served = Served()
    with bench(None, served.app, flow=(100_000, 10_000)) as b:
        connection, peer = await opened(b, room=ROOM)
        waiting = asyncio.ensure_future(served.ws.send(bytes(500_000)))
        await settle()
        assert not waiting.done()
        while not waiting.done():
            await peer.read()
            await settle()
        assert waiting.result() is True
        assert connection.out_size <= 10_000


async def test_bad_inputs_80_a_peer_that_sends_and_never_reads_is_not_read_for_ever():
    def app(*args):
        args[-1].on_receive(lambda ws, message: ws.send(message))
        args[-1].accept()

    with bench(None, app, flow=(100_000, 10_000), deadlines={"write": 60.0}) as b:
        connection, peer = await opened(b, room=ROOM)
        for wire in (frame(PING, bytes(100)), frame(BINARY, bytes(4000))):
            sent = 0
            for _ in range(2000):
                sent += peer.send_some((wire * 2)[sent % len(wire) :][: len(wire)])
                await settle()
        assert connection.out_size < 500_000
        await b.wait(61)
        assert b.idle, "it has taken nothing until the write deadline"


# -- the end, by the peer ------------------------------------------------------------------------------------------


@ROUTES
@pytest.mark.parametrize(
    ("wire", "answer", "told"),
    [
        (close(1000), closing(1000), (1000, "")),
        (close(1001, b"away"), closing(1001), (1001, "away")),
        (close(4999, "é".encode()), closing(4999), (4999, "é")),
        (frame(CLOSE), (CLOSE, b""), (1005, "")),
    ],
)
async def test_a_close_is_answered_with_its_code_and_reported_once(route, wire, answer, told):
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b, route)
        peer.send(wire)
        assert frames_of(await peer.read_all()) == [answer]
        assert served.closes == [told]
        assert served.ws.status is WebSocketStatus.CLOSED
        assert b.idle


@ROUTES
@pytest.mark.parametrize("how", ["shutdown", "close"])
async def test_a_broken_connection_is_a_1006(route, how):
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b, route)
        getattr(peer, how)()
        await until(lambda: served.closes)
        assert served.closes == [(1006, "")]
        assert await served.ws.send("too late") is False
        assert b.idle


async def test_a_close_whose_answer_meets_a_peer_that_is_gone_keeps_its_code():
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        peer.send(close(4000, b"bye"))
        peer.close()
        await until(lambda: served.closes)
        assert served.closes == [(4000, "bye")]


async def test_what_comes_behind_the_peers_close_is_dropped():
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        peer.send(frame(TEXT, b"a") + close(1000) + frame(TEXT, b"b") + close(1001))
        await until(lambda: served.closes)
        assert (served.heard, served.closes) == (["a"], [(1000, "")])


@ROUTES
@pytest.mark.parametrize(
    ("wire", "code"),
    [
        (frame(TEXT, b"a", mask=None), 1002),
        (frame(TEXT, b"a", rsv=2), 1002),
        (frame(3, b"a"), 1002),
        (frame(CONTINUATION, b"a"), 1002),
        (frame(PING, bytes(126)), 1002),
        (close(1005), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (close(1000, b"\xff"), 1007),
        (frame(TEXT, b"\xff"), 1007),
        (zero_frame(BINARY, bytes(1001)), 1009),
    ],
)
async def test_bad_inputs_81_86_a_protocol_error_sends_a_close_with_its_code_and_is_a_1006(route, wire, code, caplog):
    served = Served()
    with bench(None, served.app, websockets={"max_message_size": 1000}) as b:
        _, peer = await opened(b, route)
        peer.send(wire)
        ((kind, payload),) = frames_of(await peer.read_all())
        assert (kind, payload[:2]) == (CLOSE, code.to_bytes(2, "big"))
        assert [told for told, _ in served.closes] == [1006]
        assert served.heard == []
        assert caplog.messages == [f"websocket: {code} {payload[2:].decode()}"]
        peer.close()
        await until(lambda: b.idle)


# -- the end, by us ------------------------------------------------------------------------------------------------


@ROUTES
async def test_our_close_waits_for_the_peers(route):
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b, route)
        assert await served.ws.close(4000, "bye") is True
        assert frames_of(await peer.read(7)) == [closing(4000, "bye")]
        await settle()
        assert served.closes == []
        peer.send(close(4000, b"too"))
        assert await peer.read_all() == b""
        assert served.closes == [(4000, "too")]


async def test_what_arrives_behind_our_close_is_dropped():
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        served.ws.close()
        peer.send(frame(TEXT, b"late") + frame(PING, b"late") + close(1000))
        assert frames_of(await peer.read_all()) == [closing(1000)]
        assert served.heard == []
        assert served.closes == [(1000, "")]


async def test_bad_inputs_82_a_close_that_is_never_answered_ends_at_its_deadline():
    served = Served()
    with bench(None, served.app, websockets={"close_timeout": 10.0}) as b:
        _, peer = await opened(b)
        served.ws.close()
        await b.wait(9)
        assert served.closes == []
        await b.wait(2)
        assert served.closes == [(1006, "")]
        assert frames_of(await peer.read_all()) == [closing(1000)]
        assert b.idle


async def test_our_close_while_an_async_handler_runs_is_answered_too():
    served = Slow()
    with bench(None, served.app) as b:
        connection, peer = await opened(b)
        peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
        await until(lambda: connection.paused)
        served.ws.close()
        peer.send(close(1000))
        await until(lambda: served.closes)
        assert served.closes == [(1000, "")]
        served.gate.release()
        await settle()
        assert served.heard == ["a"]


# -- pings ---------------------------------------------------------------------------------------------------------

PINGS = {"ping_interval": 20.0, "ping_timeout": 15.0}


async def test_a_ping_goes_out_after_the_interval_and_again_after_its_pong():
    served = Served()
    with bench(None, served.app, websockets=PINGS) as b:
        connection, peer = await opened(b)
        for _ in range(3):
            await b.wait(19)
            assert peer.take() == b""
            await b.wait(2)
            assert frames_of(peer.take()) == [(PING, b"")]
            due = connection.deadline
            peer.send(frame(PONG))
            await until(lambda due=due: connection.deadline != due)
        assert served.closes == []


async def test_bad_inputs_83_a_peer_that_answers_no_ping_is_gone(caplog):
    served = Served()
    with bench(None, served.app, websockets=PINGS) as b:
        _, peer = await opened(b)
        await b.wait(20)
        await b.wait(14)
        assert served.closes == []
        await b.wait(2)
        assert served.closes == [(1006, "")]
        assert caplog.messages == ["websocket: no answer to a ping for 15 s"]
        # uvicorn and websockets say it, too: there are clients that are there and answer no pings.
        assert frames_of(await peer.read_all()) == [(PING, b""), (CLOSE, b"\x03\xf3no answer to a ping")]


async def test_a_peer_that_takes_a_long_message_is_not_gone(caplog):
    """A ping waits behind the message; its time begins when it has left, and what the peer takes is a sign of life."""
    served = Served()
    with bench(None, served.app, websockets={"ping_interval": 2.0, "ping_timeout": 2.0}) as b:
        _, peer = await opened(b, room=4096)
        peer.take()
        served.ws.send(bytes(400_000))
        took = 0
        while took < 400_000:
            for _ in range(2):
                await b.wait(0.5)
            piece = peer.take()
            took += len(piece)
        assert served.closes == []
        assert caplog.messages == []


async def test_a_peer_that_takes_nothing_and_answers_nothing_is_gone():
    served = Served()
    with bench(None, served.app, websockets={"ping_interval": 2.0, "ping_timeout": 2.0}) as b:
        await opened(b, room=65536)
        served.ws.send(bytes(1000))
        await b.wait(5)
        assert served.closes == [(1006, "")]


async def test_a_close_behind_a_long_message_has_its_time_when_that_was_taken():
    served = Served()
    with bench(None, served.app, websockets={"close_timeout": 2.0, "ping_interval": 0.0}) as b:
        _, peer = await opened(b, room=4096)
        served.ws.send(bytes(400_000))
        served.ws.close()
        data = b""
        while closing(1000)[1] not in data[-4:]:
            await b.wait(1)
            data += peer.take()
        peer.send(close(1000))
        await until(lambda: served.closes)
        assert served.closes == [(1000, "")]


async def test_a_burst_of_messages_leaves_the_loop_to_others_in_between():
    served, turns = Served(), []
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        loop = asyncio.get_running_loop()

        def turn():
            turns.append(len(served.heard))
            if len(served.heard) < 2000:
                loop.call_soon(turn)

        peer.send(frame(TEXT, b"") * 2000)
        turn()
        await until(lambda: len(served.heard) == 2000)
        steps = [after - before for before, after in itertools.pairwise(turns)]
        assert max(steps) <= 2 * PORTION


async def test_a_burst_that_ends_with_the_connection_is_delivered_whole():
    served = Served()
    with bench(None, served.app) as b:
        _, peer = await opened(b)
        peer.send(frame(TEXT, b"x") * 5000)
        peer.close()
        await until(lambda: served.closes or b.gateway.sweep())
        assert len(served.heard) == 5000


async def test_a_peer_that_sends_something_is_not_gone():
    served = Served()
    with bench(None, served.app, websockets=PINGS) as b:
        _, peer = await opened(b)
        await b.wait(21)
        for _ in range(5):
            await b.wait(8)
            peer.send(frame(TEXT, b"busy"))
            await until(lambda: served.heard)
            served.heard.clear()
            await b.wait(8)
        assert served.closes == []


async def test_no_interval_is_no_ping():
    served = Served()
    with bench(None, served.app, websockets={"ping_interval": 0.0}) as b:
        _, peer = await opened(b)
        await b.wait(10_000)
        assert peer.take() == b""
        assert served.closes == []


async def test_while_an_async_handler_runs_pings_go_on_and_no_answer_is_expected():
    served = Slow()
    with bench(None, served.app, websockets=PINGS) as b:
        connection, peer = await opened(b)
        peer.send(frame(TEXT, b"a"))
        await until(lambda: connection.paused)
        for _ in range(4):
            await b.wait(21)
            assert frames_of(peer.take()) == [(PING, b"")], "or the web server takes the tunnel for idle"
        assert served.closes == []
        served.gate.release()
        await until(lambda: served.ended)


# -- the drain -----------------------------------------------------------------------------------------------------


async def test_a_drain_closes_with_1012():
    served = Served()
    with bench(None, served.app) as b:
        connection, peer = await opened(b)
        b.gateway.draining = True
        connection.protocol.shut_down()
        assert frames_of(await peer.read(4)) == [closing(1012, "the server is restarting")]
        peer.send(close(1012))
        await until(lambda: served.closes)
        assert served.closes == [(1012, "")]
        await until(lambda: b.idle)


async def test_a_websocket_accepted_while_the_server_drains_is_closed():
    gate = asyncio.Event()

    async def app(*args):
        await gate.wait()
        await args[-1].accept()

    with bench(None, app) as b:
        connection, peer = b.connect("scgi", upgrade())
        await settle()
        b.gateway.draining = True
        connection.protocol.shut_down()
        gate.set()
        await peer.read_until(b"\r\n\r\n")
        assert frames_of(await peer.read(4)) == [closing(1012, "the server is restarting")]
