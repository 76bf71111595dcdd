# cython: boundscheck=False, wraparound=False, cdivision=True
"""The access log: the compiled twin of ``access_log.py``, which writes the same lines straight into one buffer.

Values are copied from where the request keeps them, so that a line makes no object. What is no latin-1 is left to the
portable functions.
"""

cimport cython
import time

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from ssgi_gateway.observe import access_log as portable
from ssgi_gateway.observe.access_log import COMBINED, FIELDS
from ssgi_gateway.observe.table import DROPPED_LINES

from ..core.exchange cimport Exchange
from ..wire.cgi cimport RequestHead
from ..wire.variables cimport Entry, Variables
from .observer cimport Observer

__all__ = ["COMBINED", "FIELDS", "AccessLog"]

cdef extern from "Python.h":
    int PyUnicode_KIND(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_REALTIME
    int clock_gettime(int, timespec *)

cdef Py_ssize_t MAX_GATHERED = portable.MAX_GATHERED

# How a text is written: between the quotes of the combined format, as a word of it, or in JSON. Each is the bit of
# ESCAPED that tells which characters cannot stand there as they are.
DEF QUOTED = 1
DEF WORD = 2
DEF JSON = 4
DEF MAX_ESCAPE = 6

DEF CLIENT_GONE = 499

# The places of the fields in FIELDS.
DEF TS = 0
DEF ID = 1
DEF REMOTE = 2
DEF METHOD = 3
DEF PATH = 4
DEF QUERY = 5
DEF PROTO = 6
DEF STATUS = 7
DEF BYTES_IN = 8
DEF BYTES = 9
DEF SECONDS = 10
DEF PROTOCOL = 11
DEF WORKER = 12
DEF REFERER = 13
DEF AGENT = 14
DEF ABORTED = 15

cdef const char *HEX = b"0123456789abcdef"
cdef uint8_t[256] ESCAPED
cdef uint8_t[256] SHORT  # JSON's escapes of one letter


cdef object set_up():
    cdef int c
    for c in range(256):
        if c < 32 or c > 127 or c == c'"' or c == c"\\":
            ESCAPED[c] = QUOTED | WORD | JSON
    ESCAPED[32] = WORD
    ESCAPED[127] = QUOTED | WORD
    for c, letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt'):
        SHORT[c] = letter


set_up()


cdef inline uint64_t zeros(uint64_t word) noexcept:
    """Not 0 if one of the eight bytes is 0 (Bit Twiddling Hacks, "Determine if a word has a zero byte")."""
    return (word - <uint64_t>0x0101010101010101) & ~word & <uint64_t>0x8080808080808080


cdef inline bint is_plain(uint64_t word, int style) noexcept:
    """Whether none of eight bytes is escaped in this style; it may be false for DEL in JSON, which is looked at again."""
    cdef uint64_t unusual = word & <uint64_t>0x8080808080808080
    unusual |= (word - <uint64_t>0x2020202020202020) & ~word & <uint64_t>0x8080808080808080  # below a space
    unusual |= zeros(word ^ <uint64_t>0x2222222222222222) | zeros(word ^ <uint64_t>0x5C5C5C5C5C5C5C5C)
    unusual |= zeros(word ^ <uint64_t>0x7F7F7F7F7F7F7F7F)
    if style == WORD:
        unusual |= zeros(word ^ <uint64_t>0x2020202020202020)
    return not unusual


@cython.final
cdef class AccessLog(Observer):
    """An observer that writes a line for each request; see the portable class."""

    def __cinit__(self):
        self._lines = NULL

    def __init__(self, sink, str style="combined", tuple fields=(), seat=None, int worker=0):
        cdef bint quoted
        cdef str before = ""
        self.sink = sink
        self._json = style == "json"
        fields = fields or (FIELDS if self._json else COMBINED)
        self._plan = bytes([FIELDS.index(name) for name in fields])
        self._between = []  # what stands before each value of a JSON object, and behind the last
        for name in fields:
            quoted = name not in ("status", "bytes_in", "bytes", "seconds", "worker", "aborted")
            self._between.append(f'{before or "{"}"{name}":{chr(34) if quoted else ""}'.encode())
            before = '",' if quoted else ","
        self._between.append(before.replace(",", "}\n").encode())
        self._seat = seat
        self._worker = worker
        self._second = -1
        self._stamp = self._date = b""

    def __dealloc__(self):
        PyMem_Free(self._lines)

    cpdef object request_ended(self, Exchange exchange, int status, double seconds):
        """One line for one exchange."""
        cdef Py_ssize_t before = self._size
        try:
            if self._json:
                self._object(exchange, status, seconds)
            else:
                self._combined(exchange, status, seconds)
        except BaseException:
            self._size = before  # no half line
            raise
        if self._size >= MAX_GATHERED:
            self.flush()

    cdef int _combined(self, Exchange exchange, int status, double seconds) except -1:
        cdef RequestHead request = exchange.request
        cdef Variables variables = request.variables
        cdef Py_ssize_t before = self._size
        cdef Py_ssize_t i
        self._look_at_clock()
        self._put_host(request.remote_address, WORD)
        self._put_dash_if_nothing(before)
        self._put_raw(b" - - [", 6)
        self._put_raw(PyBytes_AS_STRING(self._stamp), PyBytes_GET_SIZE(self._stamp))
        self._put_raw(b'] "', 3)
        self._put_text(request.method, QUOTED)
        self._put_raw(b" ", 1)
        self._put_text(request.raw_path, QUOTED)
        if PyUnicode_GET_LENGTH(request.query_string):
            self._put_raw(b"?", 1)
            self._put_text(request.query_string, QUOTED)
        self._put_raw(b" ", 1)
        self._put_variable(variables, b"SERVER_PROTOCOL", 15, QUOTED)
        self._put_raw(b'" ', 2)
        self._put_number(status, 1)
        self._put_raw(b" ", 1)
        self._put_number(exchange.sent, 1)
        self._put_raw(b' "', 2)
        before = self._size
        self._put_variable(variables, b"HTTP_REFERER", 12, QUOTED)
        self._put_dash_if_nothing(before)
        self._put_raw(b'" "', 3)
        before = self._size
        self._put_variable(variables, b"HTTP_USER_AGENT", 15, QUOTED)
        self._put_dash_if_nothing(before)
        self._put_raw(b'"', 1)
        for i in range(PyBytes_GET_SIZE(self._plan)):
            self._put_raw(b" ", 1)
            before = self._size
            self._put_value(<uint8_t>PyBytes_AS_STRING(self._plan)[i], exchange, status, seconds, WORD)
            self._put_dash_if_nothing(before)
        self._put_raw(b"\n", 1)
        return 0

    cdef int _object(self, Exchange exchange, int status, double seconds) except -1:
        cdef bytes between
        cdef Py_ssize_t i
        cdef Py_ssize_t count = PyBytes_GET_SIZE(self._plan)
        self._look_at_clock()
        for i in range(count + 1):
            between = <bytes>self._between[i]
            self._put_raw(PyBytes_AS_STRING(between), PyBytes_GET_SIZE(between))
            if i < count:
                self._put_value(<uint8_t>PyBytes_AS_STRING(self._plan)[i], exchange, status, seconds, JSON)
        return 0

    cdef int _put_value(self, int field, Exchange exchange, int status, double seconds, int style) except -1:
        cdef RequestHead request = exchange.request
        if field == TS:
            self._put_raw(PyBytes_AS_STRING(self._date), PyBytes_GET_SIZE(self._date))
            self._put_raw(b".", 1)
            self._put_number(self._milliseconds, 3)
            self._put_raw(b"Z", 1)
        elif field == ID:
            self._put_text(exchange.request_id(), style)
        elif field == REMOTE:
            self._put_host(request.remote_address, style)
        elif field == METHOD:
            self._put_text(request.method, style)
        elif field == PATH:
            self._put_text(request.raw_path, style)
        elif field == QUERY:
            self._put_text(request.query_string, style)
        elif field == PROTO:
            self._put_variable(request.variables, b"SERVER_PROTOCOL", 15, style)
        elif field == STATUS:
            self._put_number(status, 1)
        elif field == BYTES_IN:
            self._put_number(exchange.received(), 1)
        elif field == BYTES:
            self._put_number(exchange.sent, 1)
        elif field == SECONDS:
            self._put_seconds(seconds)
        elif field == PROTOCOL:
            self._put_text(exchange.protocol, style)
        elif field == WORKER:
            self._put_number(self._worker, 1)
        elif field == REFERER:
            self._put_variable(request.variables, b"HTTP_REFERER", 12, style)
        elif field == AGENT:
            self._put_variable(request.variables, b"HTTP_USER_AGENT", 15, style)
        elif status == CLIENT_GONE:
            self._put_raw(b"true" if style == JSON else b"True", 4)
        else:
            self._put_raw(b"false" if style == JSON else b"False", 5)
        return 0

    # -- pieces --------------------------------------------------------------------------------------------------

    cdef int _reserve(self, Py_ssize_t size) except -1:
        cdef void *grown
        cdef Py_ssize_t room
        if self._size + size > self._room:
            room = (self._size + size) * 2 + 4096
            grown = PyMem_Realloc(self._lines, room)
            if grown is NULL:
                raise MemoryError
            self._lines = <char *>grown
            self._room = room
        return 0

    cdef int _put_raw(self, const char *data, Py_ssize_t size) except -1:
        self._reserve(size)
        memcpy(self._lines + self._size, data, size)
        self._size += size
        return 0

    cdef int _put_dash_if_nothing(self, Py_ssize_t before) except -1:
        if self._size == before:
            self._put_raw(b"-", 1)
        return 0

    cdef int _put_text(self, str text, int style) except -1:
        cdef bytes encoded
        if PyUnicode_KIND(text) == 1:
            return self._put_escaped(<const uint8_t *>PyUnicode_DATA(text), PyUnicode_GET_LENGTH(text), style)
        if style == JSON:
            text = portable._quoted(text)
            text = text[1 : len(text) - 1]
        else:
            text = portable._escaped(text)
            if style == WORD:
                text = text.replace(" ", "\\x20")
        encoded = text.encode("latin-1", "backslashreplace")
        return self._put_raw(PyBytes_AS_STRING(encoded), PyBytes_GET_SIZE(encoded))

    cdef int _put_variable(self, Variables variables, const char *name, Py_ssize_t size, int style) except -1:
        cdef int index = variables.find(name, size)
        cdef Entry *entry
        if index < 0:
            return 0
        entry = &variables._entries[index]
        return self._put_escaped(
            <const uint8_t *>PyBytes_AS_STRING(variables._block) + entry.value, entry.value_size, style
        )

    cdef int _put_host(self, str remote, int style) except -1:
        """An address without its port and its brackets."""
        cdef const uint8_t *data
        cdef Py_ssize_t start = 0
        cdef Py_ssize_t end
        if PyUnicode_KIND(remote) != 1:
            return self._put_text(portable._host(remote), style)
        data = <const uint8_t *>PyUnicode_DATA(remote)
        end = PyUnicode_GET_LENGTH(remote) - 1
        while end > 0 and data[end] != c":":
            end -= 1
        while start < end and (data[start] == c"[" or data[start] == c"]"):
            start += 1
        while end > start and (data[end - 1] == c"[" or data[end - 1] == c"]"):
            end -= 1
        if end <= start:
            start = 0
            end = PyUnicode_GET_LENGTH(remote)
        return self._put_escaped(data + start, end - start, style)

    cdef int _put_escaped(self, const uint8_t *data, Py_ssize_t size, int style) except -1:
        cdef Py_ssize_t i = 0
        cdef uint64_t word
        cdef uint8_t c
        cdef char *to
        self._reserve(size * MAX_ESCAPE)
        to = self._lines + self._size
        while i < size:
            if i + 8 <= size:
                memcpy(&word, data + i, 8)
                if is_plain(word, style):
                    memcpy(to, &word, 8)
                    to += 8
                    i += 8
                    continue
            c = data[i]
            i += 1
            if not ESCAPED[c] & style:
                to[0] = c
                to += 1
            elif style != JSON:
                to[0], to[1], to[2], to[3] = c"\\", c"x", HEX[c >> 4], HEX[c & 15]
                to += 4
            elif SHORT[c]:
                to[0], to[1] = c"\\", SHORT[c]
                to += 2
            else:
                to[0], to[1], to[2], to[3], to[4], to[5] = c"\\", c"u", c"0", c"0", HEX[c >> 4], HEX[c & 15]
                to += 6
        self._size = to - self._lines
        return 0

    cdef int _put_number(self, unsigned long long number, int digits) except -1:
        """A number, with zeros before it up to so many digits."""
        cdef char[24] text
        cdef int at = 24
        while number or digits > 0:
            at -= 1
            digits -= 1
            text[at] = c"0" + number % 10
            number //= 10
        return self._put_raw(text + at, 24 - at)

    cdef int _put_seconds(self, double number) except -1:
        """With six digits behind the point."""
        cdef unsigned long long micro
        if not 0 <= number < 1e9:
            return self._put_text(f"{number:.6f}", JSON)
        micro = <unsigned long long>(number * 1e6 + 0.5)
        self._put_number(micro // 1000000, 1)
        self._put_raw(b".", 1)
        return self._put_number(micro % 1000000, 6)

    cdef int _look_at_clock(self) except -1:
        cdef timespec now
        clock_gettime(CLOCK_REALTIME, &now)
        self._milliseconds = now.tv_nsec // 1000000
        if now.tv_sec != self._second:
            self._second = now.tv_sec
            self._stamp = time.strftime("%d/%b/%Y:%H:%M:%S %z", time.localtime(now.tv_sec)).encode()
            self._date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now.tv_sec)).encode()
        return 0

    # -- where they go -------------------------------------------------------------------------------------------

    cpdef object tick(self, double now):
        """Write what was gathered, and see whether the file was moved away."""
        self.flush()
        self.sink.follow()

    cpdef object needs_clock(self):
        """Whether lines wait for a reader."""
        return self._size > 0 or self.sink.waiting > 0

    cpdef object clock_started(self, double now):
        """The file may have been moved away meanwhile."""
        self.sink.follow()

    cpdef object flush(self):
        """Write what was gathered."""
        cdef bytes data
        if not self._size:
            self.sink.flush()
            return
        data = PyBytes_FromStringAndSize(self._lines, self._size)
        self._size = 0
        dropped = self.sink.write(data)
        if dropped and self._seat is not None:
            self._seat.words[DROPPED_LINES] += dropped

    cpdef object close(self):
        """Write the rest and close."""
        self.flush()
        self.sink.close()
