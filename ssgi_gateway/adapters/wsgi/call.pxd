from ...core.body cimport RequestBody
from ...core.response cimport HttpResponse
from ...wire.response_head cimport ResponseHead

cdef dict _statuses

cdef class WsgiCall:
    cdef HttpResponse _res
    cdef ResponseHead _head
    cdef Py_ssize_t _left
    cdef bint _committed
    cdef bint _ended
    cdef bint _bodiless

    cdef object _init_base(self, HttpResponse res)
    cpdef bint put(self, bytes block) except -1
    cpdef object put_all(self, object blocks)
    cpdef object put_file(self, object file)
    cpdef object end(self)
    cpdef object _emit(self, bytes data, bint last)
    cpdef object _emit_file(self, object file)
    cdef object _send(self, bytes data, bint last)

cdef object _learn(ResponseHead head, object status)
cpdef object whole_input(RequestBody body)
cpdef object add_length(dict environ, RequestBody body)
cpdef bytes to_bytes(object block)
