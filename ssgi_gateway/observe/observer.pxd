from ..core.exchange cimport Exchange

cdef class Observer:
    cpdef object connection_opened(self, str protocol)
    cpdef object connection_closed(self, str protocol)
    cpdef object connection_refused(self, str protocol)
    cpdef object connection_handed_over(self, str protocol)
    cpdef object connection_adopted(self, str protocol)
    cpdef object protocol_error(self, str protocol)
    cpdef object application_failed(self, Exchange exchange)
    cpdef object request_started(self, Exchange exchange)
    cpdef object request_called(self, Exchange exchange)
    cpdef object request_ended(self, Exchange exchange, int status, double seconds)
    cpdef object websocket_opened(self, Exchange exchange)
    cpdef object websocket_closed(self, Exchange exchange, int code)
    cpdef object message_received(self, Exchange exchange, object message)
    cpdef object message_sent(self, Exchange exchange)
    cpdef object tick(self, double now)
    cpdef object needs_clock(self)
    cpdef object clock_started(self, double now)
    cpdef object clock_stopped(self)
    cpdef object close(self)


cdef class Observers(Observer):
    cdef Observer _first
    cdef Observer _second
