from ..core.response cimport HttpResponse


cdef class HttpProtocol:
    cdef bint _consumed
    cdef double _grace
    cdef bint _over
    cdef HttpResponse _res
    cdef public bint _responded
    cdef object _timer
    cdef HttpTransport _transport
    cdef list _watchers

    cpdef object complete(self)
    cpdef object over(self)
    cdef object _consume(self)
    cdef object _begin(self, object status, object headers)
    cdef object _tell_watchers(self)


cdef class HttpTransport:
    cdef bint _begun
    cdef bint _ended
    cdef HttpResponse _res

    cpdef object end(self)
