from ..wire.variables cimport Variables


cdef class GetHeader:
    cdef Variables _variables
    cdef object _all
    cdef bint _expired

    cpdef object expire(self)
