"""``SSGIHttpResponse``: an application's answer, and when each call takes effect.

The states of a response, and what moves it from one to the next::

    OPEN --send, send_chunk--> STREAMING --the last piece--> ENDED
    OPEN, STREAMING --the client disconnects, the answer breaks--> ABORTED

The head is committed by the first ``send`` or ``send_chunk``; nothing can change it afterwards. A complete answer
is one write. This module does not know which protocol carries the bytes.
"""

from __future__ import annotations

import io
import logging
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.core.files import OpenFile

from ..wire.response_head import ResponseHead
from .awaitables import FALSE, TRUE, Ready, WhenFlushed, WhenWritable
from .channel import UNANSWERED, UNENDED
from .exchange import Exchange, flat

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from ..wire.cgi import RequestHead
    from .body import RequestBody
    from .channel import HttpChannel

logger = logging.getLogger("ssgi_gateway.app")

OPEN: Final = 0
STREAMING: Final = 1
ENDED: Final = 2
ABORTED: Final = 3

CLIENT_LEFT: Final = Ready((False, True))
"""What ``send_chunk`` resolves to after an abort."""

UNKNOWN: Final = -1

FILE_STEP: Final = 1048576
"""Bytes of a file queued at once; what waits is a name and two numbers, but an abort should be seen in between."""


class Watcher:
    """What an adapter has for a request, to learn from its response that the client disconnected.

    A class and not a callback: it is needed for nearly every request, and called for hardly any.
    """

    __slots__ = ()

    def client_left(self) -> None:
        """The client disconnected before the response had ended. Must not raise."""
        raise NotImplementedError


class HttpResponse(Exchange):
    """One response. The rules of each member are those of SSGI 1.0 (``ssgi_gateway.ssgi.SSGIHttpResponse``)."""

    __slots__ = (
        "_data",
        "_head",
        "_pieces",
        "_remaining",
        "_state",
        "_suppressed",
        "_total",
        "_watcher",
        "aborted",
        "body",
    )

    channel: HttpChannel

    def __init__(self, channel: HttpChannel, request: RequestHead, body: RequestBody | None) -> None:
        self.init(channel, request, body)

    def init(self, channel: HttpChannel, request: RequestHead, body: RequestBody | None) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(channel, request)
        self.aborted = False
        self._state = OPEN
        self._head: ResponseHead | None = None
        self.body = body
        self._pieces: list[bytes] | None = None  # what get_data has gathered so far
        self._data: bytes | None = None  # and all of it
        self._remaining = UNKNOWN  # bytes still owed under the declared length
        self._total = UNKNOWN  # what send_chunk's first call fixed
        self._watcher: Watcher | None = None
        self._suppressed = False  # HEAD, 204 and 304 have no body whatever the application sends

    # -- the head ------------------------------------------------------------------------------------------------

    def send_status(self, status_code: int | str = 200) -> None:
        """Set the status: ``404`` or ``"404 Not Found"``; the last call before the head is committed wins.

        Raises:
            RuntimeError: the head is already on its way.
            ValueError: not a final HTTP status (200 to 999).
        """
        if self._state != OPEN:
            self._refuse("send_status")
            return
        self._response_head().set_status(status_code)

    def send_headers(self, headers: Iterable[tuple[str, str]] | Mapping[str, str]) -> None:
        """Append headers.

        Raises:
            RuntimeError: the head is already on its way.
            ValueError: a name that is no token, or CR, LF or NUL in a name or value; it names the header.
        """
        if self._state != OPEN:
            self._refuse("send_headers")
            return
        self._response_head().add(headers)

    # -- the body ------------------------------------------------------------------------------------------------

    def send(self, payload: Any = None, has_more: bool = False) -> Awaitable[bool]:
        """Commit the head if that is still to do, and write at once; the last piece has ``has_more=False``.

        Returns:
            An awaitable that may be ignored: ``True`` when the peer can take more, ``False`` after an abort.

        Raises:
            RuntimeError: the response has ended.
            ValueError: more bytes than the declared Content-Length, or fewer at the end.
            TypeError: ``payload`` is neither ``str``, bytes-like nor ``None``.
        """
        if self._state >= ENDED:
            self._refuse("send")
            return FALSE
        if type(payload) is not bytes and payload is not None:
            payload = flat(payload)
        size = 0 if payload is None else len(payload)
        head = self._commit(size, has_more) if self._state == OPEN else None
        end = not has_more
        if self._remaining != UNKNOWN:
            end = self._account(size, end)
        if self._write(head, payload, size, end):
            return FALSE if self.aborted else TRUE
        return WhenWritable(self)

    def send_chunk(self, chunk: Any, total_size: int | bool | None = False) -> Awaitable[tuple[bool, bool]]:
        """Write a chunk; resolves to ``(sent, ended)`` when it has left the process' buffers.

        Args:
            chunk: ``str`` or bytes-like.
            total_size: bytes of the whole body; the response ends when they are written. ``False`` or ``None``:
                not known, and ``send()`` ends the response.

        Raises:
            RuntimeError: the response has ended.
            ValueError: another total than before, or more bytes than it; nothing was written.
        """
        if self._state >= ENDED:
            self._refuse("send_chunk")
            return CLIENT_LEFT
        if type(chunk) is not bytes and chunk is not None:
            chunk = flat(chunk)
        size = 0 if chunk is None else len(chunk)
        if total_size is not False and total_size is not None:
            self._fix_total(int(total_size), size)
        elif self._remaining != UNKNOWN and size > self._remaining:
            raise ValueError(f"a chunk of {size} bytes where {self._remaining} are left of the declared length")
        head = self._commit(size, True) if self._state == OPEN else None
        if self._remaining != UNKNOWN:
            self._remaining -= size
        ended = self._total != UNKNOWN and self._remaining == 0
        self._write(head, chunk, size, ended)
        return WhenFlushed(self, ended)

    async def send_file(self, file: Any, offset: int = 0, count: int | None = None) -> bool:
        """End the response with a file, or a part of one: a superset of SSGI 1.0.

        The web server sends it where the settings let it (``file_header``) and the whole file is meant; otherwise
        sendfile(2) does. Status and headers are the application's; Content-Length is added if it is not there.

        Args:
            file: a path, an open descriptor, or an object with ``fileno()``.
            offset: the first byte.
            count: how many; ``None`` for all from there.

        Returns:
            Whether all of it has been taken; ``False`` after an abort.

        Raises:
            OSError: it cannot be opened; nothing was sent.
            RuntimeError: the response has ended.
            ValueError: the part is not within the file, or not what Content-Length declares.
        """
        if self._state >= ENDED:
            self._refuse("send_file")
            return False
        opened = OpenFile.from_object(file)
        size = opened.size
        whole = offset == 0 and count in (None, size)
        left = size - offset if count is None else count
        if not 0 <= offset <= offset + left <= size:
            raise ValueError(f"{left} bytes from {offset} are not within a file of {size} bytes")
        if self._state == OPEN and whole and self._hand_over(opened):
            return True
        head = self._commit(left, False) if self._state == OPEN else None
        if self._remaining != UNKNOWN:
            self._account(left, True)
        if self._suppressed or not left:
            self._write(head, None, 0, True)
            return True
        while self._state == STREAMING:
            step = min(left, FILE_STEP)
            end = step == left
            if end:
                self._end()
            self.sent += step
            more = self.channel.write_file(head, opened.slice(offset, step), end)
            if end:
                return True
            head = None
            offset += step
            left -= step
            if not more:
                await WhenWritable(self)
        return False  # an abort

    def _hand_over(self, opened: OpenFile) -> bool:
        """Let the web server send the file, if it may."""
        header = self.channel.offload_file(opened.fd)
        if header is None or self._response_head().status != 200:
            return False
        head = self._response_head()
        head.offload(header[0], header[1])
        self._end()
        self.channel.write(head, None, True)
        return True

    async def get_data(self) -> io.BytesIO | None:
        """The whole body, rewound; ``None`` if there is none. After ``get_chunk`` it is the remainder.

        Calling again gives the same data, also while or after an earlier call waits or was cancelled.

        Raises:
            ConnectionAbortedError: the client disconnected before it had arrived.
        """
        if self._data is None:
            if self._pieces is None:
                self._pieces = []
            while (chunk := await self.get_chunk()) is not None:
                self._pieces.append(chunk.getvalue())
            if self._data is None:
                self._data = b"".join(self._pieces)
                self._pieces = None
        return io.BytesIO(self._data) if self._data else None

    async def get_chunk(self) -> io.BytesIO | None:
        """The next piece of the body, ``None`` at the end. Reading is what lets the peer send more.

        Raises:
            ConnectionAbortedError: the client disconnected before it had arrived.
        """
        body = self.body
        if body is None:
            return None
        while True:
            piece = body.take()
            if piece:
                self.channel.body_consumed(body)
                return io.BytesIO(piece)
            if body.ended:
                return None
            waiter = body.when_more(self.channel.scope.loop)
            self.channel.body_consumed(body)
            await waiter

    # -- aborts --------------------------------------------------------------------------------------------------

    def on_aborted(self, handler: Any, *args: Any) -> None:
        """Call ``handler(*args)``, sync or async, once when the client disconnects; at once if it has already.

        It runs in a copy of the context in which this is called, as asyncio's callbacks do.
        """
        context = copy_context()
        if self.aborted:
            self.notify(handler, args, context)
        elif self._state < ENDED:
            self._handlers = [*(self._handlers or ()), (handler, args, context)]

    def watch(self, watcher: Watcher) -> None:
        """``on_aborted`` for an adapter: call ``watcher.client_left()``, first of all."""
        if self.aborted:
            watcher.client_left()
        elif self._state < ENDED:
            self._watcher = watcher

    def abort(self) -> None:
        """The peer has disconnected or the answer cannot be finished. Only the server calls this."""
        if self._state >= ENDED:
            return
        self._state = ABORTED
        self.aborted = True
        if self.body is not None:
            self.body.abort()
        handlers, self._handlers = self._handlers, None
        watcher, self._watcher = self._watcher, None
        if watcher is not None:
            watcher.client_left()
        if handlers is not None:
            for handler, args, context in handlers:
                self.notify(handler, args, context)
        elif watcher is None:
            # Nobody wants to be notified: then the tasks are cancelled, which is how asyncio ends one.
            self.cancel()

    def hurry(self, urgency: int) -> None:
        """End an event stream, or a request of which nothing was answered yet (a long poll).

        For the application it is as when a client disconnects; the client gets an orderly end, and reconnects.
        """
        head, text = None, None
        if self._state == OPEN and urgency >= UNANSWERED:
            head, text = ResponseHead(), b"The server is restarting; try again.\n"
            head.set_status(503)
            head.add([("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "1")])
            head.set_content_length(len(text))
            self._head = head
            if self.request.method == "HEAD":
                text = None
        elif self._state != STREAMING or self._head is None or not self._head.event_stream:
            return
        elif self.request.method != "GET" and urgency < UNENDED:
            return  # the answer of a language model, say: nobody asks again
        self.abort()
        self.channel.write(head, text, True)

    # -- for adapters --------------------------------------------------------------------------------------------

    def new_head(self) -> ResponseHead:
        """A head that this response may have; see ``set_head``."""
        channel = self.channel
        return ResponseHead(channel.front_files)

    def set_head(self, head: ResponseHead | None) -> None:
        """Take a head that was made and checked elsewhere, in place of ``send_status`` and ``send_headers``.

        ``None`` is the default head.
        """
        self._head = head

    def fits(self, size: int) -> bool:
        """Whether a body of ``size`` bytes is what the head declares; true where it declares nothing."""
        head = self._head
        return head is None or head.content_length in (-1, size)

    # -- inside --------------------------------------------------------------------------------------------------

    def finished(self) -> bool:
        """Whether nothing more will be written."""
        return self._state >= ENDED

    def gone(self) -> bool:
        """Whether the answer was cut off."""
        return self.aborted

    def committed(self) -> bool:
        """Whether the head is on its way."""
        return self._head is not None and self._state != OPEN

    def answered(self) -> int:
        """The status that was answered, 0 if none."""
        return self._head.status if self._head is not None and self._state != OPEN else 0

    def received(self) -> int:
        """Bytes of the request's body that have arrived."""
        return 0 if self.body is None else self.body.received

    def _response_head(self) -> ResponseHead:
        if self._head is None:
            self._head = self.new_head()
        return self._head

    def _commit(self, size: int, has_more: bool) -> ResponseHead:
        """Fix the head; a whole answer gets its Content-Length, so that a truncated answer can be recognized."""
        head = self._response_head()
        status = head.status
        # RFC 9110 6.4.1: no content for HEAD, 204 and 304.
        is_head = self.request.method == "HEAD"
        self._suppressed = is_head or status == 204 or status == 304
        if head.content_length >= 0 and not self._suppressed:
            self._remaining = head.content_length
            if size > self._remaining or (not has_more and size != self._remaining):
                self._remaining = UNKNOWN
                raise ValueError(
                    f"Content-Length is {head.content_length}, the body has {size} bytes; nothing was sent"
                )
        elif head.content_length < 0 and not has_more and status != 204 and status != 304 and (size or not is_head):
            # RFC 9110 8.6: an answer to HEAD has the length that GET's would have, or none; 0 would be a guess.
            head.set_content_length(size)
        self._state = STREAMING
        return head

    def _account(self, size: int, end: bool) -> bool:
        """Hold the application to its Content-Length; a page must never be short without a sign.

        Returns:
            Whether the response ends with this piece: it does where ``send_chunk`` has fixed a total that is met.
        """
        left = self._remaining - size
        if self._suppressed:
            left = max(left, 0)  # nothing is sent, so nothing is short
        elif left < 0 or (left > 0 and end):
            self._remaining = UNKNOWN
            problem = f"{-left} bytes more" if left < 0 else f"{left} bytes fewer"
            self._break(f"the body has {problem} than its Content-Length; the connection was broken off")
        self._remaining = left
        return end or (left == 0 and self._total != UNKNOWN)

    def _fix_total(self, total: int, size: int) -> None:
        if self._total != UNKNOWN and total != self._total:
            raise ValueError(f"total_size was {self._total} before and is {total} now")
        if total < 0:
            raise ValueError(f"total_size is {total}; it is a number of bytes")
        if self._total == UNKNOWN:
            if self._state == OPEN:
                head = self._response_head()
                if size > total:
                    raise ValueError(f"a chunk of {size} bytes where total_size is {total}")
                head.set_content_length(total)
                self._remaining = total
            else:
                declared = self._response_head().content_length
                if declared not in (UNKNOWN, total):
                    raise ValueError(f"Content-Length is {declared} already and cannot become {total}")
                left = self._remaining if self._remaining != UNKNOWN else total - self.sent
                if left < size:
                    raise ValueError(f"a chunk of {size} bytes where {max(left, 0)} are left of total_size {total}")
                self._remaining = left
            self._total = total
        elif size > self._remaining:
            raise ValueError(f"a chunk of {size} bytes where {self._remaining} are left of total_size {total}")

    def _write(self, head: ResponseHead | None, data: Any, size: int, end: bool) -> bool:
        self.sent += size
        if end:
            self._end()
            if self.body is not None:
                self.body.abort()  # what has not arrived will not be kept; readers that wait for it get an error
        if self._suppressed:
            data = None
        channel = self.channel
        return channel.write(head, data, end)

    def _end(self) -> None:
        """The last piece is on its way: nobody is notified any more."""
        self._state = ENDED
        self._handlers = None
        self._watcher = None

    def _refuse(self, member: str) -> None:
        """After an abort a call has no effect; after the end, or too late for the head, it is a mistake."""
        if not self.aborted:
            when = "after the head was sent" if self._state == STREAMING else "after the response had ended"
            raise RuntimeError(f"{member} was called {when}")

    def _break(self, problem: str) -> None:
        logger.error("%s: %s", self.label(), problem)
        self.channel.abort_response()
        raise ValueError(problem)

    def time_out(self) -> None:
        """504 while nothing else was answered."""
        tasks = tuple(self._holders or ())
        if self._state == OPEN:
            self._head = None
            self.send_status(504)
            self.send_headers([("Content-Type", "text/plain; charset=utf-8")])
            self.send("Gateway Timeout\n")
        for task in tasks:
            task.cancel()

    def answer_failure(self, exc: BaseException | None) -> None:
        """Answer 500 if that is still possible, otherwise break the connection off."""
        if self._state == OPEN:
            self._head = None
            self.send_status(500)
            kind, page = self.channel.failure_page(exc, self.request.variables.header("accept"))
            self.send_headers([("Content-Type", kind)])
            self.send(page)
        elif self._state == STREAMING:
            self.channel.abort_response()
