from ..variables cimport Variables


cpdef bytes cut(bytes data, Py_ssize_t start, Py_ssize_t end)
cpdef list frame_answer(int request_id, bytes head, object data, bint end)
cpdef tuple read_body(
    bytes data, Py_ssize_t position, Py_ssize_t left, Py_ssize_t skip, Py_ssize_t body_left, int request_id
)
cpdef Variables variables_of_params(bytes block, Py_ssize_t most)
