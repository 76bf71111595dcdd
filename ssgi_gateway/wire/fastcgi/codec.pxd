cimport cython

from ..cgi cimport body_length
from ..codec cimport Codec
from ..events cimport BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from ..response_head cimport ResponseHead
from .kernel cimport cut, frame_answer, read_body, variables_of_params

cdef int VERSION, HEADER_SIZE, BEGIN_SIZE, KEEP_CONN, RESPONDER
cdef int BEGIN_REQUEST, PARAMS, STDIN, DATA, GET_VALUES, UNKNOWN_TYPE, STREAM_END, STDIN_END
cdef int IDLE, HEAD, BODY, ENDED, REJECTED, ABORTED, CLOSED
cdef int BEGIN, COLLECT, TAKE_HEAD, TAKE_BODY, END, ABORT, ABANDON, TOO_EARLY
cdef bytes TABLE
cdef RequestEnded REQUEST_ENDED


cdef class FastcgiCodec(Codec):
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_variables
    cdef public Py_ssize_t max_requests
    cdef Py_ssize_t _max_connections
    cdef bytes _data
    cdef Py_ssize_t _position
    cdef Py_ssize_t _left
    cdef Py_ssize_t _skip
    cdef bint _eof
    cdef bytes _output
    cdef int _futile
    cdef int _state
    cdef int _id
    cdef set _draining
    cdef bint _keep
    cdef object _params
    cdef Py_ssize_t _declared
    cdef Py_ssize_t _body_left
    cdef bint _answered

    cpdef object init(self, Py_ssize_t max_head, Py_ssize_t max_variables, Py_ssize_t max_requests, Py_ssize_t max_connections)
    cpdef object drain(self, int request_id)
    cpdef FastcgiCodec sibling(self)
    cpdef FastcgiCodec for_connection(self, int _)
    @cython.locals(codec=FastcgiCodec)
    cpdef FastcgiCodec without_request(self)
    @cython.locals(data=bytes, at=Py_ssize_t, arrival=int, request_id=int, length=Py_ssize_t)
    cpdef object next_event(self)
    @cython.locals(block=bytes)
    cpdef list encode(self, ResponseHead head, object data, bint end)
    @cython.locals(entry=int, action=int)
    cdef object _record(self, int arrival, int request_id, Py_ssize_t length)
    cdef object _claim_body(self, Py_ssize_t length)
    cdef object _end_early(self, int action, int request_id)
    cdef object _check_answering(self)
    @cython.locals(size=Py_ssize_t, end=Py_ssize_t)
    cdef object _read_content(self)
    @cython.locals(event=BodyReceived, data=bytes)
    cdef object _read_body(self)
    cdef object _collect(self, bytes piece)
    cdef object _starved(self)
    cdef bint _inside_record(self)
    @cython.locals(data=bytes, at=Py_ssize_t)
    cdef object _begin(self, int request_id, Py_ssize_t length)
    @cython.locals(event=HeadReceived, declared=Py_ssize_t, block=object)
    cdef object _take_head(self)
    cdef object _take_end(self)
    cdef object _refuse(self, int request_id, int protocol_status)
    cdef object _other_record(self, int arrival, int request_id, Py_ssize_t length)
    cdef object _manage(self, int kind, Py_ssize_t length)
    cdef object _answer(self, bytes record)
    cdef object _count_futile(self)
    cdef object _broken(self, str message)
    cdef object _rejected(self, int status, str message)
    cdef str _hint(self)
