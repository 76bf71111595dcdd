cimport cython

from ..codec cimport Codec
from ..events cimport BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded
from ..response_head cimport ResponseHead
from ..variables cimport Variables
from .chunked cimport ChunkedBody
from .date cimport DateLine
from .head cimport RequestHead1, read_head

cdef int HEAD, BODY, CHUNKS, WHOLE, OVER
cdef Py_ssize_t MAX_WAITING, MAX_JOINED
cdef int MAX_EMPTY_LINES
cdef RequestEnded ENDED
cdef bytes CONTINUE, _UPGRADE
cdef tuple _FORWARDED
cdef dict _lines


cdef class HttpCodec(Codec):
    cdef bytes _around
    cdef bytes _buffer
    cdef bint _chunked
    cdef ChunkedBody _chunks
    cdef bint _close
    cdef DateLine _date
    cdef int _empty_lines
    cdef bint _eof
    cdef bint _expects
    cdef RequestHead1 _head
    cdef bint _last
    cdef Py_ssize_t _left
    cdef object _limits
    cdef Py_ssize_t _searched
    cdef bint _started
    cdef int _state
    cdef bint _trusts
    cdef object _trusted

    @cython.locals(start=Py_ssize_t, end=Py_ssize_t, limit=Py_ssize_t, buffer=bytes, head=RequestHead1)
    cdef Event _next_head(self)
    cdef object _look_at_begin(self, bytes buffer, Py_ssize_t limit)
    cdef object _head_complete(self, RequestHead1 head)
    cdef object _believe(self, RequestHead1 head)
    @cython.locals(data=bytes)
    cdef Event _next_piece(self)
    @cython.locals(chunks=ChunkedBody)
    cdef Event _next_chunks(self)
    cdef object _over(self, object refusal)
    @cython.locals(request=RequestHead1, status=int, close=bint)
    cdef list _begin(self, ResponseHead head, bint end)


@cython.locals(line=bytes)
cdef bytes status_line(int status, str reason)
