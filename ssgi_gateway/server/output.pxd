cimport cython

from ..core.waiters cimport Waiters, settled
from .reactor cimport Reactor
from .system cimport send, send_many

cdef int OPEN, FLUSHING, CLOSED
cdef double NEVER
cdef Py_ssize_t MAX_JOINED, FEW


cdef class Output:
    cdef public Reactor reactor
    cdef public int fd
    cdef public int state
    cdef public Py_ssize_t out_size
    cdef public double moved
    cdef public double write_deadline
    cdef object _out
    cdef bint _writing
    cdef bint _broken
    cdef Waiters _drained
    cdef Waiters _flushed

    cdef object _init_base(self, Reactor reactor, int fd)
    cpdef object register(self)
    cpdef object lost(self)
    cdef object _flushed_to_the_end(self)
    cpdef bint write(self, object data) except -1
    @cython.locals(sent=Py_ssize_t, size=Py_ssize_t, whole=Py_ssize_t)
    cpdef bint write_many(self, list buffers) except -1
    cpdef bint write_files(self, list pieces) except -1
    cdef Py_ssize_t _send_queued(self) except -1
    @cython.locals(sent=Py_ssize_t)
    cpdef object on_writable(self)
    cpdef object when_writable(self)
    cpdef object when_flushed(self)
    @cython.locals(size=Py_ssize_t)
    cdef object _keep(self, object data, Py_ssize_t start)
    @cython.locals(size=Py_ssize_t)
    cdef object _keep_many(self, list buffers, Py_ssize_t whole, Py_ssize_t start)
    cdef object _wait_writable(self)
    cdef object _drop_output(self)


cdef bint _lasts(list buffers) except -1
