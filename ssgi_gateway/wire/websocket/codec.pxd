from libc.stdint cimport uint32_t, uint64_t

from ..events cimport Event


cdef class WebSocketCodec:
    cdef public str state
    cdef object _deflater
    cdef object _inflater
    cdef bytes _data             # received and not read: the rest of it begins at _at
    cdef Py_ssize_t _at
    cdef list _pongs             # what is to be answered; None when nothing is
    cdef Py_ssize_t _max_message
    cdef Py_ssize_t _max_frame
    cdef Py_ssize_t _max_wire
    cdef Py_ssize_t _max_fragments
    # The frame being read.
    cdef bint _in_frame
    cdef bint _fin
    cdef int _opcode
    cdef uint64_t _length
    cdef uint64_t _consumed
    cdef uint32_t _mask
    # The message being gathered; _kind is 0 between messages.
    cdef int _kind
    cdef bint _compressed
    cdef uint64_t _received
    cdef Py_ssize_t _inflated
    cdef Py_ssize_t _fragments
    cdef object _gathered
    cdef uint32_t _utf8

    cpdef object receive(self, bytes data)
    cpdef Event next_event(self)
    cpdef bytes take_output(self)
    cpdef list encode_message(self, object data)
    cpdef bint is_plain(self, Py_ssize_t size) except -1
    cpdef bytes encode_ping(self, bytes payload=*)
    cpdef bytes encode_close(self, object code=*, str reason=*)
    cdef bint _parse_header(self) except -1
    cdef object _judge_data_frame(self, int opcode, int rsv, uint64_t length)
    cdef Event _read_payload(self)
    cdef Event _control(self)
    cdef Event _whole(self)
    cdef Event _gather(self, Py_ssize_t size, bint ended)
    cdef object _keep(self, bytes piece)
    cdef object _stop_reading(self, str following)
    cdef object _reset(self)
