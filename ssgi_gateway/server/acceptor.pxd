cimport cython

from ..wire.codec cimport Codec
from .connection cimport Connection
from .gateway cimport Gateway
from .http cimport HttpProtocol
from .system cimport accept

cdef int BURST
cdef double RETRY


@cython.locals(connection=Connection, protocol=HttpProtocol)
cpdef object admit(Gateway gateway, int fd, Codec codec)


cdef class Acceptor:
    cdef bint _accepting
    cdef object _source
    cdef public Gateway gateway
    cdef public object listener
    cdef public object make_codec
    cdef public bint shared

    cpdef object on_readable(self)
    cdef bint _accept(self) except -1
