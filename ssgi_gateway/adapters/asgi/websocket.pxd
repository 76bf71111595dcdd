from ...core.awaitables cimport Ready
from ...core.exchange cimport Exchange
from ...core.waiters cimport Waiters
from ...core.websocket cimport WebSocket

cdef int PENDING, OPEN, DENYING, OVER
cdef Ready TRUE


cdef class WebSocketCall:
    cdef WebSocket _ws
    cdef tuple _closed
    cdef bint _connected
    cdef object _deadline
    cdef tuple _denial
    cdef double _grace
    cdef bint _left
    cdef bint _listening
    cdef list _pieces
    cdef int _stage
    cdef Waiters _waiters

    cdef object _check_denial(self)
    cdef object _deny(self, object message)
    cdef object _over(self, int stage)
    cpdef object _ended(self, object ws, object code, object reason)
    cpdef object _wake(self)

cpdef object payload_of(object message)
