cimport cython

from ...core.response cimport HttpResponse
from ...core.websocket cimport WebSocket
from ..callable cimport SsgiCallable
from .http cimport HttpCall
from .scope cimport http_scope, websocket_scope


cdef class AsgiApplication(SsgiCallable):
    cdef public object _app
    cdef double _grace
    cdef bint _files
    cdef object _lifespan
    cdef dict _state

    @cython.locals(call=HttpCall)
    cdef object _serve(self, HttpResponse res)
