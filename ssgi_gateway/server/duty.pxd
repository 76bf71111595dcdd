from ..core.exchange cimport Exchange
from .system cimport clock
from ..observe.observer cimport Observer

cdef double LONG


cdef class Duty(Observer):
    cdef bint _always
    cdef bint _track
    cdef object _on_tick
    cdef object _on_long
    cdef public Py_ssize_t requests
    cdef public Py_ssize_t number
    cdef public double since
    cdef public Exchange call
    cdef public dict exchanges
