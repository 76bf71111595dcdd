from .gateway cimport Gateway


cdef class Acceptor:
    cdef bint _accepting
    cdef public Gateway gateway
    cdef public object listener
    cdef public object make_codec

    cpdef object on_readable(self)
    cdef bint _accept(self) except -1
