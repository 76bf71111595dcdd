# cython: boundscheck=False, wraparound=False
"""The head of a uwsgi packet: the compiled twin of ``packet.py``. Its variables are read in place (``wire.variables``)."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t

from ssgi_gateway.wire.uwsgi.packet import HEADER_SIZE, read_pairs, refuse_modifier


cpdef Py_ssize_t head_end(bytes data) except -1:
    """Where the head that begins ``data`` ends; see the portable function."""
    cdef const uint8_t *text = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef bint whole = PyBytes_GET_SIZE(data) >= 4
    if text[0] or (whole and text[3]):
        refuse_modifier(data)
    return 4 + (text[1] | text[2] << 8) if whole else 0
