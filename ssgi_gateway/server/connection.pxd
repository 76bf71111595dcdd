from ..core.channel cimport Protocol
from .output cimport Output
from .reactor cimport Reactor
from .system cimport close, receive, release, shutdown_write

cdef int OPEN, FLUSHING, LINGERING, CLOSED
cdef double NEVER, LINGER_TIME
cdef Py_ssize_t LINGER_BYTES


cdef class Connection(Output):
    cdef Py_ssize_t _lingered
    cdef bint _reading
    cdef bint _registered
    cdef bint _resting
    cdef public double deadline
    cdef public bint was_read
    cdef public Protocol protocol
    cdef public str wire_protocol

    cpdef object init(self, Reactor reactor, int fd)
    cpdef object opened(self, str wire_protocol)
    cpdef object begin(self)
    cpdef object on_readable(self)
    cdef bint _read(self) except -1
    cpdef object rest(self)
    cpdef object resume(self)
    cpdef object start_reading(self)
    cpdef object stop_reading(self)
    cpdef object register(self)
    cpdef object finish(self, bint unread)
    cpdef object next_request(self, double idle)
    cpdef object break_off(self, bytes sign, bint unread)
    cpdef object break_down(self)
    cdef object _flushed_to_the_end(self)
    cdef object _linger(self)
    cdef object _discard(self, bytes data)
    cpdef object lost(self)
    cpdef object close(self)
    cpdef int detach(self) except -1
