from ..observe.observer cimport Observer


cdef class Reactor:
    cdef object _emptied
    cdef object _peer_errors
    cdef object _sweeper
    cdef public set connections
    cdef public bint half_close
    cdef public Py_ssize_t high_water
    cdef public double idle_timeout
    cdef public object loop
    cdef public Py_ssize_t low_water
    cdef public double now
    cdef public Observer observer
    cdef public object scope
    cdef public double write_timeout

    cpdef object log_peer_error(self, str kind, str message)
    cpdef object register(self, object connection)
    cpdef object abandon(self)
    cpdef object unregister(self, object connection)
    cpdef object wake(self)
