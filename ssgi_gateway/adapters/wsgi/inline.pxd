from ...core.response cimport HttpResponse
from .call cimport WsgiCall, to_bytes


cdef class InlineCall(WsgiCall):
    cdef object _blocks
    cdef object _context
    cdef object _loop
    cdef object _rest
    cdef object _result
    cdef object _waiting

    cpdef object init(self, HttpResponse res)
    cpdef object start(self, object app, dict environ)
    cdef bint _advance(self) except -1
    cpdef object _close(self, object _=*)
