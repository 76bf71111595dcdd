from libc.stdint cimport uint64_t

from .observer cimport Observer


cdef class Recorder(Observer):
    cdef object _seat
    cdef object _view
    cdef uint64_t *_words
    cdef char *_text
    cdef tuple _samplers
    cdef double _interval
    cdef double _ticked
    cdef str _last_name
    cdef int _last_index

    cdef object _sample(self)
    cdef int protocol_of(self, str name) except -1
