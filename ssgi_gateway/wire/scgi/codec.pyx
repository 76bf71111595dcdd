# cython: boundscheck=False, wraparound=False
"""SCGI: the compiled twin of ``scgi.py``, with the same rules; it needs no sioscgi.

A head that arrived whole, as nearly all do, is indexed where it lies and never copied.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.string cimport memchr, memcmp

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.buffers import kept
from ssgi_gateway.wire.hints import hint
from ssgi_gateway.wire.variables import merge_repeated

from ..cgi import read_content_length
from ..grammar import parse_length
from ..codec cimport Codec
from ..events cimport BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ..response_head cimport ResponseHead
from ..variables cimport Variables
from ..variables import MAX_BLOCK

DEF IDLE = 0
DEF HEAD = 1
DEF BODY = 2
DEF COMPLETE = 3
DEF CLOSED = 4

# How far the answer is.
DEF NOTHING_SENT = 0
DEF HEAD_SENT = 1
DEF ALL_SENT = 2

DEF REDIRECT = 4  # of Variables.add

DEF MAX_JOINED_ = 16384
MAX_JOINED = MAX_JOINED_

cdef RequestEnded ENDED = RequestEnded()


cdef class ScgiCodec(Codec):
    """The application's side of one SCGI connection; see the portable codec."""

    def __init__(self, limits):
        self.begin(min(limits.max_head_size, MAX_BLOCK), limits.max_variables)

    cdef object begin(self, Py_ssize_t max_head, Py_ssize_t max_variables):
        self._init_base("scgi", True, True, False)
        self._max_head = max_head
        self._max_variables = max_variables
        self._events = []

    cpdef ScgiCodec for_connection(self, int _):
        """A codec with the same bounds, for another connection."""
        cdef ScgiCodec codec = ScgiCodec.__new__(ScgiCodec)
        codec.begin(self._max_head, self._max_variables)
        return codec

    # -- reading -------------------------------------------------------------------------------------------------

    cpdef object receive(self, bytes data):
        """Take what arrived; ``b""`` is the end of what the web server sends."""
        if not data:
            return self._receive_eof()
        try:
            if self._state == BODY:
                self._read_body(data, 0)
            elif self._state <= HEAD:
                self._state = HEAD
                self._receive_head(data)
        except RemoteProtocolError as error:
            self._refuse(error)

    cpdef object next_event(self):
        """The next thing that arrived, or ``None``; raises as the portable codec does."""
        cdef list events = self._events
        cdef Py_ssize_t at = self._delivered
        if at < len(events):
            event = events[at]
            if at + 1 == len(events):
                self._delivered = 0
                events.clear()
            else:
                self._delivered = at + 1
            return event
        if self._error is not None:
            raise self._error
        return None

    cpdef bint incomplete(self) except -1:
        """Whether something was begun and not finished: a head, a request or its answer."""
        return self._state != IDLE and self._state != CLOSED

    cdef object _receive_eof(self):
        cdef int state = self._state
        if state == HEAD:
            seen = bytes(self._buffer)
            self._refuse(
                RemoteProtocolError(f"the connection ended {len(seen)} bytes into a head{hint(seen[:32], 'SCGI')}")
            )
            return
        self._state = CLOSED
        if state == BODY or state == COMPLETE:
            self._events.append(RequestAborted())

    cdef object _receive_head(self, bytes data):
        """Keep ``data`` until the head is complete, then check it and report it."""
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data = bytes(self._buffer)
        if not self._needed:
            self._read_length(data)
        if not self._needed or PyBytes_GET_SIZE(data) < self._needed:
            self._buffer = bytearray(data)
            return
        self._buffer = None
        self._read_head(data)

    cdef object _read_length(self, bytes data):
        """Read the length of the netstring; the first byte that cannot be part of it decides."""
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t length = 0
        while at < size and c"0" <= text[at] <= c"9":
            if at == 1 and text[0] == c"0":
                raise RemoteProtocolError("the head's length begins with a zero")
            length = length * 10 + text[at] - c"0"
            if length > self._max_head:
                raise RequestRejected(431, f"the request variables exceed {self._max_head} bytes")
            at += 1
        if at == size:
            return
        if text[at] != c":" or not at:
            raise RemoteProtocolError(f"the byte {data[at:at + 1]!r} in the length of the head{hint(data, 'SCGI')}")
        if not length:
            raise RemoteProtocolError("the head is empty")
        self._start = at + 1
        self._needed = at + 1 + length + 1

    cdef object _read_head(self, bytes data):
        """The whole head is here, and maybe the body."""
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef Py_ssize_t end = self._needed - 1
        cdef Variables variables = Variables.__new__(Variables)
        cdef HeadReceived event
        cdef int seen
        if text[end] != c",":
            raise RemoteProtocolError(f"the head ends with byte {data[end:end + 1]!r}, not with a comma")
        if text[end - 1] != 0:
            raise RemoteProtocolError("the head does not end with a NUL")
        seen = variables.take_netstring(data, self._start, end, self._max_variables)
        if seen & ~REDIRECT or not self._take_length(variables):
            self._check_block(data, end)
        variables.clean(seen)
        event = HeadReceived.__new__(HeadReceived)
        event.variables = variables
        event.body_length = self._left
        self._events.append(event)
        self.busy = True
        self._state = BODY
        self._read_body(data, end + 1)

    cdef bint _take_length(self, Variables variables) except -1:
        """Take the body's length, if SCGI is 1 and there is one length; all of them must have names of their own."""
        cdef int declared = variables.find(b"SCGI", 4)
        cdef int length = variables.find(b"CONTENT_LENGTH", 14)
        if declared < 0 or length < 0 or variables.find(b"HTTP_CONTENT_LENGTH", 19) >= 0:
            return False
        if memcmp(variables.value(declared), b"1\0", 2):
            return False
        self._left = self._length_of(variables.value(length))
        return True

    cdef object _check_block(self, bytes data, Py_ssize_t end):
        """What is wrong or rare with a block as a whole, in the order in which the portable codec looks."""
        cdef const char *text = PyBytes_AS_STRING(data)
        cdef const char *stop
        cdef Py_ssize_t at = self._start
        cdef Py_ssize_t strings = 0
        cdef Py_ssize_t size
        cdef bint is_name = True
        cdef bint nameless = False
        cdef bint declared = False
        cdef bint repeated = False
        cdef Py_ssize_t length_at = -1
        cdef Py_ssize_t declared_at = -1
        while at < end:
            stop = <const char *>memchr(text + at, 0, end - at)
            size = stop - text - at
            strings += 1
            if is_name:
                if not size:
                    nameless = True
                elif size == 4 and not memcmp(text + at, b"SCGI", 4):
                    declared = at + 7 <= end and text[at + 5] == c"1" and not text[at + 6]
                elif size == 14 and not memcmp(text + at, b"CONTENT_LENGTH", 14):
                    repeated |= length_at >= 0
                    length_at = at
                elif size == 19 and not memcmp(text + at, b"HTTP_CONTENT_LENGTH", 19):
                    declared_at = at
            is_name = not is_name
            at = stop - text + 1
        if strings & 1:
            raise RemoteProtocolError("the last variable of the head has no value")
        if strings > 2 * self._max_variables:
            raise RequestRejected(431, f"there are more than {self._max_variables} request variables")
        if nameless:
            raise RemoteProtocolError("a variable of the head has no name")
        if not declared:
            raise RemoteProtocolError("the variable SCGI is missing or not 1")
        if length_at < 0:
            raise RequestRejected(400, "CONTENT_LENGTH is missing")
        if repeated or declared_at >= 0:
            self._check_length(data[self._start:end])
        else:
            self._left = self._length_of(text + length_at + 15)

    cdef Py_ssize_t _length_of(self, const char *text) except -1:
        """The number of at most 18 digits that ends with a NUL."""
        cdef Py_ssize_t length = 0
        cdef int digits = 0
        while c"0" <= text[digits] <= c"9" and digits < 18:
            length = length * 10 + text[digits] - c"0"
            digits += 1
        if text[digits] or not digits:
            return read_content_length((<bytes>text).decode("latin-1"))
        return length

    cdef object _check_length(self, object block):
        """The rare heads: CONTENT_LENGTH repeated, or another length beside it."""
        fields = block.split(b"\0")
        pairs = list(zip(fields[::2], fields[1::2]))
        variables = merge_repeated(pairs, True)
        self._left = read_content_length(variables[b"CONTENT_LENGTH"].decode("latin-1"))
        declared = variables.get(b"HTTP_CONTENT_LENGTH")
        if declared is not None and (b"CONTENT_LENGTH", b"") not in pairs and parse_length(declared.decode("latin-1")) > self._left:
            raise RequestRejected(
                411,
                f"CONTENT_LENGTH is {self._left} where the client sent {declared.decode('latin-1')} bytes: set "
                "scgi_request_buffering on (nginx before 1.29.6 loses the rest without it), or use FastCGI",
            )

    cdef object _read_body(self, bytes data, Py_ssize_t at):
        """The body's bytes from ``at``; what is behind them is ignored."""
        cdef Py_ssize_t size = PyBytes_GET_SIZE(data) - at
        cdef BodyReceived event
        if size > self._left:
            size = self._left
        if size > 0:
            event = BodyReceived.__new__(BodyReceived)
            event.data = data if size == PyBytes_GET_SIZE(data) else data[at:at + size]
            self._left -= size
            self._events.append(event)
        if not self._left:
            self._state = COMPLETE
            self._events.append(ENDED)

    cdef object _refuse(self, object error):
        self._error = error
        self._state = CLOSED
        self._buffer = None

    # -- writing -------------------------------------------------------------------------------------------------

    cpdef list encode(self, ResponseHead head, object data, bint end):
        """What to write for a piece of the answer; see the portable codec."""
        cdef Py_ssize_t size = 0
        cdef bytes block
        if data is not None:
            if type(data) is not bytes:
                data = kept(data)
            size = len(data)
        if head is not None:
            self._step(NOTHING_SENT, HEAD_SENT)
        if size:
            self._step(HEAD_SENT, HEAD_SENT)
        if end and self._answer != NOTHING_SENT:
            self._step(HEAD_SENT, ALL_SENT)
        if head is None:
            return [data] if size else []
        block = head.encode_cgi()
        self.head_size = PyBytes_GET_SIZE(block)
        if not size:
            return [block]
        return [block + <bytes>data] if size <= MAX_JOINED_ else [block, data]

    cdef object _step(self, int wanted, int following):
        if self._answer != wanted:
            names = ("the head", "a payload or the end", "nothing more")
            raise LocalProtocolError(f"this piece does not belong here: {names[self._answer]} was expected")
        self._answer = following

    cpdef bint finish(self) except -1:
        """The answer is complete; False, for an SCGI connection carries no second request."""
        self._state = CLOSED
        self.busy = False
        return False
