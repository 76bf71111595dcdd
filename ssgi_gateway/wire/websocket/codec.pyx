# cython: boundscheck=False, wraparound=False, cdivision=True
"""The WebSocket protocol (RFC 6455) after its handshake: the compiled twin of ``websocket.py``.

The rules are those of the portable codec and its ``message`` module, and the order of the checks is wsproto's, so that
both have the same events for any bytes in any split. What differs is the work: a message that came in one frame is unmasked
straight into the object the application gets, and text that came in pieces is checked by a table, byte by byte.

Memory is safe by two rules: a payload is only ever read up to what ``_data`` holds, whatever its header announced; and
what is written to is a ``bytes`` object that was made here, of no known content (so never a shared one), and that
no other object has seen yet.
"""

from io import BytesIO

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from ssgi_gateway.errors import LocalProtocolError, WebSocketError
from ssgi_gateway.wire.buffers import flat
from ssgi_gateway.wire.websocket.close_codes import encode_close_payload, parse_close
from ssgi_gateway.wire.websocket.deflate import COMPRESS_FROM, Deflater, Inflater
from ssgi_gateway.wire.websocket.bounds import max_fragments, max_wire_size

from ..events cimport CloseReceived, Event, MessageReceived, PongReceived

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object, Py_ssize_t *) except NULL
    bint PyUnicode_IS_ASCII(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef str OPEN_ = "open"
cdef str REMOTE_CLOSING_ = "remote closing"
cdef str LOCAL_CLOSING_ = "local closing"
cdef str CLOSED_ = "closed"

DEF CONTINUATION = 0
DEF TEXT = 1
DEF BINARY = 2
DEF CLOSE = 8
DEF PING = 9
DEF PONG = 10

DEF MAX_JOINED_ = 16384
MAX_JOINED = MAX_JOINED_
"""Payloads up to this are copied behind their header, see ``wire.buffers``."""

DEF MAX_PONGS_ = 16
MAX_PONGS = MAX_PONGS_
"""Answers kept between two calls of ``take_output``, see the portable codec."""

MAX_SIZE = 1 << 60
"""Bounds above this are taken for it, so that sums of lengths stay within 64 bits."""

cdef uint8_t *UTF8_CLASS = [
    # Which of 12 classes a byte is in; Bjoern Hoehrmann's table (http://bjoern.hoehrmann.de/utf-8/decoder/dfa/).
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,
    1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,9,9,9,9,9,9,9,9,9,9,9,9,9,9,9,9,
    7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,
    8,8,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,
    10,3,3,3,3,3,3,3,3,3,3,3,3,4,3,3,11,6,6,6,5,8,8,8,8,8,8,8,8,8,8,8,
]
cdef uint8_t *UTF8_NEXT = [
    0,12,24,36,60,96,84,12,12,12,48,72,12,12,12,12,12,12,12,12,12,12,12,12,
    12,0,12,12,12,12,12,0,12,0,12,12,12,24,12,12,12,12,12,24,12,24,12,12,
    12,12,12,12,12,12,12,24,12,12,12,12,12,24,12,12,12,12,12,12,12,24,12,12,
    12,12,12,12,12,12,12,36,12,36,12,12,12,36,12,12,12,12,12,36,12,36,12,12,
    12,36,12,12,12,12,12,12,12,12,12,12,
]


cdef inline uint32_t utf8_step(uint32_t state, const uint8_t *data, Py_ssize_t size) noexcept nogil:
    """Go on from ``state``: 0 between characters, 12 when the bytes can never become UTF-8."""
    cdef Py_ssize_t i = 0
    cdef uint64_t eight
    while i < size:
        if state == 0:
            while i + 8 <= size:
                memcpy(&eight, data + i, 8)
                if eight & 0x8080808080808080ULL:
                    break
                i += 8
            if i >= size:
                break
        state = UTF8_NEXT[state + UTF8_CLASS[data[i]]]
        if state == 12:
            return state
        i += 1
    return state


cdef inline void unmask(char *to, const char *data, Py_ssize_t size, uint32_t mask, uint64_t phase) noexcept nogil:
    """RFC 6455 5.3; ``phase`` is how many bytes of the frame came before."""
    cdef uint8_t pattern[8]
    cdef uint64_t wide
    cdef uint64_t value
    cdef Py_ssize_t i
    for i in range(8):
        pattern[i] = (<const uint8_t *>&mask)[(phase + i) & 3]
    memcpy(&wide, pattern, 8)
    i = 0
    while i + 8 <= size:
        memcpy(&value, data + i, 8)
        value ^= wide
        memcpy(to + i, &value, 8)
        i += 8
    while i < size:
        to[i] = data[i] ^ <char>pattern[i & 7]
        i += 1


cdef inline Py_ssize_t put_header(uint8_t *to, int first, uint64_t length) noexcept nogil:
    """An unmasked frame header in the shortest form (RFC 6455 5.2); returns its size."""
    cdef int i
    to[0] = first
    if length <= 125:
        to[1] = <uint8_t>length
        return 2
    if length <= 65535:
        to[1] = 126
        to[2] = <uint8_t>(length >> 8)
        to[3] = <uint8_t>length
        return 4
    to[1] = 127
    for i in range(8):
        to[2 + i] = <uint8_t>(length >> (56 - 8 * i))
    return 10


cdef bytes frame_of(int first, const char *payload, Py_ssize_t size):
    """Header and payload in one piece."""
    cdef uint8_t header[10]
    cdef Py_ssize_t length = put_header(header, first, size)
    cdef bytes frame = PyBytes_FromStringAndSize(NULL, length + size)
    cdef char *to = PyBytes_AS_STRING(frame)
    memcpy(to, header, length)
    memcpy(to + length, payload, size)
    return frame


cdef class WebSocketCodec:
    """One WebSocket connection, the server's end; see the portable codec for the arguments."""

    protocol = "websocket"

    def __init__(self, limits, deflate=None):
        self.state = OPEN_
        self._deflater = None if deflate is None else Deflater(deflate)
        self._inflater = None if deflate is None else Inflater(deflate)
        self._max_message = min(limits.max_message_size, MAX_SIZE)
        self._max_frame = min(limits.max_frame_size, MAX_SIZE)
        self._max_wire = max_wire_size(self._max_message)
        self._max_fragments = max_fragments(self._max_message)
        self._data = b""

    @property
    def has_output(self):
        """Whether ``take_output`` has something to send."""
        return self._pongs is not None

    # Receiving

    cpdef object receive(self, bytes data):
        """Take bytes from the peer. Those after its Close frame, or after an error, are dropped unread."""
        if data is None:
            raise TypeError("bytes are received")
        if self.state is not OPEN_ and self.state is not LOCAL_CLOSING_:
            return
        if self._at == PyBytes_GET_SIZE(self._data):
            self._data = data
        else:
            self._data = self._data[self._at:] + data
        self._at = 0

    cpdef Event next_event(self):
        """The next event, or ``None`` when there is none yet; raises ``WebSocketError`` once, and then no more."""
        cdef Event event
        if self.state is not OPEN_ and self.state is not LOCAL_CLOSING_:
            return None
        try:
            while self._in_frame or self._parse_header():
                event = self._read_payload()
                if event is not None:
                    return event
                if self._in_frame:
                    return None
        except WebSocketError:
            self._stop_reading(REMOTE_CLOSING_ if self.state is OPEN_ else CLOSED_)
            raise
        return None

    cdef bint _parse_header(self) except -1:
        """Read and judge a frame's header; whether it was there."""
        cdef const uint8_t *p = <const uint8_t *>PyBytes_AS_STRING(self._data) + self._at
        cdef Py_ssize_t left = PyBytes_GET_SIZE(self._data) - self._at
        cdef Py_ssize_t size = 2
        cdef int opcode, rsv, i
        cdef uint64_t length
        if left < 2:
            return False
        opcode = p[0] & 0x0F
        rsv = p[0] & 0x70
        if opcode > PONG or BINARY < opcode < CLOSE:
            raise WebSocketError(1002, f"Invalid opcode {opcode:#x}")
        length = p[1] & 0x7F
        if opcode & 8:
            if not p[0] & 0x80:
                raise WebSocketError(1002, "Invalid attempt to fragment control frame")
            if length > 125:
                raise WebSocketError(1002, "Control frame with payload len > 125")
        elif length == 126:
            size = 4
            if left < size:
                return False
            length = p[2] << 8 | p[3]
            if length <= 125:
                raise WebSocketError(1002, "Payload length used 2 bytes when 1 would have sufficed")
        elif length == 127:
            size = 10
            if left < size:
                return False
            length = 0
            for i in range(2, 10):
                length = length << 8 | p[i]
            if length <= 65535:
                raise WebSocketError(1002, "Payload length used 8 bytes when 2 would have sufficed")
            if length >> 63:
                raise WebSocketError(1002, "8-byte payload length with non-zero MSB")
        if opcode & 8:
            if rsv:
                raise WebSocketError(1002, "Reserved bit set unexpectedly")
        elif self._kind or opcode == CONTINUATION or rsv or length > <uint64_t>self._max_message or self._max_frame:
            self._judge_data_frame(opcode, rsv, length)
        if not p[1] & 0x80:
            raise WebSocketError(1002, "server received unexpected unmasked frame")
        if left < size + 4:
            return False
        memcpy(&self._mask, p + size, 4)
        self._at += size + 4
        self._fin = p[0] & 0x80
        self._opcode = opcode
        self._length = length
        self._consumed = 0
        self._in_frame = True
        if opcode != CONTINUATION and not opcode & 8:
            self._compressed = rsv & 0x40
        return True

    cdef object _judge_data_frame(self, int opcode, int rsv, uint64_t length):
        """All that a first, small, plain frame between messages cannot get wrong."""
        cdef bint first = opcode != CONTINUATION
        cdef bint compressed = (rsv & 0x40) if first else self._compressed
        cdef uint64_t bound = self._max_wire if compressed else self._max_message
        if first and self._kind:
            raise WebSocketError(1002, "a new message inside a message")
        if not first and not self._kind:
            raise WebSocketError(1002, "a continuation of no message")
        if self._max_frame and length > <uint64_t>self._max_frame:
            raise WebSocketError(1009, f"a frame of more than {self._max_frame} bytes")
        if (0 if first else self._received) + length > bound:
            raise WebSocketError(1009, f"a message of more than {self._max_message} bytes")
        if not first and self._fragments >= self._max_fragments:
            raise WebSocketError(1009, f"a message of more than {self._max_fragments} fragments")
        if rsv & 0x30 or (rsv & 0x40 and not (first and self._inflater is not None)):
            raise WebSocketError(1002, "Reserved bit set unexpectedly")

    cdef Event _read_payload(self):
        """Take what there is of the frame's payload."""
        cdef Py_ssize_t left = PyBytes_GET_SIZE(self._data) - self._at
        cdef uint64_t wanted = self._length - self._consumed
        if self._opcode & 8:
            if <uint64_t>left < self._length:
                return None
            return self._control()
        if <uint64_t>left >= wanted and self._fin and not self._kind and not self._compressed:
            return self._whole()
        if not left and wanted:
            return None
        if <uint64_t>left > wanted:
            left = <Py_ssize_t>wanted
        return self._gather(left, <uint64_t>left == wanted)

    cdef Event _whole(self):
        """A message in one frame, all of it here."""
        cdef Py_ssize_t size = <Py_ssize_t>self._length
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
        cdef MessageReceived event = MessageReceived.__new__(MessageReceived)
        unmask(PyBytes_AS_STRING(payload), PyBytes_AS_STRING(self._data) + self._at, size, self._mask, 0)
        self._at += size
        self._in_frame = False
        if self._opcode == BINARY:
            event.message = payload
        else:
            try:
                event.message = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload), size, NULL)
            except UnicodeDecodeError:
                raise WebSocketError(1007, "invalid UTF-8 in a text message") from None
        return event

    cdef Event _gather(self, Py_ssize_t size, bint ended):
        """A piece of a message that comes in several, or compressed; its last one gives the message."""
        cdef bytes piece = PyBytes_FromStringAndSize(NULL, size)
        cdef MessageReceived event
        unmask(PyBytes_AS_STRING(piece), PyBytes_AS_STRING(self._data) + self._at, size, self._mask, self._consumed)
        self._at += size
        self._consumed += size
        if not self._kind:
            self._kind = self._opcode
            self._gathered = BytesIO()
        self._received += size
        if ended:
            self._fragments += 1
            self._in_frame = False
        if self._compressed:
            for inflated in self._inflater.inflate(piece, self._max_message - self._inflated):
                self._keep(inflated)
            if ended and self._fin:
                for inflated in self._inflater.finish(self._max_message - self._inflated):
                    self._keep(inflated)
        else:
            self._keep(piece)
        if not (ended and self._fin):
            return None
        if self._kind == TEXT and self._utf8:
            raise WebSocketError(1007, "invalid UTF-8 in a text message")
        event = MessageReceived.__new__(MessageReceived)
        event.message = self._gathered.getvalue()
        if self._kind == TEXT:
            event.message = event.message.decode()
        self._reset()
        return event

    cdef object _keep(self, bytes piece):
        self._inflated += PyBytes_GET_SIZE(piece)
        if self._kind == TEXT:
            self._utf8 = utf8_step(
                self._utf8, <const uint8_t *>PyBytes_AS_STRING(piece), PyBytes_GET_SIZE(piece)
            )
            if self._utf8 == 12:
                raise WebSocketError(1007, "invalid UTF-8 in a text message")
        self._gathered.write(piece)

    cdef Event _control(self):
        """A control frame, which is never fragmented, may come between the fragments of a message."""
        cdef Py_ssize_t size = <Py_ssize_t>self._length
        cdef bytes payload = PyBytes_FromStringAndSize(NULL, size)
        cdef PongReceived pong
        unmask(PyBytes_AS_STRING(payload), PyBytes_AS_STRING(self._data) + self._at, size, self._mask, 0)
        self._at += size
        self._in_frame = False
        if self._opcode == PING:
            if self.state is OPEN_:
                if self._pongs is None:
                    self._pongs = []
                elif len(self._pongs) == MAX_PONGS_:
                    del self._pongs[0]
                self._pongs.append(payload)
            return None
        if self._opcode == PONG:
            pong = PongReceived.__new__(PongReceived)
            pong.payload = payload
            return pong
        code, reason = parse_close(payload)
        self._stop_reading(REMOTE_CLOSING_ if self.state is OPEN_ else CLOSED_)
        return CloseReceived(code, reason)

    cdef object _stop_reading(self, str following):
        self.state = following
        self._reset()
        self._data = b""
        self._at = 0
        self._in_frame = False

    cdef object _reset(self):
        """Between messages."""
        self._kind = 0
        self._compressed = False
        self._received = 0
        self._inflated = 0
        self._fragments = 0
        self._gathered = None
        self._utf8 = 0

    cpdef bytes take_output(self):
        """The Pongs that are due, once; empty when none is, and after our Close frame."""
        cdef list pongs = self._pongs
        if pongs is None:
            return b""
        self._pongs = None
        return b"".join([pong_of(payload) for payload in pongs])

    # Sending

    cpdef list encode_message(self, object data):
        """One message as one frame: text for ``str``, binary for bytes-like objects; see the portable codec."""
        cdef int first = 0x82
        cdef const char *payload
        cdef Py_ssize_t size
        cdef uint8_t header[10]
        if self.state is not OPEN_:
            raise LocalProtocolError("a message after the Close frame")
        if isinstance(data, str):
            first = 0x81
            size = MAX_JOINED_ if PyUnicode_IS_ASCII(data) else MAX_JOINED_ // 4  # bytes for a character
            if PyUnicode_GET_LENGTH(data) <= size and self._deflater is None:
                payload = PyUnicode_AsUTF8AndSize(data, &size)
                return [frame_of(first, payload, size)]
            data = str.encode(data)
        elif not isinstance(data, bytes):
            data = flat(data)
        if self._deflater is not None and len(data) >= COMPRESS_FROM:
            first |= 0x40
            data = self._deflater.deflate(data)
        size = len(data)
        if size > MAX_JOINED_:
            return [PyBytes_FromStringAndSize(<char *>header, put_header(header, first, size)), data]
        if not isinstance(data, bytes):
            data = bytes(data)
        return [frame_of(first, PyBytes_AS_STRING(data), size)]

    cpdef bint is_plain(self, Py_ssize_t size) except -1:
        """Whether a message of so many bytes would be sent uncompressed: the same bytes as on any connection."""
        return self.state is OPEN_ and (self._deflater is None or size < COMPRESS_FROM)

    cpdef bytes encode_ping(self, bytes payload=b""):
        """A Ping frame; its Pong carries the same payload of at most 125 bytes."""
        if self.state is not OPEN_:
            raise LocalProtocolError("a Ping after the Close frame")
        if payload is None:
            raise TypeError("a Ping carries bytes")
        if PyBytes_GET_SIZE(payload) > 125:
            raise ValueError(f"a Ping carries at most 125 bytes, not {len(payload)}")
        return frame_of(0x89, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))

    cpdef bytes encode_close(self, object code=1000, str reason=""):
        """Our Close frame, which is the last that we send."""
        cdef bytes payload = encode_close_payload(code, reason)
        if self.state is OPEN_:
            self.state = LOCAL_CLOSING_
        elif self.state is REMOTE_CLOSING_:
            self.state = CLOSED_
        else:
            raise LocalProtocolError("a second Close frame")
        self._pongs = None
        return frame_of(0x88, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))


cdef bytes pong_of(bytes payload):
    return frame_of(0x8A, PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload))
