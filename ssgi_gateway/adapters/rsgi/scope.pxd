from ...wire.cgi cimport RequestHead
from ...wire.variables cimport Variables


cdef class Headers:
    cdef Variables _variables


cdef class Scope:
    cdef RequestHead _request
    cdef Headers _headers

    cpdef object read(self, RequestHead request)


cdef class HttpScope(Scope):
    pass


cdef class WebSocketScope(Scope):
    pass
