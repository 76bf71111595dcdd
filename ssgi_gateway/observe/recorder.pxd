cimport cython

from ..core.exchange cimport Exchange
from ..wire.cgi cimport RequestHead
from .cells cimport Cells
from .observer cimport Observer

cdef int CONNECTIONS, IN_PROGRESS, CALL_NUMBER, CALL_SINCE, BEAT, WEBSOCKETS, ACCEPTED, REFUSED, HANDED_OVER, ADOPTED
cdef int PROTOCOL_ERRORS, APPLICATION_ERRORS, REQUESTS, CLASSES, BYTES_IN, BYTES_OUT, DURATIONS, DURATION_SIZE
cdef int DURATION_SUM, LAG, LAG_SUM, CLOSES, MESSAGES_IN, MESSAGES_OUT
cdef tuple BOUNDS, LAG_BOUNDS
cdef dict PROTOCOL, CLOSE


cdef class Recorder(Observer):
    cdef object _seat
    cdef Cells _cells
    cdef tuple _samplers
    cdef double _interval
    cdef double _ticked
    cdef str _protocol
    cdef int _index

    cdef int _index_of(self, str protocol) except -1
    @cython.locals(index=cython.int)
    cpdef object connection_opened(self, str protocol)
    @cython.locals(index=cython.int)
    cpdef object connection_closed(self, str protocol)
    @cython.locals(index=cython.int)
    cpdef object protocol_error(self, str protocol)
    @cython.locals(index=cython.int, cells=Cells, request=RequestHead)
    cpdef object request_started(self, Exchange exchange)
    @cython.locals(index=cython.int, cells=Cells, durations=cython.int, which=cython.int)
    cpdef object request_ended(self, Exchange exchange, int status, double seconds)
    @cython.locals(index=cython.int)
    cpdef object websocket_closed(self, Exchange exchange, int code)
    @cython.locals(lag=cython.double, cells=Cells)
    cpdef object tick(self, double now)
    cdef object _sample(self)


@cython.locals(index=cython.int, bound=cython.double)
cpdef int bucket(tuple bounds, double value)
