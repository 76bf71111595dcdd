cimport cython

from ..core.body cimport RequestBody
from ..core.channel cimport HttpChannel, WebSocketChannel
from ..core.exchange cimport Exchange
from ..core.response cimport HttpResponse
from ..core.websocket cimport WebSocket
from ..wire.cgi cimport RequestHead, parse_head
from ..wire.codec cimport Codec
from ..wire.events cimport BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from ..wire.response_head cimport ResponseHead
from ..wire.variables cimport Variables
from ..observe.observer cimport Observer
from .connection cimport Connection
from .gateway cimport Gateway
from .multiplex cimport Multiplexer
from .system cimport clock
from .websocket cimport WebSocketProtocol

cdef Py_ssize_t MAX_SAFE_HEAD
cdef double DRAIN_GRACE, NEVER
cdef int NEW, IDLE, HEAD, BODY, WHOLE, BATCH, OPEN


cdef class HttpProtocol(HttpChannel):
    cdef public Codec codec
    cdef Py_ssize_t _allowance
    cdef public Connection connection
    cdef public Gateway gateway
    cdef bint _behind
    cdef RequestBody _body
    cdef double _idle
    cdef Exchange _exchange
    cdef HeadReceived _head
    cdef int _phase
    cdef object _refusal
    cdef int _started
    cdef object _upgrade

    cpdef object init(self, Connection connection, Gateway gateway, Codec codec)
    cpdef object overloaded(self)
    @cython.locals(codec=Codec)
    cpdef bint write(self, ResponseHead head, object data, bint end) except -1
    cpdef object sibling(self, Connection connection, Codec codec)
    cdef object _process_events(self)
    cpdef object _proceed(self, object _=*)
    cdef object _next(self)
    cdef object _take_events(self)
    cdef object _flush(self)
    cdef object _head_received(self, HeadReceived event)
    cdef object _body_received(self, bytes data)
    cdef object _request_ended(self)
    cdef object _request_aborted(self)
    @cython.locals(gateway=Gateway, response=HttpResponse, socket=WebSocket, request=RequestHead, variables=Variables)
    cdef object _begin(self)
    @cython.locals(observer=Observer)
    cdef object _call(self, Exchange exchange, object app, str kind)
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
    @cython.locals(codec=Codec)
    cpdef str movable(self)
    cdef object _pass_on(self)
    @cython.locals(gateway=Gateway)
    cdef object _update_interest(self)
    cdef object _refuse(self, object refusal)
    cdef object _log_peer_error(self, str kind, str message)
