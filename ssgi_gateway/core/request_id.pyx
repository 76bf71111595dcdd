# cython: boundscheck=False, wraparound=False, cdivision=True
"""The name of a request in every line that is written about it: the compiled twin of ``request_id.py``."""

import os

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

__all__ = ["choose"]

DEF MAX_GIVEN = 128

cdef const char *HEX = b"0123456789abcdef"
cdef char[8] process  # eight digits of this process; those of the request come behind them
cdef bint begun = False
cdef uint32_t count = 0
cdef object guard = object()  # of these, where threads share no interpreter lock


cpdef str choose(object given):
    """The id of a request whose front says ``given``; see the portable function."""
    global count
    cdef uint32_t left
    cdef int at
    cdef char[16] made
    if given is not None and is_harmless(<str>given):
        return <str>given
    if not begun:
        begin(os.urandom(4).hex().encode())
    with cython.critical_section(guard):
        memcpy(made, process, 8)
        count += 1
        left = count
    for at in range(15, 7, -1):
        made[at] = HEX[left & 15]
        left >>= 4
    return PyUnicode_DecodeASCII(made, 16, NULL)


cdef object begin(bytes prefix):
    global begun
    with cython.critical_section(guard):
        memcpy(process, PyBytes_AS_STRING(prefix), 8)
        begun = True


cdef bint is_harmless(str given) noexcept:
    cdef const uint8_t *data
    cdef Py_ssize_t size = PyUnicode_GET_LENGTH(given)
    cdef Py_ssize_t i
    cdef uint8_t c
    if not 0 < size <= MAX_GIVEN or not PyUnicode_IS_ASCII(given):
        return False
    data = <const uint8_t *>PyUnicode_DATA(given)
    for i in range(size):
        c = data[i]
        if not (c"a" <= (c | 32) <= c"z" or c"0" <= c <= c"9" or c == c"." or c == c"_" or c == c"-"):
            return False
    return True


def _forget():
    global begun
    begun = False


os.register_at_fork(after_in_child=_forget)  # a fork is another process
