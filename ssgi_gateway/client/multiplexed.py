"""HTTP/2 on a connection: many exchanges at once.

Output of one turn of the loop leaves in one write. A stream's own silence is looked at by the sweep, and so is the
connection's: a PING after 20 s, the end 10 s later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, ReadTimeout, RemoteProtocolError, WriteTimeout
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived
from ssgi_gateway.wire.client.http2 import Http2Client
from ssgi_gateway.wire.client.http2_frames import CANCEL, NO_ERROR, encode_goaway

from ..server.connection_states import OPEN
from .carrier import Carrier

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from ssgi_gateway.wire.client.http2_stream import Http2Stream

    from .exchange import Exchange
    from .place import Place
    from .pool import Pool

__all__ = ["Http2Carrier"]

PING_AFTER: Final = 20.0
PING_WAIT: Final = 10.0
AT_ONCE: Final = 65536
"""So many bytes of a body do not wait for what others write in this turn of the loop."""


class _Lane:
    """An exchange on its stream, and since when it is silent."""

    __slots__ = ("exchange", "queued", "room", "since", "stream")

    def __init__(self, exchange: Exchange, stream: Http2Stream, now: float) -> None:
        self.exchange = exchange
        self.stream = stream
        self.since = now
        self.queued = 0
        self.room: asyncio.Future[None] | None = None  # what `send` waits for


class Http2Carrier(Carrier):
    """HTTP/2."""

    __slots__ = ("_blocked", "_codec", "_flushing", "_heard", "_lanes", "_pinged")

    http_version = "h2"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream)
        self._codec = Http2Client()
        self._lanes: dict[int, _Lane] = {}
        self._flushing = self._blocked = False
        self._heard = self.born
        self._pinged = 0.0
        self.connection.copies = False
        self._flush()
        stream.start_reading()
        self.connection.deadline = 0.0  # every sweep

    @property
    def room(self) -> int:
        if self.closed:
            return 0
        # One stream may go ahead of the peer's SETTINGS; they hold how many may follow.
        return self._codec.room if self._codec.ready else 1 - len(self._lanes)

    @property
    def settled(self) -> bool:
        return self._codec.ready or self.closed

    @property
    def ending(self) -> bool:
        """Whether it takes no further streams at all."""
        return self.closed or self._codec.going

    @property
    def streams(self) -> int:
        """How many exchanges it carries."""
        return len(self._lanes)

    def begin(self, exchange: Exchange) -> None:
        request = exchange.request
        stream = self._codec.begin(request)
        lane = self._lanes[stream.number] = _Lane(exchange, stream, self.pool.reactor.loop.time())
        reused = self.served > 0
        self.served += 1
        exchange.stream = lane
        if request.body:
            self._codec.send(stream, (request.body,), request.more)
        self._later()
        exchange.begun(self, stream.number, reused)

    def send(self, exchange: Exchange, pieces: Sequence[Any], more: bool) -> Any:
        lane: _Lane = exchange.stream
        stream = lane.stream
        if self.closed or self._lanes.get(stream.number) is not lane:
            return None
        self._codec.send(stream, pieces, more)
        if stream.queued < AT_ONCE:
            self._later()
        elif not self._blocked:  # otherwise `_on_room` will
            self._flush()
        if stream.queued <= self.pool.reactor.high_water or stream.number not in self._lanes:
            return None
        lane.room = self.pool.reactor.loop.create_future()
        return lane.room

    def send_tunnel(self, exchange: Exchange, data: Any, more: bool) -> Any:
        return self.send(exchange, (data,) if data else (), more)

    def taken(self, exchange: Exchange, size: int) -> None:
        if not self.closed:
            self._codec.taken(exchange.stream.stream, size)
            if self._codec.pending:
                self._later()

    def abandon(self, exchange: Exchange) -> None:
        lane: _Lane = exchange.stream
        if self._lanes.pop(lane.stream.number, None) is None or self.closed:
            return
        self._codec.cancel(lane.stream, CANCEL)
        self._later()
        self._settled()

    def shut_down(self, error: ClientError) -> None:
        self._fail(error)

    def rest(self) -> None:
        """It has no streams now."""

    def close(self) -> None:
        if not self.closed and self.connection.state == OPEN:
            self.stream.write_many([*self._codec.take_output(), encode_goaway(0, NO_ERROR, "")])
        super().close()

    # -- output ----------------------------------------------------------------------------------------------------

    def _later(self) -> None:
        """Write at the end of this turn of the loop, with what others have."""
        if not self._flushing:
            self._flushing = True
            self.pool.reactor.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if self.closed:
            return
        # The kernel's buffer is full: what waits here waits in the streams, not in the connection.
        while self.stream.out_size <= self.pool.reactor.high_water:
            out = self._codec.take_output()
            if not out:
                break
            self.stream.write_many(out)
        if not self.stream.out_size:
            self._codec.output_written()
        elif not self._blocked:
            self._blocked = True
            self.connection.on_flushed = self._on_room
        self._wake_senders()

    def _on_room(self) -> None:
        self._blocked = False
        self._flush()

    def _wake_senders(self) -> None:
        for lane in self._lanes.values():
            room = lane.room
            if room is not None and lane.stream.queued <= self.pool.reactor.low_water:
                lane.room = None
                if not room.done():
                    room.set_result(None)

    # -- events of the connection ----------------------------------------------------------------------------------

    def data_received(self, data: bytes | memoryview) -> None:
        """Frames."""
        now = self._heard = self.pool.reactor.loop.time()
        ready = self._codec.ready
        try:
            events = self._codec.receive(data, now)
        except RemoteProtocolError as error:
            self._take(error.events, now)  # answers that were complete before it
            self._fail(error)
            return
        self._take(events, now)
        if self._codec.pending:
            self._later()
        if self._codec.going or not ready or events:
            self._settled()

    def _take(self, events: Sequence[tuple[int, Any]], now: float) -> None:
        lanes = self._lanes
        for number, event in events:
            lane = lanes.get(number)
            if lane is None:
                # What an abandoned stream still got counts as taken.
                if type(event) is BodyArrived:
                    self._codec.taken(None, len(event.data))
                continue
            lane.since = now
            self._deliver(lane, event)

    def _deliver(self, lane: _Lane, event: Any) -> None:
        exchange = lane.exchange
        kind = type(event)
        if kind is AnswerEnded or (kind is AnswerReceived and not event.more and not event.tunnel):
            self._over(lane)
            if exchange.tunnel:
                exchange.fail(None)
            else:
                exchange.deliver(event)
        elif event is None:
            self._over(lane)
        elif isinstance(event, ClientError):
            self._over(lane)
            exchange.fail(event)
        else:
            exchange.deliver(event)

    def _over(self, lane: _Lane) -> None:
        """The answer is complete, or the stream was reset. A request that is not complete is not sent on."""
        self._lanes.pop(lane.stream.number, None)
        if not lane.stream.sent_end:
            self._codec.cancel(lane.stream, NO_ERROR if lane.exchange.uploaded else CANCEL)
        if lane.room is not None and not lane.room.done():
            lane.room.set_result(None)

    def _settled(self) -> None:
        """Streams have ended, or the peer's settings have come: there may be room."""
        if self._codec.going and not self._lanes:
            self._flush()
            self.close()
        else:
            self.pool.roomy(self)

    def eof_received(self) -> None:
        """The peer sends nothing more."""
        self._fail(self.peer_error())

    def connection_lost(self) -> None:
        """The connection broke."""
        self._fail(self.peer_error())

    def _fail(self, error: ClientError) -> None:
        lanes, self._lanes = self._lanes, {}
        self.close()
        for lane in lanes.values():
            if lane.room is not None and not lane.room.done():
                lane.room.set_result(None)
            lane.exchange.fail(error)

    def deadline_passed(self) -> None:
        """Once a sweep: who is silent for too long."""
        now = self.pool.reactor.loop.time()
        self.connection.deadline = 0.0
        if not self._lanes:
            if now - self._heard > self.pool.limits.idle_timeout:
                self.close()
            return
        for lane in tuple(self._lanes.values()):
            self._look_at(lane, now)
        if self._lanes and now - self._heard > PING_AFTER:
            if not self._pinged or self._pinged < self._heard:
                self._pinged = now
                self._codec.ping()
                self._flush()
            elif now - self._pinged > PING_WAIT:
                self._fail(ReadTimeout(f"the peer did not answer a PING for {PING_WAIT:g} s"))

    def _look_at(self, lane: _Lane, now: float) -> None:
        exchange, stream = lane.exchange, lane.stream
        queued, lane.queued = lane.queued, stream.queued
        if stream.queued != queued or exchange.buffered or exchange.tunnel:
            lane.since = now  # it moves, or is the asking side's turn
            return
        seconds = exchange.timeouts.write if stream.queued else exchange.timeouts.read
        if seconds is None or now - lane.since < seconds or (not stream.queued and not exchange.uploaded):
            return
        words, kind = ("took nothing", WriteTimeout) if stream.queued else ("sent nothing", ReadTimeout)
        self._lanes.pop(stream.number, None)
        self._codec.cancel(stream, CANCEL)
        self._later()
        exchange.fail(kind(f"the peer {words} on this stream for {seconds} s"))
        self._settled()
