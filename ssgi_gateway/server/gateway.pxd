from .reactor cimport Reactor


cdef class Gateway(Reactor):
    cdef Py_ssize_t _idle_found
    cdef list _idle
    cdef int _quiet
    cdef double _walked
    cdef public bint active
    cdef public object adoption
    cdef public bint development
    cdef public dict drain_handlers
    cdef public bint draining
    cdef public bint front_files
    cdef public bint started_by_front
    cdef public bint trust_remote_user
    cdef public object http_app
    cdef public object latest
    cdef public Py_ssize_t max_body_size
    cdef public Py_ssize_t max_connections
    cdef public Py_ssize_t max_unread_body
    cdef public object offload
    cdef public object root_path
    cdef public object settings
    cdef public dict state
    cdef public bint strict
    cdef public int unexamined
    cdef set _found
    cdef public str request_id_header
    cdef public object websocket_app
    cdef public double head_timeout
    cdef public double body_timeout
    cdef public double keep_alive
    cdef public double unread_body_timeout
    cdef public object date

    cpdef bint is_full(self, object connection) except -1
    cdef bint _make_room(self) except -1
    cpdef object abandon(self)
    cpdef object wake(self)
