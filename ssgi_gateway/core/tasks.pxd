cdef class TaskScope:
    cdef public object loop
    cdef public set tasks

    cpdef object spawn(self, object awaitable, object done)

cpdef object start_task(object loop, object coroutine)
cpdef object start(object handler, tuple args)
