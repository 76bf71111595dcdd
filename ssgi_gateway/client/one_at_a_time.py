"""A connection that carries one exchange after the other: what HTTP/1.1, SCGI and FastCGI have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import ClientError, ReadTimeout, WriteTimeout
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived

from ..server.connection import NEVER
from .carrier import Carrier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .exchange import Exchange
    from .place import Place
    from .pool import Pool

__all__ = ["OneAtATime"]


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

    def send(self, exchange: Exchange, pieces: Sequence[Any], more: bool) -> Any:
        if self._exchange is not exchange or self.closed:
            return None
        buffers = self._codec.encode_many(pieces, more)
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

    # -- events of the connection ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        exchange = self._exchange
        if exchange is None:
            self._unasked(data)
            return
        self._heard = True
        if exchange.tunnel:
            exchange.deliver(BodyArrived(data))
        else:
            try:
                events = self._codec.receive(data)
            except ClientError as error:
                self._deliver(exchange, error.events)
                self._fail(error)
                return
            self._deliver(exchange, events)
        if exchange is not self._exchange:
            return
        if exchange.buffered > self.pool.reactor.high_water:
            self._paused = True
            self.connection.deadline = NEVER
            self.stream.stop_reading()
        elif not exchange.tunnel:
            self._await(exchange)

    def _unasked(self, data: bytes) -> None:
        """Bytes on an idle connection, where there must be none."""
        self.close()

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
            if not self.closed:
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
                self._fail(WriteTimeout(f"the peer took nothing for {exchange.timeouts.write} s (Timeouts.write)"))
            else:
                self._await(exchange)
        elif not exchange.uploaded or exchange.tunnel:
            self._await(exchange)  # it is this side's turn
        else:
            self._fail(ReadTimeout(f"the peer sent nothing for {exchange.timeouts.read} s (Timeouts.read)"))

    # -- inside ----------------------------------------------------------------------------------------------------

    def _is_stale(self) -> bool:
        return self.served > 1 and not self._heard

    def _await(self, exchange: Exchange) -> None:
        """From now on the peer has so long to take or send something."""
        self._out_size = self.stream.out_size
        seconds = exchange.timeouts.write if self._out_size else exchange.timeouts.read
        self.connection.deadline = NEVER if seconds is None else self.pool.reactor.loop.time() + seconds

    def _deliver(self, exchange: Exchange, events: Sequence[Any]) -> None:
        for event in events:
            kind = type(event)
            exchange.deliver(event)
            if kind is AnswerEnded or (kind is AnswerReceived and not event.more and not event.tunnel):
                # The connection goes on to the next that waits before this application wakes.
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
