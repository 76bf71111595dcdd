from ..observe.observer cimport Observer


cdef class Gateway:
    cdef object _complaints
    cdef object _emptied
    cdef object _sweeper
    cdef public object adoption
    cdef public Observer observer
    cdef public set connections
    cdef public bint development
    cdef public bint draining
    cdef public bint front_files
    cdef public bint half_close
    cdef public Py_ssize_t high_water
    cdef public object http_app
    cdef public object loop
    cdef public Py_ssize_t low_water
    cdef public Py_ssize_t max_body_size
    cdef public Py_ssize_t max_connections
    cdef public double now
    cdef public object root_path
    cdef public object scope
    cdef public object settings
    cdef public dict state
    cdef public bint strict
    cdef public object websocket_app
    cdef public double head_timeout
    cdef public double body_timeout
    cdef public double idle_timeout
    cdef public double keep_alive
    cdef public object date
    cdef public double write_timeout

    cpdef object log_peer_error(self, str kind, str message)
    cpdef object offload_file(self, int fd)
    cpdef object unregister(self, object connection)
