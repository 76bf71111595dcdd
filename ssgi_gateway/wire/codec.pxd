from .response_head cimport ResponseHead


cdef class Codec:
    cdef public bint busy
    cdef public Py_ssize_t head_size
    cdef public bint kept_by_clients
    cdef public str protocol
    cdef public bint serves_http
    cdef public bint shows_connection
    cdef public bint may_send_trailing
    cdef public bint supports_upgrade

    cdef object _init_base(self, str protocol, bint serves_http, bint supports_upgrade, bint may_send_trailing)
    cpdef object receive(self, bytes data)
    cpdef object next_event(self)
    cpdef list encode(self, ResponseHead head, object data, bint end)
    cpdef list frame_file(self, object file)
    cpdef bytes abort_response(self)
    cpdef bytes take_output(self)
    cpdef bint finish(self) except -1
    cpdef bytes invite(self)
    cpdef bint uninvited(self) except -1
    cpdef bint waiting(self) except -1
    cpdef bint full(self) except -1
    cpdef object shut_down(self)
    cpdef bint incomplete(self) except -1
    cpdef bytes trailing_data(self)
