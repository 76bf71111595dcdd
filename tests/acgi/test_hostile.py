"""Servers that mean harm: whatever they send or leave out, an exchange ends with an error, and nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

import hpack
import hyperframe.frame as hf
import pytest
from wsproto.utilities import generate_accept_token

from ssgi_gateway import client
from ssgi_gateway.client import websocket
from ssgi_gateway.errors import WebSocketError
from tests.acgi import test_http2_connections as over_http2
from tests.acgi.test_messages import record, run, serving

HTTP1 = b"HTTP/1.1 200 OK\r\n"
ANSWERS = {
    "http": HTTP1 + b"Content-Length: 5\r\n\r\nhello",
    "http, chunked": HTTP1 + b"Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    "http, interim": b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + HTTP1 + b"Content-Length: 5\r\n\r\nhello",
    "scgi": b"Status: 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "fcgi": record(6, b"Status: 200 OK\r\n\r\n") + record(7, b"err") + record(6, b"hello") + record(3, bytes(8)),
}


def leave(writer, how):
    if how == "reset":
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort() if how == "reset" else writer.close()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_ends_at_any_byte(kind, how):
    """It is whole, or an error; a kept connection is not used again after it."""
    answer, scheme = ANSWERS[kind], kind.partition(",")[0]

    async def main():
        size = 0

        async def handle(reader, writer):
            await reader.read(65536)
            writer.write(answer[:size])
            await writer.drain()
            leave(writer, how)

        async with serving(handle) as address, client.Client(retries=0) as c:
            for size in range(len(answer)):  # noqa: B007 - the handler's
                with pytest.raises(client.ClientError):
                    await (await c.request("GET", f"{scheme}://{address}/")).read()
                assert c.pool.open == 0
            size = len(answer)
            if how == "close":
                assert await (await c.request("GET", f"{scheme}://{address}/")).read() == b"hello"

    run(main())


def forever(start, again):
    """A handler that sends ``start``, and then ``again`` for as long as the client is there."""

    async def handle(reader, writer):
        await reader.read(65536)
        writer.write(start)
        while not reader.at_eof():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(0)

    return handle


@pytest.mark.parametrize(
    ("scheme", "start", "again"),
    [
        ("http", HTTP1 + b"X: ", b"x" * 1000),
        ("http", HTTP1, b"X: 1\r\n" * 50),
        ("http", b"HTTP/1.1 200 ", b"O" * 1000),
        ("http", b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 20),
        ("http", HTTP1 + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"e" * 5000 + b"\r\nx\r\n"),
        ("http", HTTP1 + b"Transfer-Encoding: chunked\r\n\r\n", b"f" * 1000),
        ("http", HTTP1 + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: 1\r\n" * 100),
        ("scgi", b"Status: 200\r\nX: ", b"x" * 1000),
        ("scgi", b"Status: 200\r\n", b"X: 1\r\n" * 50),
        ("scgi", b"", b"Status: 103\r\n\r\n" * 20),
        ("fcgi", b"", record(6, b"X: 1\r\n" * 50)),
        ("fcgi", b"", record(6, b"Status: 103\r\n\r\n" * 20)),
    ],
)
def test_what_never_ends_is_bounded(scheme, start, again):
    async def main():
        async with serving(forever(start, again)) as address, client.Client() as c:
            with pytest.raises(client.RemoteProtocolError) as raised:
                await (await c.request("GET", f"{scheme}://{address}/")).read()
            assert str(raised.value)
            assert c.pool.open == 0

    run(main())


def test_records_that_mean_nothing_end_with_the_time():
    """Of other requests, or of no known type: they are dropped, and are no answer."""

    async def main():
        again = record(6, b"x" * 100, 9) + record(99, b"y" * 100)
        timeouts = client.Timeouts(total=0.5)
        async with serving(forever(b"", again)) as address, client.Client(timeouts=timeouts) as c:
            with pytest.raises(client.ReadTimeout):
                await c.request("GET", f"fcgi://{address}/")
            while c.pool.open:  # noqa: ASYNC110 - the second that an aborted request has to end
                await asyncio.sleep(0.01)

    run(main())


@pytest.mark.parametrize("scheme", ["http", "scgi", "fcgi"])
def test_an_answer_before_its_request(scheme):
    """It is taken for the first request's; on a kept connection it would be the next one's, and is not."""

    async def main():
        async def handle(reader, writer):
            writer.write(answer * 2)
            await writer.drain()
            if scheme == "scgi":
                writer.write_eof()
            await reader.read()

        answer = ANSWERS[scheme]
        async with serving(handle) as address, client.Client() as c:
            for _ in range(3):
                response = await c.request("GET", f"{scheme}://{address}/")
                assert response.connection.reused is False
                assert await response.read() == b"hello"
            assert c.pool.open == 0

    run(main())


# -- HTTP/2 ------------------------------------------------------------------------------------------------------------


def flood(*frames):
    """After the first request, these frames for ever, whether the client reads our answers or not."""

    async def handle(peer):
        await peer.start()
        await peer.until(hf.HeadersFrame)
        data = b"".join(frame.serialize() for frame in frames) * 50
        with contextlib.suppress(ConnectionError):
            while not peer.reader.at_eof():
                peer.writer.write(data)
                await peer.writer.drain()
                await asyncio.sleep(0)

    return handle


OK = hpack.Encoder().encode([(":status", "200")])
EARLY = hpack.Encoder().encode([(":status", "103")])
FLOODS = {
    "continuations": [hf.HeadersFrame(1, data=OK), *[hf.ContinuationFrame(1, data=b"") for _ in range(20)]],
    "resets": [hf.RstStreamFrame(1, error_code=8)] * 10,
    "empty data": [hf.DataFrame(1)] * 10,
    "interim answers": [hf.HeadersFrame(1, data=EARLY, flags=["END_HEADERS"])] * 5,
    "window updates": [hf.WindowUpdateFrame(0, window_increment=1 << 24)] * 10,
    "pushes": [hf.PushPromiseFrame(1, promised_stream_id=2, data=OK, flags=["END_HEADERS"])],
    "more data than the window": [hf.DataFrame(1, data=bytes(16384))] * 10,
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_end_their_connection_or_stream(kind):
    """Also those behind a stream's end, and while nobody reads: what may come then is bounded by the window."""

    async def main():
        first = [hf.HeadersFrame(1, data=OK, flags=["END_HEADERS"])] if "data" in kind else []
        options = {"retries": 0, "timeouts": client.Timeouts(total=20)}
        async with over_http2.conversing(flood(*first, *FLOODS[kind])) as (url, _), over_http2.asking(**options) as c:

            async def one():
                async with c.stream("GET", url):
                    await (await c.request("GET", url)).read()

            with pytest.raises(client.ClientError) as raised:
                await one()
            assert "longer than" not in str(raised.value)
            while c.pool.open:  # noqa: ASYNC110 - where only the stream has ended, the connection does so a little later
                await asyncio.sleep(0)

    run(main())


@pytest.mark.parametrize(
    "frame", [hf.PingFrame(0, opaque_data=b"12345678"), hf.SettingsFrame(0)], ids=["ping", "settings"]
)
def test_answers_that_a_peer_does_not_read_are_few(frame):
    async def main():
        async def handle(peer):
            await peer.start()
            await peer.until(hf.HeadersFrame)
            peer.writer.transport.pause_reading()
            peer.writer.write(frame.serialize() * 1_000_000)
            await done.wait()

        done = asyncio.Event()
        async with over_http2.conversing(handle) as (url, _), over_http2.asking(retries=0) as c:
            try:
                with pytest.raises(client.RemoteProtocolError, match="at once"):
                    await c.request("GET", url)
            finally:
                done.set()
            assert c.pool.open == 0

    run(main())


def test_a_window_that_stays_shut():
    async def main():
        async def handle(peer):
            await peer.start(INITIAL_WINDOW_SIZE=0)
            while True:
                await peer.until(hf.HeadersFrame)
                peer.send(hf.WindowUpdateFrame(0, window_increment=1))  # no stream goes on by it

        options = {"timeouts": client.Timeouts(write=0.5, read=0.5)}
        async with over_http2.conversing(handle) as (url, _), over_http2.asking(**options) as c:
            with pytest.raises(client.ReadTimeout):
                await c.request("GET", url)  # ahead of the peer's SETTINGS
            for body in (b"x", iter([bytes(100_000)] * 10)):
                with pytest.raises(client.WriteTimeout):
                    await c.request("POST", url, body=body)
            assert c.pool.open == 1

    run(main())


# -- WebSockets --------------------------------------------------------------------------------------------------------


def speaking(*frames, again=b""):
    """A handler that accepts a WebSocket, sends frames, and never a Close."""

    async def handle(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in head.split(b"\r\n") if line.startswith(b"sec-websocket-key")).split()[1]
        accept = generate_accept_token(key)
        writer.write(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept + b"".join(frames))
        while again and not reader.at_eof():
            writer.write(again)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return handle


def test_a_peer_that_answers_no_close(monkeypatch):
    monkeypatch.setattr(websocket, "CLOSE_WAIT", 0.2)

    async def main():
        async with serving(speaking(b"\x81\x02hi")) as address, client.Client() as c:
            async with websocket.open_websocket(c, f"ws://{address}/") as socket_:
                assert await socket_.receive() == "hi"
            assert c.pool.open == 0

    run(main())


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (speaking(b"\x82\x7f" + (1 << 40).to_bytes(8, "big"), again=bytes(65536)), 1009),
        (speaking(b"\x02\x01x", again=b"\x00\x04abcd" * 1000), 1009),
        (speaking(b"\xf1\x00"), 1002),
        (speaking(b"\x81\x81\0\0\0\0x"), 1002),
        (speaking(b"\x81\x02\xff\xff"), 1007),
    ],
    ids=["a frame without an end", "fragments without an end", "reserved bits", "masked", "no UTF-8"],
)
def test_messages_that_cannot_be(handler, code, monkeypatch):
    monkeypatch.setattr(websocket, "CLOSE_WAIT", 0.2)

    async def main():
        async with serving(handler) as address, client.Client() as c:
            with pytest.raises(WebSocketError) as raised:
                async with websocket.open_websocket(c, f"ws://{address}/", max_message_size=100_000) as socket_:
                    await socket_.receive()
            assert raised.value.code == code
            assert c.pool.open == 0

    run(main())
