"""``wsgi.input`` (PEP 3333, "Input and Error Streams") for an application in a thread.

A body that has arrived, which most have, is a BytesIO. One that is still arriving is a ``StreamingInput``: the worker
asks, the loop hands over all that is there, and the worker waits only when that is nothing. What is not read stays
with the peer: more than the high-water mark is never kept here.

Reading raises ConnectionAbortedError, an OSError, once the client has disconnected in the middle of its body.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from ssgi_gateway.core.body import RequestBody
    from ssgi_gateway.core.response import HttpResponse

__all__ = ["StreamingInput"]


class StreamingInput(io.BufferedIOBase):
    """A body that is still arriving. Read by one thread, filled by the loop, which ``pool.post`` requests."""

    def __init__(self, pool: Any, res: HttpResponse, body: RequestBody) -> None:
        self._pool = pool
        self._res = res
        self._body = body
        self._pieces: deque[bytes] = deque()
        self._piece = b""  # the one being read
        self._at = 0
        self._ended = False
        self._error: ConnectionAbortedError | None = None
        self._asked = False  # the worker waits
        self._answer = threading.Lock()  # held, except at the moment of an answer
        self._answer.acquire()

    # -- in the worker -------------------------------------------------------------------------------------------

    def readable(self) -> bool:
        """Always true."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """``size`` bytes, or fewer at the end of the body; without a size all that is left of it.

        Raises:
            ConnectionAbortedError: the client has disconnected.
        """
        if size is None or size < 0:
            return b"".join(self._rest())
        end = self._at + size
        if end <= len(self._piece):
            data = self._piece[self._at : end]
            self._at = end
            return data
        parts = []
        while size > 0 and self._more():
            part = self._piece[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Up to ``size`` bytes, of what has come already if there is any."""
        if not size or not self._more():
            return b""
        end = len(self._piece) if size < 0 else self._at + size
        data = self._piece[self._at : end]
        self._at += len(data)
        return data

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill ``buffer``; returns how many bytes there were."""
        with memoryview(buffer).cast("B") as view:
            data = self.read(len(view))
            view[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Up to and with the next LF, but not more than ``size`` bytes."""
        left = -1 if size is None else size
        parts = []
        while left and self._more():
            found = self._piece.find(b"\n", self._at)
            end = len(self._piece) if found < 0 else found + 1
            if 0 <= left < end - self._at:
                end = self._at + left
            part = self._piece[self._at : end]
            self._at = end
            parts.append(part)
            if part.endswith(b"\n"):
                break
            if left > 0:
                left -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _rest(self) -> list[bytes]:
        parts = []
        while self._more():
            parts.append(self._piece[self._at :] if self._at else self._piece)
            self._at = len(self._piece)
        return parts

    def _more(self) -> bool:
        """Make sure that the piece has something to read; ``False`` at the end of the body."""
        if self.closed:
            raise ValueError("wsgi.input was closed")
        if self._at < len(self._piece):
            return True
        if not self._pieces and not self._ended:
            if self._error is None:
                self._asked = True
                self._pool.post(self)
                self._answer.acquire()
            if self._error is not None:
                raise self._error
        if not self._pieces:
            self._piece = b""
            self._at = 0
            return False
        self._piece = self._pieces.popleft()
        self._at = 0
        return True

    # -- on the loop ---------------------------------------------------------------------------------------------

    def deliver(self, _: object = None) -> None:
        """Hand over what has arrived, or come back when something has."""
        if not self._asked:
            return
        body = self._body
        try:
            while piece := body.take():
                self._pieces.append(piece)
        except ConnectionAbortedError as error:
            self._error = error
        channel = self._res.channel
        if not (self._pieces or self._error or body.ended):
            if self._res.finished():
                self.stop()
                return
            channel.scope.loop.when_done(body.when_more(channel.scope.loop), self.deliver)
            channel.body_consumed(body)
            return
        self._ended = body.ended
        if not self._ended and not self._res.finished():
            channel.body_consumed(body)
        self._release()

    def stop(self) -> None:
        """The request is over: nothing more will arrive."""
        if self._asked:
            self._error = ConnectionAbortedError("the request is over; the rest of its body was not received")
            self._release()

    def _release(self) -> None:
        self._asked = False
        self._answer.release()
