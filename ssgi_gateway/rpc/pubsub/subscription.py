"""Subscriptions: ``Queued`` for one message after the other, as they are taken; ``Direct`` straight into a connection.

Both hold at most ``MAX_MESSAGES`` and ``MAX_BYTES`` that were not taken; then they end, and publishers never wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..errors import Error
from ..frames import encode
from ..request import release
from .audience import Fan
from .broker import MAX_BYTES, MAX_MESSAGES, Broker, Message, Sink, too_slow

if TYPE_CHECKING:
    from ..request import Request
    from .audience import Audience
    from .topics import Topic

__all__ = ["Direct", "Queued", "messages_of"]


class Queued(Sink):
    """Messages that wait to be taken; an async iterator of ``Message``."""

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._size = 0
        self._error: Error | None = None
        self._waiter: asyncio.Future[None] | None = None

    def put(self, message: Message) -> None:
        """Keep it, or end."""
        if len(self._messages) >= MAX_MESSAGES or self._size + len(message.payload) > MAX_BYTES:
            self.fail(too_slow())
        elif self._error is None:
            self._messages.append(message)
            self._size += len(message.payload)
            release(self._waiter)

    def fail(self, error: Error) -> None:
        """End, after what waits."""
        self._error = self._error or error
        release(self._waiter)

    def __aiter__(self) -> AsyncIterator[Message]:
        return self

    async def __anext__(self) -> Message:
        while not self._messages:
            if self._error is not None:
                raise self._error
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._messages.popleft()
        self._size -= len(message.payload)
        return message


class Direct(Sink):
    """Messages that go into the connection as they are published, without a task or a turn of the loop for each.

    As long as the peer takes them it is one of a ``Fan``; while it takes nothing they wait here.

    Args:
        request: the subscription's.
    """

    __slots__ = (
        "_audience",
        "_before",
        "_blocked",
        "_error",
        "_fan",
        "_head",
        "_request",
        "_runtime",
        "_size",
        "_socket",
        "_waiting",
        "_wake",
    )

    def __init__(self, request: Request[Any]) -> None:
        connection = request.connection
        self._request = request
        self._runtime = connection.runtime
        self._socket = connection.ws
        self._head = b"\x95" + encode(request.seq)
        self._audience: Audience | None = None
        self._fan: Fan | None = None
        self._before = (0, 0)
        """What had gone through the fan when this joined it."""
        self._waiting: deque[Message] = deque()
        self._size = 0
        self._blocked: Any = None
        self._error: Error | None = None
        self._wake: asyncio.Future[None] = connection.loop.create_future()
        request.when_over = self.leave

    def settle(self, audience: Audience) -> None:
        """Join those who get the same bytes, unless messages wait here."""
        self._audience = audience
        if self._blocked is not None or self._error is not None or self._request.over:
            audience.add(self, self)
        else:
            self._join(audience)

    def _join(self, audience: Audience) -> None:
        send = self._runtime.send_to_all
        if send is None:
            audience.add(self, self)
            return
        fan = audience.fans.get(self._head)
        if fan is None:
            fan = audience.fans[self._head] = Fan(self._head, send)
        audience.members[self] = self
        audience.single.pop(self, None)
        fan.add(self._socket, self)
        self._fan = fan
        self._before = (fan.messages, fan.octets)

    def leave(self) -> None:
        """Leave the fan; what went through it is counted."""
        fan, audience, self._fan = self._fan, self._audience, None
        if fan is None or audience is None:
            return
        fan.remove(self._socket)
        if not fan.sinks:
            audience.fans.pop(self._head, None)
        messages, octets = self._before
        self._request.messages_out += fan.messages - messages
        self._request.bytes_out += fan.octets - octets

    def behind(self, writable: Any) -> None:
        """The peer takes no more right now."""
        self.leave()
        if self._audience is not None and self in self._audience.members:
            self._audience.add(self, self)
        self._blocked = writable
        release(self._wake)

    def put(self, message: Message) -> None:
        """Send it, or keep it while the peer does not read."""
        request = self._request
        if self._error is not None or request.over:
            return
        if self._blocked is None:
            frame = self._head + message.tail
            request.messages_out += 1
            request.bytes_out += len(frame)
            sent = self._socket.send(frame)
            if sent is not self._runtime.ready:
                self._blocked = sent
                release(self._wake)
        elif len(self._waiting) >= MAX_MESSAGES or self._size + len(message.payload) > MAX_BYTES:
            self.fail(too_slow())
        else:
            self._waiting.append(message)
            self._size += len(message.payload)

    def fail(self, error: Error) -> None:
        """End."""
        self._error = self._error or error
        self.leave()
        release(self._wake)

    async def serve(self) -> None:
        """Until the subscription ends.

        Raises:
            Error: it was too slow, or messages were lost.
        """
        while True:
            if self._error is not None:
                raise self._error
            if self._blocked is None:
                self._wake = self._request.connection.loop.create_future()
                await self._wake
                continue
            if not await self._writable():
                continue
            self._blocked = None
            while self._waiting and self._blocked is None:
                message = self._waiting.popleft()
                self._size -= len(message.payload)
                self.put(message)
            if self._blocked is None and self._audience is not None and self in self._audience.members:
                self._join(self._audience)

    async def _writable(self) -> bool:
        """Wait until the peer takes more; returns ``False`` if the subscription has ended meanwhile."""
        self._wake = self._request.connection.loop.create_future()
        writable = asyncio.ensure_future(self._blocked)
        try:
            await asyncio.wait({writable, self._wake}, return_when=asyncio.FIRST_COMPLETED)
            return bool(writable.done())
        finally:
            writable.cancel()


@asynccontextmanager
async def messages_of(broker: Broker, topic: Topic, name: str, since: str | None) -> AsyncIterator[AsyncIterator[Any]]:
    """The decoded messages of a topic."""
    queue = Queued()
    attachment = await broker.attach(name, queue, since)
    try:
        attachment.begin()
        yield _decoded(queue, topic)
    finally:
        await broker.detach(name, queue)


async def _decoded(queue: Queued, topic: Topic) -> AsyncIterator[Any]:
    async for message in queue:
        yield topic.decode(message.payload)
