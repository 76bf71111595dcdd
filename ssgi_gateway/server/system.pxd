cpdef double clock() noexcept
cpdef int accept(object listener) except -2
cpdef bint pending(object listener) except -1
cpdef bytes receive(int fd)
cpdef Py_ssize_t send(int fd, object data) except -1
cpdef Py_ssize_t send_many(int fd, list buffers) except -1
cpdef shutdown_write(int fd)
cpdef close(int fd)
cpdef release(int fd)
