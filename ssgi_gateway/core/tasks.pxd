from .spare_task cimport SpareTask
from .step cimport has_variables


cdef class TaskScope:
    cdef public object loop
    cdef public set tasks
    cdef SpareTask _spare
    cdef int _spent

    cpdef object spawn(self, object awaitable, object done)
    cpdef object run(self, object awaitable, object done)
    cdef bint _cannot_lend(self) except -1
    cdef object _run_first_step(self, object coroutine)
    cdef object _take_back(self, SpareTask spare, object error)
    cdef object _hold(self, object task, object done)

cpdef object start_task(object loop, object coroutine)
cpdef object start(object handler, tuple args)
cpdef object to_coroutine(object awaitable)
