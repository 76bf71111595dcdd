from libc.stdint cimport uint32_t


cdef struct Entry:
    uint32_t name
    uint32_t name_size
    uint32_t value
    uint32_t value_size
    uint32_t hash
    int next


cdef class Variables:
    cdef bytes _block
    cdef Entry *_entries  # _near, or what was allocated where that is too small
    cdef Entry[40] _near
    cdef int _used
    cdef int _room
    cdef int _count
    cdef bint _keep_length
    cdef int[64] _heads

    cpdef object get(self, object name, object default=*)
    cpdef object header(self, object name)
    cpdef list headers(self)
    cpdef list header_pairs(self)
    cpdef list items(self)
    cdef int take_netstring(self, bytes block, Py_ssize_t start, Py_ssize_t end, Py_ssize_t most) except -1
    cdef object take_pairs(self, object pairs)
    cdef object hold(self, bytes block)
    cdef int add(self, Py_ssize_t name, Py_ssize_t name_size, Py_ssize_t value, Py_ssize_t value_size) except -1
    cdef int find(self, const char *name, Py_ssize_t size) noexcept
    cdef const char *value(self, int index) noexcept
    cdef int find_text(self, object name) except -2
    cdef object text(self, int index)
    cdef bytes content_header(self, int index)
    cdef object grow(self)
    cdef object clean(self, int seen)
    cdef object check_host(self, int index)
    cdef list pairs(self)
    cdef object refuse_name(self)
    cdef object drop(self, int index)
    cpdef object settle_user(self, bint believed)
    cdef object drop_user(self, int index, bint believed)


cdef bint known_host(const char *value, Py_ssize_t size) except -1
