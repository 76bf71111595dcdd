cpdef Py_ssize_t head_end(bytes data) except -1
