from ...core.response cimport HttpResponse
from ...core.waiters cimport Waiters, settled
from .call cimport RsgiCall


cdef class RsgiHttpProtocol(RsgiCall):
    cdef bint _consumed
    cdef HttpResponse _res
    cdef public bint _responded
    cdef HttpTransport _transport
    cdef Waiters _watchers

    cpdef object init(self, HttpResponse res, double grace)
    cdef object _consume(self)
    cdef object _begin(self, object status, object headers)


cdef class HttpTransport:
    cdef bint _begun
    cdef bint _ended
    cdef HttpResponse _res

    cpdef object end(self)
