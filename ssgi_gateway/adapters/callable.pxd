from ..core.response cimport HttpResponse
from ..core.websocket cimport WebSocket


cdef class SsgiCallable:
    cdef object __weakref__

    cdef object _serve(self, HttpResponse res)
    cdef object _serve_websocket(self, WebSocket ws)
