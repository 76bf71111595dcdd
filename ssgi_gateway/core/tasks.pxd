from .server_loop cimport ServerLoop
from .spare_task cimport SpareTask


cdef class TaskScope:
    cdef public ServerLoop loop
    cdef public dict tasks
    cdef SpareTask _spare

    cpdef object spawn(self, object awaitable, object done, object context=*)
    cpdef object run(self, object awaitable, object done, object context=*)
    cdef object _take_back(self, SpareTask spare, object error)
    cpdef object _ended(self, object task)
    cdef object _hold(self, object task, object done)

cpdef object start(object handler, tuple args)
cpdef object to_coroutine(object awaitable)
