cimport cython

from ..core.body cimport RequestBody
from ..core.channel cimport HttpChannel, WebSocketChannel
from ..core.exchange cimport Exchange
from ..wire.codec cimport Codec
from ..wire.response_head cimport ResponseHead
from ..observe.observer cimport Observer
from .connection cimport Connection
from .gateway cimport Gateway
from .system cimport clock
from .websocket cimport WebSocketProtocol

cdef Py_ssize_t MAX_SAFE_HEAD
cdef int OPEN, NEW, IDLE, WHOLE


cdef class AnsweringChannel(HttpChannel):
    cdef public Codec codec
    cdef public Connection connection
    cdef public Gateway gateway
    cdef Py_ssize_t _allowance
    cdef RequestBody _body
    cdef Exchange _exchange
    cdef double _idle
    cdef int _phase
    cdef object _upgrade

    cdef object _init_base(self, Connection connection, Gateway gateway, Codec codec)
    cdef object _next(self)
    @cython.locals(codec=Codec)
    cpdef bint write(self, ResponseHead head, object data, bint end) except -1
    @cython.locals(exchange=Exchange)
    cdef object _check_head_size(self)
    @cython.locals(exchange=Exchange, observer=Observer)
    cdef Exchange _release(self, int status)
    @cython.locals(body=RequestBody, limit=Py_ssize_t)
    cdef bint _rest_is_short(self) except -1
    @cython.locals(body=RequestBody, connection=Connection, gateway=Gateway)
    cdef object _await_rest(self)
    cdef object _end_late(self)
    cdef object _end_broken(self)
    @cython.locals(gateway=Gateway)
    cdef object _end(self)
    cdef object _pass_on(self)
    cdef object _log_peer_error(self, str kind, str message)
