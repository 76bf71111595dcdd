"""HTTP/2 through the pool: what is sent again and what is not, leaving, early answers, silence."""

from __future__ import annotations

import asyncio
import contextlib

import hpack
import hyperframe.frame as hf
import pytest

from ssgi_gateway import client
from ssgi_gateway.client import multiplexed
from ssgi_gateway.wire.client import http2
from tests.acgi.test_messages import run, serving, until, whole

NO_ERROR, REFUSED, CANCEL = 0, 7, 8


class Conversation:
    """The server's side of one connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.heads = []

    async def start(self, **settings):
        assert await self.reader.readexactly(24) == http2.frames.PREFACE
        self.send(hf.SettingsFrame(0, settings={getattr(hf.SettingsFrame, key): one for key, one in settings.items()}))

    def send(self, *frames):
        self.writer.write(b"".join(frame.serialize() for frame in frames))

    async def frame(self):
        head = await self.reader.readexactly(9)
        frame, length = hf.Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(await self.reader.readexactly(length)))
        if isinstance(frame, hf.HeadersFrame):
            self.heads.append(dict(self.decoder.decode(frame.data)))
        return frame

    async def until(self, kind):
        """The next frame of a kind; those before it are passed over."""
        while not isinstance(frame := await self.frame(), kind):
            pass
        return frame

    def answer(self, stream, status="200", body=b"ok", fields=()):
        block = self.encoder.encode([(":status", status), *fields])
        self.send(
            hf.HeadersFrame(stream, data=block, flags=["END_HEADERS"]),
            hf.DataFrame(stream, data=body, flags=["END_STREAM"]),
        )


@contextlib.asynccontextmanager
async def conversing(*handlers):
    """A server whose connections are handled by one coroutine after the other; gives its url and its connections."""
    connections = []

    async def handle(reader, writer):
        peer = Conversation(reader, writer)
        connections.append(peer)
        await handlers[min(len(connections), len(handlers)) - 1](peer)

    async with serving(handle) as address:
        yield f"http://{address}/", connections


def asking(**options):
    return client.Client(http2="prior-knowledge", **options)


async def answers(peer):
    await peer.start()
    while True:
        frame = await peer.until((hf.HeadersFrame, hf.DataFrame))
        if "END_STREAM" in frame.flags:
            peer.answer(frame.stream_id)


def refusing(frame_of):
    """Says at the first request that it was not processed, and reads on."""

    async def handle(peer):
        await peer.start()
        frame = await peer.until(hf.HeadersFrame)
        peer.send(frame_of(frame.stream_id))
        await peer.until(hf.GoAwayFrame)

    return handle


GOAWAY = refusing(lambda stream: hf.GoAwayFrame(0, last_stream_id=0, error_code=NO_ERROR))
RESET = refusing(lambda stream: hf.RstStreamFrame(stream, error_code=REFUSED))


@pytest.mark.parametrize("refuses", [GOAWAY, RESET], ids=["goaway", "refused"])
def test_what_was_not_processed_is_sent_again_whatever_the_method(refuses):
    async def main():
        async def again(peer):
            """REFUSED_STREAM leaves the connection, so the second attempt may be on it."""
            await peer.start()
            frame = await peer.until(hf.HeadersFrame)
            peer.send(hf.RstStreamFrame(frame.stream_id, error_code=REFUSED))
            frame = await peer.until(hf.HeadersFrame)
            await peer.until(hf.DataFrame)
            peer.answer(frame.stream_id)
            await peer.until(hf.GoAwayFrame)

        handlers = (GOAWAY, answers) if refuses is GOAWAY else (again,)
        async with conversing(*handlers) as (url, connections), asking() as c:
            response = await c.request("POST", url, body=b"once")
            assert await response.read() == b"ok"
            assert len(connections) == len(handlers)
            assert [head[":method"] for peer in connections for head in peer.heads] == ["POST", "POST"]

    run(main())


@pytest.mark.parametrize("refuses", [GOAWAY, RESET], ids=["goaway", "refused"])
def test_once_only_and_then_it_is_an_error(refuses):
    async def main():
        async def both(peer):
            await peer.start()
            while True:
                frame = await peer.until(hf.HeadersFrame)
                peer.send(hf.RstStreamFrame(frame.stream_id, error_code=REFUSED))

        handlers = (GOAWAY, GOAWAY) if refuses is GOAWAY else (both,)
        error = client.GoAway if refuses is GOAWAY else client.StreamReset
        async with conversing(*handlers) as (url, connections), asking() as c:
            with pytest.raises(error) as raised:
                await c.request("GET", url)
            assert raised.value.retryable
            assert sum(len(peer.heads) for peer in connections) == 2
        async with conversing(*handlers) as (url, connections), asking() as c:
            with pytest.raises(error) as raised:  # a body that cannot be sent again
                await c.request("POST", url, body=iter([b"once"]))
            assert raised.value.retryable
            assert sum(len(peer.heads) for peer in connections) == 1

    run(main())


def test_another_reset_is_not_retried():
    async def main():
        async def handle(peer):
            await peer.start()
            frame = await peer.until(hf.HeadersFrame)
            peer.send(hf.RstStreamFrame(frame.stream_id, error_code=2))
            await peer.until(hf.GoAwayFrame)

        async with conversing(handle) as (url, connections), asking() as c:
            with pytest.raises(client.StreamReset) as raised:
                await c.request("GET", url)
            assert (raised.value.code, raised.value.retryable) == (2, False)
            assert len(connections[0].heads) == 1

    run(main())


def test_goaway_lets_streams_go_on_and_new_ones_go_elsewhere():
    async def main():
        async def going(peer):
            await peer.start()
            first = await peer.until(hf.HeadersFrame)
            peer.send(hf.GoAwayFrame(0, last_stream_id=first.stream_id, error_code=NO_ERROR))
            await gone.wait()
            peer.answer(first.stream_id, body=b"on")
            assert await peer.reader.read() != b""  # our GOAWAY, and the end

        gone = asyncio.Event()
        async with conversing(going, answers) as (url, connections), asking() as c:
            first = asyncio.ensure_future(c.request("GET", url))
            while not c.pool.busy or not next(iter(c.pool.busy)).ending:  # noqa: ASYNC110 - the peer's doing
                await asyncio.sleep(0)
            assert await (await c.request("GET", url)).read() == b"ok"
            assert len(connections) == 2
            gone.set()
            assert await (await first).read() == b"on"
            assert c.pool.open == 1

    run(main())


def test_beyond_the_peers_streams_further_connections_and_then_a_queue():
    async def main():
        async def one_at_a_time(peer):
            await peer.start(MAX_CONCURRENT_STREAMS=1)
            while True:
                frame = await peer.until(hf.HeadersFrame)
                numbers.append(peer.heads[-1][":path"])
                if len(connections) == 2:
                    both.set()
                await both.wait()
                peer.answer(frame.stream_id)

        numbers, both = [], asyncio.Event()
        async with conversing(one_at_a_time) as (url, connections):
            async with asking(limits=client.Limits(max_per_origin=2)) as c:

                async def one(number):
                    assert await (await c.request("GET", f"{url}{number}")).read() == b"ok"

                await asyncio.gather(*[one(number) for number in range(10)])
                assert len(connections) == 2
                assert c.pool.open == 2
            assert sorted(numbers) == sorted(f"/{number}" for number in range(10))
            each = [[int(head[":path"][1:]) for head in peer.heads] for peer in connections]
            assert all(order == sorted(order) for order in each)

    run(main())


def test_ids_that_are_used_up_end_a_connection(monkeypatch):
    monkeypatch.setattr(http2, "LAST_STREAM", 5)

    async def main():
        async with conversing(answers) as (url, connections), asking() as c:
            for _ in range(5):
                assert await (await c.request("GET", url)).read() == b"ok"
            assert [len(peer.heads) for peer in connections] == [3, 2]
            assert c.pool.open == 1

    run(main())


def test_no_room_for_a_single_stream():
    """SETTINGS with MAX_CONCURRENT_STREAMS 0 is a peer that takes no requests now (RFC 9113 6.5.2)."""

    async def main():
        async def none(peer):
            await peer.start(MAX_CONCURRENT_STREAMS=0)
            while True:
                frame = await peer.until(hf.HeadersFrame)
                peer.send(hf.RstStreamFrame(frame.stream_id, error_code=REFUSED))

        options = {"timeouts": client.Timeouts(pool=0.3), "limits": client.Limits(max_per_origin=2)}
        async with conversing(none) as (url, _), asking(**options) as c:
            with pytest.raises(client.ClientError):
                await c.request("GET", url)
            with pytest.raises(client.PoolTimeout):
                await c.request("GET", url)
            assert c.pool.open == len(c.pool.idle) + len(c.pool.busy) + c.pool.connecting

    run(main())


@pytest.mark.parametrize("answered", [True, False])
def test_a_silent_peer_is_pinged(monkeypatch, answered):
    monkeypatch.setattr(multiplexed, "PING_AFTER", 0.1)
    monkeypatch.setattr(multiplexed, "PING_WAIT", 0.3)

    async def main():
        async def handle(peer):
            await peer.start()
            head = await peer.until(hf.HeadersFrame)
            for _ in range(2):
                ping = await peer.until(hf.PingFrame)
                if not answered:
                    await peer.until(hf.GoAwayFrame)
                peer.send(hf.PingFrame(0, opaque_data=ping.opaque_data, flags=["ACK"]))
            peer.answer(head.stream_id)
            await peer.until(hf.GoAwayFrame)

        async with conversing(handle) as (url, _), asking() as c:
            if answered:
                assert await (await c.request("GET", url)).read() == b"ok"
            else:
                with pytest.raises(client.ReadTimeout, match="PING"):
                    await c.request("GET", url)
                assert c.pool.open == 0

    run(main())


def test_read_and_write_timeouts_are_a_streams_own():
    """One stream gets no answer, one no window; a third goes on."""

    async def main():
        async def handle(peer):
            await peer.start()
            while True:
                frame = await peer.until((hf.HeadersFrame, hf.RstStreamFrame))
                if isinstance(frame, hf.RstStreamFrame):
                    resets.append((frame.stream_id, frame.error_code))
                elif peer.heads[-1][":path"] == "/well":
                    peer.answer(frame.stream_id)

        resets = []
        async with conversing(handle) as (url, _), asking(timeouts=client.Timeouts(read=0.5, write=0.5)) as c:
            asked = [c.request("GET", url), c.request("POST", url, body=bytes(200_000))]
            done = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(one) for one in done] == [client.ReadTimeout, client.WriteTimeout], done
            assert await (await c.request("GET", f"{url}well")).read() == b"ok"
            assert sorted(resets) == [(1, CANCEL), (3, CANCEL)]
            assert c.pool.open == 1

    run(main())


def test_an_early_answer_and_no_error_say_stop_sending():
    async def main():
        async def handle(peer):
            await peer.start()
            head = await peer.until(hf.HeadersFrame)
            peer.answer(head.stream_id, "413", b"no")
            peer.send(hf.RstStreamFrame(head.stream_id, error_code=NO_ERROR))
            await answers_on(peer)

        async def answers_on(peer):
            head = await peer.until(hf.HeadersFrame)
            peer.answer(head.stream_id)
            await peer.until(hf.GoAwayFrame)

        async def pieces():
            for _ in range(100):
                yield bytes(60_000)

        async with conversing(handle) as (url, connections), asking() as c:
            response = await c.request("POST", url, body=pieces())
            assert (response.status, await response.read()) == (413, b"no")
            assert (await c.request("GET", url)).status == 200
            assert len(connections) == 1

    run(main())


def test_an_answer_before_the_request_is_complete_ends_the_upload():
    """Without a reset by the peer it is ours, so that neither waits for the other."""

    async def main():
        async def handle(peer):
            await peer.start()
            head = await peer.until(hf.HeadersFrame)
            peer.answer(head.stream_id, "413", b"no")
            reset.append((await peer.until(hf.RstStreamFrame)).error_code)
            await peer.until(hf.GoAwayFrame)

        reset = []
        async with conversing(handle) as (url, _), asking() as c, c.exchange() as (receive, send):
            await send({"type": "http.request", "method": "POST", "url": url, "body": b"a", "more_body": True})
            told = await whole(receive)
            assert [one["status_code"] for one in told if "status_code" in one] == [413]
            await send({"type": "http.request.body", "body": b"b", "more_body": True})
        assert reset == [CANCEL]

    run(main())


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
def test_leaving_resets_one_stream_and_no_other(how):
    async def main():
        async def handle(peer):
            await peer.start()
            ends = []
            while not isinstance(frame := await peer.frame(), hf.RstStreamFrame):
                ends.append("END_STREAM" in frame.flags)
                if isinstance(frame, hf.HeadersFrame):
                    begun.set()
            seen.append((frame.stream_id, frame.error_code, any(ends)))
            other = await peer.until(hf.HeadersFrame)
            peer.answer(other.stream_id)
            await peer.until(hf.GoAwayFrame)

        seen, begun = [], asyncio.Event()

        async def app(receive, send):
            await send({"type": "http.request", "method": "POST", "url": url, "body": b"a", "more_body": True})
            await begun.wait()
            await (send({"type": "http.disconnect"}) if how == "disconnect" else asyncio.sleep(60))

        async with conversing(handle) as (url, connections), asking() as c:
            running = asyncio.ensure_future(c.run(app))
            await begun.wait()
            if how == "cancel":
                running.cancel()
            await asyncio.wait([running])
            assert await (await c.request("GET", url)).read() == b"ok"
            assert (seen, len(connections)) == ([(1, CANCEL, False)], 1)

    run(main())


def test_a_connection_that_breaks_ends_every_stream():
    async def main():
        async def handle(peer):
            await peer.start()
            for _ in range(3):
                await peer.until(hf.HeadersFrame)

        async with conversing(handle) as (url, _), asking() as c:
            done = await asyncio.gather(*[c.request("POST", url) for _ in range(3)], return_exceptions=True)
            assert [type(one) for one in done] == [client.RemoteProtocolError] * 3
            assert c.pool.open == 0

    run(main())


def test_a_tunnel_over_a_stream():
    """CONNECT (RFC 9113 8.5): DATA both ways, END_STREAM for each way's end."""

    async def main():
        async def handle(peer):
            await peer.start()
            head = await peer.until(hf.HeadersFrame)
            assert set(peer.heads[0]) == {":method", ":authority"}
            block = peer.encoder.encode([(":status", "200")])
            peer.send(hf.HeadersFrame(head.stream_id, data=block, flags=["END_HEADERS"]))
            got = b""
            while "END_STREAM" not in (frame := await peer.until(hf.DataFrame)).flags:
                got += frame.data
            peer.send(hf.DataFrame(head.stream_id, data=(got + frame.data).upper(), flags=["END_STREAM"]))
            await peer.until(hf.GoAwayFrame)

        async with conversing(handle) as (url, _), asking() as c, c.exchange() as (receive, send):
            await send({"type": "http.request", "method": "CONNECT", "url": url, "more_body": True})
            *_, response = await until(receive, "http.response")
            assert (response["status_code"], response["more_body"]) == (200, False)
            await send({"type": "http.stream.data", "data": b"both "})
            await send({"type": "http.stream.data", "data": b"ways", "more_data": False})
            told = await until(receive, "http.stream.disconnect")
            assert b"".join(one["data"] for one in told[:-1]) == b"BOTH WAYS"
            assert told[-1]["error"] is None
            assert c.pool.open == 1

    run(main())


def test_a_stream_that_nobody_reads_stops_only_itself():
    async def main():
        async def handle(peer):
            await peer.start()
            encoder = peer.encoder
            first = await peer.until(hf.HeadersFrame)
            block = encoder.encode([(":status", "200")])
            peer.send(hf.HeadersFrame(first.stream_id, data=block, flags=["END_HEADERS"]))
            for _ in range(64):  # the whole window of the stream
                peer.send(hf.DataFrame(first.stream_id, data=bytes(16384)))
            while True:
                frame = await peer.until((hf.HeadersFrame, hf.WindowUpdateFrame))
                if isinstance(frame, hf.HeadersFrame):
                    peer.answer(frame.stream_id, body=bytes(16384))
                elif frame.stream_id:
                    windows.append((frame.stream_id, frame.window_increment))

        windows = []
        async with conversing(handle) as (url, connections), asking() as c:
            async with c.stream("GET", url) as unread:
                for _ in range(20):
                    assert len(await (await c.request("GET", url)).read()) == 16384
                assert windows == []
                size = 0
                while size < 1 << 20:
                    size += len(await unread.piece())
            assert (await c.request("GET", url)).status == 200
            assert {stream for stream, _ in windows} == {1}
            assert (1 << 19) <= sum(increment for _, increment in windows) <= (1 << 20)
            assert len(connections) == 1

    run(main())


def test_a_peer_that_takes_nothing_keeps_nobody_busy(monkeypatch):
    """A little of a body waits for the kernel: the client is woken when that takes it, and not in every turn."""
    flushes = 0
    flush = multiplexed.Http2Carrier._flush

    def counted(carrier):
        nonlocal flushes
        flushes += 1
        flush(carrier)

    monkeypatch.setattr(multiplexed.Http2Carrier, "_flush", counted)

    async def main():
        stalled, over = asyncio.Event(), asyncio.Event()

        async def deaf(peer):
            await peer.start(INITIAL_WINDOW_SIZE=(1 << 31) - 1)
            peer.send(hf.WindowUpdateFrame(0, window_increment=(1 << 31) - 65536))
            await peer.until(hf.HeadersFrame)
            await over.wait()

        async with conversing(deaf) as (url, _), asking() as c:

            async def body():
                while not any(carrier.connection.out_size for carrier in c.pool.busy):
                    yield bytes(32768)
                    await asyncio.sleep(0)
                stalled.set()
                await over.wait()

            asked = asyncio.create_task(c.request("POST", url, body=body()))
            await stalled.wait()
            before = flushes
            for _ in range(200):
                await asyncio.sleep(0)
            turns = flushes - before
            over.set()
            asked.cancel()
            await asyncio.wait([asked])
            assert turns < 10

    run(main())
