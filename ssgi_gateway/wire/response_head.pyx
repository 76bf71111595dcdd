# cython: boundscheck=False, wraparound=False
"""The head of an answer: the compiled twin of ``response_head.py``, with the same rules.

An application sends the same few lines with every answer. A line that was found to be right is kept under its pair of
name and value, so that the next answer pays for one look-up.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Clear, PyDict_GetItemWithError, PyDict_SetItem, PyDict_Size
from cpython.object cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_AsLatin1String
from libc.string cimport memcpy

from ssgi_gateway.wire.response_head import (
    ACCEL_BUFFERING,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    DATE,
    DROPPED,
    FOR_THE_FRONT,
    REASONS,
    check_text,
    describe,
    to_text,
)

from .grammar import parse_length

__all__ = ["REASONS", "ResponseHead"]

DEF MAX_KEPT = 512
DEF MAX_KEPT_SIZE = 96

cdef dict FINAL_REASONS = {status: reason for status, reason in REASONS.items() if status >= 200}

# As C numbers, which a head compares for each of its lines.
cdef int DROPPED_ = DROPPED
cdef int CONTENT_LENGTH_ = CONTENT_LENGTH
cdef int CONTENT_TYPE_ = CONTENT_TYPE
cdef int ACCEL_BUFFERING_ = ACCEL_BUFFERING
cdef int FOR_THE_FRONT_ = FOR_THE_FRONT
cdef int DATE_ = DATE

# How a head is written: the lines alone, with the status behind them, or before them.
DEF FIELDS = 0
DEF CGI = 1
DEF HTTP = 2


@cython.final
@cython.freelist(8)
cdef class Line:
    """A header as it is sent, and what is special about it."""

    cdef bytes text
    cdef int kind
    cdef bint event_stream
    cdef Py_ssize_t length


# Apart, because ("a", "b") and (b"a", b"b") have the same hash, and Python may be told to complain when they are compared.
cdef dict of_text = {}
cdef dict of_bytes = {}
cdef object guard = object()  # of both, where threads share no interpreter lock


cdef Line line_of(object pair):
    """The line of one pair.

    Raises ValueError and TypeError as ``ResponseHead.add``.
    """
    cdef object name, value
    cdef dict kept = None
    cdef PyObject *found
    cdef Line line
    if type(pair) is tuple and PyTuple_GET_SIZE(pair) == 2:
        name = <object>PyTuple_GET_ITEM(pair, 0)
        value = <object>PyTuple_GET_ITEM(pair, 1)
        # Exactly these types: a subclass may compare as it likes.
        if type(name) is str and type(value) is str:
            kept = of_text
        elif type(name) is bytes and type(value) is bytes:
            kept = of_bytes
        if kept is not None:
            with cython.critical_section(guard):
                found = PyDict_GetItemWithError(kept, pair)
                if found is not NULL:
                    line = <Line>found
            if found is not NULL:
                return line
    name, value = pair
    if type(name) is not str:
        name = to_text(name, name)
    if type(value) is not str:
        value = to_text(name, value)
    prefix, kind = describe(name)
    if not (value.isascii() and value.isprintable()):
        check_text(f"header {name!r}", value)
    line = Line.__new__(Line)
    line.kind = kind
    line.text = f"{prefix}{value}\r\n".encode("latin-1")
    if line.kind == CONTENT_LENGTH_:
        line.length = parse_length(value)
        if line.length < 0:
            raise ValueError(f"header 'Content-Length': {value[:40]!r} is not a number of bytes")
    elif line.kind == CONTENT_TYPE_:
        line.event_stream = value.partition(";")[0].strip(" \t").lower() == "text/event-stream"
    if kept is not None and PyBytes_GET_SIZE(line.text) <= MAX_KEPT_SIZE:
        with cython.critical_section(guard):
            if PyDict_Size(kept) >= MAX_KEPT:
                PyDict_Clear(kept)  # an application with ever new values is not to fill the memory
            PyDict_SetItem(kept, pair, line)
    return line


cdef inline char *put_status(char *to, int status, bytes reason) noexcept:
    """Write a status, its reason and the end of the line; returns what comes behind it."""
    to[0] = c"0" + status // 100
    to[1] = c"0" + status // 10 % 10
    to[2] = c"0" + status % 10
    to[3] = c" "
    memcpy(to + 4, PyBytes_AS_STRING(reason), PyBytes_GET_SIZE(reason))
    to += 4 + PyBytes_GET_SIZE(reason)
    memcpy(to, b"\r\n", 2)
    return to + 2


@cython.freelist(8)
cdef class ResponseHead:
    """One head, from the first ``set_status`` or ``add`` to its encoding; see the portable class."""

    def __cinit__(self):
        self.status = 200
        self.reason = "OK"
        self.content_length = -1
        self._front_files = True

    def __init__(self, bint front_files=True):
        self._front_files = front_files

    cpdef object set_status(self, object status):
        """Set the status; see the portable class."""
        cdef object number
        cdef str reason = ""
        cdef PyObject *found = NULL
        if type(status) is int:
            found = PyDict_GetItemWithError(FINAL_REASONS, status)
        if found is not NULL:
            self.status = status
            self.reason = <str>found
            return
        if isinstance(status, str):
            code, _, reason = str.partition(status, " ")
            if len(code) != 3 or not (code.isascii() and code.isdigit()):
                raise ValueError(f"{status!r} is not a status such as 404 or '404 Not Found'")
            number = int(code)
            check_text("the reason of the status", reason)
        else:
            number = status if type(status) is int else int(status)
        if not 200 <= number <= 999:
            raise ValueError(f"{number} is not a final HTTP status; those are 200 to 999")
        self.status = number
        self.reason = reason or REASONS.get(number, "Unknown")

    cpdef object set_content_length(self, Py_ssize_t length):
        """Declare the body's length in bytes; see the portable class."""
        if self.content_length != -1 and self.content_length != length:
            raise ValueError(f"Content-Length is {self.content_length} already and cannot become {length}")
        self.content_length = length

    cpdef object add(self, object headers):
        """Append headers, all of them or, on an error, none; see the portable class."""
        cdef list lines = []
        cdef Py_ssize_t length = self.content_length
        cdef bint event_stream = self.event_stream
        cdef bint unbuffered = self._unbuffered
        cdef Line line
        cdef object pair, items
        if type(headers) is not list and type(headers) is not tuple:
            items = getattr(headers, "items", None)
            if items is not None:
                headers = items()
        for pair in headers:
            line = line_of(pair)
            if line.kind:
                if line.kind == CONTENT_LENGTH_:
                    if length != -1 and length != line.length:
                        raise ValueError(f"Content-Length is {length} already and cannot become {line.length}")
                    length = line.length
                    continue
                if line.kind == CONTENT_TYPE_:
                    event_stream = line.event_stream
                elif line.kind == ACCEL_BUFFERING_:
                    unbuffered = True
                elif line.kind == DATE_:
                    self.dated = True
                elif line.kind == DROPPED_ or (line.kind == FOR_THE_FRONT_ and not self._front_files):
                    continue
            lines.append(line.text)
        self.content_length = length
        self.event_stream = event_stream
        self._unbuffered = unbuffered
        if self._lines is None:
            self._lines = lines
        else:
            self._lines += lines

    cpdef object offload(self, str name, str value):
        """Have the web server send a file; see the portable class."""
        check_text(f"header {name!r}", value)
        line = f"{describe(name)[0]}{value}\r\n".encode("latin-1")
        self._lines = [line] if self._lines is None else [*self._lines, line]
        self.content_length = -1

    cpdef object switch_protocols(self, object headers):
        """Make this the 101 that accepts an upgrade; see the portable class."""
        cdef list lines = []
        for name, value in headers:
            check_text(f"header {name!r}", value)
            lines.append(f"{describe(name)[0]}{value}\r\n".encode("latin-1"))
        self.status = 101
        self.reason = REASONS[101]
        self._lines = lines if self._lines is None else self._lines + lines

    cpdef bytes encode_cgi(self):
        """The CGI block (RFC 3875 6.2): the header lines, the status, the empty line."""
        return self.assemble(CGI)

    cpdef bytes encode_http(self):
        """The same as HTTP/1.1 has it (RFC 9112 4): the status line comes first."""
        return self.assemble(HTTP)

    cpdef bytes encode_fields(self):
        """The header lines alone, for an HTTP/1.1 answer."""
        return self.assemble(FIELDS)

    def pairs(self):
        """The header lines as pairs, names in lower case; see the portable class."""
        lines = [line.partition(b": ") for line in self.encode_fields().split(b"\r\n") if line]
        return [(name.lower(), value) for name, _, value in lines]

    cdef bytes assemble(self, int form):
        cdef list lines = self._lines
        cdef bytes reason = None
        cdef bytes line, block
        cdef char[20] digits
        cdef int first = 20
        cdef Py_ssize_t left
        cdef Py_ssize_t size = 0
        cdef bint buffering = self.event_stream and not self._unbuffered
        cdef char *to
        if form != FIELDS:
            reason = PyUnicode_AsLatin1String(self.reason)
            size = (8 if form == CGI else 9) + 3 + 1 + PyBytes_GET_SIZE(reason) + 2 + 2
        if lines is not None:
            for line in lines:
                size += PyBytes_GET_SIZE(line)
        if self.content_length >= 0 and self.status != 101 and self.status != 204:
            left = self.content_length
            while True:
                first -= 1
                digits[first] = c"0" + left % 10
                left //= 10
                if not left:
                    break
            size += 16 + 20 - first + 2
        if buffering:
            size += 23
        block = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(block)
        if form == HTTP:
            memcpy(to, b"HTTP/1.1 ", 9)
            to = put_status(to + 9, self.status, reason)
        if lines is not None:
            for line in lines:
                memcpy(to, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
                to += PyBytes_GET_SIZE(line)
        if first < 20:
            memcpy(to, b"Content-Length: ", 16)
            memcpy(to + 16, digits + first, 20 - first)
            to += 16 + 20 - first
            memcpy(to, b"\r\n", 2)
            to += 2
        if buffering:
            memcpy(to, b"X-Accel-Buffering: no\r\n", 23)
            to += 23
        if form == CGI:
            memcpy(to, b"Status: ", 8)
            to = put_status(to + 8, self.status, reason)
        if form != FIELDS:
            memcpy(to, b"\r\n", 2)
        return block
