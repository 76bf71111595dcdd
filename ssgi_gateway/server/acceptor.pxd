cimport cython

from ..wire.codec cimport Codec
from .connection cimport Connection
from .gateway cimport Gateway
from .http cimport HttpProtocol
from .system cimport accept, clock, pending

cdef int BURST, OPEN
cdef Py_ssize_t MAX_PENDING
cdef double RETRY, SHARE


@cython.locals(connection=Connection, protocol=HttpProtocol)
cpdef object admit(Gateway gateway, int fd, Codec codec)


cdef class Acceptor:
    cdef bint _accepting
    cdef int _found
    cdef int _taken
    cdef object _exclusive
    cdef object _source
    cdef public Gateway gateway
    cdef public object listener
    cdef public object make_codec
    cdef public int turn

    @cython.locals(fd=int, number=int, last=int, until=double)
    cpdef object on_readable(self)
    cpdef object serve(self, int fd)
    cdef int _accept(self) except -2
