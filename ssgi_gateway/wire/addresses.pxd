from .variables cimport Variables

cpdef str join_address(str host, str port)
cpdef str remote_address(Variables variables)
cpdef str server_address(Variables variables)
cpdef bint is_port(str text) except -1
