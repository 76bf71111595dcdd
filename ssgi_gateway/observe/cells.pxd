from libc.stdint cimport uint64_t


cdef class Cells:
    cdef object _page
    cdef uint64_t *_words
    cdef char *_text

    cdef void add(self, int index, long long amount) noexcept
    cdef void put(self, int index, uint64_t value) noexcept
    cdef void add_time(self, int index, double seconds) noexcept
    cdef void put_time(self, int index, double seconds) noexcept
    cdef int name_call(self, str method, str path) except -1
