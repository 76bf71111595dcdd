from ..core.websocket cimport WebSocket
from .rsgi_call cimport Call


cdef class WebSocketProtocol(Call):
    cdef bint _gone
    cdef object _transport
    cdef WebSocket _ws
