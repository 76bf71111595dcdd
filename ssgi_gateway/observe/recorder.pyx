# cython: boundscheck=False, wraparound=False, cdivision=True
"""The observer that writes the shared table: the compiled twin of ``recorder.py``."""

import time

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

from ssgi_gateway.observe import table as layout

from ..core.exchange cimport Exchange
from .observer cimport Observer

cdef extern from "Python.h":
    int PyUnicode_KIND(object)
    void *PyUnicode_DATA(object)
    Py_ssize_t PyUnicode_GET_LENGTH(object)

# The layout, as C numbers.
cdef int CONNECTIONS = layout.CONNECTIONS
cdef int IN_PROGRESS = layout.IN_PROGRESS
cdef int CALL_NUMBER = layout.CALL_NUMBER
cdef int CALL_SINCE = layout.CALL_SINCE
cdef int BEAT = layout.BEAT
cdef int WEBSOCKETS = layout.WEBSOCKETS
cdef int ACCEPTED = layout.ACCEPTED
cdef int REFUSED = layout.REFUSED
cdef int HANDED_OVER = layout.HANDED_OVER
cdef int ADOPTED = layout.ADOPTED
cdef int PROTOCOL_ERRORS = layout.PROTOCOL_ERRORS
cdef int REQUESTS = layout.REQUESTS
cdef int CLASSES = len(layout.CLASSES)
cdef int BYTES_IN = layout.BYTES_IN
cdef int BYTES_OUT = layout.BYTES_OUT
cdef int DURATIONS = layout.DURATIONS
cdef int DURATION_SIZE = layout.DURATION_SIZE
cdef int BUCKETS = len(layout.BOUNDS)
cdef int LAG = layout.LAG
cdef int APPLICATION_ERRORS = layout.APPLICATION_ERRORS
cdef int LAG_BUCKETS = len(layout.LAG_BOUNDS)
cdef int CLOSES = layout.CLOSES
cdef int MESSAGES_IN = layout.MESSAGES_IN
cdef int MESSAGES_OUT = layout.MESSAGES_OUT
cdef int TEXT = layout.TEXT
cdef int CALL_SIZE = layout.CALL_SIZE
cdef dict CLOSE = {code: index for index, code in enumerate(layout.CLOSE_CODES)}
cdef dict PROTOCOL = {name: index for index, name in enumerate(layout.PROTOCOLS)}
cdef double[32] bounds
cdef double[32] lag_bounds
for _index, _bound in enumerate(layout.BOUNDS):
    bounds[_index] = _bound
for _index, _bound in enumerate(layout.LAG_BOUNDS):
    lag_bounds[_index] = _bound

__all__ = ["Recorder", "bucket"]


cdef inline int bucket_of(double *all_, int count, double value) noexcept:
    cdef int i = 0
    while i < count and value > all_[i]:
        i += 1
    return i


def bucket(tuple all_, double value):
    """The bucket of a histogram that ``value`` is counted in; see the portable function."""
    cdef int i = 0
    while i < len(all_) and value > <double>all_[i]:
        i += 1
    return i


cdef class Recorder(Observer):
    """Writes the seat of this process; see the portable class."""

    def __cinit__(self):
        self._words = NULL

    def __init__(self, seat, double interval, samplers=()):
        cdef Py_buffer view
        self._samplers = tuple(samplers)
        self._seat = seat
        self._interval = interval
        self._view = seat.page  # holds the map
        PyObject_GetBuffer(seat.page, &view, PyBUF_SIMPLE | PyBUF_WRITABLE)
        self._words = <uint64_t *>view.buf
        self._text = <char *>view.buf + TEXT
        PyBuffer_Release(&view)

    cdef int protocol_of(self, str name) except -1:
        """The index of a protocol; mostly it is the same string as the last time."""
        if name is not self._last_name:
            self._last_index = PROTOCOL[name]
            self._last_name = name
        return self._last_index

    cpdef object connection_opened(self, str protocol):
        cdef int index = self.protocol_of(protocol)
        self._words[CONNECTIONS + index] += 1
        self._words[ACCEPTED + index] += 1

    cpdef object connection_closed(self, str protocol):
        self._words[CONNECTIONS + self.protocol_of(protocol)] -= 1

    cpdef object connection_refused(self, str protocol):
        self._words[REFUSED] += 1

    cpdef object connection_handed_over(self, str protocol):
        self._words[HANDED_OVER] += 1

    cpdef object connection_adopted(self, str protocol):
        self._words[ADOPTED] += 1

    cpdef object protocol_error(self, str protocol):
        self._words[PROTOCOL_ERRORS + self.protocol_of(protocol)] += 1

    cpdef object application_failed(self, Exchange exchange):
        self._words[APPLICATION_ERRORS] += 1

    cpdef object request_started(self, Exchange exchange):
        cdef str method = exchange.request.method
        cdef str path = exchange.request.raw_path
        cdef Py_ssize_t size
        cdef Py_ssize_t at = 0
        self._words[IN_PROGRESS + self.protocol_of(exchange.protocol)] += 1
        self._words[CALL_NUMBER] += 1
        # Methods and raw paths are latin-1, a byte a character.
        if PyUnicode_KIND(method) == 1:
            at = min(PyUnicode_GET_LENGTH(method), CALL_SIZE - 1)
            memcpy(self._text, PyUnicode_DATA(method), at)
        self._text[at] = c" "
        at += 1
        if PyUnicode_KIND(path) == 1:
            size = min(PyUnicode_GET_LENGTH(path), CALL_SIZE - at)
            memcpy(self._text + at, PyUnicode_DATA(path), size)
            at += size
        if at < CALL_SIZE:
            self._text[at] = 0
        self._words[CALL_SINCE] = <uint64_t>(exchange.began * 1e9)

    cpdef object request_called(self, Exchange exchange):
        self._words[CALL_SINCE] = 0

    cpdef object request_ended(self, Exchange exchange, int status, double seconds):
        cdef uint64_t *words = self._words
        cdef int protocol = self.protocol_of(exchange.protocol)
        cdef uint64_t *durations = words + DURATIONS + protocol * DURATION_SIZE
        cdef int which = status // 100 - 1
        if status == 499:
            which = CLASSES - 1
        elif which < 0 or which > 4:
            which = 4 if which > 4 else 0
        words[IN_PROGRESS + protocol] -= 1
        words[REQUESTS + protocol * CLASSES + which] += 1
        words[BYTES_IN] += <uint64_t>exchange.received()
        words[BYTES_OUT] += <uint64_t>exchange.sent
        durations[bucket_of(bounds, BUCKETS, seconds)] += 1
        durations[BUCKETS + 1] += <uint64_t>(seconds * 1e9)

    cpdef object websocket_opened(self, Exchange exchange):
        self._words[WEBSOCKETS] += 1

    cpdef object websocket_closed(self, Exchange exchange, int code):
        self._words[WEBSOCKETS] -= 1
        self._words[CLOSES + <int>CLOSE.get(code, len(CLOSE))] += 1

    cpdef object message_received(self, Exchange exchange, object message):
        self._words[MESSAGES_IN] += 1

    cpdef object message_sent(self, Exchange exchange):
        self._words[MESSAGES_OUT] += 1

    cpdef object tick(self, double now):
        cdef double lag
        self._words[BEAT] = time.monotonic_ns()
        if self._ticked:
            lag = now - self._ticked - self._interval
            if lag < 0:
                lag = 0
            self._words[LAG + bucket_of(lag_bounds, LAG_BUCKETS, lag)] += 1
            self._words[LAG + LAG_BUCKETS + 1] += <uint64_t>(lag * 1e9)
        self._ticked = now
        self._sample()

    cpdef object clock_started(self, double now):
        self._words[BEAT] = time.monotonic_ns()
        self._ticked = now

    cpdef object clock_stopped(self):
        self._words[BEAT] = 0
        self._sample()

    cdef object _sample(self):
        for sampler in self._samplers:
            sampler(self._seat.words)

    cpdef object close(self):
        self._sample()
        self._seat.leave()
