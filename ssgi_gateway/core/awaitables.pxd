from .channel cimport Channel


cdef class Ready:
    cdef public object value


cdef class WhenWritable:
    cdef Channel channel


cdef class WhenFlushed:
    cdef Channel channel
    cdef bint ended


cpdef bint is_pending(object result) except -1
