from ...core.response cimport HttpResponse
from ...core.step cimport call
from .call cimport WsgiCall, add_length, to_bytes, whole_input
from .environ cimport build_environ
from .pool cimport WorkerPool


cdef class ThreadedCall(WsgiCall):
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
    cdef bint _returned
    cdef object _spool
    cdef Py_ssize_t _taken
    cdef bytes _whole
    cdef public unsigned long thread

    cpdef object init(self, WorkerPool pool, HttpResponse res, object app, dict base)
    cpdef object submit(self, object spool)
    cdef bint _is_in_vain(self) except -1
    cpdef object _serve(self)
    cdef object _wait(self)
    cdef object _post(self)
    cpdef object deliver(self)
    cdef object _take(self)
    cdef object _send_file(self, object file)
    cdef object _wake(self)
    cdef object _over(self)
