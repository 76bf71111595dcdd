from .rsgi_http cimport HttpProtocol
from .rsgi_scope cimport HttpScope, WebSocketScope


cdef class RsgiApplication:
    cdef object _app
    cdef double _grace
    cdef object _target
