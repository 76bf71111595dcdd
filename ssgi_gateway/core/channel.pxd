from ..wire.response_head cimport ResponseHead
from .tasks cimport TaskScope


cdef class SharedMessage:
    cdef public bytes payload
    cdef public bytes frame


cdef class Protocol:
    cpdef object data_received(self, bytes data)
    cpdef object eof_received(self)
    cpdef object connection_lost(self)
    cpdef object deadline_passed(self)
    cpdef object shut_down(self)
    cpdef object hurry(self, int urgency)
    cpdef str movable(self)


cdef class Channel(Protocol):
    cdef public TaskScope scope

    cpdef object when_writable(self)
    cpdef dict describe(self)
    cpdef object application_failed(self, object exchange)


cdef class HttpChannel(Channel):
    cdef public bint front_files

    cpdef bint write(self, ResponseHead head, object data, bint end) except -1
    cpdef bint write_file(self, ResponseHead head, object file, bint end) except -1
    cpdef object offload_file(self, int fd)
    cpdef object when_flushed(self)
    cpdef object body_consumed(self, object body)
    cpdef object abort_response(self)
    cpdef tuple failure_page(self, object exc, object accept)
    cpdef WebSocketChannel switch(self, object websocket, str subprotocol, object headers)
    cpdef object duplicate(self)
    cpdef tuple take_over(self, object websocket, object theirs, object lock)


cdef class WebSocketChannel(Channel):
    cpdef bint send_message(self, object message) except -1
    cpdef bint send_shared(self, SharedMessage message) except -1
    cpdef object send_close(self, object code, str reason)
    cpdef object receive_more(self)
    cpdef object give_back(self)
