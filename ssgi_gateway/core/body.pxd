from .waiters cimport Waiters

cdef Py_ssize_t TOGETHER


cdef class RequestBody:
    cdef object _chunks
    cdef Waiters _waiters
    cdef public Py_ssize_t size
    cdef public Py_ssize_t received
    cdef public bint ended
    cdef public bint aborted

    cpdef object feed(self, bytes data)
    cpdef object feed_end(self)
    cpdef object abort(self)
    cpdef bytes take(self)
    cpdef bytes take_all(self)
    cpdef object when_more(self, object loop)
    cdef object _wake(self)
