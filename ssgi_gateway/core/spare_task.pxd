from .step cimport step

cdef object ENDED


cdef class FirstStep:
    cdef public object callback
    cdef public object context

    cpdef object run(self)


cdef class Relay:
    cdef public object coroutine
    cdef public object pending
    cdef public bint reported
    cdef public object error


cdef class SpareTask:
    cdef FirstStep _first
    cdef object _loop
    cdef Py_ssize_t _references
    cdef Relay _relay
    cdef object _task

    cpdef object first_step(self, object coroutine)
    cpdef bint is_spare(self) except -1
    cpdef object end(self, object error)
    cdef object _begin(self)
    cdef Py_ssize_t _count_references(self) except -1

cpdef tuple make_task(object loop, object coroutine)
