cimport cython

from ..core.exchange cimport Exchange
from ..wire.cgi cimport RequestHead
from ..wire.variables cimport Variables
from .observer cimport Observer
from .plain cimport decimal, is_plain

cdef Py_ssize_t MAX_GATHERED


cdef class AccessLog(Observer):
    cdef public object sink
    cdef bint _json
    cdef tuple _fields
    cdef bint _seconds_only
    cdef object _seat
    cdef int _worker
    cdef list _lines
    cdef Py_ssize_t _size
    cdef long _second
    cdef str _stamp
    cdef str _date
    cdef list _names

    cpdef object flush(self)
    @cython.locals(request=RequestHead, variables=Variables, query=str, asked=str, host=str, line=str)
    cdef str _combined(self, Exchange exchange, int status, double seconds)
    @cython.locals(parts=list, name=str, index=Py_ssize_t)
    cdef str _object(self, Exchange exchange, int status, double seconds)
    @cython.locals(request=RequestHead)
    cdef object _value(self, str name, Exchange exchange, int status, double seconds)
    cdef str _now(self)
    @cython.locals(now=double)
    cdef str _timestamp(self)
    @cython.locals(now=double)
    cdef double _look_at_clock(self) except -1


cdef str _host(str remote)
cdef str _escaped(str text)
cdef str _quoted(str text)
