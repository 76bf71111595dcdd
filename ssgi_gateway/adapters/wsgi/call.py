"""The order in which a WSGI application may do things (PEP 3333), once for both ways to run it.

::

    nothing --start_response--> head given --the first block that is not empty--> head sent --> blocks --> ended

=====================================================  ================================================================
the application                                        what comes of it
=====================================================  ================================================================
start_response again, without exc_info                 RuntimeError
start_response again, with exc_info                    the head is replaced; if it is out already, exc_info is raised
a body before start_response, or no start_response     RuntimeError: 500
a block that is no bytes                               TypeError
a status or header that cannot be sent                 ValueError out of start_response
an empty block                                         nothing is sent, not even the head
more bytes than its Content-Length                     ValueError at that block; nothing of the block is sent
just as many                                           the answer is complete, iteration stops
fewer                                                  500 if the head is not out, else the connection breaks
a body for HEAD, 204 or 304                            iteration stops at the first block
write() after the answer was complete                  ValueError, except where there is no body
an exception before the head is out                    500, the traceback in the log
an exception later                                     the connection breaks, so that no page looks whole
an exception out of close()                            the client has its answer, the traceback is in the log
the client disconnects                                 reading and writing raise ConnectionAbortedError
=====================================================  ================================================================

``close()`` of what was returned is called in every case.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from ...wire.response_head import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ssgi_gateway.core.files import OpenFile

    from ...core.body import RequestBody
    from ...core.response import HttpResponse

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | None

__all__ = ["WsgiCall", "add_length", "to_bytes", "whole_input"]

MAX_INLINE: Final = 65536
"""Bytes of a file up to which the application's thread reads it: that is quicker than to hand it over."""

NO_HEAD: Final = "the application {} before it called start_response"

_MAX_KEPT: Final = 256

# Statuses that were found to be right, with what a head makes of them: applications use few. Bounded, because an
# application may let its clients choose the reason.
_statuses: dict[str, tuple[int, str]] = {}


class WsgiCall:
    """One call of the application; ``_emit`` and ``_emit_file`` are what the two ways to run it differ in."""

    __slots__ = ("_bodiless", "_committed", "_ended", "_head", "_left", "_res")

    def _init_base(self, res: HttpResponse) -> None:
        """Begin; called by the two ``__init__``."""
        self._res = res
        self._head: ResponseHead | None = None
        self._left = -1  # bytes still owed under the declared length; -1 without one
        self._committed = False
        self._ended = False
        self._bodiless = False

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo = None
    ) -> Callable[[bytes], None]:
        """Take the head; it is sent with the first block (PEP 3333, "The start_response Callable").

        Raises:
            RuntimeError: the second call, without ``exc_info``.
            ValueError: an impossible status or header.
        """
        if exc_info is not None:
            try:
                if self._committed:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # PEP 3333: "avoid circular ref"
        elif self._head is not None:
            raise RuntimeError("start_response was called a second time, without exc_info")
        head = self._res.new_head()
        known = _statuses.get(status)
        if known is not None:
            head.status, head.reason = known
        else:
            _learn(head, status)
        head.add(headers)
        self._head = head
        return self.write

    def write(self, data: bytes) -> None:
        """The callable for applications that do not return their body."""
        if type(data) is not bytes:
            data = to_bytes(data)
        if data:
            self.put(data)

    # -- what was returned ---------------------------------------------------------------------------------------

    def put(self, block: bytes) -> bool:
        """Send a block that is not empty; returns whether any further one would be useless."""
        if self._ended:
            if self._bodiless:
                return True
            raise ValueError("the application's body is longer than its Content-Length")
        head = self._head
        if head is None:
            raise RuntimeError(NO_HEAD.format("gave a body"))
        if not self._committed:
            self._bodiless = self._res.request.method == "HEAD" or head.status == 204 or head.status == 304
            self._left = head.content_length
        if self._bodiless:
            self._committed = self._ended = True
            self._emit(None, True)
            return True
        if self._left >= 0:
            if len(block) > self._left:
                more = len(block) - self._left
                raise ValueError(f"the application's body is {more} bytes longer than its Content-Length")
            self._left -= len(block)
        self._committed = True
        self._ended = self._left == 0
        self._emit(block, self._ended)
        return self._ended

    def put_all(self, blocks: list[bytes] | tuple[bytes, ...]) -> None:
        """Send a body that is all there, and the end."""
        data = blocks[0] if len(blocks) == 1 and type(blocks[0]) is bytes else _joined(blocks)
        if self._committed:
            if data:
                self.put(data)
            self.end()
        elif self._head is None:
            raise RuntimeError(NO_HEAD.format("returned"))
        else:
            self._committed = self._ended = True
            self._emit(data, True)

    def put_file(self, file: OpenFile) -> None:
        """Send a file as the whole body. It is ours, and closed when it is sent."""
        head = self._head
        if head is None:
            file.close()
            raise RuntimeError(NO_HEAD.format("gave a file"))
        if 0 <= head.content_length < file.size:
            file.size = head.content_length
        if file.size <= MAX_INLINE and (content := file.read_small(self._res.channel)) is not None:
            self.put_all([content])
            return
        if head.content_length < 0:
            head.set_content_length(file.size)
        self._committed = self._ended = True
        self._emit_file(file)

    def end(self) -> None:
        """The body has ended."""
        if not self._ended:
            if self._head is None:
                raise RuntimeError(NO_HEAD.format("returned"))
            if self._left > 0:
                raise ValueError(f"the application's body is {self._left} bytes shorter than its Content-Length")
            self._committed = self._ended = True
            self._emit(None, True)

    # -- on the way to the response ------------------------------------------------------------------------------

    def _emit(self, data: bytes | None, last: bool) -> None:
        """Bring a piece of the answer to ``_send``."""
        raise NotImplementedError

    def _emit_file(self, file: OpenFile) -> None:
        """Have a file sent as the whole body; the head has its length."""
        raise NotImplementedError

    def _send(self, data: bytes | None, last: bool) -> Any:
        """Give a piece to the response, with the head before the first one; on the loop.

        Returns:
            What ``res.send`` returns.
        """
        res = self._res
        if not res.committed():
            res.set_head(self._head)
            if self._bodiless:
                res.send(None, True)  # a whole answer of no bytes would get a Content-Length of 0
        return res.send(data, not last)


def _learn(head: ResponseHead, status: str) -> None:
    """Set a status that was not seen before.

    Raises:
        ValueError: it is none.
        TypeError: it is no ``str``.
    """
    if not isinstance(status, str):
        raise TypeError(f"WSGI's status is a str such as '200 OK', not {type(status).__name__}")
    head.set_status(status)
    if len(_statuses) < _MAX_KEPT and len(status) < 64:
        _statuses[status] = (head.status, head.reason)


def whole_input(body: RequestBody | None) -> BytesIO:
    """The ``wsgi.input`` of a request whose body, if there is one, has arrived."""
    return BytesIO() if body is None or not body.received else BytesIO(body.take_all())


def add_length(environ: dict[str, Any], body: RequestBody) -> None:
    """Set the length of a body that has arrived; where it was not known, the body was collected before the call."""
    if not environ.get("CONTENT_LENGTH"):
        environ["CONTENT_LENGTH"] = str(body.received)


def to_bytes(block: Any) -> bytes:
    """A block that is not ``bytes``, as bytes of our own.

    Raises:
        TypeError: PEP 3333: an application returns "an iterable yielding zero or more bytestrings".
    """
    if isinstance(block, (bytes, bytearray, memoryview)):
        return bytes(block)
    raise TypeError(f"the application's body holds {type(block).__name__} where WSGI wants bytes")


def _joined(blocks: Any) -> bytes:
    return b"".join([block if type(block) is bytes else to_bytes(block) for block in blocks])
