from .server_loop cimport ServerLoop
from .spare_task cimport SpareTask


cdef class TaskScope:
    cdef public ServerLoop loop
    cdef public dict tasks
    cdef SpareTask _spare

    cpdef object spawn(self, object awaitable, object done, object context=*)
    cpdef object run(self, object awaitable, object context=*)
    cpdef object keep(self, object task, object done)
    cdef object _task_of(self, object awaitable, object context)
    cdef object _take_back(self, SpareTask spare, object error)
    cpdef object _ended(self, object task)

cpdef object start(object handler, tuple args)
cpdef object to_coroutine(object awaitable)
