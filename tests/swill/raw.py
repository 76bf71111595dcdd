"""A WebSocket client that says exactly what it is told to and keeps what comes: for byte-exact exchanges."""

from __future__ import annotations

import asyncio
import struct
from typing import Any, Self

from tests.harness.client import Address

__all__ = ["RawWebSocket"]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
PATIENCE = 10.0
"""Seconds; only bounds how long a failure takes."""


class RawWebSocket:
    """One connection; every frame that comes, pings apart, is in ``frames`` as ``(opcode, payload)``."""

    def __init__(self) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.status = 0
        self.head = ""
        self.body = b""
        self.closed = False
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def connect(
        self,
        address: Address,
        path: str = "/ws",
        subprotocol: str | None = "swill.1",
        headers: tuple[tuple[str, str], ...] = (),
        upgrade: bool = True,
    ) -> Self:
        if isinstance(address, str):
            self._reader, self._writer = await asyncio.open_unix_connection(address)
        else:
            self._reader, self._writer = await asyncio.open_connection(*address)
        lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
        if upgrade:
            lines += [
                "Upgrade: websocket",
                "Connection: Upgrade",
                f"Sec-WebSocket-Key: {KEY}",
                "Sec-WebSocket-Version: 13",
            ]
        if subprotocol is not None:
            lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
        lines += [f"{name}: {value}" for name, value in headers]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.status = int(head.split()[1])
        if self.status == 101:
            self._task = asyncio.create_task(self._read())
            return self
        length = self.header("content-length")
        if length is not None:
            self.body = await self._reader.readexactly(int(length))
        self.closed = True
        self._writer.close()
        return self

    def header(self, name: str) -> str | None:
        for line in self.head.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name:
                return value.strip()
        return None

    def send(self, payload: bytes, opcode: int = 2, fin: bool = True) -> None:
        self._writer.write(self.frame(payload, opcode, fin))

    def send_together(self, frames: list[bytes]) -> None:
        """In one write, so that the server reads them together; ``frame`` has made them."""
        self._writer.write(b"".join(frames))

    @staticmethod
    def frame(payload: bytes, opcode: int = 2, fin: bool = True) -> bytes:
        size = len(payload)
        head = bytes([(0x80 if fin else 0) | opcode])
        if size < 126:
            head += bytes([0x80 | size])
        elif size < 65536:
            head += b"\xfe" + struct.pack("!H", size)
        else:
            head += b"\xff" + struct.pack("!Q", size)
        return head + b"\0\0\0\0" + payload

    async def expect(self, count: int, seconds: float = PATIENCE) -> bool:
        """Wait until ``count`` frames have come in all; returns whether they have."""
        try:
            async with asyncio.timeout(seconds):
                while len(self.frames) < count and not self.closed:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return False
        return len(self.frames) >= count

    async def until_closed(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not self.closed:
                self._arrived.clear()
                await self._arrived.wait()

    async def drain(self) -> None:
        """Wait until the peer takes more."""
        await self._writer.drain()

    def pause(self) -> None:
        """Read nothing more, so that the kernel's buffers fill."""
        assert self._task is not None
        self._task.cancel()

    def resume(self) -> None:
        """Read again."""
        self._task = asyncio.create_task(self._read())

    async def close(self) -> None:
        """Close, and read to the end: whatever the server still sent is in ``frames``."""
        if self.status == 101 and not self.closed:
            try:
                self.send(struct.pack("!H", 1000), opcode=8)
                await self.until_closed()
            except ConnectionError:
                pass
        self.abort()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._writer.transport.abort()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: Any) -> None:
        await self.close()

    async def _read(self) -> None:
        try:
            while True:
                first, second = await self._reader.readexactly(2)
                size = second & 127
                if size == 126:
                    (size,) = struct.unpack("!H", await self._reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self._reader.readexactly(8))
                payload = await self._reader.readexactly(size)
                if first & 15 == 9:
                    self.send(payload, opcode=10)
                elif first & 15 != 10:
                    self.frames.append((first & 15, payload))
                    self._arrived.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        self.closed = True
        self._arrived.set()
