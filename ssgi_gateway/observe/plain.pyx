# cython: boundscheck=False, wraparound=False, cdivision=True
"""Texts of log lines that need no escaping: the compiled twin of ``plain.py``."""

from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.stdint cimport uint8_t

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)


cpdef bint is_plain(str text) except -1:
    """Whether ``text`` can stand in a field as it is; see the portable function."""
    cdef const uint8_t *data
    cdef Py_ssize_t i
    cdef uint8_t c
    if not PyUnicode_IS_ASCII(text):
        return False
    data = <const uint8_t *>PyUnicode_DATA(text)
    for i in range(PyUnicode_GET_LENGTH(text)):
        c = data[i]
        if c < 32 or c == 127 or c == c'"' or c == c"\\":
            return False
    return True


cpdef str decimal(double number):
    """A number of seconds with six digits behind the point; see the portable function."""
    cdef char[32] digits
    cdef int at = 32
    cdef int i
    cdef unsigned long long left
    if not 0 <= number < 1e9:
        return f"{number:.6f}"
    left = <unsigned long long>(number * 1e6 + 0.5)
    for i in range(6):
        at -= 1
        digits[at] = c"0" + left % 10
        left //= 10
    at -= 1
    digits[at] = c"."
    while True:
        at -= 1
        digits[at] = c"0" + left % 10
        left //= 10
        if not left:
            break
    return PyUnicode_DecodeASCII(digits + at, 32 - at, NULL)
