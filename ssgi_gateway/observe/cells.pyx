# cython: boundscheck=False, wraparound=False, cdivision=True
"""The words of a seat: the compiled twin of ``cells.py``."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from ssgi_gateway.observe import table as layout

__all__ = ["Cells"]

cdef extern from "Python.h":
    int PyUnicode_KIND(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

cdef int TEXT = layout.TEXT
cdef int CALL_SIZE = layout.CALL_SIZE


@cython.final
cdef class Cells:
    """What is written into a seat while requests are served; see the portable class."""

    def __cinit__(self):
        self._words = NULL

    def __init__(self, seat):
        cdef Py_buffer view
        self._page = seat.page  # holds the map
        PyObject_GetBuffer(seat.page, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self._words = <uint64_t *>view.buf
        self._text = <char *>view.buf + TEXT
        PyBuffer_Release(&view)

    cdef void add(self, int index, long long amount) noexcept:
        self._words[index] += <uint64_t>amount

    cdef void put(self, int index, uint64_t value) noexcept:
        self._words[index] = value

    cdef void add_time(self, int index, double seconds) noexcept:
        self._words[index] += <uint64_t>(seconds * 1e9)

    cdef void put_time(self, int index, double seconds) noexcept:
        self._words[index] = <uint64_t>(seconds * 1e9)

    cdef int name_call(self, str method, str path) except -1:
        cdef Py_ssize_t size
        cdef Py_ssize_t at = 0
        # Methods and raw paths are latin-1, a byte a character.
        if PyUnicode_KIND(method) == 1:
            at = min(PyUnicode_GET_LENGTH(method), CALL_SIZE - 1)
            memcpy(self._text, PyUnicode_DATA(method), at)
        self._text[at] = c" "
        at += 1
        if PyUnicode_KIND(path) == 1:
            size = min(PyUnicode_GET_LENGTH(path), CALL_SIZE - at)
            memcpy(self._text + at, PyUnicode_DATA(path), size)
            at += size
        if at < CALL_SIZE:
            self._text[at] = 0
        return 0
