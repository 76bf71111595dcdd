"""Which connection carries which exchange.

For each origin there is a ``Place``. A connection that becomes free begins the next exchange itself, so none wakes to
find it taken; whatever waits, each step is O(1). Everything here is called and returns; nothing awaits but an
``Attempt``, so a cancellation finds no half-done step. Always: ``open == idle + busy + connecting``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, ConnectError, GatewayError, PoolTimeout

from .attempt import Attempt
from .brief import BriefConnection
from .carrier import Carrier
from .cgi import FastcgiCarrier, ScgiCarrier
from .connecting import connect_at_once
from .http1 import Http1Carrier
from .multiplexed import Http2Carrier
from .one_at_a_time import OneAtATime
from .place import Place
from .stream import PeerConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from .exchange import Exchange
    from .options import TLS, Limits
    from .origin import Origin
    from .reactor import ClientReactor

__all__ = ["Pool"]

KEPT_PLACES: Final = 32
"""Origins that are remembered without a connection."""
TRIM_AFTER: Final = 0.5
"""Seconds that more connections than ``max_idle`` may be idle."""


class Pool:
    """The connections of one client.

    Attributes:
        reactor: their clock and loop.
        limits, timeouts, tls: see ``options``.
        idle: connections that are not in use, the oldest first.
        busy: those that carry something.
        parser: ``"auto"``, ``"h11"`` or ``"httptools"``.
        opener: makes a stream to what runs in this process, in place of a connection.
    """

    def __init__(
        self, reactor: ClientReactor, limits: Limits, timeouts: Any, tls: TLS, parser: str, http2: bool | str
    ) -> None:
        self.reactor = reactor
        self.limits = limits
        self.timeouts = timeouts
        self.tls = tls
        self.parser = parser
        self.http2 = http2
        self.places: dict[Origin, Place] = {}
        self.idle: OrderedDict[Carrier, None] = OrderedDict()
        self.busy: set[Carrier] = set()
        self._open: set[Carrier | Attempt] = set()
        self._blocked: OrderedDict[Place, None] = OrderedDict()  # wait for the client's limit
        self._context: Any = None
        self._closing = False
        self._trimmer: Any = None
        self.opener: Callable[[ClientReactor, str], Any] | None = None

    # -- accounting ------------------------------------------------------------------------------------------------

    @property
    def open(self) -> int:
        """Connections there are, those that are being made included."""
        return len(self._open)

    @property
    def connecting(self) -> int:
        """Connections that are being made."""
        return sum(isinstance(one, Attempt) for one in self._open)

    def timeouts_of(self, place: Place) -> Any:
        """Those of the first exchange that waits there."""
        return place.first().timeouts if place.waiting else self.timeouts

    def tls_context(self) -> Any:
        """Made once, because loading the trusted certificates takes milliseconds."""
        if self._context is None:
            self._context = self.tls.make_context(["h2", "http/1.1"] if self.http2 else ["http/1.1"])
        return self._context

    def place_of(self, origin: Origin) -> Place:
        """The place of an origin."""
        place = self.places.get(origin)
        if place is None:
            place = self.places[origin] = Place(origin, self.limits.max_per_origin)
        return place

    # -- requests --------------------------------------------------------------------------------------------------

    def submit(self, exchange: Exchange, fresh: bool = False) -> None:
        """Begin it now if a connection is free, otherwise put it in line.

        Args:
            exchange: what is to be begun.
            fresh: not on a connection that was idle: the last one had died.
        """
        place = exchange.place
        if self._closing:
            exchange.fail(ClientError("the client was closed"))
            return
        if not place.waiting:
            carrier = place.free(fresh, self.reactor.loop.time() - self.limits.max_age)
            if carrier is None and place.wanted_at_once():
                try:
                    carrier = self._open_at_once(place)
                except ConnectError as error:
                    self._tidy(place)
                    exchange.fail(error)
                    return
            if carrier is not None:
                self._begin(carrier, exchange)
                return
        seconds = exchange.timeouts.pool
        timer = None if seconds is None else self.reactor.loop.call_later(seconds, self._pool_timeout, exchange)
        place.waiting[exchange] = timer
        self._grow(place)

    def withdraw(self, exchange: Exchange) -> None:
        """An exchange has left the queue."""
        place = exchange.place
        if exchange not in place.waiting:
            return
        place.leave_line(exchange)
        # An attempt that is not waited for any more holds a connection's place.
        while len(place.attempts) > len(place.waiting):
            place.attempts.popitem()[0].task.cancel()
        self._tidy(place)

    def _pool_timeout(self, exchange: Exchange) -> None:
        self.withdraw(exchange)
        words = (
            f"no connection became free within {exchange.timeouts.pool} s; answers that are neither read to their end"
        )
        exchange.fail(PoolTimeout(f"{words} nor closed keep theirs, and Limits says how many there may be"))

    def _begin(self, carrier: Carrier, exchange: Exchange) -> None:
        self.idle.pop(carrier, None)
        self.busy.add(carrier)
        carrier.begin(exchange)
        if isinstance(carrier, Http2Carrier) and carrier.room <= 0:
            carrier.place.roomy.pop(carrier, None)

    # -- connecting ------------------------------------------------------------------------------------------------

    def _open_at_once(self, place: Place) -> Carrier | None:
        origin = place.origin
        if not self._has_room(place):
            return None
        if self.opener is not None:
            return self._carrier(place, self.local(origin), None)
        host, port = (origin.proxy.host, origin.proxy.port) if origin.proxy else (origin.host, origin.port)
        fd = connect_at_once(host, port, origin.path)
        if fd is None:
            return None
        return self._carrier(place, self.connection(origin, fd), None)

    def local(self, origin: Origin) -> Any:
        """A stream to what runs in this process."""
        assert self.opener is not None
        made = self.opener(self.reactor, origin.kind)
        return self.connection(origin, made) if isinstance(made, int) else made

    def connection(self, origin: Origin, fd: int) -> PeerConnection:
        """What reads and writes a descriptor that is connected with the origin."""
        kind = BriefConnection if origin.kind == "scgi" else PeerConnection
        return kind(self.reactor, fd, bool(origin.path))

    def _has_room(self, place: Place) -> bool:
        """Whether the client may open one more; the oldest idle one makes way."""
        if len(self._open) < self.limits.max_connections:
            return True
        if not self.idle:
            self._blocked[place] = None
            return False
        next(iter(self.idle)).close()
        return len(self._open) < self.limits.max_connections

    def _grow(self, place: Place) -> None:
        while place.wanted and self._has_room(place):
            attempt = Attempt(self, place)
            place.attempts[attempt] = None
            self._open.add(attempt)

    def connected(self, place: Place, stream: Any, alpn: str | None, attempt: Attempt) -> None:
        """An attempt has come to its end."""
        place.attempts.pop(attempt, None)
        self._open.discard(attempt)
        if self._closing:
            stream.close()
            return
        carrier = self._carrier(place, stream, alpn)
        self.busy.add(carrier)
        self._serve(carrier)
        self._grow(place)

    def _carrier(self, place: Place, stream: Any, alpn: str | None) -> Carrier:
        kind = place.origin.kind
        carrier: Carrier
        if kind == "scgi":
            carrier = ScgiCarrier(self, place, stream)
        elif kind == "fcgi":
            carrier = FastcgiCarrier(self, place, stream)
        elif alpn == "h2" or (self.http2 == "prior-knowledge" and not place.origin.secure):
            place.multiplexed = True
            carrier = many = Http2Carrier(self, place, stream)
            place.roomy[many] = None
        else:
            place.multiplexed = False
            carrier = Http1Carrier(self, place, stream)
        place.carriers.add(carrier)
        self._open.add(carrier)
        return carrier

    def attempt_failed(self, attempt: Attempt, error: GatewayError | None) -> None:
        """The exchange that waited for it fails; with nothing else to hope for, all that wait there.

        An ``error`` of ``None`` means that it was cancelled, because nothing waited.
        """
        place = attempt.place
        place.attempts.pop(attempt, None)
        self._open.discard(attempt)
        failing = 0 if error is None else 1 if place.carriers else len(place.waiting) - len(place.attempts)
        for _ in range(min(failing, len(place.waiting))):
            exchange = place.first()
            place.leave_line(exchange)
            exchange.fail(error)
        if not self._closing:
            self._grow(place)
            self._room_for_others()
        self._tidy(place)

    # -- carriers --------------------------------------------------------------------------------------------------

    def release(self, carrier: Carrier) -> None:
        """A connection that carries one at a time is free: for the next that waits, or it is idle."""
        if self.reactor.loop.time() - carrier.born > self.limits.max_age:
            carrier.close()
            return
        self._serve(carrier)

    def roomy(self, carrier: Http2Carrier) -> None:
        """A connection of HTTP/2 may have room."""
        if carrier.closed:
            return
        if carrier.ending or self.reactor.loop.time() - carrier.born > self.limits.max_age:
            carrier.place.roomy.pop(carrier, None)
            if not carrier.streams:
                carrier.close()
                return
            self._grow(carrier.place)
            return
        if carrier.room > 0:
            carrier.place.roomy[carrier] = None
        self._serve(carrier)
        if carrier.place.waiting:
            self._grow(carrier.place)  # only now it is known that this one does not take all of them

    def _serve(self, carrier: Carrier) -> None:
        place = carrier.place
        while place.waiting and carrier.room > 0:
            exchange = place.first()
            place.leave_line(exchange)
            self._begin(carrier, exchange)
        if isinstance(carrier, OneAtATime):
            if carrier.room > 0 and not carrier.closed:
                place.idle.append(carrier)
                self._retire(carrier)
        elif isinstance(carrier, Http2Carrier) and not carrier.streams and not carrier.closed:
            self._retire(carrier)

    def _retire(self, carrier: Carrier) -> None:
        self.busy.discard(carrier)
        self.idle[carrier] = None
        carrier.rest()
        if len(self.idle) > self.limits.max_idle and self._trimmer is None:
            # Not at once: in a burst it would be wanted again in the same turn of the loop.
            self._trimmer = self.reactor.loop.call_later(TRIM_AFTER, self._trim)
        if self._blocked:
            self._room_for_others()

    def _trim(self) -> None:
        """Close what is idle beyond the limit, the oldest first."""
        self._trimmer = None
        while len(self.idle) > self.limits.max_idle:
            next(iter(self.idle)).close()

    def gone(self, carrier: Carrier) -> None:
        """A connection was closed."""
        place = carrier.place
        place.carriers.discard(carrier)
        self._open.discard(carrier)
        self.busy.discard(carrier)
        if self.idle.pop(carrier, self) is None and carrier in place.idle:
            place.idle.remove(carrier)
        if isinstance(carrier, Http2Carrier):
            place.roomy.pop(carrier, None)
        if not self._closing:
            if place.waiting:
                self._grow(place)
            if self._blocked:
                self._room_for_others()
        self._tidy(place)

    def _room_for_others(self) -> None:
        while self._blocked and (len(self._open) < self.limits.max_connections or self.idle):
            place, _ = self._blocked.popitem(last=False)
            before = len(place.attempts)
            self._grow(place)
            if place.waiting and len(place.attempts) == before:
                return

    def _tidy(self, place: Place) -> None:
        """A place without anything is forgotten, beyond a few: SCGI comes to the same one with each request."""
        if not (self._blocked or len(self.places) > KEPT_PLACES) or not place.is_empty:
            return
        self._blocked.pop(place, None)
        if len(self.places) > KEPT_PLACES and self.places.get(place.origin) is place:
            del self.places[place.origin]

    def close_place(self, place: Place) -> None:
        """The connections of a place that belonged to a channel."""
        for attempt in tuple(place.attempts):
            attempt.task.cancel()
        for carrier in tuple(place.carriers):
            carrier.close()

    async def aclose(self) -> None:
        """Close everything; what waits fails."""
        self._closing = True
        error = ClientError("the client was closed")
        attempts = [one for one in self._open if isinstance(one, Attempt)]
        for attempt in attempts:
            attempt.task.cancel()
        waiting = {exchange: place for place in self.all_places() for exchange in place.waiting}
        for exchange, place in waiting.items():
            place.leave_line(exchange)
            exchange.fail(error)
        for carrier in [one for one in self._open if isinstance(one, Carrier)]:
            carrier.shut_down(error)
        if attempts:
            await asyncio.wait([attempt.task for attempt in attempts])
        if self._trimmer is not None:
            self._trimmer.cancel()
        self.places.clear()
        self.reactor.stop()

    def all_places(self) -> set[Place]:
        """Those of origins, and those that belong to a channel."""
        return {*self.places.values(), *(one.place for one in self._open)}
