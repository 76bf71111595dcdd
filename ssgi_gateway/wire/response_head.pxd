cdef class ResponseHead:
    cdef public int status
    cdef public str reason
    cdef public Py_ssize_t content_length
    cdef public bint dated
    cdef list _lines
    cdef bint _front_files
    cdef public bint event_stream
    cdef bint _unbuffered

    cpdef object set_status(self, object status)
    cpdef object set_content_length(self, Py_ssize_t length)
    cpdef object add(self, object headers)
    cpdef object offload(self, str name, str value)
    cpdef object switch_protocols(self, object headers)
    cpdef bytes encode_cgi(self)
    cpdef bytes encode_http(self)
    cpdef bytes encode_fields(self)
    cdef bytes assemble(self, int form)
