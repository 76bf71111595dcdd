# cython: boundscheck=False, wraparound=False
"""The lines of an answer's head: the compiled twin of ``header_lines.py``, with the same rules.

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

from ssgi_gateway.wire import header_rules
from ssgi_gateway.wire.header_rules import judge

__all__ = ["Line", "assemble", "line_of"]

DEF MAX_KEPT = 512
DEF MAX_KEPT_SIZE = 96

cdef int FIELDS = header_rules.FIELDS
cdef int CGI = header_rules.CGI
cdef int HTTP = header_rules.HTTP


@cython.final
@cython.freelist(8)
cdef class Line:
    """A header as it is sent, and what is special about it; see the portable class."""


# Apart, because ("a", "b") and (b"a", b"b") have the same hash, and Python may be told to complain when they are compared.
cdef dict of_text = {}
cdef dict of_bytes = {}
cdef object guard = object()  # of both, where threads share no interpreter lock


cpdef Line line_of(object pair):
    """The line of one pair of name and value; see the portable function."""
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
    line = Line.__new__(Line)
    line.text, line.kind, line.event_stream, line.length = judge(name, value)
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


cpdef bytes assemble(int form, int status, str reason, list lines, Py_ssize_t length, bint unbuffered):
    """A head as it is sent; see the portable function."""
    cdef bytes last = None
    cdef bytes line, block
    cdef char[20] digits
    cdef int first = 20
    cdef Py_ssize_t size = 0
    cdef char *to
    if form != FIELDS:
        last = PyUnicode_AsLatin1String(reason)
        size = (8 if form == CGI else 9) + 3 + 1 + PyBytes_GET_SIZE(last) + 2 + 2
    for line in lines:
        size += PyBytes_GET_SIZE(line)
    if length >= 0:
        while True:
            first -= 1
            digits[first] = c"0" + length % 10
            length //= 10
            if not length:
                break
        size += 16 + 20 - first + 2
    if unbuffered:
        size += 23
    block = PyBytes_FromStringAndSize(NULL, size)
    to = PyBytes_AS_STRING(block)
    if form == HTTP:
        memcpy(to, b"HTTP/1.1 ", 9)
        to = put_status(to + 9, status, last)
    for line in lines:
        memcpy(to, PyBytes_AS_STRING(line), PyBytes_GET_SIZE(line))
        to += PyBytes_GET_SIZE(line)
    if first < 20:
        memcpy(to, b"Content-Length: ", 16)
        memcpy(to + 16, digits + first, 20 - first)
        to += 16 + 20 - first
        memcpy(to, b"\r\n", 2)
        to += 2
    if unbuffered:
        memcpy(to, b"X-Accel-Buffering: no\r\n", 23)
        to += 23
    if form == CGI:
        memcpy(to, b"Status: ", 8)
        to = put_status(to + 8, status, last)
    if form != FIELDS:
        memcpy(to, b"\r\n", 2)
    return block
