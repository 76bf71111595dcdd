from ..core.response cimport HttpResponse
from .wsgi_call cimport Call, to_bytes
from .wsgi_environ cimport build_environ


cdef class WorkerPool:
    cdef public object loop
    cdef public Py_ssize_t high_water
    cdef Py_ssize_t _size
    cdef Py_ssize_t _queue_limit
    cdef object _queue
    cdef object _mail
    cdef bint _awake
    cdef list _threads

    cpdef bint overloaded(self) except -1
    cpdef object submit(self, object job)
    cpdef object post(self, object item)


cdef class ThreadedCall(Call):
    cdef bint _aborted
    cdef object _app
    cdef dict _base
    cdef object _blocks
    cdef bint _complete
    cdef object _error
    cdef object _file
    cdef object _gate
    cdef Py_ssize_t _given
    cdef Py_ssize_t _held
    cdef object _input
    cdef WorkerPool _pool
    cdef bint _posted
    cdef Py_ssize_t _taken

    cpdef object submit(self)
    cdef object _serve(self)
    cdef object _wait(self)
    cdef object _post(self)
    cpdef object deliver(self)
    cdef object _take(self)
    cdef object _send_file(self, object file)
    cdef object _wake(self)
    cdef object _over(self)
    cdef object _forget(self)
