from ..wire.fastcgi.codec cimport FastcgiCodec
from ..core.channel cimport Protocol
from ..core.waiters cimport Waiters, settled
from .connection cimport Connection
from .gateway cimport Gateway

cdef int OPEN, FLUSHING, CLOSED
cdef double NEVER


cdef class Stream(Connection):
    cdef bint _held
    cdef list _input
    cdef Py_ssize_t _input_size
    cdef Multiplexer _multiplexer
    cdef object _queue
    cdef bint _wrote
    cdef public int request_id

    cpdef object deliver(self, bytes data)
    cpdef object _deliver_kept(self)
    cdef bint _write(self, list pieces, bint files) except -1
    cpdef bint send_queued(self) except -1
    cpdef object cut(self)
    cdef object _close_when_sent(self)
    cdef object _break(self, bint visible)


cdef class Multiplexer(Protocol):
    cdef public Connection connection
    cdef public Gateway gateway
    cdef public bint closing
    cdef public bint lost
    cdef FastcgiCodec _codec
    cdef object _first
    cdef set _held
    cdef object _queued
    cdef object _records
    cdef bytes _rest
    cdef dict _streams
    cdef bint _waiting

    cpdef object _begin(self)
    cpdef object guard(self, object protocol, bytes data)
    cpdef bint full(self) except -1
    cpdef object send(self, list pieces, bint files)
    cpdef object enqueue(self, Stream stream)
    cpdef object hold(self, Stream stream)
    cpdef object release(self, Stream stream)
    cpdef object close_later(self, double deadline)
    cpdef object ended(self, Stream stream)
    cdef Stream _adopt(self, int request_id)
    cdef Stream _new_stream(self, int request_id)
    cdef object _receive_strays(self, bytes data)
    cpdef object _on_writable(self, object future)
