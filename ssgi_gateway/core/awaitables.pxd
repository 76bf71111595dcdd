cdef class Ready:
    cdef public object value


cdef class WhenWritable:
    cdef object exchange


cdef class WhenFlushed:
    cdef object exchange
    cdef bint ended


cpdef bint is_pending(object result) except -1
