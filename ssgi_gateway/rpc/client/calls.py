"""What a client has open: ``Call`` is one answer, ``Stream`` items both ways.

A call knows its link and nothing of how that came about; the client gives it another one after a reconnection, where
the call is one that may be sent again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import msgspec

from ..errors import DisconnectedError, RpcError
from ..flow import Window
from ..frames import (
    CANCEL,
    CREDIT,
    END_OF_STREAM,
    ERROR,
    MESSAGE,
    METADATA,
    AnswerFrame,
    ErrorMessage,
    decode_any,
    encode_request,
)
from ..request import release

if TYPE_CHECKING:
    from .client import Client
    from .link import Link

__all__ = ["NOTHING", "Call", "Stream"]

T = TypeVar("T")

NOTHING: Final[Any] = object()
"""No item: not even nil."""


class Call:
    """One request of one connection.

    Attributes:
        leading_metadata, trailing_metadata: what the server sent beside its items.
    """

    def __init__(self, client: Client, rpc: str, metadata: dict[str, Any] | None, deadline: float | None) -> None:
        self.client = client
        self.rpc = rpc
        self.seq = 0
        self.metadata = metadata
        self.deadline = deadline
        self.link: Link | None = None
        self.leading_metadata: dict[str, Any] | None = None
        self.trailing_metadata: dict[str, Any] | None = None
        self.over = False
        self.frames: deque[AnswerFrame] = deque()
        self.error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    # -- frames received ---------------------------------------------------------------------------------------------

    def frame_received(self, frame: AnswerFrame) -> None:
        """A frame of the server."""
        if frame.leading is not None:
            self.leading_metadata = frame.leading
        if frame.trailing is not None:
            self.trailing_metadata = frame.trailing
        if frame.type == ERROR:
            self._fail(to_error(frame, self.rpc))
        else:
            self.take(frame)
        release(self._waiter)

    def take(self, frame: AnswerFrame) -> None:
        """A frame that is no ERROR."""
        if frame.type == MESSAGE:
            self.frames.append(frame)
            self.finish()

    def disconnected(self, error: DisconnectedError) -> None:
        """The connection is over."""
        self._fail(error)
        release(self._waiter)

    def _fail(self, error: Exception) -> None:
        if not self.over:
            self.error = error
            self.finish()

    def finish(self) -> None:
        """Nothing more comes that counts."""
        self.over = True
        if self.link is not None:
            self.link.forget(self)
        release(self._waiter)

    # -- calls of the application ------------------------------------------------------------------------------------

    async def next_frame(self) -> AnswerFrame | None:
        """The next MESSAGE; ``None`` at the end.

        Raises:
            RpcError: an ERROR came.
            DisconnectedError: the connection went away.
        """
        while not self.frames:
            if self.error is not None:
                raise self.error
            if self.over:
                return None
            await self._wait()
        return self.frames.popleft()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(self.deadline, self._deadline_passed) if self.deadline is not None else None
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _deadline_passed(self) -> None:
        """Our own clock decides; the server has its own."""
        self.cancel()
        self.error = self.error or RpcError(504, "the deadline has passed", None, self.rpc)
        release(self._waiter)

    def cancel(self) -> None:
        """No answer is wanted any more: notify the server, and let readers that wait for items go on."""
        if not self.over:
            if self.link is not None and not self.link.lost and self.seq:
                self.link.send(encode_request(self.seq, None, self.rpc, CANCEL))
            self.finish()


class Stream(Call, Generic[T]):
    """A call with items: ``async with client.stream("double") as s: await s.send(1); async for y in s: ...``.

    Args:
        data: the one item of a request that has one; ``NOTHING`` for those that come by ``send``.
        type: of the items of the answer.
        window: how many items may be under way; only with a server that knows it.
    """

    def __init__(
        self,
        client: Client,
        rpc: str,
        data: Any,
        type: Any,
        metadata: dict[str, Any] | None,
        deadline: float | None,
        window: int,
    ) -> None:
        super().__init__(client, rpc, metadata, deadline)
        self._data = data
        self._decoder = msgspec.msgpack.Decoder(type)
        self._window_size = window
        self._window: Window | None = None
        self._ended = data is not NOTHING
        self._begun = False
        self._credit: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        self.link = await self.client.ready()
        features = await self.link.known()
        if "credit" in features:
            self._window = Window(self._window_size)
            self.metadata = {**(self.metadata or {}), "swill.window": self._window_size}
        if self._data is not NOTHING:
            self._begin(self._data, MESSAGE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cancel()

    async def resume(self, data: Any) -> None:
        """Begin on the connection that there is now, without a window."""
        self.link = await self.client.ready()
        self._begin(data, MESSAGE)

    async def leading(self) -> dict[str, Any]:
        """The leading metadata, once it has come.

        Raises:
            RpcError: an ERROR came.
            DisconnectedError: the connection went away.
        """
        while self.leading_metadata is None:
            if self.error is not None:
                raise self.error
            await self._wait()
        return self.leading_metadata

    def _begin(self, data: Any, kind: int) -> None:
        assert self.link is not None, "use it as a context manager: async with client.stream(...)"
        self._begun = True
        metadata = self.client.metadata_of(self)
        if kind == METADATA:
            metadata = metadata or {}
        elif self._window is not None:
            self._window.spend()
        self.link.begin(self, data, kind, metadata)

    async def send(self, item: Any) -> None:
        """Send an item; waits while the server takes no more.

        Raises:
            RuntimeError: ``end`` was called, or the request has one item only.
            RpcError: the answer is an ERROR.
            DisconnectedError: the connection went away.
        """
        if self._ended:
            raise RuntimeError(f"{self.rpc}: no item can be sent after the end")
        if self.over:
            if self.error is not None:
                raise self.error
            return  # answered already: the rest is not wanted
        assert self.link is not None, "use it as a context manager: async with client.stream(...)"
        if not self._begun:
            self._begin(item, MESSAGE)
        else:
            while self._window is not None and not self.over and not self._window.spend():
                self._credit = asyncio.get_running_loop().create_future()
                await self._credit
            if not self.over:
                self.link.send(encode_request(self.seq, item, self.rpc))
        if self.link is not None and not self.link.lost:
            await self.link.transport.drain()

    async def end(self) -> None:
        """No more items."""
        if self._ended:
            return
        self._ended = True
        if not self._begun:
            self._begin(None, METADATA)
        if not self.over and self.link is not None:
            self.link.send(encode_request(self.seq, None, self.rpc, END_OF_STREAM))

    async def result(self) -> T:
        """End the items, and wait for the one item of the answer."""
        await self.end()
        async for item in self:
            return item
        raise RpcError(500, "the answer was an empty stream", None, self.rpc)

    def take(self, frame: AnswerFrame) -> None:
        """A frame that is no ERROR."""
        if frame.type == MESSAGE:
            self.frames.append(frame)
        elif frame.type == END_OF_STREAM:
            self.finish()
        elif frame.type == CREDIT and self._window is not None:
            self._window.granted(decode_any(frame.data))
            release(self._credit)

    def finish(self) -> None:
        """Nothing more comes that counts."""
        super().finish()
        release(self._credit)

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        if not self._begun:
            self._begin(None, METADATA)
        frame = await self.next_frame()
        if frame is None:
            raise StopAsyncIteration
        self._taken()
        return self._decoder.decode(frame.data)  # type: ignore[no-any-return]

    def _taken(self) -> None:
        if self._window is not None and not self.over and self.link is not None:
            credit = self._window.taken()
            if credit:
                self.link.send(encode_request(self.seq, credit, self.rpc, CREDIT))


def to_error(frame: AnswerFrame, rpc: str) -> RpcError:
    """An ERROR as an exception."""
    try:
        message = msgspec.msgpack.decode(frame.data, type=ErrorMessage)
    except msgspec.MsgspecError:
        return RpcError(500, "the server sent an ERROR that cannot be read", None, rpc)
    return RpcError(message.code, message.message, message.data, rpc)
