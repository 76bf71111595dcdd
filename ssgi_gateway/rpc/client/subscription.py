"""Subscriptions of a client: the messages of a topic, or the items of a tracked stream, over all reconnections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import msgspec

from ..errors import DisconnectedError, RpcError
from .calls import Stream

if TYPE_CHECKING:
    from .client import Client

__all__ = ["Item", "Subscription"]

T = TypeVar("T")


class Item(msgspec.Struct, Generic[T]):
    """A message with its position."""

    id: str
    data: T


class Subscription(Generic[T]):
    """The messages of a topic, or the items of a tracked stream, over all reconnections.

    ``async with client.subscribe("chat.1") as messages: async for message in messages: message.data``.

    Attributes:
        position: of the last message, or where the subscription begins.
        recovered: after a reconnection, whether nothing is missing; ``None`` before the first one.
        on_gap: called when something is missing.
    """

    def __init__(self, client: Client, rpc: str, data: Any, type: Any, since: str | None, metadata: Any) -> None:
        self.client = client
        self.position = since
        self.recovered: bool | None = None
        self.on_gap: Any = None
        self._rpc = rpc
        self._data = data
        self._metadata = metadata
        self._type = Item[type]
        self._stream: Stream[Any] | None = None
        self._resuming = since is not None

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.cancel()

    def __aiter__(self) -> AsyncIterator[Item[T]]:
        return self

    async def __anext__(self) -> Item[T]:
        while True:
            try:
                if self._stream is None:
                    await self._open()
                assert self._stream is not None
                item: Item[T] = await self._stream.__anext__()
            except DisconnectedError:
                self._stream = None
                self._resuming = True
                if self.client.given_up:
                    raise
                continue
            except RpcError as error:
                if error.code not in (429, 503) or self._stream is None:
                    raise
                # Too slow, or the server restarts: the messages since the position are still there.
                self._stream = None
                self._resuming = True
                await asyncio.sleep(self.client.delay(0))
                continue
            if item.id == self.position:
                continue  # at least once: this one is known
            self.position = item.id
            return item

    async def _open(self) -> None:
        """Subscribe, and read where that begins."""
        data, metadata = self._data, self._metadata
        if self._rpc == "swill.subscribe":
            data = {**data, "since": self.position} if self.position is not None else data
        elif self.position is not None:
            metadata = {**(metadata or {}), "swill.since": self.position}
        stream: Stream[Any] = Stream(self.client, self._rpc, data, self._type, metadata, None, 0)
        await stream.resume(data)
        self._stream = stream
        if self._rpc == "swill.subscribe":
            try:
                leading = await stream.leading()
            except (RpcError, DisconnectedError):
                self._stream = None
                raise
            self.recovered = bool(leading.get("recovered"))
            if self._resuming and not self.recovered and self.on_gap is not None:
                self.on_gap()
            self.position = leading.get("position", self.position)
