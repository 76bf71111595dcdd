cimport cython

from .connection cimport Connection
from .gateway cimport Gateway
from .http cimport HttpProtocol
from .system cimport accept

cdef int BURST
cdef double RETRY


cdef class Acceptor:
    cdef bint _accepting
    cdef object _source
    cdef public Gateway gateway
    cdef public object listener
    cdef public object make_codec

    cpdef object on_readable(self)
    @cython.locals(connection=Connection, protocol=HttpProtocol)
    cdef bint _accept(self) except -1
