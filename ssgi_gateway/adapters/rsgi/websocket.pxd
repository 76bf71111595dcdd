from ...core.websocket cimport WebSocket
from .call cimport Call


cdef class WebSocketProtocol(Call):
    cdef bint _gone
    cdef object _transport
    cdef WebSocket _ws
