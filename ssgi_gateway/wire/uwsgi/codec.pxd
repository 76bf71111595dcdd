cimport cython

from ..codec cimport Codec
from ..events cimport BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ..response_head cimport ResponseHead
from ..variables cimport Variables
from .packet cimport head_end, speaks_of_body, variables_of_packet

cdef int IDLE, HEAD, BODY, COMPLETE, CLOSED
cdef int NOTHING_SENT, HEAD_SENT, ALL_SENT
cdef Py_ssize_t HEADER_SIZE, MAX_JOINED
cdef RequestEnded ENDED


cdef class UwsgiCodec(Codec):
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_variables
    cdef int _state
    cdef int _answer
    cdef bytes _buffer
    cdef Py_ssize_t _left
    cdef list _events
    cdef Py_ssize_t _delivered
    cdef object _error

    cpdef object init(self, Py_ssize_t max_head, Py_ssize_t max_variables)
    @cython.locals(codec=UwsgiCodec)
    cpdef UwsgiCodec for_connection(self, int _)
    cpdef object receive(self, bytes data)
    @cython.locals(delivered=Py_ssize_t, events=list)
    cpdef object next_event(self)
    cpdef bint incomplete(self) except -1
    @cython.locals(size=Py_ssize_t, block=bytes, payload=bytes)
    cpdef list encode(self, ResponseHead head, object data, bint end)
    cpdef bint finish(self) except -1
    cdef object _receive_eof(self)
    @cython.locals(end=Py_ssize_t, variables=Variables, text=object, head=HeadReceived)
    cdef object _read_head(self, bytes data)
    @cython.locals(size=Py_ssize_t)
    cdef object _read_body(self, bytes data, Py_ssize_t at)
    cdef object _step(self, int wanted, int following)


cpdef Py_ssize_t body_unannounced(bytes data, Py_ssize_t end, Py_ssize_t limit) except -1
