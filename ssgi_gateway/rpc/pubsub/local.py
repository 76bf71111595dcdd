"""``LocalPubSub``: topics of the workers of one machine, over a unix socket, without any service.

One worker is the hub: the one that gets the lock of a file. It keeps the counters and the history in memory, and the
others, like itself, are its clients. When it ends, another worker becomes the hub; what was kept is lost then, and
said so by another epoch. Messages between hub and clients are msgpack arrays with their length in front.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import random
import tempfile
import time
from typing import Any, Final

import msgspec

from ..errors import PubSubUnavailable
from ..request import release
from .broker import Broker, Message, Recalled
from .store import Store

__all__ = ["LocalPubSub"]

logger = logging.getLogger("ssgi_gateway.rpc")

MAX_FRAME: Final = 16 * 1024 * 1024
MAX_UNSENT: Final = 8 * 1024 * 1024
"""Bytes that a worker may leave unread before the hub drops it: publishers never wait for subscribers."""

TIMEOUT: Final = 5.0

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


def pack(*items: Any) -> bytes:
    """One message between hub and client."""
    body = encode(items)
    return len(body).to_bytes(4, "big") + body


async def unpack(reader: asyncio.StreamReader) -> list[Any]:
    """The next one.

    Raises:
        asyncio.IncompleteReadError: the other side has closed the connection.
        OSError: so it seems, too, by what it sends.
    """
    size = int.from_bytes(await reader.readexactly(4), "big")
    if size > MAX_FRAME:
        raise OSError("a message of another protocol")
    return decode(await reader.readexactly(size), type=list[Any])


class Hub:
    """What the worker with the lock does for all."""

    def __init__(self) -> None:
        self._store = Store()
        self._members: dict[str, set[asyncio.StreamWriter]] = {}
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def start(self, path: str) -> None:
        """Listen."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a hub that has ended: no other process has the lock
        old = os.umask(0o077)
        try:
            self._server = await asyncio.start_unix_server(self._serve, path)
        finally:
            os.umask(old)

    def close(self) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
        for writer in tuple(self._writers):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while True:
                self._obey(writer, *(await unpack(reader)))
        except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError, TypeError):
            pass
        finally:
            self._writers.discard(writer)
            for members in self._members.values():
                members.discard(writer)
            writer.close()

    def _obey(self, writer: asyncio.StreamWriter, verb: str, number: int, topic: str, *rest: Any) -> None:
        now = time.monotonic()
        if verb == "publish":
            payload, history, ttl = rest
            message = self._store.publish(topic, payload, history, ttl, now)
            writer.write(pack("done", number, message.epoch, message.offset))
            self._fan_out(topic, pack("message", topic, message.epoch, message.offset, payload))
        elif verb == "join":
            self._members.setdefault(topic, set()).add(writer)
            writer.write(pack("done", number))
        elif verb == "leave":
            self._members.get(topic, set()).discard(writer)
            if not self._members.get(topic):
                self._members.pop(topic, None)
            writer.write(pack("done", number))
        elif verb == "recall":
            recalled = self._store.recall(topic, rest[0], now)
            missed = [(message.offset, message.payload) for message in recalled.missed]
            writer.write(pack("done", number, recalled.epoch, recalled.offset, recalled.recovered, missed))

    def _fan_out(self, topic: str, packed: bytes) -> None:
        for writer in tuple(self._members.get(topic, ())):
            if writer.transport.get_write_buffer_size() > MAX_UNSENT:
                logger.error("a worker does not read what is published; it is dropped and has to come back")
                writer.transport.abort()
            else:
                writer.write(packed)


class LocalPubSub(Broker):
    """The workers of one machine.

    Args:
        path: the unix socket, the same for all workers, and for no other server; by default in the temporary folder,
            named by the user and the folder that the application runs in.
    """

    def __init__(self, path: str | None = None) -> None:
        super().__init__()
        self._path = path or default_path()
        self._hub: Hub | None = None
        self._lock: int | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._answers: dict[int, asyncio.Future[list[Any]]] = {}
        self._number = 0
        self._keeper: asyncio.Task[None] | None = None
        self._rejoining: asyncio.Task[None] | None = None
        self._connected: asyncio.Future[None] | None = None

    async def start(self) -> None:
        """Become the hub, or find it."""
        self._connected = asyncio.get_running_loop().create_future()
        self._keeper = asyncio.create_task(self._keep(), name="swill local")
        await asyncio.wait([self._connected], timeout=TIMEOUT)

    async def close(self) -> None:
        """Leave; if this is the hub, another worker becomes it."""
        tasks = [task for task in (self._keeper, self._rejoining) if task is not None]
        self._keeper = self._rejoining = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._resign()

    async def publish(self, topic: str, payload: bytes, history: int, ttl: float) -> str:
        """Publish; returns the position.

        Raises:
            PubSubUnavailable: there is no hub at this moment.
        """
        epoch, offset = await self._ask("publish", topic, payload, history, ttl)
        return f"{epoch}:{offset}"

    async def join(self, topic: str) -> None:
        """Hear of a topic."""
        await self._ask("join", topic)

    async def leave(self, topic: str) -> None:
        """Hear of it no more."""
        try:
            await self._ask("leave", topic)
        except PubSubUnavailable:
            pass  # the hub forgets with the connection

    async def recall(self, topic: str, since: str | None) -> Recalled:
        """What was published after a position."""
        epoch, offset, recovered, missed = await self._ask("recall", topic, since)
        return Recalled(epoch, offset, recovered, [Message(epoch, at, payload) for at, payload in missed])

    # -- inside --------------------------------------------------------------------------------------------------

    async def _ask(self, verb: str, topic: str, *rest: Any) -> list[Any]:
        writer = self._writer
        if writer is None:
            raise PubSubUnavailable("there is no hub at this moment; another worker becomes it")
        self._number += 1
        number = self._number
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        writer.write(pack(verb, number, topic, *rest))
        try:
            return await asyncio.wait_for(answer, TIMEOUT)
        except TimeoutError as error:
            raise PubSubUnavailable("the hub does not answer") from error
        finally:
            self._answers.pop(number, None)

    async def _keep(self) -> None:
        """Be connected, as hub or to it."""
        while True:
            try:
                await self._elect()
                reader, self._writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(random.uniform(0.01, 0.1))
                continue
            self._rejoining = asyncio.create_task(self._rejoin(), name="swill local: back")
            release(self._connected)
            try:
                while True:
                    self._heard(*(await unpack(reader)))
            except (asyncio.IncompleteReadError, OSError, msgspec.MsgspecError):
                self._lost()

    async def _elect(self) -> None:
        if self._hub is not None:
            return
        lock = os.open(self._path + ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return
        self._lock, self._hub = lock, Hub()
        await self._hub.start(self._path)
        logger.info("this worker is the hub at %s", self._path)

    def _resign(self) -> None:
        if self._hub is not None:
            self._hub.close()
            self._hub = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _lost(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._rejoining is not None:
            self._rejoining.cancel()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(PubSubUnavailable("the hub has ended"))
                answer.exception()

    async def _rejoin(self) -> None:
        try:
            await self.rejoin()
        except PubSubUnavailable as error:
            logger.debug("the hub has ended again: %s", error)

    def _heard(self, verb: str, *rest: Any) -> None:
        if verb == "done":
            answer = self._answers.get(rest[0])
            if answer is not None and not answer.done():
                answer.set_result(list(rest[1:]))
        elif verb == "message":
            topic, epoch, offset, payload = rest
            self.deliver(topic, Message(epoch, offset, payload))


def default_path() -> str:
    """One for each user and folder."""
    folder = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    digest = hashlib.sha256(f"{os.getuid()} {os.getcwd()}".encode()).hexdigest()[:12]
    return os.path.join(folder, f"swill-{digest}.sock")
