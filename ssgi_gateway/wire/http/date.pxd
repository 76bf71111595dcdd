cdef class DateLine:
    cdef public bytes line
