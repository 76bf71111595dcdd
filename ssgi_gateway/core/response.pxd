cimport cython

from ..wire.cgi cimport RequestHead
from ..wire.response_head cimport ResponseHead
from .awaitables cimport Ready, WhenFlushed, WhenWritable
from .body cimport RequestBody
from .channel cimport Channel, HttpChannel
from .exchange cimport Exchange, flat

cdef int OPEN, STREAMING, ENDED, ABORTED
cdef Py_ssize_t UNKNOWN
cdef Ready TRUE, FALSE, CLIENT_LEFT


cdef class Watcher:
    cpdef object client_left(self)


cdef class HttpResponse(Exchange):
    cdef public bint aborted
    cdef int _state
    cdef ResponseHead _head
    cdef public RequestBody body
    cdef bytes _data
    cdef list _pieces
    cdef Py_ssize_t _remaining
    cdef Py_ssize_t _total
    cdef bint _suppressed
    cdef Watcher _watcher

    cpdef object init(self, HttpChannel channel, RequestHead request, RequestBody body)
    cpdef object watch(self, Watcher watcher)
    cpdef object send_status(self, object status_code=*)
    cpdef object send_headers(self, object headers)
    cpdef object send(self, object payload=*, bint has_more=*)
    cpdef object send_chunk(self, object chunk, object total_size=*)
    cpdef object set_head(self, ResponseHead head)
    cpdef bint fits(self, Py_ssize_t size) except -1
    @cython.locals(channel=HttpChannel)
    cpdef ResponseHead new_head(self)
    cdef ResponseHead _response_head(self)
    cdef ResponseHead _commit(self, Py_ssize_t size, bint has_more)
    cdef bint _account(self, Py_ssize_t size, bint end) except -1
    cdef object _fix_total(self, Py_ssize_t total, Py_ssize_t size)
    @cython.locals(channel=HttpChannel)
    cdef bint _write(self, ResponseHead head, object data, Py_ssize_t size, bint end) except -1
    cdef object _end(self)
    cdef object _refuse(self, str member)
    cdef object _break(self, str problem)
