cimport cython

from ..core.body cimport RequestBody
from ..core.exchange cimport Exchange
from ..core.response cimport HttpResponse
from ..core.websocket cimport WebSocket
from ..wire.cgi cimport RequestHead, parse_head
from ..wire.codec cimport Codec
from ..wire.events cimport BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from ..wire.response_head cimport ResponseHead
from ..wire.variables cimport Variables
from ..observe.observer cimport Observer
from .answering cimport AnsweringChannel
from .connection cimport Connection
from .gateway cimport Gateway
from .multiplex cimport Multiplexer
from .system cimport clock

cdef double DRAIN_GRACE, NEVER
cdef int NEW, IDLE, HEAD, BODY, WHOLE, BATCH, OPEN


cdef class HttpProtocol(AnsweringChannel):
    cdef bint _behind
    cdef HeadReceived _head
    cdef object _refusal
    cdef int _started

    cpdef object init(self, Connection connection, Gateway gateway, Codec codec)
    cpdef object overloaded(self)
    cpdef object sibling(self, Connection connection, Codec codec)
    @cython.locals(codec=Codec, still=bint)
    cpdef str movable(self)
    cdef object _process_events(self)
    cpdef object _proceed(self, object _=*)
    cdef object _next(self)
    cdef object _take_events(self)
    cdef object _flush(self)
    cdef object _head_received(self, HeadReceived event)
    @cython.locals(data=bytes)
    cdef object _body_received(self, BodyReceived event)
    cdef object _request_ended(self)
    cdef object _request_aborted(self)
    @cython.locals(gateway=Gateway, response=HttpResponse, websocket=WebSocket, request=RequestHead, variables=Variables)
    cdef object _begin(self)
    @cython.locals(observer=Observer)
    cdef object _call(self, Exchange exchange, object app, str kind)
    @cython.locals(gateway=Gateway)
    cdef object _update_interest(self)
    cdef object _refuse(self, object refusal)
    cdef object _time_out(self, str kind, str message)
    @cython.locals(until=double)
    cdef object _answer(self, object refusal)
