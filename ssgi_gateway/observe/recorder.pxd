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

    cdef object _sample(self)
