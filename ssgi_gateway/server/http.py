"""Requests over SCGI, FastCGI and the direct port: from a connection's bytes to the call of the application.

The codec reports what arrived; this module decides what happens. One exchange at a time. The phase is how much of the
request has come; whether it is being answered, the exchange knows::

    NEW --a byte--> HEAD --HeadReceived--> BODY --RequestEnded--> WHOLE
    WHOLE --the last piece of the answer was written--> IDLE --a byte--> HEAD

Everything that has arrived is decoded before the application is called, so that a small body is there when it
asks. While an exchange runs the connection is read for one of two reasons: the body, or the peer's disconnection.

How it is answered, and what follows the end of an answer, is in ``server.answering``.

Where FastCGI has several requests in progress on one connection, each has an ``HttpProtocol`` of its own, on a
``Stream`` in the connection's place (``server.multiplex``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.server import connection_states, peer_errors
from ssgi_gateway.wire.websocket.handshake import check_upgrade

from ..core.body import RequestBody
from ..core.response import HttpResponse
from ..core.websocket import WebSocket
from ..wire.cgi import parse_head
from ..wire.events import BodyReceived, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from ..wire.response_head import ResponseHead
from .answering import AnsweringChannel
from .multiplex import Multiplexer
from .system import clock

if TYPE_CHECKING:
    from ..core.exchange import Exchange
    from .connection import Connection
    from .gateway import Gateway

NEVER: Final = connection_states.NEVER
OPEN: Final = connection_states.OPEN
NEW: Final = connection_states.NEW
IDLE: Final = connection_states.IDLE
HEAD: Final = connection_states.HEAD
BODY: Final = connection_states.BODY
WHOLE: Final = connection_states.WHOLE

BATCH: Final = 64
"""Requests that one connection may have begun in one turn of the loop; then others have theirs."""

DRAIN_GRACE: Final = 1.0
"""Seconds that a connection which is new when the drain begins gets for its request: a web server that has connected is
about to send one, and a close would cost it."""


class HttpProtocol(AnsweringChannel):
    """One SCGI, FastCGI or upgrade connection."""

    __slots__ = ("_behind", "_head", "_refusal", "_started")

    def __init__(self, connection: Connection, gateway: Gateway, codec: Any) -> None:
        self.init(connection, gateway, codec)

    def init(self, connection: Connection, gateway: Gateway, codec: Any) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base(connection, gateway, codec)
        connection.protocol = self
        self._head: HeadReceived | None = None  # decoded, its application not called yet
        self._refusal: RequestRejected | None = None  # what this connection's request is answered, whatever it is
        self._started = 0  # requests in this turn of the loop
        self._behind = False  # a request behind this one will be looked at

    # -- events of the connection --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._phase == NEW:
            self._phase = IDLE
        self.codec.receive(data)
        self._process_events()

    def _proceed(self, _: Any = None) -> None:
        """Go on with what arrived behind a request that is answered now."""
        self._behind = False
        more = self._exchange is None or self._started >= BATCH
        self._started = 0
        if self.connection.state == OPEN and self.connection.protocol is self:
            self.connection.resume()
            if more:
                self._process_events()

    def eof_received(self) -> None:
        connection = self.connection
        if self.gateway.half_close and self._exchange is not None and self._phase == WHOLE:
            connection.stop_reading()
            return
        self.codec.receive(b"")
        self._process_events()
        connection.lost()

    def connection_lost(self) -> None:
        exchange = self._release(0)
        self._head = None
        self._allowance = 0
        if exchange is not None:
            exchange.abort()

    def deadline_passed(self) -> None:
        gateway = self.gateway
        if self._allowance:
            self._end_late()
        elif self._exchange is None:
            if self._phase == HEAD:
                self._time_out(
                    peer_errors.SLOW_REQUEST, f"a request's head was not complete after {gateway.head_timeout:g} s"
                )
            else:
                self.connection.finish(False)  # nothing has begun that could be answered
        elif self._body is not None and self._body.wanted:
            self._time_out(peer_errors.SLOW_BODY, f"nothing of a request's body came for {gateway.body_timeout:g} s")

    def shut_down(self) -> None:
        if self.gateway.adoption is None:
            self.codec.shut_down()
        if self._exchange is not None or self._phase > IDLE or self._refusal is not None:
            return  # each of them ends soon
        if self.gateway.adoption is not None:
            self._pass_on()
        elif self._phase == NEW:
            self.connection.deadline = self.gateway.now + DRAIN_GRACE
        else:
            self.connection.finish(False)  # not before the last answer has left

    def hurry(self, urgency: int) -> None:
        if self._exchange is not None:
            self._exchange.hurry(urgency)

    def movable(self) -> str:
        codec = self.codec
        still = (
            self._exchange is None
            and self._head is None
            and not codec.busy
            and not codec.incomplete()
            and self._refusal is None  # otherwise it is one too many: closing it makes no room
            and self.connection.fd >= 0
        )
        return str(codec.protocol) if still else ""

    def overloaded(self) -> None:
        """There are too many connections: answer 503 unless there is room when the request arrives."""
        limit = self.gateway.max_connections
        words = f"all {limit} connections are in use; try again"
        self._refusal = RequestRejected(503, words, (("Retry-After", "1"),))
        if self.gateway.observer is not None:
            self.gateway.observer.connection_refused(self.codec.protocol)

    def sibling(self, connection: Connection, codec: Any) -> HttpProtocol:
        """One more of these, for another request of a connection that carries several."""
        return HttpProtocol(connection, self.gateway, codec)

    # -- events of the codec -------------------------------------------------------------------------------------

    def _process_events(self) -> None:
        """Take every event there is, send automatic answers, then let the application work.

        A request that is refused is no reason to wait: what has arrived behind it on a kept connection is its turn.
        """
        refused = True
        while refused:
            refused = False
            try:
                self._take_events()
            except RequestRejected as refusal:
                self._refuse(refusal)
                refused = self.connection.protocol is self and self.connection.state == OPEN
            except RemoteProtocolError as error:
                self._log_peer_error(peer_errors.PROTOCOL_ERROR, str(error))
                if self.gateway.observer is not None:
                    self.gateway.observer.protocol_error(self.codec.protocol)
                self._flush()
                if self._allowance:
                    self._end_broken()
                else:
                    self.connection.break_down()
                return
        self._update_interest()

    def _take_events(self) -> None:
        codec = self.codec
        while not self._behind and self._started < BATCH and (event := codec.next_event()) is not None:
            kind = type(event)
            if kind is HeadReceived:
                self._head_received(event)
            elif kind is BodyReceived:
                self._body_received(event)
            elif kind is RequestEnded:
                self._request_ended()
            elif kind is RequestAborted:
                self._request_aborted()
            elif kind is RequestsInterleaved and self.connection.state == OPEN:
                # Otherwise an answer broke off, and the connection ends.
                Multiplexer(self.connection, self.gateway, self, codec, event.rest)
        self._flush()
        if self._head is not None:
            self._begin()

    def _next(self) -> None:
        """Another request is there already: its turn comes when the others have had theirs, and the peer reads."""
        if self._behind:
            return
        self._behind = True
        if self.connection.out_size > self.gateway.high_water:
            self.gateway.loop.when_done(self.connection.when_writable(), self._proceed)
        else:
            self.gateway.loop.call_soon(self._proceed)

    def _flush(self) -> None:
        """Send what the codec answers by itself."""
        output = self.codec.take_output()
        if output:
            self.connection.write(output)
            if self.codec.closing:
                self.connection.finish(self.codec.may_send_trailing)

    def _head_received(self, event: HeadReceived) -> None:
        self._phase = BODY
        if self._refusal is not None:
            if self.gateway.is_full(self.connection):
                raise self._refusal
            self._refusal = None
        limit = self.gateway.max_body_size
        if limit and event.body_length > limit:
            raise RequestRejected(413, f"the request's body has {event.body_length} bytes, the limit is {limit}")
        self._head = event
        self._body = None if event.body_length == 0 else RequestBody()

    def _body_received(self, event: BodyReceived) -> None:
        data = event.data
        body = self._body
        if body is None or (self._exchange is None and self._head is None):
            # Answered early: this will not be read.
            if self._allowance:
                self._allowance -= len(data)
                if self._allowance <= 0:
                    self._end_late()
            return
        limit = self.gateway.max_body_size
        if limit and body.received + len(data) > limit:
            raise RequestRejected(413, f"the request's body is longer than the limit of {limit} bytes")
        body.feed(data)

    def _request_ended(self) -> None:
        self._phase = WHOLE
        if self._body is not None:
            self._body.feed_end()
        if self._head is not None:
            self._begin()
        elif self._allowance:
            self._end_late()

    def _request_aborted(self) -> None:
        """The client disconnected. The codec knows whether the web server still needs an end mark."""
        self._head = None
        self._allowance = 0
        exchange = self._release(0)
        if exchange is not None:
            exchange.abort()
        if self.codec.busy:
            self._end()

    # -- the application -----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Call the application with the head that has arrived."""
        gateway = self.gateway
        variables = self._head.variables  # type: ignore[union-attr]  # the callers have looked
        self._head = None
        if gateway.draining and gateway.adoption is None:
            self.codec.shut_down()
        self._started += 1
        if gateway.unexamined:
            gateway.examine(variables, self.codec.protocol)
        variables.settle_user(gateway.trust_remote_user)
        request = parse_head(variables, gateway.root_path, gateway.started_by_front)
        if request.is_upgrade and gateway.websocket_app is not None and self.codec.supports_upgrade:
            if self._body is not None:
                raise RequestRejected(400, "a WebSocket handshake has no body")
            limits = gateway.settings.websockets
            self._upgrade = upgrade = check_upgrade(request, limits.origins, self.codec.shows_connection)
            websocket = WebSocket(self, request, upgrade.subprotocols, limits.max_queue, limits.max_queue_size)
            self._exchange = websocket
            self._call(websocket, gateway.websocket_app, "websocket")
        elif gateway.http_app is not None and self.codec.serves_http:
            response = HttpResponse.__new__(HttpResponse)
            response.init(self, request, self._body)
            self._exchange = response
            if gateway.request_id_header:
                response.send_headers([(gateway.request_id_header, response.request_id())])
            self._call(response, gateway.http_app, "http")
        else:
            raise RequestRejected(404, "nothing is served here over this protocol")

    def _call(self, exchange: Exchange, app: Any, kind: str) -> None:
        observer = self.gateway.observer
        if observer is None:
            exchange.run(app, kind, self.gateway.strict)
            return
        exchange.protocol = self.codec.protocol
        exchange.began = clock()
        observer.request_started(exchange)
        try:
            exchange.run(app, kind, self.gateway.strict)
        finally:
            if self.gateway.observer is not None:  # it is, in a child that the application has forked
                observer.request_called(exchange)

    def _update_interest(self) -> None:
        """Nothing more can be done now: set the deadline for what is waited for, and read only if it is wanted."""
        connection = self.connection
        if connection.protocol is not self or connection.state != OPEN:
            return
        if self._refusal is not None:
            connection.start_reading()  # what is left of the time for its request
            return
        if self._started >= BATCH:
            connection.rest()
            self._next()
            return
        self._started = 0
        body = self._body
        if self._exchange is None:
            if not self.codec.busy:
                gateway = self.gateway
                phase = HEAD if self.codec.incomplete() else IDLE
                until = gateway.now + (gateway.head_timeout if phase == HEAD else self._idle)
                if phase != self._phase or until < connection.deadline:
                    connection.deadline = until
                self._phase = phase
                if gateway.draining and gateway.adoption is not None and phase == IDLE:
                    self._pass_on()  # the end of a request that was answered early had to be read first
            if self._behind and self.codec.full():
                connection.stop_reading()
            else:
                connection.start_reading()
        elif (body is not None and body.size > self.gateway.high_water) or self.codec.full():
            connection.stop_reading()
        else:
            if body is None or not body.wanted:
                connection.deadline = NEVER
            else:
                connection.deadline = self.gateway.now + self.gateway.body_timeout
            connection.start_reading()

    def _refuse(self, refusal: RequestRejected) -> None:
        """The request cannot be served and never reached the application, or grew too long."""
        self._log_peer_error(peer_errors.REFUSED_REQUEST, f"{refusal.status}: {refusal.message}")
        if self._allowance:
            self._end_late()  # it was answered already
            return
        if refusal.status < 500 and self.gateway.observer is not None:
            self.gateway.observer.protocol_error(self.codec.protocol)
        self._answer(refusal)

    def _time_out(self, kind: str, message: str) -> None:
        """The request takes too long to come.

        A client learns so (RFC 9110 15.5.9: 408, and the connection is closed); a web server has words of its own for
        its client when the connection ends.
        """
        self._log_peer_error(kind, message)
        if self.codec.kept_by_clients:
            self._answer(RequestRejected(408, message))
        elif self._exchange is None:
            self.connection.finish(False)
        else:
            self.connection.lost()

    def _answer(self, refusal: RequestRejected) -> None:
        """Answer in the application's place, unless its own answer has begun: then that is cut off."""
        self._head = None
        exchange = self._release(refusal.status)
        head = ResponseHead()
        head.set_status(refusal.status)
        head.add([("Content-Type", "text/plain; charset=utf-8"), *refusal.headers])
        text = f"{refusal.status} {head.reason}\n{refusal.message}\n".encode()
        head.set_content_length(len(text))
        if exchange is not None:
            committed = exchange.committed()
            exchange.abort()
            if committed:
                self.abort_response()
                return
        self.connection.write_many(self.codec.encode(head, text, True))
        if self._refusal is not None:
            self.codec.finish()
            until = self.connection.deadline
            self.connection.finish(self._phase != WHOLE or self.codec.may_send_trailing)
            self.connection.deadline = min(self.connection.deadline, until)  # others wait for its place
        else:
            # A kept FastCGI connection stays: nginx may send its next request there before it sees a close.
            self._end()
