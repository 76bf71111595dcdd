"""RSGI applications behind the real server: WebSockets."""

from __future__ import annotations

import asyncio
import gc
import operator
import os

import pytest

from ssgi_gateway.adapters.rsgi.adapter import RsgiApplication, adapt
from ssgi_gateway.adapters.rsgi.errors import RSGIProtocolClosed, RSGIProtocolError
from tests.unit.adapters.serving import in_loop, serving, wait_for


def served(app):
    return serving(adapt(app))


async def echo(scope, proto):
    """What granian's own benchmark does."""
    transport = await proto.accept()
    while True:
        message = await transport.receive()
        if message.kind == 0:
            break
        if message.kind == 1:
            await transport.send_bytes(message.data)
        else:
            await transport.send_str(message.data)
    proto.close()


@in_loop
async def test_echo():
    async with served(echo) as server:
        ws = await server.websocket()
        assert "sec-websocket-protocol" not in ws.head.lower()
        for message in ("text \u00fc", b"\x00\xff", "", b"", "x" * 100_000):
            ws.send(message)
            assert await ws.receive() == message
        ws.close(1000)
        assert await ws.receive() == (1000, "")
        await ws.client.leave()


@in_loop
async def test_scope():
    seen = []

    async def app(scope, proto):
        names = ("proto", "http_version", "scheme", "method", "path", "query_string", "authority")
        seen.append([getattr(scope, name) for name in names])
        seen.append(scope.headers["upgrade"])
        proto.close(403)

    async with served(app) as server:
        client = await server.upgrade("/a%20b?q=1")
        await client.answer()
        await client.leave()
    assert seen == [["ws", "1.1", "http", "GET", "/a b", "q=1", None], "websocket"]


@in_loop
async def test_no_subprotocol_is_chosen():
    async with served(echo) as server:
        ws = await server.websocket(subprotocols="chat, superchat")
        assert "sec-websocket-protocol" not in ws.head.lower()
        ws.close()
        await ws.receive()
        await ws.client.leave()


# -- refusing and closing --------------------------------------------------------------------------------------------


async def refuse(server):
    client = await server.upgrade()
    answer = await client.answer()
    await client.leave()
    return answer


@pytest.mark.parametrize(("status", "expected"), [(None, 403), (401, 401), (200, 200), (503, 503)])
@in_loop
async def test_close_before_accept_is_an_http_status(status, expected):
    async def app(scope, proto):
        proto.close(status)
        proto.close(500)  # no effect

    async with served(app) as server:
        assert (await refuse(server)).status == expected


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((None, 1000), (200, 1000), (404, 1000), (500, 1011), (599, 1011)),
        *((1000, 1000), (1001, 1001), (1011, 1011), (3000, 3000), (4999, 4999)),
        *((1005, 1000), (1006, 1000), (1015, 1000), (2999, 1000), (5000, 1000), (-1, 1000)),
    ],
)
@in_loop
async def test_close_after_it_is_a_close_code(status, code):
    async def app(scope, proto):
        await proto.accept()
        proto.close(status)
        proto.close(4000)  # no effect

    async with served(app) as server:
        ws = await server.websocket()
        assert await ws.receive() == (code, "")
        await ws.client.leave()


@in_loop
async def test_a_status_that_is_none_is_an_error_and_a_500():
    async def app(scope, proto):
        with pytest.raises(ValueError, match="99"):
            proto.close(99)
        proto.close(101)

    async with served(app) as server:
        assert (await refuse(server)).status == 500


async def says_nothing(scope, proto):
    pass


async def raises(scope, proto):
    raise LookupError("lost")


async def returns_after_accept(scope, proto):
    await proto.accept()


async def raises_after_accept(scope, proto):
    await proto.accept()
    raise LookupError("lost")


@pytest.mark.parametrize(
    ("app", "status", "said"),
    [(says_nothing, 403, "neither accepted nor rejected"), (raises, 500, "LookupError: lost")],
)
@in_loop
async def test_before_accept_the_end_of_the_application_is_a_refusal(caplog, app, status, said):
    async with served(app) as server:
        assert (await refuse(server)).status == status
    assert said in caplog.text


@pytest.mark.parametrize(("app", "code"), [(returns_after_accept, 1000), (raises_after_accept, 1011)])
@in_loop
async def test_after_accept_it_is_a_close(app, code):
    async with served(app) as server:
        ws = await server.websocket()
        assert await ws.receive() == (code, "")
        await ws.client.leave()


# -- mistakes --------------------------------------------------------------------------------------------------------


async def accepts_twice(proto, transport):
    await proto.accept()


async def accepts_after_close(proto, transport):
    proto.close()
    await proto.accept()


async def sends_after_close(proto, transport):
    proto.close()
    await transport.send_str("late")


async def receives_after_close(proto, transport):
    proto.close()
    await transport.receive()


async def receives_twice_at_once(proto, transport):
    first = asyncio.ensure_future(transport.receive())
    await asyncio.sleep(0)
    try:
        await transport.receive()
    finally:
        first.cancel()


async def sends_text_as_bytes(proto, transport):
    await transport.send_bytes("text")


async def sends_bytes_as_text(proto, transport):
    await transport.send_str(b"bytes")


@pytest.mark.parametrize(
    ("mistake", "error", "match"),
    [
        (accepts_twice, RSGIProtocolError, "accepted or closed before"),
        (accepts_after_close, RSGIProtocolError, "accepted or closed before"),
        (sends_after_close, RSGIProtocolError, "the application has closed"),
        (receives_after_close, RSGIProtocolClosed, "is closed"),
        (receives_twice_at_once, RSGIProtocolError, "another receive"),
        (sends_text_as_bytes, TypeError, "wants bytes, not str"),
        (sends_bytes_as_text, TypeError, "wants str, not bytes"),
    ],
)
@in_loop
async def test_mistakes_are_raised_where_they_are_made(mistake, error, match):
    async def app(scope, proto):
        transport = await proto.accept()
        with pytest.raises(error, match=match):
            await mistake(proto, transport)

    async with served(app) as server:
        ws = await server.websocket()
        assert await ws.receive() == (1000, "")
        await ws.client.leave()


@in_loop
async def test_accept_after_a_refusal():
    async def app(scope, proto):
        proto.close(418)
        with pytest.raises(RSGIProtocolError):
            await proto.accept()

    async with served(app) as server:
        assert (await refuse(server)).status == 418


# -- the client closes, or leaves ------------------------------------------------------------------------------------


@in_loop
async def test_what_came_before_the_clients_close_is_received_first():
    seen, gate = [], asyncio.Event()

    async def app(scope, proto):
        transport = await proto.accept()
        await gate.wait()
        while len(seen) < 4:
            message = await transport.receive()
            seen.append((message.kind, message.data))
        with pytest.raises(RSGIProtocolClosed):
            await transport.receive()
        with pytest.raises(RSGIProtocolClosed):
            await transport.send_str("late")
        seen.append("done")

    async with served(app) as server:
        ws = await server.websocket()
        ws.send("one")
        ws.send(b"two")
        ws.send("three")
        ws.close(4321)
        assert await ws.receive() == (4321, "")
        gate.set()
        await wait_for(lambda: "done" in seen, "the application's end")
        await ws.client.leave()
    assert seen[:4] == [(2, "one"), (1, b"two"), (2, "three"), (0, None)]


@in_loop
async def test_a_broken_connection_is_protocol_closed(caplog):
    seen = []

    async def app(scope, proto):
        transport = await proto.accept()
        try:
            await transport.receive()
        except RSGIProtocolClosed:
            seen.append("closed")
            raise

    async with served(app) as server:
        ws = await server.websocket()
        await ws.client.leave()
        await wait_for(lambda: seen, "the application being told")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@in_loop
async def test_a_client_that_disconnects_before_it_is_accepted():
    seen, gate = [], asyncio.Event()

    async def app(scope, proto):
        await gate.wait()
        try:
            await proto.accept()
        except RSGIProtocolClosed as error:
            seen.append(str(error))

    async with served(app) as server:
        client = await server.upgrade()
        await asyncio.sleep(0.05)
        await client.leave()
        await asyncio.sleep(0.05)
        gate.set()
        await wait_for(lambda: seen, "the application being told")
    assert "disconnected before" in seen[0]


@in_loop
async def test_sending_to_a_client_that_disconnected():
    seen = []

    async def app(scope, proto):
        transport = await proto.accept()
        try:
            while True:
                await transport.send_bytes(bytes(65536))
        except RSGIProtocolClosed:
            seen.append("closed")

    async with served(app) as server:
        ws = await server.websocket()
        await ws.client.leave()
        await wait_for(lambda: seen, "the application being told")


@in_loop
async def test_a_receive_that_is_cancelled_loses_nothing():
    async def app(scope, proto):
        transport = await proto.accept()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(transport.receive(), 0.02)
        await transport.send_str("go on")
        waiting = asyncio.ensure_future(transport.receive())
        await asyncio.sleep(0)
        transport._ws.deliver("first")
        waiting.cancel()  # in the turn of the loop in which the message has come
        await asyncio.wait([waiting])
        assert waiting.cancelled()
        await transport.send_str((await transport.receive()).data)
        await transport.send_str((await transport.receive()).data)

    async with served(app) as server:
        ws = await server.websocket()
        assert await ws.receive() == "go on"
        ws.send("second")
        assert [await ws.receive(), await ws.receive()] == ["first", "second"]
        assert await ws.receive() == (1000, "")
        await ws.client.leave()


@in_loop
async def test_messages_that_are_not_taken_make_the_client_wait():
    gate, opened = asyncio.Event(), []

    async def app(scope, proto):
        transport = await proto.accept()
        opened.append(transport._ws)
        await gate.wait()
        total = 0
        while (message := await transport.receive()).kind:
            total += len(message.data)
            if total == 20_000_000:
                await transport.send_str("all")

    async with served(app) as server:
        ws = await server.websocket()
        for _ in range(200):
            ws.send(bytes(100_000))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(ws.client.writer.drain(), 0.3)
        assert opened[0].busy()
        gate.set()
        assert await ws.receive() == "all"
        ws.close()
        await ws.receive()
        await ws.client.leave()


@pytest.mark.parametrize("when", ["before accept", "after accept"])
@in_loop
async def test_an_application_that_does_not_listen_is_cancelled_in_a_while(when):
    seen = []

    async def app(scope, proto):
        if when == "after accept":
            await proto.accept()
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with serving(RsgiApplication(app, app, grace=0.1)) as server:
        client = await server.upgrade()
        await asyncio.sleep(0.05)
        await client.leave()
        await wait_for(lambda: seen, "the cancellation")


@in_loop
async def test_an_application_that_was_notified_may_take_its_time():
    seen = []

    async def app(scope, proto):
        transport = await proto.accept()
        assert (await transport.receive()).kind == 0
        await asyncio.sleep(0.2)
        seen.append("tidied up")

    async with serving(RsgiApplication(app, app, grace=0.05)) as server:
        ws = await server.websocket()
        ws.close()
        await ws.receive()
        await ws.client.leave()
        await wait_for(lambda: seen, "the application's end")


@pytest.mark.parametrize("kind", ["receives", "sends", "pending"])
@in_loop
async def test_a_thousand_clients_that_disconnect_leave_nothing_behind(kind):

    async def app(scope, proto):
        if kind == "pending":
            await asyncio.sleep(100)
        transport = await proto.accept()
        while True:
            await (transport.receive() if kind == "receives" else transport.send_bytes(bytes(65536)))

    async def leave(server, count):
        before = len(os.listdir("/proc/self/fd"))
        clients = [await server.upgrade() for _ in range(count)]
        if kind != "pending":
            for client in clients:
                await client.read_head()
        for client in clients:
            await client.leave()
        await wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, "the connections' ends")

    def counts():
        gc.collect()
        kept = sum(type(it).__name__ in ("WebSocket", "WebSocketProtocol") for it in gc.get_objects())
        return [kept, len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())]

    async with serving(RsgiApplication(app, app, grace=0.1)) as server:
        await leave(server, 10)
        await asyncio.sleep(0.2)
        before = counts()
        for _ in range(20):
            await leave(server, 50)
        await wait_for(lambda: all(map(operator.le, counts(), before)), f"no more than {before}")
