"""FastCGI 1.0, the application's side of one connection, as a responder: bytes in, events out, and back.

Portable and pure: no sockets, clocks or logging. Section numbers are those of the FastCGI specification 1.0
(Brown, 1996). What the specification leaves open is settled as follows.

* One request at a time (3.3 allows it, GET_VALUES says it): a second BEGIN_REQUEST is answered with CANT_MPX_CONN.
  A BEGIN_REQUEST that arrives after the answer's last byte was encoded but before ``finish()`` waits for it.
* The body runs to the empty STDIN record. CONTENT_LENGTH, where it is given, is checked against it (6.2): a shorter
  body is a client that left (``RequestAborted``), what is longer is ignored.
* A record that says nothing to the request in progress is skipped as it arrives, whatever its size: DATA, another
  request's records, unknown types (UNKNOWN_TYPE is for management records only, 4.2). What comes for a request that
  has been answered is skipped without limit, since it may be the rest of an upload; of everything else
  ``MAX_FUTILE`` records between two requests end the connection.
* Record types that belong to a request never carry the request id 0; those that do end the connection.
* A broken answer is told by closing the connection without END_REQUEST: write ``abort_response()``, do not call
  ``encode(..., end=True)`` or ``finish()``.
* When KEEP_CONN is not set the connection is ours to close (5.1): ``finish()`` says False, and ``closing`` is True
  once nothing more will be read and ``take_output()`` is all that is left to send.

An ABORT_REQUEST before the head is complete is answered here, no event tells of it. Later it is ``RequestAborted``,
and END_REQUEST goes out when the server says so (5.4: "truly a response from the application").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.fastcgi.answers import encode_answer, encode_end, encode_management, encode_stderr, frame_file
from ssgi_gateway.wire.fastcgi.records import (
    BEGIN_BODY,
    BEGIN_REQUEST,
    CANT_MPX_CONN,
    DATA,
    GET_VALUES,
    HEADER,
    HEADER_SIZE,
    KEEP_CONN,
    NO_RECORD,
    PARAMS,
    REQUEST_COMPLETE,
    RESPONDER,
    STDIN,
    UNKNOWN_ROLE,
    UNKNOWN_TYPE,
    VERSION,
    decode_pairs,
    encode_end_request,
)
from ssgi_gateway.wire.fastcgi.states import (
    ABORTED,
    BODY,
    CLOSED,
    ENDED,
    HEAD,
    IDLE,
    REJECTED,
    STDIN_END,
    STREAM_END,
    TRANSITIONS,
)
from ssgi_gateway.wire.hints import hint

from ..cgi import body_length
from ..codec import Codec
from ..events import NEED_DATA, BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded
from ..variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from ssgi_gateway.settings import WireLimits
    from ssgi_gateway.wire.file_slice import FileSlice

    from ..response_head import ResponseHead

__all__ = ["MAX_FUTILE", "FastcgiCodec"]

MAX_FUTILE: Final = 1000
"""Records between two requests that serve neither of them, before we hang up."""


class FastcgiCodec(Codec):
    """One FastCGI connection from a web server.

    Args:
        limits: bounds on a request's head.
        max_connections: what GET_VALUES is told of FCGI_MAX_CONNS and FCGI_MAX_REQS (4.1).
    """

    __slots__ = (
        "_answered",
        "_body_left",
        "_data",
        "_draining",
        "_eof",
        "_futile",
        "_id",
        "_keep",
        "_left",
        "_limits",
        "_max_connections",
        "_output",
        "_params_read",
        "_position",
        "_skip",
        "_state",
        "_stderr_used",
    )

    def __init__(self, limits: WireLimits, max_connections: int = 10000) -> None:
        super().__init__("fastcgi", serves_http=True, supports_upgrade=False, may_send_trailing=True)
        self._limits = limits
        self._max_connections = max_connections
        # Framing: unread bytes from _position on; of the record being read, _left bytes of a stream's content that
        # are wanted, then _skip bytes (padding, content of no interest) that are not.
        self._data = b""
        self._position = 0
        self._left = 0
        self._skip = 0
        self._eof = False
        self._output = b""
        self._futile = 0
        # The request in progress, or the last one; and the id of an answered one whose rest may still arrive.
        self._state = IDLE
        self._id = 0
        self._draining = 0
        self._keep = False
        self._params_read: bytes | bytearray = b""
        self._body_left = -1
        self._answered = False
        self._stderr_used = False

    @property
    def closing(self) -> bool:
        """Whether this side is to close the connection once ``take_output()`` was sent."""
        return self._state == CLOSED

    def incomplete(self) -> bool:
        """Whether the peer owes us bytes: of a record, or of a request.

        The discarded rest of an answered request is not owed.
        """
        if self._state == IDLE:
            return not self._draining and self._inside_record()
        return self._state != CLOSED

    def receive(self, data: bytes) -> None:
        """Take what was read from the connection; ``b""`` is its end."""
        if not data:
            self._eof = True
        elif self._position == len(self._data):
            self._data, self._position = data, 0
        else:
            # What is left over is part of a header, a BEGIN_REQUEST or a GET_VALUES: streams never wait here.
            self._data, self._position = self._data[self._position :] + data, 0

    def next_event(self) -> Event | None:
        """The next thing that arrived, or ``NEED_DATA``.

        Raises:
            RequestRejected: the request cannot be served; answer it. ``finish()`` says whether the connection goes on.
            RemoteProtocolError: the framing is broken, close. ``take_output()`` may still hold answers.
        """
        while self._state != CLOSED:
            if self._left or self._skip:
                event = self._read_content()
                if event is not None:
                    return event
                if self._left or self._skip:
                    return self._starved()
            record = self._read_header()
            if record is None:
                return self._starved()
            kind, request_id, length = record
            action = None
            if request_id and (request_id == self._id or self._state == IDLE):
                action = _ACTIONS[self._state].get(kind)
            if action is None:
                self._answer_or_skip(kind, request_id, length)
                continue
            method, self._state = action
            event = method(self, request_id, length)
            if event is not None:
                return event
        self._data, self._position = b"", 0
        return NEED_DATA

    def encode(
        self, head: ResponseHead | None, data: bytes | bytearray | memoryview | None, end: bool
    ) -> list[bytes | memoryview]:
        """What to write for a piece of the answer: CGI header block, payload, end, each of them optional.

        A small piece is one ``bytes``. A large payload is not copied: slices of it are returned, so it must not
        change until they are written.
        """
        self._check_answering()
        block = None
        if head is not None:
            block = head.encode_cgi()
            self.head_size = len(block)
        pieces = encode_answer(self._id, block, data, encode_end(self._id, self._stderr_used) if end else b"")
        self._answered = end
        return pieces

    def frame_file(self, file: FileSlice) -> list[Any]:
        """STDOUT records of a part of a file."""
        self._check_answering()
        return frame_file(self._id, file)

    def abort_response(self) -> bytes:
        """Without KEEP_CONN nginx takes a close for the end of the answer, END_REQUEST or not; but not this."""
        return b"" if self._keep else NO_RECORD

    def encode_stderr(self, text: str) -> bytes:
        """Records for the web server's error log (STDERR, 6.1); to be written between other pieces."""
        self._check_answering()
        self._stderr_used = self._stderr_used or bool(text)
        return encode_stderr(self._id, text)

    def _check_answering(self) -> None:
        if not self.busy:
            raise LocalProtocolError("there is no request to answer")
        if self._answered:
            raise LocalProtocolError("the answer has already been encoded to its end")

    def finish(self) -> bool:
        """Free the connection for the next request: the answer was encoded to its end.

        After ``RequestAborted`` the answer may be given up: then END_REQUEST is added to ``take_output()``.

        Returns:
            True when the connection may carry another request, False when it is to be closed.
        """
        if not self._answered:
            if self._state != ABORTED:
                raise LocalProtocolError("the answer has not been encoded to its end")
            self._output += encode_end(self._id, self._stderr_used)
        self._draining = 0 if self._state == ENDED else self._id
        self._left, self._skip = 0, self._left + self._skip
        self._answered = False
        self.busy = False
        keep = self._keep and not self._eof
        self._state = IDLE if keep else CLOSED
        return keep

    def take_output(self) -> bytes:
        """Answers that need no application, to be written before anything else: END_REQUEST and management records."""
        output = self._output
        if output:
            self._output = b""
        return output

    # Framing

    def _read_header(self) -> tuple[int, int, int] | None:
        """The next record's type, request id and content length; None while it cannot be acted upon."""
        data, position = self._data, self._position
        here = len(data) - position
        if here < HEADER_SIZE:
            return None
        version, kind, request_id, length, padding = HEADER.unpack_from(data, position)
        if version != VERSION:
            raise self._broken(f"a record header says FastCGI version {version}, not 1{self._hint()}")
        if kind in (PARAMS, STDIN):
            if not length:
                kind |= STREAM_END
        elif kind in (BEGIN_REQUEST, GET_VALUES) and (
            here < HEADER_SIZE + length or (self._answered and kind == BEGIN_REQUEST)
        ):
            return None  # their content is read as a whole; and the request that was answered is not finished yet
        self._position = position + HEADER_SIZE
        self._skip = length + padding
        return kind, request_id, length

    def _claim(self, length: int) -> None:
        """So much of the record's content is not to be skipped."""
        self._left = length
        self._skip -= length

    def _read_content(self) -> Event | None:
        if self._state == BODY:
            return self._read_body()
        piece = self._read_piece()
        if piece and self._state == HEAD:
            self._collect(piece)
        return None

    def _read_piece(self) -> bytes:
        """What is here of the record's content, as far as it is wanted; the rest of the record is skipped."""
        piece = b""
        if self._left:
            piece = self._data[self._position : self._position + self._left]
            self._position += len(piece)
            self._left -= len(piece)
        if self._skip:
            step = min(self._skip, len(self._data) - self._position)
            self._position += step
            self._skip -= step
        return piece

    def _read_body(self) -> Event | None:
        """What is here of the body, up to a record that is something else: one event for all of it."""
        pieces = [self._read_piece()]
        while not self._left and not self._skip and self._begin_more():
            pieces.append(self._read_piece())
        body = b"".join(pieces)
        return BodyReceived(body) if body else None

    def _begin_more(self) -> bool:
        """Step over the next record's header if that is more of the body; whether it is."""
        data, position = self._data, self._position
        if len(data) - position < HEADER_SIZE:
            return False
        version, kind, request_id, length, padding = HEADER.unpack_from(data, position)
        if version != VERSION or kind != STDIN or request_id != self._id or not length:
            return False
        self._position = position + HEADER_SIZE
        self._skip = length + padding
        self._stdin(request_id, length)
        return True

    def _collect(self, piece: bytes) -> None:
        if not self._params_read:
            self._params_read = piece  # all there is, nearly always
            return
        if isinstance(self._params_read, bytes):
            self._params_read = bytearray(self._params_read)
        self._params_read += piece

    def _starved(self) -> Event | None:
        """Everything that can be read was read: more is needed, or there will be no more."""
        if self._position == len(self._data):
            self._data, self._position = b"", 0
        if not self._eof or self._answered or self._state == ABORTED:
            return NEED_DATA
        if self._state == IDLE and not self.incomplete():
            self._state = CLOSED
            return NEED_DATA
        if self._state in (IDLE, HEAD):
            where = "inside a record" if self._inside_record() else "before the end of PARAMS"
            raise self._broken(f"the connection ended {where}{self._hint()}")
        self._state = ABORTED
        return RequestAborted()

    def _inside_record(self) -> bool:
        return bool(self._left or self._skip or self._position < len(self._data))

    # What is done with a record of the request in progress. Each method gets the request id and the length of the
    # content, which begins at _position and is skipped unless it is claimed.

    def _begin(self, request_id: int, length: int) -> None:
        if length != BEGIN_BODY.size:
            raise self._broken(f"a BEGIN_REQUEST record has {length} bytes of content, not {BEGIN_BODY.size}")
        role, flags = BEGIN_BODY.unpack_from(self._data, self._position)
        self._keep = bool(flags & KEEP_CONN)
        if role != RESPONDER:
            self._refuse(request_id, UNKNOWN_ROLE)
            return
        self._id = request_id
        self._stderr_used = False

    def _params(self, request_id: int, length: int) -> None:
        if len(self._params_read) + length > self._limits.max_head_size:
            raise self._rejected(431, f"the request variables exceed {self._limits.max_head_size} bytes")
        self._claim(length)

    def _head(self, request_id: int, length: int) -> Event:
        most = self._limits.max_variables
        pairs, whole = decode_pairs(bytes(self._params_read), most)
        self._params_read = b""
        if len(pairs) > most:
            raise self._rejected(431, f"there are more than {most} request variables")
        if not whole:
            raise self._rejected(400, "PARAMS end inside a name-value pair")
        try:
            variables = Variables(pairs)
            self._body_left = declared = body_length(variables)
        except RequestRejected:
            self._state = REJECTED
            self.busy = True
            raise
        self.busy = True
        self._futile = 0
        return HeadReceived(variables, declared)

    def _stdin(self, request_id: int, length: int) -> None:
        if self._body_left >= 0:
            length = min(length, self._body_left)
            self._body_left -= length
        self._claim(length)

    def _stdin_end(self, request_id: int, length: int) -> Event:
        if self._body_left > 0:
            self._state = ABORTED
            return RequestAborted()
        return RequestEnded()

    def _stdin_too_early(self, request_id: int, length: int) -> None:
        raise self._broken("a STDIN record came before the end of PARAMS")

    def _begun_twice(self, request_id: int, length: int) -> None:
        raise self._broken(f"request {request_id} was begun again before its end")

    def _abandon(self, request_id: int, length: int) -> None:
        self._params_read = b""
        self._refuse(request_id, REQUEST_COMPLETE)

    def _abort(self, request_id: int, length: int) -> Event:
        return RequestAborted()

    # Records that are not for the request in progress

    def _answer_or_skip(self, kind: int, request_id: int, length: int) -> None:
        if not request_id:
            self._manage(kind & ~STREAM_END, length)
        elif kind == BEGIN_REQUEST and request_id != self._id:
            self._answer(encode_end_request(request_id, CANT_MPX_CONN))
        elif request_id == self._draining:
            if kind == STDIN_END:
                self._draining = 0
        elif not self.busy:
            self._count_futile()

    def _manage(self, kind: int, length: int) -> None:
        if BEGIN_REQUEST <= kind <= DATA:
            raise self._broken(f"a record of type {kind} has the request id 0")
        if kind == UNKNOWN_TYPE:
            self._count_futile()  # answering an answer could go on for ever
            return
        content = self._data[self._position : self._position + length] if kind == GET_VALUES else b""
        self._answer(encode_management(kind, content, self._max_connections))

    def _refuse(self, request_id: int, protocol_status: int) -> None:
        """End a request of which no event has told; what else of it is under way will be skipped."""
        self._answer(encode_end_request(request_id, protocol_status))
        self._draining = request_id
        self._state = IDLE if self._keep else CLOSED

    def _answer(self, record: bytes) -> None:
        self._count_futile()
        self._output += record

    def _count_futile(self) -> None:
        self._futile += 1
        if self._futile > MAX_FUTILE:
            raise self._broken(f"{self._futile} records in a row belonged to no request")

    # Refusals

    def _broken(self, message: str) -> RemoteProtocolError:
        self._state = CLOSED
        self.busy = False
        return RemoteProtocolError(message)

    def _rejected(self, status: int, message: str) -> RequestRejected:
        self._state = REJECTED
        self._params_read = b""
        self.busy = True
        return RequestRejected(status, message)

    def _hint(self) -> str:
        return hint(self._data[self._position : self._position + HEADER_SIZE], "FastCGI")


_ACTIONS: Final[dict[str, dict[int, tuple[Callable[[FastcgiCodec, int, int], Event | None], str]]]] = {
    state: {arrival: (getattr(FastcgiCodec, method), following) for arrival, (method, following) in row.items()}
    for state, row in TRANSITIONS.items()
}
