from .http cimport HttpCall
from .scope cimport http_scope, websocket_scope


cdef class AsgiApplication:
    cdef object __weakref__
    cdef public object _app
    cdef double _grace
    cdef bint _files
    cdef object _lifespan
    cdef dict _state
