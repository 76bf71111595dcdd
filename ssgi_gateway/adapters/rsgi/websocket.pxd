from ...core.websocket cimport WebSocket
from .call cimport RsgiCall


cdef class RsgiWebSocketProtocol(RsgiCall):
    cdef bint _gone
    cdef object _transport
    cdef WebSocket _ws
