cimport cython

from ..wire.response_head cimport ResponseHead
from .awaitables cimport Ready, WhenWritable, is_pending
from .channel cimport SharedMessage, WebSocketChannel
from .exchange cimport Exchange, flat
from .step cimport call_receiver

cdef object PENDING, REJECTED, CLOSED, ACCEPTED
cdef Ready TRUE, FALSE

cdef Py_ssize_t OBJECT


cdef Py_ssize_t memory_of(object message) except -1


@cython.locals(message=SharedMessage, behind=list, websocket=WebSocket, channel=WebSocketChannel)
cpdef list send_to_all(list websockets, bytes payload)


cdef class WebSocket(Exchange):
    cdef public object status
    cdef list _offered
    cdef object _queue
    cdef Py_ssize_t _queue_limit
    cdef Py_ssize_t _queue_size
    cdef Py_ssize_t _queued
    cdef object _receiver
    cdef tuple _args
    cdef object _context
    cdef bint _busy
    cdef public bint leaving
    cdef bint _starting
    cdef bint _stopped
    cdef object _taker
    cdef tuple _ended
    cdef int _rejected

    cpdef object when_received(self, object handler, tuple args, object context)
    cpdef object when_closed(self, object handler, tuple args, object context)
    @cython.locals(channel=WebSocketChannel)
    cpdef object send(self, object payload)
    cpdef object close(self, object code=*, object reason=*)
    cpdef bint deliver(self, object message) except -1
    cpdef bint busy(self) except -1
    cpdef object ended(self, int code, str reason)
    cpdef object _dispatch(self, object message)
    cpdef object _received(self, object task)
    cpdef object take(self)
    @cython.locals(until=double)
    cpdef object _next(self)
    cpdef object _next_turn(self)
    cdef object _drop_queue(self)
    cpdef object _receiver_failed(self, object exc)
