"""Answers over SCGI, FastCGI and the direct port: from what an application sends to a connection's bytes.

This is the half of a connection that an application reaches, as its ``HttpChannel``; the other half, which reads
requests, is ``HttpProtocol`` (``server.http``). The codec frames what goes out, and the connection carries it. This
module decides when an answer is over, and whether the connection is kept.

An answer may be complete before the request's body is. A web server that passes uploads on as they arrive (nginx with
``fastcgi_request_buffering off``) then takes its client's connection for unusable and closes it, although it has
declared keep-alive. So where the rest is short, ``max_unread_body``, the answer's end mark waits until it was read.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server import connection_states, peer_errors
from ssgi_gateway.wire.fronts import head_limit
from ssgi_gateway.wire.websocket.handshake import negotiate_deflate, upgrade_headers

from ..core.channel import HttpChannel
from ..observe.observer import CLIENT_GONE
from ..wire.response_head import ResponseHead
from .system import clock
from .tunnel import TunnelProtocol
from .websocket import WebSocketProtocol

if TYPE_CHECKING:
    from asyncio import Future

    from ssgi_gateway.wire.file_slice import FileSlice
    from ssgi_gateway.wire.websocket.handshake import Upgrade

    from ..core.body import RequestBody
    from ..core.channel import WebSocketChannel
    from ..core.exchange import Exchange
    from .connection import Connection
    from .gateway import Gateway

MAX_SAFE_HEAD: Final = 4096
"""nginx's scgi_buffer_size and fastcgi_buffer_size are one page unless set: a larger head fails there."""

OPEN: Final = connection_states.OPEN
NEW: Final = connection_states.NEW
IDLE: Final = connection_states.IDLE
WHOLE: Final = connection_states.WHOLE


class AnsweringChannel(HttpChannel):
    """What one SCGI, FastCGI or upgrade connection is to the application that answers on it."""

    __slots__ = ("_allowance", "_body", "_exchange", "_idle", "_phase", "_upgrade", "codec", "connection", "gateway")

    def _init_base(self, connection: Connection, gateway: Gateway, codec: Any) -> None:
        self.scope = gateway.scope
        self.front_files = gateway.front_files
        self.connection = connection
        self.gateway = gateway
        self.codec = codec
        self._body: RequestBody | None = None
        self._exchange: Exchange | None = None
        self._upgrade: Upgrade | None = None
        self._phase = NEW  # how much of the request has come
        self._allowance = 0  # bytes of an unread body that may still come before the answer's end is sent
        self._idle = gateway.keep_alive if codec.kept_by_clients else gateway.idle_timeout

    def _next(self) -> None:
        """Another request is there already, behind one that is answered now: it will be looked at."""
        raise NotImplementedError

    # -- calls of the application --------------------------------------------------------------------------------

    def write(self, head: ResponseHead | None, data: Any, end: bool) -> bool:
        codec = self.codec
        if end and self._phase != WHOLE and self._rest_is_short():
            more = self.write(head, data, False)
            self._await_rest()
            return more
        pieces = codec.encode(head, data, end)
        if head is not None and codec.head_size > MAX_SAFE_HEAD:
            self._check_head_size()
        more = self.connection.write_many(pieces)
        if end:
            self._release(0)
            self._end()
        return more

    def write_file(self, head: ResponseHead | None, file: FileSlice, end: bool) -> bool:
        codec = self.codec
        if end and self._phase != WHOLE and self._rest_is_short():
            more = self.write_file(head, file, False)
            self._await_rest()
            return more
        pieces = [*codec.encode(head, None, False), *codec.frame_file(file)]
        if end:
            pieces += codec.encode(None, None, True)
        more = self.connection.write_files(pieces)
        if end:
            self._release(0)
            self._end()
        return more

    def _check_head_size(self) -> None:
        """Log which web servers refuse a head of this size, unless this one is known to take it."""
        exchange = self._exchange
        software = "" if exchange is None else exchange.request.variables.get("SERVER_SOFTWARE", "")
        problem = head_limit(software, self.codec.protocol, self.codec.head_size)
        if problem:
            self._log_peer_error(
                peer_errors.LARGE_HEAD, f"a response's head has {self.codec.head_size} bytes; {problem}"
            )

    def when_writable(self) -> Future[bool]:
        return self.connection.when_writable()

    def when_flushed(self) -> Future[bool]:
        return self.connection.when_flushed()

    def application_failed(self, exchange: Exchange) -> None:
        if self.gateway.observer is not None:
            self.gateway.observer.application_failed(exchange)

    def failure_page(self, exc: BaseException | None, accept: str | None) -> tuple[str, str]:
        return self.gateway.failure_page(exc, accept)

    def offload_file(self, fd: int) -> tuple[str, str] | None:
        found: tuple[str, str] | None = self.gateway.offload.header_for(fd)
        return found

    def body_consumed(self, body: RequestBody) -> None:
        connection = self.connection
        if not body.ended and body.size <= self.gateway.low_water:
            invitation = self.codec.invite()
            if invitation:
                connection.write(invitation)
            connection.deadline = self.gateway.now + self.gateway.body_timeout
            connection.start_reading()

    def abort_response(self) -> None:
        """Close without the end mark, which FastCGI's front sees; SCGI's sees fewer bytes than were declared."""
        self.connection.break_off(self.codec.abort_response(), self._phase != WHOLE or self.codec.may_send_trailing)
        self.connection_lost()

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {
            "protocol": self.codec.protocol,
            "state": self.gateway.state,
            "on_drain": partial(self.gateway.on_drain, self._exchange),
        }
        if self._upgrade is not None:
            described["subprotocols"] = list(self._upgrade.subprotocols)
        return described

    def switch(self, websocket: Any, subprotocol: str, headers: Any) -> WebSocketChannel:
        upgrade = self._upgrade
        settings = self.gateway.settings.websockets
        deflate = negotiate_deflate(upgrade.extensions, settings)  # type: ignore[union-attr]  # set before the call
        head = ResponseHead(self.front_files)
        if headers is not None:
            head.add(headers)
        head.switch_protocols(upgrade_headers(upgrade, subprotocol, deflate))  # type: ignore[arg-type]  # set before the call
        described = self.describe()
        self._release(101)
        connection = self.connection
        connection.write_many(self.codec.encode(head, None, False))
        if self.gateway.observer is not None:
            self.gateway.observer.websocket_opened(websocket)
        carrier = WebSocketProtocol(connection, self.gateway, websocket, deflate, described)
        carrier.begin(self.codec.trailing_data())
        return carrier

    def duplicate(self) -> int:
        return os.dup(self.connection.fd)

    def take_over(self, websocket: Any, theirs: Any, lock: Any) -> tuple[WebSocketChannel, bytes]:
        self._release(101)
        trailing = self.codec.trailing_data()
        if self.gateway.observer is not None:
            self.gateway.observer.websocket_opened(websocket)
        return TunnelProtocol(self.connection, self.gateway, websocket, self.describe(), theirs, lock), trailing

    # -- the end of an answer ------------------------------------------------------------------------------------

    def _release(self, status: int) -> Exchange | None:
        """The exchange is over: release it, and report it to the observer if there is one.

        Args:
            status: what was answered for the application; 0 where it answered itself.
        """
        exchange, self._exchange = self._exchange, None
        if self.gateway.drain_handlers and status != 101:
            self.gateway.drain_handlers.pop(exchange, None)
        observer = self.gateway.observer
        if exchange is not None and observer is not None:
            observer.request_ended(exchange, status or exchange.answered() or CLIENT_GONE, clock() - exchange.began)
        return exchange

    def _rest_is_short(self) -> bool:
        """Whether to read the rest of the request's body before the answer ends."""
        body, limit = self._body, self.gateway.max_unread_body
        if body is None or not limit or self.codec.uninvited():
            return False
        length = "" if self._exchange is None else self._exchange.request.variables.get("CONTENT_LENGTH", "")
        return not length.isdecimal() or int(length) - body.received <= limit

    def _await_rest(self) -> None:
        """The answer is complete but for its end, which is sent by ``_end_late``."""
        gateway, connection = self.gateway, self.connection
        self._release(0)
        body, self._body = self._body, None
        if body is not None:
            body.abort()  # as in _end
        if connection.state == OPEN:
            self._allowance = gateway.max_unread_body
            connection.deadline = gateway.now + gateway.unread_body_timeout
            connection.start_reading()

    def _end_late(self) -> None:
        """The rest of the body has come, or is not waited for any longer."""
        self._allowance = 0
        self.connection.write_many(self.codec.encode(None, None, True))
        self._end()

    def _end_broken(self) -> None:
        """What was to be the rest of the body cannot be read, and the codec has given up; the answer is out."""
        self._allowance = 0
        self.connection.finish(True)

    def _end(self) -> None:
        """The answer is complete: the connection is kept, or closed once everything has left it."""
        body, self._body = self._body, None
        if body is not None:
            body.abort()  # what has not arrived by now never will; readers get an error
        keep = self.codec.finish()
        output = self.codec.take_output()  # an abort's end mark
        if output:
            self.connection.write(output)
        gateway = self.gateway
        if keep and not (gateway.draining and gateway.adoption is None):
            self._phase = IDLE
            self.connection.next_request(self._idle)
            if self.codec.waiting():
                self._next()
            elif gateway.draining:
                self._pass_on()
        else:
            self.connection.finish(self._phase != WHOLE or self.codec.may_send_trailing)

    def _pass_on(self) -> None:
        """Let another process have this connection, once nothing here works on it any more."""
        self.gateway.loop.call_soon(partial(self.gateway.adoption.pass_on, self.connection))  # type: ignore[union-attr]  # looked

    def _log_peer_error(self, kind: str, message: str) -> None:
        self.gateway.log_peer_error(kind, f"{self.codec.protocol}{self.connection.peer_label()}: {message}")
