from .variables cimport Variables

cpdef str join_address(str host, str port)
cpdef str remote_address(Variables variables)
cpdef str server_address(Variables variables)
cdef str _port(str text)
