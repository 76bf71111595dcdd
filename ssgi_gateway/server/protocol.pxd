from ..core.channel cimport Channel
from .connection cimport Connection
from .gateway cimport Gateway


cdef class Protocol(Channel):
    cdef public Connection connection
    cdef public Gateway gateway

    cpdef object _init_base(self, Connection connection, Gateway gateway)
    cpdef object data_received(self, bytes data)
    cpdef object eof_received(self)
    cpdef object connection_lost(self)
    cpdef object deadline_passed(self)
    cpdef object shut_down(self)
    cpdef bint movable(self) except -1
    cpdef object hurry(self, bint waiting)
