# cython: boundscheck=False, wraparound=False
"""The head of a uwsgi packet: the compiled twin of ``packet.py``. Its variables are read in place."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t
from libc.string cimport memcmp

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.uwsgi.packet import HEADER_SIZE, read_pairs, refuse_modifier

from ..variables cimport Variables


cpdef Py_ssize_t head_end(bytes data) except -1:
    """Where the head that begins ``data`` ends; see the portable function."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef bint whole = PyBytes_GET_SIZE(data) >= 4
    if text[0] or (whole and text[3]):
        refuse_modifier(data)
    return 4 + (text[1] | text[2] << 8) if whole else 0


cpdef bint speaks_of_body(bytes data, Py_ssize_t end) except -1:
    """Whether a header field may declare a body; see the portable function."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t at = 4, size
    while at + 4 <= end:
        size = text[at] | text[at + 1] << 8
        at += 2
        if size == 22 and memcmp(text + at, b"HTTP_TRANSFER_ENCODING", 22) == 0:
            return True
        if size == 19 and memcmp(text + at, b"HTTP_CONTENT_LENGTH", 19) == 0:
            return True
        at += size
        at += 2 + (text[at] | text[at + 1] << 8)
    return False


cpdef Variables variables_of_packet(bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t most):
    """The variables in a uwsgi packet; see the portable function."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t at = start
    cdef Py_ssize_t count = 0
    cdef Py_ssize_t name_at, value_size_at, value_at
    cdef int seen = 0
    cdef Variables variables = Variables.__new__(Variables)
    variables.hold(data)
    while at < end:
        name_at = at + 2
        if name_at > end:
            raise RemoteProtocolError("a variable of the head has no size")
        value_size_at = name_at + (text[at] | text[at + 1] << 8)
        value_at = value_size_at + 2
        if value_at > end:
            raise RemoteProtocolError("a variable's name ends behind the head")
        if value_size_at == name_at:
            raise RemoteProtocolError("a variable of the head has no name")
        at = value_at + (text[value_size_at] | text[value_size_at + 1] << 8)
        if at > end:
            raise RemoteProtocolError("a variable's value ends behind the head")
        count += 1
        if count <= most:
            seen |= variables.add(name_at, value_size_at - name_at, value_at, at - value_at)
    if count > most:
        raise RequestRejected(431, f"there are more than {most} request variables")
    variables.clean(seen)
    return variables
