from ..codec cimport Codec
from ..variables cimport Variables


cdef class ScgiCodec(Codec):
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_variables
    cdef int _state
    cdef int _answer
    cdef object _buffer
    cdef Py_ssize_t _start
    cdef Py_ssize_t _needed
    cdef Py_ssize_t _left
    cdef list _events  # what arrived, of which the first _delivered were delivered
    cdef Py_ssize_t _delivered
    cdef object _error

    cdef object begin(self, Py_ssize_t max_head, Py_ssize_t max_variables)
    cpdef ScgiCodec for_connection(self, int _)
    cdef object _receive_eof(self)
    cdef object _receive_head(self, bytes data)
    cdef object _read_length(self, bytes data)
    cdef object _read_head(self, bytes data)
    cdef bint _take_length(self, Variables variables) except -1
    cdef object _check_block(self, bytes data, Py_ssize_t end)
    cdef Py_ssize_t _length_of(self, const char *text) except -1
    cdef object _check_length(self, object block)
    cdef object _read_body(self, bytes data, Py_ssize_t at)
    cdef object _refuse(self, object error)
    cdef object _step(self, int wanted, int following)
