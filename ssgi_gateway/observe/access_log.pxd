cimport cython
from libc.stdint cimport uint8_t

from ..core.exchange cimport Exchange
from ..wire.variables cimport Variables
from .observer cimport Observer


@cython.final
cdef class AccessLog(Observer):
    cdef public object sink
    cdef bint _json
    cdef bytes _plan
    cdef list _between
    cdef object _seat
    cdef int _worker
    cdef char *_lines
    cdef Py_ssize_t _size
    cdef Py_ssize_t _room
    cdef long _second
    cdef int _milliseconds
    cdef bytes _stamp
    cdef bytes _date

    cpdef object flush(self)
    cdef int _combined(self, Exchange exchange, int status, double seconds) except -1
    cdef int _object(self, Exchange exchange, int status, double seconds) except -1
    cdef int _put_value(self, int field, Exchange exchange, int status, double seconds, int style) except -1
    cdef int _put_variable(self, Variables variables, const char *name, Py_ssize_t size, int style) except -1
    cdef int _put_text(self, str text, int style) except -1
    cdef int _put_host(self, str remote, int style) except -1
    cdef int _put_escaped(self, const uint8_t *data, Py_ssize_t size, int style) except -1
    cdef int _put_raw(self, const char *data, Py_ssize_t size) except -1
    cdef int _put_number(self, unsigned long long number, int digits) except -1
    cdef int _put_seconds(self, double number) except -1
    cdef int _put_dash_if_nothing(self, Py_ssize_t before) except -1
    cdef int _reserve(self, Py_ssize_t size) except -1
    cdef int _look_at_clock(self) except -1
