cdef class Event:
    pass

cdef class HeadReceived(Event):
    cdef public object variables
    cdef public Py_ssize_t body_length

cdef class BodyReceived(Event):
    cdef public bytes data

cdef class RequestEnded(Event):
    pass

cdef class RequestAborted(Event):
    pass

cdef class RequestsInterleaved(Event):
    cdef public bytes rest

cdef class MessageReceived(Event):
    cdef public object message

cdef class PongReceived(Event):
    cdef public bytes payload

cdef class CloseReceived(Event):
    cdef public int code
    cdef public str reason
