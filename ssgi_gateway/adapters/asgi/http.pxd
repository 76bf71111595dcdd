from ...core.awaitables cimport Ready
from ...core.body cimport RequestBody
from ...core.exchange cimport Exchange
from ...core.response cimport HttpResponse, Watcher
from ...core.waiters cimport Waiters

cdef int NOTHING, STARTED, STREAMING, ENDED
cdef Ready TRUE


cdef class CompletedAwaitable:
    pass


cdef class HttpCall(Watcher):
    cdef RequestBody _body
    cdef double _grace
    cdef bint _files
    cdef public object _headers
    cdef bint _request_done
    cdef public HttpResponse _res
    cdef public int _stage
    cdef Waiters _waiters

    cpdef object init(self, HttpResponse res, double grace, bint files)
    cdef object _send_in_vain(self, object kind, int stage, dict message)
    cdef object _ended(self)
