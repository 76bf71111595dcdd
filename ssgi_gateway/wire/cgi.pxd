from .addresses cimport remote_address, server_address
from .percent cimport quote, to_unicode, unquote
from .variables cimport Variables


cdef class RequestHead:
    cdef object _root_path
    cdef public bint is_upgrade
    cdef public str method
    cdef public str path
    cdef public str query_string
    cdef public str raw_path
    cdef public str remote_address
    cdef public str server_address
    cdef public Variables variables

cdef tuple _split_uri(str uri)
cdef str _rebuild_path(Variables variables)
cdef str _find_root_path(Variables variables, str path)
cdef bint _is_websocket(Variables variables) except -1
cpdef RequestHead parse_head(Variables variables, object root_path=*)
cpdef Py_ssize_t body_length(Variables variables) except -2
