cimport cython

from ..core.channel cimport SharedMessage, WebSocketChannel
from ..core.websocket cimport WebSocket
from ..wire.events cimport CloseReceived, Event, MessageReceived
from ..wire.websocket.codec cimport WebSocketCodec
from ..observe.observer cimport Observer
from .connection cimport Connection
from .gateway cimport Gateway
from .system cimport clock

cdef double NEVER, SHARE
cdef Py_ssize_t PORTION
cdef int OPEN, RUNNING, CLOSING, OVER, NO_STATUS, BROKEN, SERVICE_RESTART


cdef class WebSocketProtocol(WebSocketChannel):
    cdef public WebSocketCodec codec
    cdef public Connection connection
    cdef public Gateway gateway
    cdef public WebSocket websocket
    cdef dict _described
    cdef bint _full
    cdef double _last_received
    cdef bint _pinged
    cdef bint _resting
    cdef double _asked
    cdef Py_ssize_t _unsent
    cdef int _state

    cpdef object begin(self, bytes trailing)
    @cython.locals(observer=Observer)
    cdef object _ping(self, double timeout)
    cdef object _ask(self, double timeout)
    cdef bint _moved(self, double timeout) except -1
    @cython.locals(left=Py_ssize_t, until=double, high_water=Py_ssize_t)
    cdef object _process_events(self)
    @cython.locals(received=MessageReceived)
    cdef Py_ssize_t _take(self, Event event) except -1
    cdef object _rest(self)
    cpdef object _go_on(self)
    cdef object _stall(self)
    cpdef object _unstall(self, object _)
    cdef object _flush(self)
    cdef object _pong_received(self)
    cdef object _schedule_ping(self)
    cdef object _close_received(self, int code, str reason)
    cdef object _protocol_error(self, object error)
    cdef object _finish(self, bytes answer, int code, str reason, bint unread)
    cdef object _over(self, int code, str reason)
    cdef object _ended(self, int code, str reason)
