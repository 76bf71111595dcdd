cimport cython

from ..codec cimport Codec
from ..response_head cimport ResponseHead
from ..variables cimport Variables, variables_of_packet


cdef class UwsgiCodec(Codec):
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_variables
    cdef int _state
    cdef int _answer
    cdef bytes _buffer
    cdef Py_ssize_t _left
    cdef list _events
    cdef object _error

    cpdef object receive(self, bytes data)
    cpdef object next_event(self)
    cpdef bint incomplete(self) except -1
    cpdef list encode(self, ResponseHead head, object data, bint end)
    cpdef bint finish(self) except -1
    cdef object _receive_eof(self)
    @cython.locals(size=Py_ssize_t, end=Py_ssize_t, variables=Variables)
    cdef object _read_head(self, bytes data)
    cdef object _read_body(self, bytes data, Py_ssize_t at)
    cdef object _step(self, int wanted, int following)


cpdef Py_ssize_t body_unannounced(bytes data, Py_ssize_t end, Py_ssize_t limit) except -1
