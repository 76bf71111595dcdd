from ..variables cimport Variables


cpdef Py_ssize_t head_end(bytes data) except -1
cpdef bint speaks_of_body(bytes data, Py_ssize_t end) except -1
cpdef Variables variables_of_packet(bytes data, Py_ssize_t start, Py_ssize_t end, Py_ssize_t most)
