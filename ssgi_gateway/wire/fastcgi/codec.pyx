# cython: boundscheck=False, wraparound=False
"""FastCGI: the compiled twin of ``fastcgi.py``, with the same rules and the same states.

What differs is the work: record headers are read in place, PARAMS that came in one record are indexed where they lie,
and the usual answer is built in one piece.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.fastcgi.answers import encode_management, frame_file
from ssgi_gateway.wire.fastcgi.records import NO_RECORD, encode_end_request, encode_record, encode_stream
from ssgi_gateway.wire.hints import hint

from ..cgi cimport body_length
from ..codec cimport Codec
from ..events cimport BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ..response_head cimport ResponseHead
from ..variables cimport Variables
from ..variables import MAX_BLOCK

# Record types (8).
DEF BEGIN_REQUEST = 1
DEF ABORT_REQUEST = 2
DEF END_REQUEST = 3
DEF PARAMS = 4
DEF STDIN = 5
DEF STDOUT = 6
DEF STDERR = 7
DEF DATA = 8
DEF GET_VALUES = 9
DEF UNKNOWN_TYPE = 11
DEF STREAM_END = 256

DEF RESPONDER = 1
DEF REQUEST_COMPLETE = 0
DEF CANT_MPX_CONN = 1
DEF UNKNOWN_ROLE = 3

DEF IDLE = 0
DEF HEAD = 1
DEF BODY = 2
DEF ENDED = 3
DEF REJECTED = 4
DEF ABORTED = 5
DEF CLOSED = 6

DEF MAX_FUTILE_ = 1000
DEF MAX_JOINED = 16384
DEF FULL_CONTENT = 65528

MAX_FUTILE = MAX_FUTILE_
cdef RequestEnded ENDED_EVENT = RequestEnded()


cdef inline void put_header(uint8_t *to, int kind, int request_id, Py_ssize_t length) noexcept nogil:
    to[0] = 1
    to[1] = kind
    to[2] = request_id >> 8
    to[3] = request_id & 0xFF
    to[4] = <uint8_t>(length >> 8)
    to[5] = <uint8_t>length
    to[6] = 0
    to[7] = 0


cdef inline void put_tail(uint8_t *to, int request_id) noexcept nogil:
    """STDOUT's empty record and END_REQUEST: 24 bytes."""
    cdef int i
    put_header(to, STDOUT, request_id, 0)
    put_header(to + 8, END_REQUEST, request_id, 8)
    for i in range(16, 24):
        to[i] = 0


cdef inline Py_ssize_t read_length(const uint8_t *data, Py_ssize_t *at, Py_ssize_t end) noexcept nogil:
    """One length of a pair (3.4); -1 when it is not all there."""
    cdef Py_ssize_t p = at[0]
    if p >= end:
        return -1
    if data[p] < 128:
        at[0] = p + 1
        return data[p]
    if p + 4 > end:
        return -1
    at[0] = p + 4
    return (<Py_ssize_t>(data[p] & 0x7F) << 24) | data[p + 1] << 16 | data[p + 2] << 8 | data[p + 3]


cdef class FastcgiCodec(Codec):
    """One FastCGI connection from a web server; see the portable codec."""

    def __init__(self, limits, Py_ssize_t max_connections=10000):
        self.protocol = "fastcgi"
        self.serves_http = True
        self.supports_upgrade = False
        self.may_send_trailing = True
        self._max_head = min(limits.max_head_size, MAX_BLOCK)
        self._max_variables = limits.max_variables
        self._max_connections = max_connections
        self._data = b""
        self._output = b""
        self._body_left = -1

    @property
    def closing(self):
        """Whether this side is to close the connection once ``take_output()`` was sent."""
        return self._state == CLOSED

    cpdef bint incomplete(self) except -1:
        """Whether the peer owes us bytes: of a record, or of a request."""
        if self._state == IDLE:
            return not self._draining and self._inside_record()
        return self._state != CLOSED

    cpdef object receive(self, bytes data):
        """Take what was read from the connection; ``b""`` is its end."""
        if not data:
            self._eof = True
        elif self._state == CLOSED:
            return
        elif self._position == PyBytes_GET_SIZE(self._data):
            self._data = data
            self._position = 0
        else:
            # What is left over is part of a header, a BEGIN_REQUEST or a GET_VALUES: streams never wait here.
            self._data = self._data[self._position:] + data
            self._position = 0

    cpdef object next_event(self):
        """The next thing that arrived, or ``None``; raises as the portable codec does."""
        cdef const uint8_t *p
        cdef int kind, request_id
        cdef Py_ssize_t length, here
        while self._state != CLOSED:
            if self._left or self._skip:
                event = self._read_content()
                if event is not None:
                    return event
                if self._left or self._skip:
                    return self._starved()
            if not self._read_header():
                return self._starved()
            p = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._position - 8
            kind = p[1]
            request_id = p[2] << 8 | p[3]
            length = p[4] << 8 | p[5]
            if not length and (kind == PARAMS or kind == STDIN):
                kind |= STREAM_END
            event = self._record(kind, request_id, length)
            if event is not None:
                return event
        self._data = b""
        self._position = 0
        return None

    cpdef bint finish(self) except -1:
        """Free the connection for the next request: the answer was encoded to its end, or is given up (aborts)."""
        if not self._answered:
            if self._state != ABORTED:
                raise LocalProtocolError("the answer has not been encoded to its end")
            self._output += self._tail()
        self._draining = 0 if self._state == ENDED else self._id
        self._skip += self._left
        self._left = 0
        self._id = 0
        self._answered = False
        self.busy = False
        if self._keep and not self._eof:
            self._state = IDLE
            return True
        self._state = CLOSED
        return False

    cpdef bytes take_output(self):
        """Answers that need no application, to be written before anything else."""
        cdef bytes output = self._output
        if PyBytes_GET_SIZE(output):
            self._output = b""
        return output

    # Framing

    cdef bint _read_header(self) except -1:
        """Step over the next record's header; whether it is there and can be acted upon."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._position
        cdef Py_ssize_t here = PyBytes_GET_SIZE(self._data) - self._position
        cdef Py_ssize_t length
        if here < 8:
            return False
        if p[0] != 1:
            raise self._broken(f"a record header says FastCGI version {p[0]}, not 1{self._hint()}")
        length = p[4] << 8 | p[5]
        if (p[1] == BEGIN_REQUEST or p[1] == GET_VALUES) and (
            here < 8 + length or (self._answered and p[1] == BEGIN_REQUEST)
        ):
            return False  # their content is read as a whole; and the request that was answered is not finished yet
        self._position += 8
        self._skip = length + p[6]
        return True

    cdef object _read_content(self):
        cdef Py_ssize_t step
        cdef bytes piece
        if self._state == BODY:
            return self._read_body()
        step = min(self._left, PyBytes_GET_SIZE(self._data) - self._position)
        if step and self._state == HEAD:
            piece = PyBytes_FromStringAndSize(PyBytes_AS_STRING(self._data) + self._position, step)
            if self._params is None:
                self._params = piece  # all there is, nearly always
            else:
                if type(self._params) is bytes:
                    self._params = bytearray(self._params)
                self._params += piece
        self._step_over(step)

    cdef void _step_over(self, Py_ssize_t step) noexcept:
        """Leave behind so much of the record's content and, when that is all, what is here of the rest."""
        self._position += step
        self._left -= step
        if not self._left:
            step = min(self._skip, PyBytes_GET_SIZE(self._data) - self._position)
            self._position += step
            self._skip -= step

    cdef object _read_body(self):
        """What is here of the body, up to a record that is something else: one event, and one copy, for all of it."""
        cdef Py_ssize_t position = self._position
        cdef Py_ssize_t left = self._left
        cdef Py_ssize_t skip = self._skip
        cdef Py_ssize_t body_left = self._body_left
        cdef Py_ssize_t size = self._walk_body(NULL)
        cdef BodyReceived event
        if not size:
            return None
        event = BodyReceived.__new__(BodyReceived)
        event.data = PyBytes_FromStringAndSize(NULL, size)
        self._position = position
        self._left = left
        self._skip = skip
        self._body_left = body_left
        self._walk_body(PyBytes_AS_STRING(event.data))
        return event

    cdef Py_ssize_t _walk_body(self, char *to) noexcept:
        """Leave behind what is here of the body; returns its size, and copies it where ``to`` is given."""
        cdef Py_ssize_t size = 0
        cdef Py_ssize_t step
        while True:
            step = min(self._left, PyBytes_GET_SIZE(self._data) - self._position)
            if to is not NULL:
                memcpy(to + size, PyBytes_AS_STRING(self._data) + self._position, step)
            size += step
            self._step_over(step)
            if self._left or self._skip or not self._begin_more():
                return size

    cdef bint _begin_more(self) noexcept:
        """Step over the next record's header if that is more of the body; whether it is."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._position
        cdef Py_ssize_t length
        if PyBytes_GET_SIZE(self._data) - self._position < 8:
            return False
        length = p[4] << 8 | p[5]
        if p[0] != 1 or p[1] != STDIN or (p[2] << 8 | p[3]) != self._id or not length:
            return False
        self._position += 8
        self._skip = length + p[6]
        self._stdin(length)
        return True

    cdef object _starved(self):
        """Everything that can be read was read: more is needed, or there will be no more."""
        if self._position == PyBytes_GET_SIZE(self._data):
            self._data = b""
            self._position = 0
        if not self._eof or self._answered or self._state == ABORTED:
            return None
        if self._state == IDLE and not self.incomplete():
            self._state = CLOSED
            return None
        if self._state == IDLE or self._state == HEAD:
            where = "inside a record" if self._inside_record() else "before the end of PARAMS"
            raise self._broken(f"the connection ended {where}{self._hint()}")
        self._state = ABORTED
        return RequestAborted()

    cdef bint _inside_record(self):
        return self._left or self._skip or self._position < PyBytes_GET_SIZE(self._data)

    # What is done with a record

    cdef object _record(self, int kind, int request_id, Py_ssize_t length):
        """The table of ``states``, as code."""
        if request_id and (request_id == self._id or self._state == IDLE):
            if self._state == HEAD:
                if kind == PARAMS:
                    return self._params_record(length)
                if kind == PARAMS | STREAM_END:
                    return self._head()
                return self._head_record(kind, request_id, length)
            if self._state == IDLE:
                if kind == BEGIN_REQUEST:
                    return self._begin(request_id, length)
            elif kind == BEGIN_REQUEST:
                raise self._broken(f"request {request_id} was begun again before its end")
            elif self._state == BODY and kind == STDIN:
                self._stdin(length)
                return None
            elif self._state == BODY and kind == STDIN | STREAM_END:
                return self._stdin_end()
            elif kind == ABORT_REQUEST and self._state != ABORTED:
                self._state = ABORTED
                return RequestAborted()
        return self._answer_or_skip(kind, request_id, length)

    cdef object _begin(self, int request_id, Py_ssize_t length):
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._position
        if length != 8:
            raise self._broken(f"a BEGIN_REQUEST record has {length} bytes of content, not 8")
        self._state = HEAD
        self._keep = p[2] & 1
        if (p[0] << 8 | p[1]) != RESPONDER:
            self._refuse(request_id, UNKNOWN_ROLE)
            return None
        self._id = request_id
        self._draining = 0
        self._stderr_used = False

    cdef object _params_record(self, Py_ssize_t length):
        if (0 if self._params is None else len(self._params)) + length > self._max_head:
            raise self._rejected(431, f"the request variables exceed {self._max_head} bytes")
        self._left = length
        self._skip -= length

    cdef object _head_record(self, int kind, int request_id, Py_ssize_t length):
        """What else may come before the end of PARAMS."""
        if kind == BEGIN_REQUEST:
            raise self._broken(f"request {request_id} was begun again before its end")
        if kind == STDIN or kind == STDIN | STREAM_END:
            raise self._broken("a STDIN record came before the end of PARAMS")
        if kind == ABORT_REQUEST:
            self._state = IDLE
            self._params = None
            self._id = 0
            self._refuse(request_id, REQUEST_COMPLETE)
            return None
        return self._answer_or_skip(kind, request_id, length)

    cdef object _head(self):
        cdef bytes block = self._params if type(self._params) is bytes else bytes(self._params or b"")
        cdef const uint8_t *data = <const uint8_t *>PyBytes_AS_STRING(block)
        cdef Py_ssize_t end = PyBytes_GET_SIZE(block)
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t count = 0
        cdef Py_ssize_t name_size, value_size
        cdef Variables variables = Variables.__new__(Variables)
        cdef bint repeated = False
        cdef HeadReceived event
        self._params = None
        while at < end and count <= self._max_variables:
            name_size = read_length(data, &at, end)
            value_size = read_length(data, &at, end) if name_size >= 0 else -1
            if value_size < 0 or name_size + value_size > end - at:
                raise self._rejected(400, "PARAMS end inside a name-value pair")
            count += 1
            at += name_size + value_size
        if count > self._max_variables:
            raise self._rejected(431, f"there are more than {self._max_variables} request variables")
        try:
            variables.take_params(block)
            self._body_left = body_length(variables)
        except RequestRejected as error:
            raise self._rejected(error.status, error.message) from None
        self.busy = True
        self._futile = 0
        self._state = BODY
        event = HeadReceived.__new__(HeadReceived)
        event.variables = variables
        event.body_length = self._body_left
        return event

    cdef void _stdin(self, Py_ssize_t length) noexcept:
        if self._body_left >= 0:
            length = min(length, self._body_left)
            self._body_left -= length
        self._left = length
        self._skip -= length

    cdef object _stdin_end(self):
        if self._body_left > 0:
            self._state = ABORTED
            return RequestAborted()
        self._state = ENDED
        return ENDED_EVENT

    # Records that are not for the request in progress

    cdef object _answer_or_skip(self, int kind, int request_id, Py_ssize_t length):
        if not request_id:
            self._manage(kind & 0xFF, length)
        elif kind == BEGIN_REQUEST and request_id != self._id:
            self._answer(encode_end_request(request_id, CANT_MPX_CONN))
        elif self._state == IDLE and request_id == self._draining:
            if kind == STDIN | STREAM_END:
                self._draining = 0
        elif not self.busy:
            self._count_futile()

    cdef object _manage(self, int kind, Py_ssize_t length):
        if BEGIN_REQUEST <= kind <= DATA:
            raise self._broken(f"a record of type {kind} has the request id 0")
        if kind == UNKNOWN_TYPE:
            self._count_futile()  # answering an answer could go on for ever
            return
        content = self._data[self._position:self._position + length] if kind == GET_VALUES else b""
        self._answer(encode_management(kind, content, self._max_connections))

    cdef object _refuse(self, int request_id, int protocol_status):
        """End a request of which no event has told; what else of it is under way will be skipped."""
        self._answer(encode_end_request(request_id, protocol_status))
        self._draining = request_id
        self._state = IDLE if self._keep else CLOSED

    cdef object _answer(self, bytes record):
        self._count_futile()
        self._output += record

    cdef object _count_futile(self):
        self._futile += 1
        if self._futile > MAX_FUTILE_:
            raise self._broken(f"{self._futile} records in a row belonged to no request")

    # Refusals

    cdef object _broken(self, str message):
        self._state = CLOSED
        self.busy = False
        return RemoteProtocolError(message)

    cdef object _rejected(self, int status, str message):
        self._state = REJECTED
        self._params = None
        self.busy = True
        return RequestRejected(status, message)

    cdef str _hint(self):
        return hint(self._data[self._position:self._position + 8], "FastCGI")

    # Writing

    cpdef list encode(self, ResponseHead answer, object data, bint end):
        """What to write for a piece of the answer; see the portable codec."""
        cdef Py_ssize_t head_size = 0
        cdef Py_ssize_t data_size = 0
        cdef Py_ssize_t size
        cdef bytes piece
        cdef bytes head = None
        cdef uint8_t *to
        self._check_answering()
        if answer is not None:
            head = answer.encode_cgi()
            self.head_size = head_size = PyBytes_GET_SIZE(head)
        if data is not None:
            if type(data) is not bytes:
                view = memoryview(data)
                data = bytes(view) if view.nbytes <= MAX_JOINED else view.cast("B")
            data_size = len(data)
        size = head_size + data_size
        self._answered = end
        if size > MAX_JOINED:
            pieces = self._stdout(head, head_size, data, data_size)
            if end:
                pieces.append(self._tail())
            return pieces
        if not size:
            return [self._tail()] if end else []
        if self._stderr_used and end:
            return [*self._stdout(head, head_size, data, data_size), self._tail()]
        piece = PyBytes_FromStringAndSize(NULL, 8 + size + (24 if end else 0))
        to = <uint8_t *>PyBytes_AS_STRING(piece)
        put_header(to, STDOUT, self._id, size)
        if head_size:
            memcpy(to + 8, PyBytes_AS_STRING(head), head_size)
        if data_size:
            memcpy(to + 8 + head_size, PyBytes_AS_STRING(data), data_size)
        if end:
            put_tail(to + 8 + size, self._id)
        return [piece]

    cpdef list frame_file(self, object file):
        """STDOUT records of a part of a file."""
        self._check_answering()
        return frame_file(self._id, file)

    cpdef bytes abort_response(self):
        """What says that an answer is not whole; see the portable codec."""
        return b"" if self._keep else NO_RECORD

    cpdef bytes encode_stderr(self, str text):
        """Records for the web server's error log (STDERR, 6.1), in UTF-8; to be written between other pieces."""
        self._check_answering()
        if not text:
            return b""  # an empty record would end the stream
        self._stderr_used = True
        return b"".join(encode_stream(STDERR, self._id, b"", text.encode("utf-8", "backslashreplace")))

    cdef list _stdout(self, bytes head, Py_ssize_t head_size, object data, Py_ssize_t data_size):
        """``encode_stream`` for an answer; what fits in one record is not sliced."""
        cdef list records = []
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t size
        cdef bytes opening
        cdef object view = data
        if head_size >= FULL_CONTENT:
            return encode_stream(STDOUT, self._id, head, data or b"")
        if head_size + data_size > FULL_CONTENT:
            view = memoryview(data)
        while head_size or start < data_size:
            size = min(data_size - start, FULL_CONTENT - head_size)
            opening = PyBytes_FromStringAndSize(NULL, 8 + head_size)
            put_header(<uint8_t *>PyBytes_AS_STRING(opening), STDOUT, self._id, head_size + size)
            if head_size:
                memcpy(PyBytes_AS_STRING(opening) + 8, PyBytes_AS_STRING(head), head_size)
            records.append(opening)
            if size:
                records.append(view if size == data_size else view[start : start + size])
            start += size
            head_size = 0
        return records

    cdef bytes _tail(self):
        cdef uint8_t[24] tail
        put_tail(tail, self._id)
        end = PyBytes_FromStringAndSize(<char *>tail, 24)
        return encode_record(STDERR, self._id) + end if self._stderr_used else end

    cdef object _check_answering(self):
        if not self.busy:
            raise LocalProtocolError("there is no request to answer")
        if self._answered:
            raise LocalProtocolError("the answer has already been encoded to its end")
