# cython: boundscheck=False, wraparound=False
"""FastCGI 1.0, the application's side: one request after the other, bytes in, events out, and back.

Pure: no sockets, clocks or logging. Section numbers are those of the FastCGI specification 1.0 (Brown, 1996). What a
record does is looked up in ``TABLE`` (``wire.fastcgi.states``); this module is the same in both builds, apart from the
few functions of ``wire.fastcgi.kernel``. What the specification leaves open is settled as follows.

* One codec carries one request at a time. When another id begins while one is in progress (3.3 allows it), the event
  is ``RequestsInterleaved``: from then on a ``Demultiplexer`` has to give every id a codec of its own.
  A BEGIN_REQUEST that arrives after the answer's last byte was encoded but before ``finish()`` waits for it.
* The body runs to the empty STDIN record. CONTENT_LENGTH, where it is given, is checked against it (6.2): a body that
  ends short is refused with 400, what is longer is ignored. No byte at all is no body, whatever was announced: that is
  how a web server's subrequest looks (nginx: ``auth_request`` with ``fastcgi_pass_request_body off``).
* A record that does not concern the request in progress is skipped as it arrives, whatever its size: DATA, another
  request's records, unknown types (UNKNOWN_TYPE is for management records only, 4.2). What comes for a request that
  has been answered is skipped without limit, since it may be the rest of an upload; of everything else
  ``MAX_FUTILE`` records between two requests end the connection.
* Record types that belong to a request never carry the request id 0; those that do end the connection.
* A broken answer is reported by closing the connection without END_REQUEST: write ``abort_response()``, do not call
  ``encode(..., end=True)`` or ``finish()``.
* When KEEP_CONN is not set the connection is ours to close (5.1): ``finish()`` returns False, and ``closing`` is True
  once nothing more will be read and ``take_output()`` is all that is left to send.

An ABORT_REQUEST before the head is complete is answered here, no event reports it. Later it is ``RequestAborted``,
and END_REQUEST goes out when the server ends the answer (5.4: "truly a response from the application").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.fastcgi import records, states
from ssgi_gateway.wire.fastcgi.answers import encode_end, encode_management, frame_file
from ssgi_gateway.wire.fastcgi.records import NO_RECORD, REQUEST_COMPLETE, UNKNOWN_ROLE, encode_end_request
from ssgi_gateway.wire.hints import hint

from ..cgi import body_length
from ..codec import Codec
from ..events import NEED_DATA, BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from .kernel import cut, frame_answer, read_body, variables_of_params

if TYPE_CHECKING:
    from ssgi_gateway.settings import WireLimits
    from ssgi_gateway.wire.file_slice import FileSlice

    from ..response_head import ResponseHead

__all__ = ["MAX_FUTILE", "FastcgiCodec"]

MAX_FUTILE: Final = 1000
"""Records between two requests that serve neither of them, before the connection is closed."""

# Numbers that the compiled build keeps as C numbers (codec.pxd).
VERSION: Final = records.VERSION
HEADER_SIZE: Final = records.HEADER_SIZE
BEGIN_SIZE: Final = 8
KEEP_CONN: Final = records.KEEP_CONN
RESPONDER: Final = records.RESPONDER

BEGIN_REQUEST: Final = records.BEGIN_REQUEST
PARAMS: Final = records.PARAMS
STDIN: Final = records.STDIN
DATA: Final = records.DATA
GET_VALUES: Final = records.GET_VALUES
UNKNOWN_TYPE: Final = records.UNKNOWN_TYPE
STREAM_END: Final = states.STREAM_END
STDIN_END: Final = states.STDIN_END

IDLE: Final = states.IDLE
HEAD: Final = states.HEAD
BODY: Final = states.BODY
ENDED: Final = states.ENDED
REJECTED: Final = states.REJECTED
ABORTED: Final = states.ABORTED
CLOSED: Final = states.CLOSED

BEGIN: Final = states.ACTIONS.index("begin")
COLLECT: Final = states.ACTIONS.index("collect")
TAKE_HEAD: Final = states.ACTIONS.index("head")
TAKE_BODY: Final = states.ACTIONS.index("body")
END: Final = states.ACTIONS.index("end")
ABORT: Final = states.ACTIONS.index("abort")
ABANDON: Final = states.ACTIONS.index("abandon")
TOO_EARLY: Final = states.ACTIONS.index("too early")

TABLE: Final = states.TABLE
REQUEST_ENDED: Final = RequestEnded()


class FastcgiCodec(Codec):
    """One FastCGI connection from a web server.

    Args:
        limits: bounds on a request's head.
        max_connections: the answer to GET_VALUES for FCGI_MAX_CONNS (4.1).

    Attributes:
        max_requests: so many may be in progress on one connection (FCGI_MAX_REQS).
    """

    __slots__ = (
        "_answered",
        "_body_left",
        "_data",
        "_declared",
        "_draining",
        "_eof",
        "_futile",
        "_id",
        "_keep",
        "_left",
        "_max_connections",
        "_max_head",
        "_max_variables",
        "_output",
        "_params",
        "_position",
        "_skip",
        "_state",
        "max_requests",
    )

    def __init__(self, limits: WireLimits, max_connections: int = 10000) -> None:
        self.init(limits.max_head_size, limits.max_variables, limits.max_multiplexed, max_connections)

    def init(self, max_head: int, max_variables: int, max_requests: int, max_connections: int) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base("fastcgi", True, False, True)
        self._max_head = max_head
        self._max_variables = max_variables
        self.max_requests = max_requests
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
        # The request in progress; and the ids of answered ones whose rest may still arrive.
        self._state = IDLE
        self._id = 0
        self._draining: set[int] | None = None
        self._keep = False
        self._params: Any = None  # bytes, nearly always; a bytearray where they came in pieces
        self._declared = -1  # the body's length, -1 for none
        self._body_left = -1
        self._answered = False

    @property
    def closing(self) -> bool:
        """Whether this side is to close the connection once ``take_output()`` was sent."""
        return self._state == CLOSED

    @property
    def request_id(self) -> int:
        """The id of the request in progress, or of the last one; 0 before the first."""
        return self._id

    def incomplete(self) -> bool:
        """Whether the peer owes bytes: of a record, or of a request.

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
            self._data = data
            self._position = 0
        elif self._state != CLOSED:
            # What is left over is part of a header, a BEGIN_REQUEST or a GET_VALUES: streams never wait here.
            self._data = self._data[self._position :] + data
            self._position = 0

    def next_event(self) -> Event | None:
        """The next thing that arrived, or ``NEED_DATA``.

        Raises:
            RequestRejected: the request cannot be served; answer it. ``finish()`` returns whether it
                goes on.
            RemoteProtocolError: no FastCGI, or records where none may be: close the connection.
        """
        while self._state != CLOSED:
            if self._left or self._skip:
                event = self._read_content()
                if event is not None:
                    return event
                if self._left or self._skip:
                    return self._starved()
            data = self._data
            at = self._position
            if len(data) - at < HEADER_SIZE:
                return self._starved()
            if data[at] != VERSION:
                raise self._broken(f"a record header has FastCGI version {data[at]}, not 1{self._hint()}")
            arrival = data[at + 1]
            request_id = data[at + 2] << 8 | data[at + 3]
            length = data[at + 4] << 8 | data[at + 5]
            if arrival in (PARAMS, STDIN):
                if not length:
                    arrival |= STREAM_END
            elif arrival in (BEGIN_REQUEST, GET_VALUES) and (
                len(data) - at < HEADER_SIZE + length or (self._answered and arrival == BEGIN_REQUEST)
            ):
                # Their content is read as a whole; and the request that was answered is not finished yet.
                return self._starved()
            self._skip = length + data[at + 6]
            self._position = at + HEADER_SIZE
            event = self._record(arrival, request_id, length)
            if event is not None:
                return event
        self._data = b""
        self._position = 0
        return NEED_DATA

    def _record(self, arrival: int, request_id: int, length: int) -> Event | None:
        """Perform the table's action for a record.

        Its content begins at ``_position`` and is skipped unless it is claimed here.
        """
        entry = 0
        if request_id and arrival < 32 and (request_id == self._id or self._state == IDLE):
            entry = TABLE[self._state << 5 | arrival]
        if not entry:
            return self._other_record(arrival, request_id, length)
        self._state = entry & 7
        action = entry >> 3
        if action == COLLECT:
            if (0 if self._params is None else len(self._params)) + length > self._max_head:
                raise self._rejected(431, f"the request variables exceed {self._max_head} bytes")
            self._left = length
            self._skip -= length
            return None
        if action == TAKE_HEAD:
            return self._take_head()
        if action == END:
            return self._take_end()
        if action == BEGIN:
            self._begin(request_id, length)
            return None
        if action == TAKE_BODY:
            self._claim_body(length)
            return None
        return self._end_early(action, request_id)

    def _claim_body(self, length: int) -> None:
        if self._body_left >= 0:
            if length > self._body_left:
                length = self._body_left
            self._body_left -= length
        self._left = length
        self._skip -= length

    def _end_early(self, action: int, request_id: int) -> Event | None:
        if action == ABORT:
            return RequestAborted()
        if action == ABANDON:
            self._params = None
            self._refuse(request_id, REQUEST_COMPLETE)
            return None
        if action == TOO_EARLY:
            raise self._broken("a STDIN record came before the end of PARAMS")
        raise self._broken(f"request {request_id} was begun again before its end")

    # -- calls of the server -------------------------------------------------------------------------------------

    def encode(
        self, head: ResponseHead | None, data: bytes | bytearray | memoryview | None, end: bool
    ) -> list[bytes | memoryview]:
        """What to write for a piece of the answer: head, payload, end, each of them optional.

        A small piece is one ``bytes``. A large payload is not copied: slices of it are returned, so it must not
        change until they are written.
        """
        self._check_answering()
        block = None
        if head is not None:
            block = head.encode_cgi()
            self.head_size = len(block)
        self._answered = end
        return frame_answer(self._id, block, data, end)

    def frame_file(self, file: FileSlice) -> list[Any]:
        """STDOUT records of a part of a file."""
        self._check_answering()
        return frame_file(self._id, file)

    def abort_response(self) -> bytes:
        """Without KEEP_CONN nginx takes a close for the end of the answer, END_REQUEST or not; but not this."""
        return b"" if self._keep else NO_RECORD

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
            self._output += encode_end(self._id)
        if self._state != ENDED:
            self.drain(self._id)
        self._skip += self._left
        self._left = 0
        self._answered = False
        self.busy = False
        if self._keep and not self._eof:
            self._state = IDLE
            return True
        self._state = CLOSED
        return False

    def take_output(self) -> bytes:
        """Answers that need no application, to be written before anything else: END_REQUEST and management records."""
        output = self._output
        if output:
            self._output = b""
        return output

    # -- content -------------------------------------------------------------------------------------------------

    def _read_content(self) -> Event | None:
        """What is here of the record's content, as far as it is wanted; the rest of the record is skipped."""
        if self._state == BODY:
            return self._read_body()
        size = len(self._data)
        if self._left:
            end = min(self._position + self._left, size)
            if self._state == HEAD and end > self._position:
                self._collect(cut(self._data, self._position, end))
            self._left -= end - self._position
            self._position = end
        if self._skip and not self._left:
            end = min(self._position + self._skip, size)
            self._skip -= end - self._position
            self._position = end
        return None

    def _read_body(self) -> Event | None:
        """What is here of the body, up to a record that is something else: one event for all of it."""
        data, self._position, self._left, self._skip, self._body_left = read_body(
            self._data, self._position, self._left, self._skip, self._body_left, self._id
        )
        if not data:
            return None
        event = BodyReceived.__new__(BodyReceived)
        event.data = data
        return event

    def _collect(self, piece: bytes) -> None:
        if self._params is None:
            self._params = piece  # all there is, nearly always
            return
        if type(self._params) is bytes:
            self._params = bytearray(self._params)
        self._params += piece

    def _starved(self) -> Event | None:
        """Everything that can be read was read: more is needed, or there will be no more."""
        if self._position == len(self._data):
            self._data = b""
            self._position = 0
        if not self._eof or self._answered or self._state == ABORTED:
            return NEED_DATA
        if self._state == IDLE and not self.incomplete():
            self._state = CLOSED
            return NEED_DATA
        if self._state == IDLE or self._state == HEAD:
            where = "inside a record" if self._inside_record() else "before the end of PARAMS"
            raise self._broken(f"the connection ended {where}{self._hint()}")
        self._state = ABORTED
        return RequestAborted()

    def _inside_record(self) -> bool:
        return self._left != 0 or self._skip != 0 or self._position < len(self._data)

    # -- the request in progress ---------------------------------------------------------------------------------

    def _begin(self, request_id: int, length: int) -> None:
        data = self._data
        at = self._position
        if length != BEGIN_SIZE:
            raise self._broken(f"a BEGIN_REQUEST record has {length} bytes of content, not {BEGIN_SIZE}")
        self._keep = (data[at + 2] & KEEP_CONN) != 0
        if self._draining is not None:
            self._draining.discard(request_id)  # what comes with this id from here on is the new request's
        if (data[at] << 8 | data[at + 1]) != RESPONDER:
            self._refuse(request_id, UNKNOWN_ROLE)
            return
        self._id = request_id

    def _take_head(self) -> Event:
        block = self._params
        self._params = None
        if type(block) is not bytes:
            block = b"" if block is None else bytes(block)
        try:
            variables = variables_of_params(block, self._max_variables)
            declared = body_length(variables)
        except RequestRejected:
            self._state = REJECTED
            self.busy = True
            raise
        self._declared = self._body_left = declared
        self.busy = True
        self._futile = 0
        event = HeadReceived.__new__(HeadReceived)
        event.variables = variables
        event.body_length = declared
        return event

    def _take_end(self) -> Event:
        if self._body_left > 0 and self._body_left != self._declared:
            # 6.2: "the application compares the number of bytes received on FCGI_STDIN with CONTENT_LENGTH".
            came = self._declared - self._body_left
            raise self._rejected(400, f"the body ended after {came} of {self._declared} bytes (CONTENT_LENGTH)")
        return REQUEST_ENDED

    def _refuse(self, request_id: int, protocol_status: int) -> None:
        """End a request that no event has reported; what else of it is under way will be skipped."""
        self._answer(encode_end_request(request_id, protocol_status))
        self.drain(request_id)
        self._state = IDLE if self._keep else CLOSED

    def drain(self, request_id: int) -> None:
        """What still comes of a request that was answered, here or elsewhere, is skipped without limit."""
        if self._draining is None:
            self._draining = set()
        self._draining.add(request_id)

    def sibling(self) -> FastcgiCodec:
        """A codec with the same bounds, for another request of the same connection."""
        codec = FastcgiCodec.__new__(FastcgiCodec)
        codec.init(self._max_head, self._max_variables, self.max_requests, self._max_connections)
        return codec

    def for_connection(self, _: int) -> FastcgiCodec:
        """A codec with the same bounds, for another connection."""
        return self.sibling()

    def without_request(self) -> FastcgiCodec:
        """A codec for what belongs to no request, once others have codecs of their own."""
        codec = self.sibling()
        codec._draining, self._draining = self._draining, None
        return codec

    # -- every other record --------------------------------------------------------------------------------------

    def _other_record(self, arrival: int, request_id: int, length: int) -> Event | None:
        if not request_id:
            self._manage(arrival & ~STREAM_END if arrival < 32 else arrival, length)
        elif arrival == BEGIN_REQUEST and request_id != self._id:
            rest = self._data[self._position - HEADER_SIZE :]
            self._data = b""
            self._position = 0
            self._skip = 0
            return RequestsInterleaved(rest)
        elif self._draining is not None and request_id in self._draining:
            if arrival == STDIN_END:
                self._draining.discard(request_id)
        elif not self.busy:
            self._count_futile()
        return None

    def _manage(self, kind: int, length: int) -> None:
        if BEGIN_REQUEST <= kind <= DATA:
            raise self._broken(f"a record of type {kind} has the request id 0")
        if kind == UNKNOWN_TYPE:
            self._count_futile()  # answering an answer could go on for ever
            return
        content = self._data[self._position : self._position + length] if kind == GET_VALUES else b""
        self._answer(encode_management(kind, content, self._max_connections, self.max_requests))

    def _answer(self, record: bytes) -> None:
        self._count_futile()
        self._output += record

    def _count_futile(self) -> None:
        self._futile += 1
        if self._futile > MAX_FUTILE:
            raise self._broken(f"{self._futile} records in a row belonged to no request")

    # -- refusals ------------------------------------------------------------------------------------------------

    def _broken(self, message: str) -> RemoteProtocolError:
        self._state = CLOSED
        self.busy = False
        return RemoteProtocolError(message)

    def _rejected(self, status: int, message: str) -> RequestRejected:
        self._state = REJECTED
        self._params = None
        self.busy = True
        return RequestRejected(status, message)

    def _hint(self) -> str:
        return hint(self._data[self._position : self._position + HEADER_SIZE], "FastCGI")
