from .step cimport Ended, step

cdef object set_relay, set_log_destroy_pending


cdef class Relay:
    cdef public bint _asyncio_future_blocking
    cdef public object loop
    cdef public int state
    cdef public object coroutine
    cdef public object pending
    cdef public object result_
    cdef public object error
    cdef public object wakeup
    cdef public bint marked

    cpdef object send(self, object value)


cdef class SpareTask:
    cdef object _loop
    cdef Py_ssize_t _references
    cdef Py_ssize_t _weak_references
    cdef Relay _relay
    cdef object _task
    cdef public object context

    cpdef object first_step(self, object coroutine)
    cpdef object start(self, object coroutine)
    cpdef object queue(self, object coroutine)
    cpdef bint take_back(self) except -1
    cpdef object end(self, object error)
    cdef object _go_on(self)
    cdef Py_ssize_t _count_references(self) except -1
