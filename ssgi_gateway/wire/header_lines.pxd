cdef class Line:
    cdef readonly bytes text
    cdef readonly int kind
    cdef readonly bint event_stream
    cdef readonly Py_ssize_t length


cpdef Line line_of(object pair)
cpdef bytes assemble(int form, int status, str reason, list lines, Py_ssize_t length, bint unbuffered)
