cimport cython

from ...core.response cimport HttpResponse
from ...core.websocket cimport WebSocket
from .call cimport Call
from .http cimport HttpProtocol
from .scope cimport HttpScope, Scope, WebSocketScope
from .websocket cimport WebSocketProtocol


cdef class RsgiApplication:
    cdef object _app
    cdef double _grace
    cdef object _target

    @cython.locals(call=HttpProtocol, scope=HttpScope)
    cdef object _serve(self, HttpResponse res)
    cdef object _serve_websocket(self, WebSocket ws)
    cdef object _run(self, Call call, Scope scope)
