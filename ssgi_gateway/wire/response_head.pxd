cimport cython

from .header_lines cimport Line, assemble, line_of

cdef int FIELDS, CGI, HTTP
cdef int CONTENT_LENGTH, CONTENT_TYPE, ACCEL_BUFFERING, FOR_THE_FRONT, DATE, DROPPED
cdef dict FINAL_REASONS


cdef class ResponseHead:
    cdef public int status
    cdef public str reason
    cdef public Py_ssize_t content_length
    cdef public bint dated
    cdef list _lines
    cdef bint _front_files
    cdef public bint event_stream
    cdef bint _unbuffered

    @cython.locals(reason=str, number=object)
    cpdef object set_status(self, object status)
    cpdef object set_content_length(self, Py_ssize_t length)
    @cython.locals(lines=list, length=Py_ssize_t, dated=bint, event_stream=bint, unbuffered=bint, line=Line)
    cpdef object add(self, object headers)
    cpdef object offload(self, str name, str value)
    cpdef object switch_protocols(self, object headers)
    cpdef bytes encode_cgi(self)
    cpdef bytes encode_http(self)
    cpdef bytes encode_fields(self)
    cdef object _append(self, list lines)
    @cython.locals(length=Py_ssize_t, lines=list)
    cdef bytes _encode(self, int form)
