from ...core.server_loop cimport ServerLoop


cdef class WorkerPool:
    cdef public ServerLoop loop
    cdef public Py_ssize_t high_water
    cdef bint _awake
    cdef Py_ssize_t _begun
    cdef bint _brisk
    cdef bint _handing
    cdef list _idle
    cdef object _jobs
    cdef bint _looking
    cdef object _mail
    cdef object _on_mail
    cdef object _on_turn
    cdef Py_ssize_t _queue_limit
    cdef bint _shares
    cdef Py_ssize_t _size
    cdef Py_ssize_t _submitted
    cdef list _threads
    cdef object _watched
    cdef bint _watching

    cpdef bint overloaded(self) except -1
    cpdef object submit(self, object job)
    cpdef object post_deferred(self, object item)
    cpdef object post(self, object item)
    cdef object _watch(self)
    cdef object _look_later(self)
    cdef object _wake_loop(self)
    cdef bint _wake(self) except -1
    cdef object _wake_as_many(self, Py_ssize_t waiting)
    cdef object _sleep(self, object wakeup)
