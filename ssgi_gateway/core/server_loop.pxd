from .step cimport copy_of, call_with


cdef class ServerLoop:
    cdef public object asyncio
    cdef public object context
    cdef object _call_soon
    cdef object _call_soon_threadsafe
    cdef Py_ssize_t _size
    cdef list _values

    cpdef object fresh(self)
    cpdef bint is_fresh(self, object context) except -1
    cpdef object add_reader(self, object fd, object callback)
    cpdef object add_writer(self, object fd, object callback)
    cpdef object remove_reader(self, object fd)
    cpdef object remove_writer(self, object fd)
    cpdef object call_soon(self, object callback)
    cpdef object call_soon_threadsafe(self, object callback)
    cpdef object when_done(self, object future, object callback)
    cpdef object create_future(self)
