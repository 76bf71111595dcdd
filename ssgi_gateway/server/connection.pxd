cimport cython

from ..core.channel cimport Protocol
from ..core.waiters cimport Waiters, settled
from .reactor cimport Reactor
from .system cimport close, receive, release, send, send_many, shutdown_write

cdef int OPEN, FLUSHING, LINGERING, CLOSED
cdef double NEVER, LINGER_TIME
cdef Py_ssize_t LINGER_BYTES, MAX_JOINED



cdef class Connection:
    cdef bint _broken
    cdef Waiters _drained
    cdef Waiters _flushed
    cdef Py_ssize_t _lingered
    cdef object _out
    cdef bint _reading
    cdef bint _registered
    cdef bint _resting
    cdef bint _writing
    cdef public double deadline
    cdef public bint heard
    cdef public double moved
    cdef public int fd
    cdef public Py_ssize_t out_size
    cdef public Protocol protocol
    cdef public Reactor reactor
    cdef public str spoken
    cdef public int state
    cdef public double write_deadline

    cpdef object init(self, Reactor reactor, int fd)
    cpdef object opened(self, str spoken)
    cpdef object begin(self)
    cpdef object on_readable(self)
    cdef bint _read(self) except -1
    cpdef object rest(self)
    cpdef object resume(self)
    cpdef object start_reading(self)
    cpdef object stop_reading(self)
    cpdef object register(self)
    cpdef bint write(self, object data) except -1
    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t)
    cpdef bint write_many(self, list buffers) except -1
    cpdef bint write_files(self, list pieces) except -1
    cdef Py_ssize_t _send_queued(self) except -1
    @cython.locals(sent=Py_ssize_t)
    cpdef object on_writable(self)
    cpdef object when_writable(self)
    cpdef object when_flushed(self)
    @cython.locals(size=Py_ssize_t)
    cdef object _keep(self, object data, Py_ssize_t start)
    cdef object _wait_writable(self)
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
