cdef class Ended:
    cdef public object result

cpdef object step(object context, object coroutine)
