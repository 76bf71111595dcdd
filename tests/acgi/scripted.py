"""Peers that do what a vector's script says, step by step.

HTTP/1.1: ``expect`` head, body (so many ``bytes``), chunked, eof; ``send``, ``send_hex``, ``wait`` (ms), ``close``,
``reset``. HTTP/2, by the h2 library over TLS: ``expect`` request, end, reset, pong of a ``stream``; ``headers``,
``data``, ``stream_data``, ``rst``, ``goaway``, ``settings``, ``ping``, ``window``. SCGI and FastCGI: ``expect_hex``,
``send_hex``. What arrived is kept in ``seen``.
"""

from __future__ import annotations

import asyncio
import socket
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings
import hyperframe.frame


class Peer:
    """What all of them share: a server on a port of the kernel's choice."""

    def __init__(self, script, tls=None):
        self.script, self.tls = script, tls
        self.seen, self.connections, self.problem = [], 0, None
        self.tasks = set()

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, ssl=self.tls)
        return self.server.sockets[0].getsockname()[1]

    async def accept(self, reader, writer):
        self.connections += 1
        task = asyncio.current_task()
        self.tasks.add(task)
        try:
            await self.handle(reader, writer)
        except (ConnectionError, asyncio.CancelledError, EOFError) as error:
            self.seen.append(("gone", type(error).__name__))
        finally:
            writer.close()

    async def stop(self):
        self.server.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


class HexPeer(Peer):
    """SCGI and FastCGI, byte by byte."""

    async def handle(self, reader, writer):
        buffer = b""
        for step in self.script:
            if "expect_hex" in step:
                want = bytes.fromhex(step["expect_hex"])
                while len(buffer) < len(want):
                    more = await reader.read(65536)
                    if not more:
                        break
                    buffer += more
                if buffer[: len(want)] != want:
                    self.problem = f"got {buffer[:300]!r} in place of {want[:300]!r}"
                buffer = buffer[len(want) :]
            elif "send_hex" in step:
                writer.write(bytes.fromhex(step["send_hex"]))
                await writer.drain()
            elif "wait" in step:
                await asyncio.sleep(step["wait"] / 1000)
            elif step.get("close"):
                return
        await asyncio.sleep(30)


class Http1Peer(Peer):
    """Raw HTTP/1.1."""

    async def handle(self, reader, writer):  # noqa: C901 - the language of the scripts
        buffer = b""

        async def more():
            nonlocal buffer
            data = await reader.read(65536)
            if not data:
                raise EOFError
            buffer += data

        for step in self.script:
            expected = step.get("expect")
            if expected == "head":
                while b"\r\n\r\n" not in buffer:
                    await more()
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                self.seen.append(("head", head.decode("latin-1")))
            elif expected == "body":
                while len(buffer) < step["bytes"]:
                    await more()
                self.seen.append(("body", buffer[: step["bytes"]].decode("latin-1")))
                buffer = buffer[step["bytes"] :]
            elif expected == "chunked":
                while not buffer.endswith(b"0\r\n\r\n"):
                    await more()
                self.seen.append(("chunked", buffer.decode("latin-1")))
                buffer = b""
            elif expected == "eof":
                try:
                    while True:
                        await more()
                except EOFError:
                    self.seen.append(("eof", buffer.decode("latin-1")))
            elif "send" in step:
                writer.write(step["send"].encode("latin-1"))
                await writer.drain()
            elif "send_hex" in step:
                writer.write(bytes.fromhex(step["send_hex"]))
                await writer.drain()
            elif "wait" in step:
                await asyncio.sleep(step["wait"] / 1000)
            elif step.get("close"):
                return
            elif step.get("reset"):
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
        await asyncio.sleep(30)


class Http2Peer(Peer):
    """HTTP/2 by the h2 library."""

    def __init__(self, script, tls, acknowledge=True, settings=None):
        super().__init__(script, tls)
        self.acknowledge, self.settings = acknowledge, settings or {}

    async def handle(self, reader, writer):
        connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="latin-1"))
        if self.settings:
            connection.local_settings = h2.settings.Settings(client=False, initial_values=self.settings)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        self.happened, self.changed = set(), asyncio.Event()

        def flush():
            data = connection.data_to_send()
            if data:
                writer.write(data)

        pump = asyncio.create_task(self.pump(reader, connection, flush))
        try:
            for step in self.script:
                if not await self.step(step, connection, writer, flush):
                    return
            await asyncio.sleep(30)
        finally:
            pump.cancel()

    async def pump(self, reader, connection, flush):
        try:
            while data := await reader.read(65536):
                for event in connection.receive_data(data):
                    self.note(event, connection)
                flush()
                self.changed.set()
        except Exception as error:
            self.seen.append(("server error", repr(error)))
        self.seen.append(("eof",))
        self.happened.add(("eof", 0))
        self.changed.set()

    def note(self, event, connection):
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.RequestReceived):
            self.seen.append(("request", stream, [list(pair) for pair in event.headers]))
            self.happened.add(("request", stream))
            if event.stream_ended:
                self.happened.add(("end", stream))
        elif isinstance(event, h2.events.DataReceived):
            ended = event.stream_ended is not None
            self.seen.append(("data", stream, len(event.data), event.data[:40].decode("latin-1"), ended))
            if self.acknowledge:
                connection.acknowledge_received_data(event.flow_controlled_length, stream)
        elif isinstance(event, h2.events.StreamEnded):
            self.seen.append(("end", stream))
            self.happened.add(("end", stream))
        elif isinstance(event, h2.events.StreamReset):
            self.seen.append(("reset", stream, int(event.error_code)))
            self.happened.add(("reset", stream))
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.seen.append(("goaway", int(event.error_code), event.last_stream_id))
            self.happened.add(("goaway", 0))
        elif isinstance(event, h2.events.PingAckReceived):
            self.seen.append(("ping ack",))
            self.happened.add(("pong", 0))
        elif isinstance(event, h2.events.WindowUpdated):
            self.seen.append(("window", stream, event.delta))

    async def step(self, step, connection, writer, flush):  # noqa: C901 - likewise
        stream = step.get("stream", 1)
        if "expect" in step:
            wanted = (step["expect"], stream)
            while wanted not in self.happened and ("eof", 0) not in self.happened:
                self.changed.clear()
                await self.changed.wait()
            return wanted in self.happened
        if "headers" in step:
            connection.send_headers(
                stream, [tuple(pair) for pair in step["headers"]], end_stream=step.get("end", False)
            )
        elif "data" in step:
            data = step["data"].encode("latin-1") * step.get("times", 1)
            connection.send_data(stream, data, end_stream=step.get("end", False))
        elif "stream_data" in step:
            left = step["stream_data"]
            while left:
                room = min(left, connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
                if room:
                    left -= room
                    connection.send_data(stream, b"d" * room, end_stream=step.get("end", False) and not left)
                    flush()
                    continue
                self.changed.clear()
                await self.changed.wait()
                if ("eof", 0) in self.happened:
                    return False
        elif "rst" in step:
            connection.reset_stream(stream, step["rst"])
        elif "goaway" in step:
            frame = hyperframe.frame.GoAwayFrame(0, last_stream_id=step["last"], error_code=step["goaway"])
            writer.write(frame.serialize())
        elif "settings" in step:
            connection.update_settings({int(key): value for key, value in step["settings"].items()})
        elif "ping" in step:
            connection.ping(b"12345678")
        elif "window" in step:
            connection.increment_flow_control_window(step["window"], stream or None)
        elif "wait" in step:
            await asyncio.sleep(step["wait"] / 1000)
        elif step.get("close"):
            return False
        flush()
        return True
