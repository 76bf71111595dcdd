cimport cython

from ..wire.cgi cimport RequestHead
from .awaitables cimport is_pending
from .channel cimport Channel
from .headers cimport GetHeader
from .request_id cimport choose
from .step cimport call_app
from .tasks cimport start


cdef class Exchange:
    cdef object __weakref__
    cdef public Channel channel
    cdef public RequestHead request
    cdef set _holders
    cdef object _supervisor
    cdef list _handlers
    cdef bint _called
    cdef dict _extensions
    cdef str _request_id
    cdef public Py_ssize_t sent
    cdef public str protocol
    cdef public double began
    cdef public str hint
    cdef object _deadline

    cdef object _init_base(self, Channel channel, RequestHead request)
    @cython.locals(pending=bint)
    cpdef object run(self, object app, str kind, bint strict)
    cpdef object cancel(self)
    cpdef object cancel_later(self, double seconds)
    cpdef bint finished(self) except -1
    cpdef bint committed(self) except -1
    cpdef int answered(self) except -1
    cpdef str request_id(self)
    cpdef Py_ssize_t received(self) except -1
    cpdef bint gone(self) except -1
    cpdef object abort(self)
    cpdef object answer_nothing(self)
    cpdef object answer_failure(self, object exc)
    cpdef bint supervise(self, object awaitable, object supervisor=*, object context=*) except -1
    cpdef object hold(self, object holder)
    cpdef object release(self, object holder)
    cpdef object fail(self, object exc)
    cpdef str label(self)
    cpdef object _spawn(self, object awaitable, object done, object context=*)
    cpdef object _call_done(self, object task)
    cpdef object _task_done(self, object task)
    cpdef object _answer_if_abandoned(self)
    cdef object _supervised(self, object exc)
    cpdef object _log(self, object exc)
    cpdef object notify(self, object handler, tuple args, object context)


cpdef object flat(object payload)
