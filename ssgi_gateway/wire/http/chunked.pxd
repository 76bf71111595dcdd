cimport cython

cdef int SIZE, DATA, DATA_END, TRAILER, ENDED
cdef Py_ssize_t MAX_LINE, OVERHEAD


cdef class ChunkedBody:
    cdef Py_ssize_t _left
    cdef bytes _line
    cdef Py_ssize_t _overhead
    cdef int _state
    cdef Py_ssize_t _total
    cdef public bint ended

    @cython.locals(at=Py_ssize_t, end=Py_ssize_t)
    cpdef Py_ssize_t feed(self, bytes data, Py_ssize_t start, list found) except -1
    @cython.locals(size=Py_ssize_t)
    cdef Py_ssize_t _take_data(self, bytes data, Py_ssize_t at, Py_ssize_t end, list found) except -1
    cdef Py_ssize_t _take_data_end(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    @cython.locals(stop=Py_ssize_t, piece=bytes, line=bytes)
    cdef Py_ssize_t _take_line(self, bytes data, Py_ssize_t at, Py_ssize_t end) except -1
    cdef object _size_received(self, bytes line)
    cdef object _trailer_received(self, bytes line)
    cdef object _charge(self, Py_ssize_t size)
