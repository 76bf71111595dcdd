cdef class Waiters:
    cdef list _futures

    cpdef object wait(self, object loop)
    cpdef object wake(self, object value)
    cpdef bint waiting(self) except -1


cpdef object settled(object loop, object value)
