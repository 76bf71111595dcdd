from ...wire.cgi cimport RequestHead
from ...wire.variables cimport Variables


cdef class RsgiHeaders:
    cdef Variables _variables


cdef class Scope:
    cdef RequestHead _request
    cdef RsgiHeaders _headers

    cpdef object init(self, RequestHead request)


cdef class HttpScope(Scope):
    pass


cdef class WebSocketScope(Scope):
    pass
