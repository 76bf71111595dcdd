from ..variables cimport Variables


cdef class RequestHead1:
    cdef public Variables variables
    cdef public Py_ssize_t length
    cdef public int minor
    cdef public bint keep
    cdef public bint expects
    cdef public bint is_head


cpdef RequestHead1 read_head(bytes block, Py_ssize_t start, Py_ssize_t end, bytes around, Py_ssize_t most)
