from ..core.body cimport RequestBody
from ..core.exchange cimport Exchange
from ..wire.codec cimport Codec
from ..wire.events cimport HeadReceived
from .protocol cimport Protocol


cdef class HttpProtocol(Protocol):
    cdef public Codec codec
    cdef RequestBody _body
    cdef bint _ended
    cdef Exchange _exchange
    cdef HeadReceived _head
    cdef bint _overloaded
    cdef object _upgrade

    cpdef object overloaded(self)
    cdef object _advance(self)
    cdef object _head_received(self, HeadReceived event)
    cdef object _body_received(self, bytes data)
    cdef object _request_ended(self)
    cdef object _request_aborted(self)
    cdef object _begin(self)
    cdef object _end(self)
    cdef object _wait(self)
    cdef object _refuse(self, object refusal)
    cdef object _complain(self, str kind, str message)
