"""SCGI: one request and one answer a connection, framed by a netstring. The portable codec, over sioscgi.

A request is ``<length>:<variables>,<body>``, the variables being NUL-terminated names and values in turn. sioscgi
frames it. What sioscgi lets through though it is no SCGI, or refuses though web servers send it, is settled here
before the bytes reach it:

* The length is digits without a sign, space, underscore or leading zero; the first byte that cannot be part of it ends
  the connection. A head over the limit is 431 as soon as its length is known, and nothing of it is kept.
* A head that is no list of pairs (no NUL at its end, an odd number of strings, an empty name), and one whose SCGI is
  not ``1``, ends the connection. Too many variables are 431.
* A repeated variable is merged, see ``wire.variables``.
* CONTENT_LENGTH may stand anywhere. Missing, it is 400, as it is when it is no number or two different ones.
* A request that declares a longer body than it has is 411, unless an empty CONTENT_LENGTH beside the number shows
  that this is meant (nginx: auth_request). nginx before 1.29.6 sends one with
  ``scgi_request_buffering off``: CONTENT_LENGTH is then what it had read so far. (Chunked uploads it always buffers,
  so those have a right CONTENT_LENGTH, and an empty one is nothing to refuse.)
* Bytes behind the body are ignored. Those of a WebSocket follow its 101 (RFC 6455 4.1) and do not come through here.

When the web server closes its side in the middle of the body the client has disconnected, and the same holds for the
time after it: nginx and Apache report it in no other way. Both are ``RequestAborted``. A refusal is raised again for as
long as it is called, and nothing after it is read.

sioscgi is GPLv3, unlike this package. It is imported here and nowhere else, and only when a codec is made.
"""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError, LocalProtocolError, RemoteProtocolError
from ssgi_gateway.wire import buffers
from ssgi_gateway.wire.buffers import kept
from ssgi_gateway.wire.hints import hint

from ..codec import Codec
from ..events import NEED_DATA, BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded
from ..variables import Variables
from .head import normalize, read_length

if TYPE_CHECKING:
    from ssgi_gateway.settings import WireLimits

    from ..response_head import ResponseHead

__all__ = ["TRANSITIONS", "ScgiCodec"]

# States of a connection.
IDLE: Final = "IDLE"  # nothing has arrived
HEAD: Final = "HEAD"  # a part of the head has
BODY: Final = "BODY"  # the head was reported, the body is arriving
COMPLETE: Final = "COMPLETE"  # the whole request was reported
CLOSED: Final = "CLOSED"  # nothing is read any more

# What moves it from one to the next.
BYTES: Final = "bytes"
HEAD_READ: Final = "head read"
BODY_READ: Final = "body read"
REFUSED: Final = "refused"
FINISHED: Final = "finished"
EOF: Final = "eof"

TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    # state: {what happens: the next state}
    IDLE: {BYTES: HEAD, EOF: CLOSED, FINISHED: CLOSED},
    HEAD: {BYTES: HEAD, HEAD_READ: BODY, REFUSED: CLOSED, FINISHED: CLOSED},  # its EOF is refused
    BODY: {BYTES: BODY, BODY_READ: COMPLETE, REFUSED: CLOSED, EOF: CLOSED, FINISHED: CLOSED},
    COMPLETE: {BYTES: COMPLETE, EOF: CLOSED, FINISHED: CLOSED},
    CLOSED: {BYTES: CLOSED, EOF: CLOSED, FINISHED: CLOSED},
}

MAX_JOINED: Final = buffers.MAX_JOINED
"""A payload up to here is copied behind the head: one buffer to send costs less than two."""

_COMMA: Final = 0x2C


class ScgiCodec(Codec):
    """The application's side of one SCGI connection.

    Args:
        limits: bounds on the head.

    Raises:
        ConfigurationError: sioscgi is not installed.
    """

    __slots__ = (
        "_buffer",
        "_error",
        "_events",
        "_library",
        "_limits",
        "_needed",
        "_reader",
        "_start",
        "_state",
        "_writer",
    )

    def __init__(self, limits: WireLimits) -> None:
        super().__init__("scgi", serves_http=True, supports_upgrade=True)
        self._library = library = _load_sioscgi()
        self._limits = limits
        self._reader = library.SCGIReader(limits.max_head_size)
        self._writer = library.SCGIWriter()
        self._state = IDLE
        self._buffer = bytearray()  # a head that is not complete yet
        self._start = 0  # where the variables begin
        self._needed = 0  # bytes of the head, its comma included; 0 while its length is not known
        self._events: deque[Event] = deque()
        self._error: RemoteProtocolError | None = None

    def for_connection(self, _: int) -> ScgiCodec:
        """A codec with the same bounds, for another connection."""
        return ScgiCodec(self._limits)

    # -- reading -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what arrived; ``b""`` is the end of what the web server sends."""
        state = self._state
        if not data:
            self._receive_eof()
            return
        self._state = TRANSITIONS[state][BYTES]
        try:
            if state == BODY:
                self._feed(data)
            elif state in (IDLE, HEAD):
                self._receive_head(data)
        except RemoteProtocolError as error:
            self._refuse(error)

    def next_event(self) -> Event | None:
        """The next thing that arrived, or ``NEED_DATA``.

        Raises:
            RequestRejected: a request that is to be answered with this status, then closed.
            RemoteProtocolError: no SCGI; to be closed.
        """
        if self._events:
            return self._events.popleft()
        if self._error is not None:
            raise self._error
        return NEED_DATA

    def incomplete(self) -> bool:
        """Whether something was begun and not finished: a head, a request or its answer."""
        return self._state not in (IDLE, CLOSED)

    def _receive_eof(self) -> None:
        state = self._state
        if state == HEAD:
            seen = bytes(self._buffer[:32])
            self._refuse(
                RemoteProtocolError(f"the connection ended {len(self._buffer)} bytes into a head{hint(seen, 'SCGI')}")
            )
            return
        self._state = TRANSITIONS[state][EOF]
        if state in (BODY, COMPLETE):
            self._events.append(RequestAborted())

    def _receive_head(self, data: bytes) -> None:
        """Keep ``data`` until the head is complete, then check it and hand it on."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = bytes(self._buffer)
        if not self._needed:
            length, self._start = read_length(data, self._limits.max_head_size)
            self._needed = length and self._start + length + 1
        needed = self._needed
        if not needed or len(data) < needed:
            self._buffer = bytearray(data)
            return
        self._buffer = bytearray()
        if data[needed - 1] != _COMMA:
            raise RemoteProtocolError(f"the head ends with byte {data[needed - 1 : needed]!r}, not with a comma")
        block = data[self._start : needed - 1]
        normalized = normalize(block, self._limits.max_variables)
        if normalized is not block:
            data = b"%d:%b,%b" % (len(normalized), normalized, data[needed:])
        self._state = TRANSITIONS[HEAD][HEAD_READ]
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        """Hand checked bytes to sioscgi and make its events ours."""
        reader = self._reader
        try:
            reader.receive_data(data)
            while (event := reader.next_event()) is not None:
                self._events.append(self._translate(event))
        except self._library.ReaderError as error:
            raise RemoteProtocolError(str(error)) from error

    def _translate(self, event: Any) -> Event:
        library = self._library
        if isinstance(event, library.BodyReceived):
            return BodyReceived(event.data)
        if isinstance(event, library.End):
            self._state = TRANSITIONS[BODY][BODY_READ]
            return RequestEnded()
        length = int(event.environment["CONTENT_LENGTH"])
        variables = Variables.from_unique(event.environment)
        self.busy = True
        return HeadReceived(variables, length)

    def _refuse(self, error: RemoteProtocolError) -> None:
        self._error = error
        self._state = TRANSITIONS[self._state][REFUSED]
        self._buffer = bytearray()

    # -- writing -------------------------------------------------------------------------------------------------

    def encode(
        self, head: ResponseHead | None, data: bytes | bytearray | memoryview | None, end: bool
    ) -> list[bytes | memoryview]:
        """What to write for a piece of the answer: its head, a payload, its end, each of them optional.

        Behind the head of a 101 payloads are the tunnel's bytes; they are passed on as they are.

        Args:
            head: with the first piece.
            data: payload; a long one is not copied and must not change until it was written.
            end: whether this is the last piece. Nothing is written for it: SCGI answers end with the connection, and
                so does a request that is not answered.

        Raises:
            LocalProtocolError: a payload before the head, a second head, anything after the end.
        """
        library = self._library
        writer = self._writer
        pieces: list[bytes | memoryview] = []
        try:
            if head is not None:
                block = head.encode_cgi()
                pieces.append(writer.send(library.Block(block)))
                self.head_size = len(block)
            if data:
                pieces.append(writer.send(library.BodySent(kept(data))))
            if end and writer.state is not library.NOTHING_SENT:
                writer.send(library.EndSent())
        except library.WriterError as error:
            raise LocalProtocolError(f"this piece does not belong here: {error}") from error
        if len(pieces) == 2 and len(pieces[1]) <= MAX_JOINED:
            return [b"".join(pieces)]
        return pieces

    def finish(self) -> bool:
        """The answer is complete; returns False, for an SCGI connection carries no second request."""
        self._state = TRANSITIONS[self._state][FINISHED]
        self.busy = False
        return False


class _Sioscgi:
    """What is used of sioscgi, by the names used here."""

    def __init__(self) -> None:
        try:
            from sioscgi import request, response
        except ImportError as error:
            raise ConfigurationError(
                "SCGI needs the package sioscgi where the compiled codec is not in use: pip install 'sioscgi>=5,<6'"
            ) from error

        class Block(response.Headers):
            """Headers that are encoded already: sioscgi would put Status second, or refuse what a 101 needs."""

            __slots__ = ("block",)

            def __init__(self, block: bytes) -> None:
                self.block = block

            def encode(self) -> bytes:
                return self.block

            @property
            def succeeding_state(self) -> response.State:
                return response.State.BODY

        self.SCGIReader = request.SCGIReader
        self.ReaderError = request.Error
        self.BodyReceived = request.Body
        self.End = request.End
        self.SCGIWriter = response.SCGIWriter
        self.WriterError = response.Error
        self.NOTHING_SENT = response.State.HEADERS
        self.Block = Block
        self.BodySent = response.Body
        self.EndSent = response.End


_load_sioscgi: Any = cache(_Sioscgi)
