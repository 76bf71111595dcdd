from .variables cimport Variables


cdef class RequestHead:
    cdef int _client_port
    cdef object _root_path
    cdef bint _started_by_front
    cdef public bint is_upgrade
    cdef public str method
    cdef public str path
    cdef public str query_string
    cdef public str raw_path
    cdef public str remote_address
    cdef public str server_address
    cdef public Variables variables

    cpdef tuple client(self)
    cpdef str http_version(self)
    cpdef str root_path(self)
    cpdef str scheme(self)
    cdef object read(self, Variables variables, object root_path, bint started_by_front)

cpdef RequestHead parse_head(Variables variables, object root_path=*, bint started_by_front=*)
cpdef Py_ssize_t body_length(Variables variables) except -2
