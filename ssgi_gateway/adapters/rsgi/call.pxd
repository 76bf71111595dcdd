from ...core.exchange cimport Exchange
from ...core.response cimport Watcher


cdef class RsgiCall(Watcher):
    cdef Exchange _exchange
    cdef double _grace
    cdef bint _over
    cdef object _timer

    cdef object _init_base(self, Exchange exchange, double grace)
    cpdef object run(self, object running)
    cpdef object conclude(self, object error)
    cpdef object over(self)
    cpdef object started(self)
    cpdef bint gone(self) except -1
    cpdef object complete(self)
