"""What carries exchanges on one connection: the base, and the three protocols that carry one at a time.

A carrier is the protocol of its connection. It knows the codec and the deadlines; who is next is the pool's part.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final

from ssgi_gateway.errors import (
    ClientError,
    ReadTimeout,
    RemoteProtocolError,
    WriteTimeout,
)
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.fastcgi import FastcgiClient
from ssgi_gateway.wire.client.http1 import Http1Client
from ssgi_gateway.wire.client.http1_parsers import parser_factory
from ssgi_gateway.wire.client.scgi import ScgiClient

from ..server.connection import NEVER
from ..server.system import addresses

if TYPE_CHECKING:
    from .exchange import Exchange
    from .pool import Place, Pool

__all__ = ["Carrier", "FastcgiCarrier", "Http1Carrier", "OneAtATime", "ScgiCarrier"]

logger = logging.getLogger("ssgi_gateway.client")

CONTINUE_WAIT: Final = 1.0
"""Seconds that a body waits for a 100 (RFC 9110 10.1.1: not for ever)."""
MAX_JOINED: Final = 16384
"""Bodies up to this leave with the records around them in one buffer."""

ABORT_WAIT: Final = 1.0
"""Seconds that an aborted FastCGI request has to end."""


class Carrier:
    """The base.

    Attributes:
        pool, place: where it belongs.
        stream: the connection, or TLS on it.
        connection: the connection.
        born: when it was opened, in the loop's time.
        served: requests so far.
        closed: nothing can be done with it any more.
    """

    __slots__ = ("born", "closed", "connection", "place", "pool", "served", "stream")

    http_version: ClassVar[str] = ""

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        self.pool = pool
        self.place = place
        self.stream = stream
        self.connection = getattr(stream, "connection", stream)
        self.born = pool.reactor.loop.time()
        self.served = 0
        self.closed = False
        stream.protocol = self

    @property
    def room(self) -> int:
        """Exchanges that can be begun now."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether its ``room`` is known."""
        return True

    def begin(self, exchange: Exchange) -> None:
        """Write the head, and the first piece of the body."""
        raise NotImplementedError

    def send(self, exchange: Exchange, data: Any, more: bool) -> Any:
        """A further piece of the body; returns what to wait for, or ``None``."""
        raise NotImplementedError

    def send_tunnel(self, exchange: Exchange, data: Any, more: bool) -> Any:
        """Bytes of a tunnel."""
        raise NotImplementedError

    def taken(self, exchange: Exchange, size: int) -> None:
        """The asking side has read so much."""
        raise NotImplementedError

    def abandon(self, exchange: Exchange) -> None:
        """The asking side has left."""
        raise NotImplementedError

    def rest(self) -> None:
        """Nobody needs it now."""
        limits = self.pool.limits
        self.connection.deadline = self.pool.reactor.loop.time() + limits.idle_timeout

    def close(self) -> None:
        """Give the connection back to the system, and its place to the pool."""
        if not self.closed:
            self.closed = True
            self.stream.close()
            self.pool.gone(self)

    @property
    def remote(self) -> str:
        """The peer's address, for people."""
        name = addresses(self.connection.fd)[1] if self.connection.fd >= 0 else ""
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    @property
    def tls(self) -> dict[str, Any] | None:
        """What TLS agreed on."""
        secured = getattr(self.stream, "tls_object", None)
        if secured is None:
            return None
        cipher = secured.cipher()
        return {"version": secured.version(), "cipher": cipher[0] if cipher else None}

    def shut_down(self, error: ClientError) -> None:
        """The client is closed; whoever is still carried is told."""
        raise NotImplementedError

    def peer_error(self) -> ClientError:
        """Why the connection ended."""
        error: ClientError | None = self.stream.error
        return error or RemoteProtocolError("the peer closed the connection")


class OneAtATime(Carrier):
    """A connection that carries one exchange after the other."""

    __slots__ = ("_codec", "_exchange", "_heard", "_out_size", "_paused")

    def __init__(self, pool: Pool, place: Place, stream: Any, codec: Any) -> None:
        super().__init__(pool, place, stream)
        self._codec = codec
        self._exchange: Exchange | None = None
        self._heard = False
        self._paused = False
        self._out_size = 0

    @property
    def room(self) -> int:
        return 0 if self._exchange is not None or self.closed else 1

    def begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._heard = False
        reused = self.served > 0
        self.served += 1
        # The head before the message: an application that sees it knows that the head has been written.
        self.stream.write_many(self._open(exchange))
        self._await(exchange)
        exchange.begun(self, self._stream_id(), reused)
        self.stream.start_reading()

    def _open(self, exchange: Exchange) -> list[Any]:
        """The head and what of the body may follow at once."""
        raise NotImplementedError

    def _stream_id(self) -> int | None:
        return None

    def _encode(self, data: Any, more: bool) -> list[Any]:
        raise NotImplementedError

    def send(self, exchange: Exchange, data: Any, more: bool) -> Any:
        if self._exchange is not exchange or self.closed:
            return None
        buffers = self._encode(data, more)
        welcome = not buffers or self.stream.write_many(buffers)
        self._await(exchange)
        return None if welcome else self.stream.when_writable()

    def send_tunnel(self, exchange: Exchange, data: Any, more: bool) -> Any:
        if self._exchange is not exchange or self.closed:
            return None
        welcome = self.stream.write(data) if data else True
        if not more:
            self.stream.shutdown()
        return None if welcome else self.stream.when_writable()

    def taken(self, exchange: Exchange, size: int) -> None:
        if self._paused and exchange is self._exchange and exchange.buffered <= self.pool.reactor.low_water:
            self._paused = False
            self._await(exchange)
            self.stream.start_reading()

    def abandon(self, exchange: Exchange) -> None:
        if self._exchange is exchange:
            self._exchange = None
            self.close()

    def shut_down(self, error: ClientError) -> None:
        self._fail(error)

    # -- what the connection says ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer; on an idle connection there must be none."""
        exchange = self._exchange
        if exchange is None:
            self.close()
            return
        self._heard = True
        if exchange.tunnel:
            exchange.deliver(BodyArrived(data))
        else:
            self._await(exchange)
            try:
                events = self._codec.receive(data)
            except ClientError as error:
                self._fail(error)
                return
            self._deliver(exchange, events)
        if exchange is self._exchange and exchange.buffered > self.pool.reactor.high_water:
            self._paused = True
            self.connection.deadline = NEVER
            self.stream.stop_reading()

    def eof_received(self) -> None:
        """The peer sends nothing more."""
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif exchange.tunnel:
            self._fail(None)
        else:
            try:
                events = self._codec.receive(b"")
            except ClientError as error:
                self._fail(error, stale=self._is_stale())
                return
            self._deliver(exchange, events)
            self.close()

    def connection_lost(self) -> None:
        """The connection broke."""
        self._fail(self.peer_error(), stale=self._is_stale())

    def deadline_passed(self) -> None:
        """Too long a silence, if something is due."""
        exchange = self._exchange
        if exchange is None:
            self.close()
        elif self.stream.out_size:
            if self.stream.out_size == self._out_size:
                self._fail(WriteTimeout(f"the peer took nothing for {exchange.timeouts.write} s"))
            else:
                self._await(exchange)
        elif not exchange.uploaded or exchange.tunnel:
            self._await(exchange)  # it is this side's turn
        else:
            self._fail(ReadTimeout(f"the peer said nothing for {exchange.timeouts.read} s"))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_stale(self) -> bool:
        return self.served > 1 and not self._heard

    def _await(self, exchange: Exchange) -> None:
        """From now on the peer has so long to take or say something."""
        self._out_size = self.stream.out_size
        seconds = exchange.timeouts.write if self._out_size else exchange.timeouts.read
        self.connection.deadline = NEVER if seconds is None else self.pool.reactor.loop.time() + seconds

    def _deliver(self, exchange: Exchange, events: list[Any]) -> None:
        for event in events:
            kind = type(event)
            exchange.deliver(event)
            if kind is AnswerEnded or (kind is AnswerReceived and not event.more and not event.tunnel):
                # The connection goes on to whoever waits before this application wakes.
                self._release(exchange)
            elif kind is AnswerReceived and event.tunnel:
                self._enter_tunnel(exchange)

    def _enter_tunnel(self, exchange: Exchange) -> None:
        self.connection.deadline = NEVER
        rest = self._codec.take_tunnel()
        if rest:
            exchange.deliver(BodyArrived(rest))

    def _release(self, exchange: Exchange) -> None:
        self._exchange = None
        if self._is_reusable(exchange):
            if self._paused:
                self._paused = False
                self.stream.start_reading()
            self.pool.release(self)
        else:
            self.close()

    def _is_reusable(self, exchange: Exchange) -> bool:
        raise NotImplementedError

    def _fail(self, error: BaseException | None, stale: bool = False) -> None:
        exchange, self._exchange = self._exchange, None
        self.close()
        if exchange is not None:
            exchange.fail(error, stale)


class Http1Carrier(OneAtATime):
    """HTTP/1.1."""

    __slots__ = ("_continue", "_held", "_timer")

    http_version = "h11"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, Http1Client(parser_factory(pool.parser)))
        self._held: list[tuple[Any, bool]] | None = None  # the body, while it waits for a 100
        self._continue: Any = None
        self._timer: Any = None

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        target, further = self.place.origin.request_target(request)
        head = self._codec.begin(request, target, further)
        if request.expect and request.has_body:
            self._held = [(request.body, request.more)]
            self._continue = self.pool.reactor.loop.create_future()
            self._timer = self.pool.reactor.loop.call_later(CONTINUE_WAIT, self._go_on)
            return [head]
        return [head, *self._codec.encode(request.body, request.more)]

    def _encode(self, data: Any, more: bool) -> list[Any]:
        pieces: list[Any] = self._codec.encode(data, more)
        return pieces

    def send(self, exchange: Exchange, data: Any, more: bool) -> Any:
        if self._held is not None and self._exchange is exchange:
            self._held.append((data, more))
            return self._continue
        return super().send(exchange, data, more)

    def _go_on(self) -> None:
        """A 100 came, or did not for a second: send the body."""
        held, exchange = self._held, self._exchange
        self._stop_waiting()
        if held is not None and exchange is not None:
            for data, more in held:
                super().send(exchange, data, more)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            if not self._continue.done():
                self._continue.set_result(None)
        self._held = self._timer = self._continue = None

    def _deliver(self, exchange: Exchange, events: list[Any]) -> None:
        if self._held is not None:
            for event in events:
                if type(event) is InformationalReceived and event.status == 100:
                    self._go_on()
                elif type(event) is AnswerReceived:
                    self._codec.keep = False  # the body is not sent
                    self._stop_waiting()
                    break
        super()._deliver(exchange, events)

    def _is_reusable(self, exchange: Exchange) -> bool:
        # What was not sent of the request would be taken for the next one.
        return bool(self._codec.reusable and exchange.uploaded and not self.stream.out_size)

    def close(self) -> None:
        self._stop_waiting()
        super().close()


class ScgiCarrier(OneAtATime):
    """SCGI: a connection is one request."""

    __slots__ = ()

    http_version = "scgi"
    until_end: ClassVar[bool] = True
    """The end of the connection is the answer's; see ``PeerConnection.on_readable``."""

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, ScgiClient())

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        length = request.length if request.length >= 0 else len(request.body)
        head = self._codec.begin(request, length)
        return [head, request.body] if request.body else [head]

    def _encode(self, data: Any, more: bool) -> list[Any]:
        return [data] if data else []

    def _enter_tunnel(self, exchange: Exchange) -> None:
        self.connection.deadline = NEVER

    def _is_reusable(self, exchange: Exchange) -> bool:
        return False


class FastcgiCarrier(OneAtATime):
    """FastCGI, over a connection that is kept."""

    __slots__ = ("_aborting",)

    http_version = "fcgi"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, FastcgiClient())
        self._aborting = False

    @property
    def room(self) -> int:
        return 0 if self._aborting else super().room

    def _stream_id(self) -> int:
        return 1

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        length = request.length if request.length >= 0 else -1 if request.more else len(request.body)
        pieces = [self._codec.begin(request, length), *self._codec.encode(request.body, request.more)]
        # One write(2) of a small request costs less than the writev(2) of its records.
        return pieces if len(request.body or b"") > MAX_JOINED else [b"".join(pieces)]

    def _encode(self, data: Any, more: bool) -> list[Any]:
        pieces: list[Any] = self._codec.encode(data, more)
        return pieces

    def _enter_tunnel(self, exchange: Exchange) -> None:
        self._fail(RemoteProtocolError("101 over FastCGI, which has no tunnels"))

    def _deliver(self, exchange: Exchange, events: list[Any]) -> None:
        if self._codec.done and self._codec.stderr:
            words = self._codec.stderr.decode("utf-8", "replace").rstrip()
            logger.warning("STDERR of %s: %s", self.place.origin, words)
        super()._deliver(exchange, events)

    def _is_reusable(self, exchange: Exchange) -> bool:
        return bool(self._codec.done and exchange.uploaded and not self.stream.out_size)

    def abandon(self, exchange: Exchange) -> None:
        if self._exchange is not exchange:
            return
        self._exchange = None
        if self._paused:
            self._paused = False
            self.stream.start_reading()
        self.stream.write(self._codec.abort())
        if not self.closed:
            self._aborting = True
            self.connection.deadline = self.pool.reactor.loop.time() + ABORT_WAIT

    def data_received(self, data: bytes) -> None:
        if not self._aborting:
            super().data_received(data)
            return
        try:
            self._codec.receive(data)
        except ClientError:
            self.close()
            return
        if self._codec.done:
            self._aborting = False
            self.pool.release(self)
