cimport cython

from ...core.response cimport HttpResponse
from ...core.websocket cimport WebSocket
from ..callable cimport SsgiCallable
from .call cimport RsgiCall
from .http cimport RsgiHttpProtocol
from .scope cimport HttpScope, Scope, WebSocketScope
from .websocket cimport RsgiWebSocketProtocol


cdef class RsgiApplication(SsgiCallable):
    cdef object _app
    cdef double _grace
    cdef object _target

    @cython.locals(call=RsgiHttpProtocol, scope=HttpScope)
    cdef object _serve(self, HttpResponse res)
    cdef object _run(self, RsgiCall call, Scope scope)
