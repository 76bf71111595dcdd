from ..codec cimport Codec


cdef class FastcgiCodec(Codec):
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_variables
    cdef Py_ssize_t _max_connections
    # Framing: unread bytes from _position on; of the record being read, _left bytes of a stream's content that are
    # wanted, then _skip bytes (padding, content of no interest) that are not.
    cdef bytes _data
    cdef Py_ssize_t _position
    cdef Py_ssize_t _left
    cdef Py_ssize_t _skip
    cdef bint _eof
    cdef bytes _output
    cdef int _futile
    # The request in progress; and the id of an answered one whose rest may still arrive.
    cdef int _state
    cdef int _id
    cdef int _draining
    cdef bint _keep
    cdef bint _answered
    cdef bint _stderr_used
    cdef object _params
    cdef Py_ssize_t _body_left

    cpdef bytes encode_stderr(self, str text)
    cdef bint _read_header(self) except -1
    cdef object _record(self, int kind, int request_id, Py_ssize_t length)
    cdef object _head_record(self, int kind, int request_id, Py_ssize_t length)
    cdef void _stdin(self, Py_ssize_t length) noexcept
    cdef object _stdin_end(self)
    cdef object _params_record(self, Py_ssize_t length)
    cdef object _begin(self, int request_id, Py_ssize_t length)
    cdef object _head(self)
    cdef object _read_content(self)
    cdef void _step_over(self, Py_ssize_t step) noexcept
    cdef object _read_body(self)
    cdef Py_ssize_t _walk_body(self, char *to) noexcept
    cdef bint _begin_more(self) noexcept
    cdef object _starved(self)
    cdef bint _inside_record(self)
    cdef object _answer_or_skip(self, int kind, int request_id, Py_ssize_t length)
    cdef object _manage(self, int kind, Py_ssize_t length)
    cdef object _refuse(self, int request_id, int protocol_status)
    cdef object _answer(self, bytes record)
    cdef object _count_futile(self)
    cdef object _broken(self, str message)
    cdef object _rejected(self, int status, str message)
    cdef str _hint(self)
    cdef list _stdout(self, bytes head, Py_ssize_t head_size, object data, Py_ssize_t data_size)
    cdef bytes _tail(self)
    cdef object _check_answering(self)
