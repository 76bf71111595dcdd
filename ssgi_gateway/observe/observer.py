"""``Observer``: the interface for everything that watches what a server does.

The access log, the table of figures and the hooks are observers. A server knows one, ``gateway.observer``, which is
``None`` when there is none: then all of this costs a comparison. ``Observers`` is several in the place of one.

An observer is notified, and cannot change anything. It must not wait, and what it raises would hurt a request that did
nothing wrong, so it raises nothing. Every method of the base does nothing: override what you want to see. It is a class
and not a ``Protocol`` so that compiled calls through it cost what a C call costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..core.exchange import Exchange

CLIENT_GONE = 499
"""nginx's code for a client that disconnected before there was an answer."""


class Observer:
    """The base, which ignores everything.

    ``protocol`` is the wire protocol of the connection: ``"scgi"``, ``"fastcgi"``, ``"websocket"`` (the direct port) or
    ``"http"``; of an exchange it is ``exchange.protocol``, and ``exchange.began`` is when it was started, in seconds of
    the monotonic clock.
    """

    __slots__ = ()

    def connection_opened(self, protocol: str) -> None:
        """A connection was accepted."""

    def connection_closed(self, protocol: str) -> None:
        """A connection that was accepted is closed."""

    def connection_refused(self, protocol: str) -> None:
        """There are too many: this one, which was opened, gets 503 and is closed."""

    def connection_handed_over(self, protocol: str) -> None:
        """An idle connection goes on in another worker, which reports it as adopted; here it counts as closed."""

    def connection_adopted(self, protocol: str) -> None:
        """A connection comes from another worker; ``connection_opened`` is called as well."""

    def protocol_error(self, protocol: str) -> None:
        """A peer broke the rules of its protocol, or requested what is not served."""

    def application_failed(self, exchange: Exchange) -> None:
        """The application raised, or returned without an answer and left no task that could give one."""

    def request_started(self, exchange: Exchange) -> None:
        """The application is about to be called."""

    def request_called(self, exchange: Exchange) -> None:
        """The call has returned, whatever it was; the request may have ended within it."""

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        """The request is over; ``exchange.received()`` and ``exchange.sent`` are the bytes of the two bodies.

        Args:
            exchange: the response, or the WebSocket that was accepted or rejected.
            status: as sent; 101 for an accepted WebSocket, ``CLIENT_GONE`` when the client disconnected before.
            seconds: since ``request_started``.
        """

    def websocket_opened(self, exchange: Exchange) -> None:
        """A WebSocket was accepted; ``request_ended`` with 101 came before."""

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        """A WebSocket is over; ``code`` is what the application gets: 1005 for none, 1006 for a broken one."""

    def message_received(self, exchange: Exchange, message: str | bytes) -> None:
        """A WebSocket message is about to be delivered."""

    def message_sent(self, exchange: Exchange) -> None:
        """A WebSocket message was written."""

    def tick(self, now: float) -> None:
        """Twice a second while anything happens; ``now`` is the loop's clock, in seconds."""

    def needs_clock(self) -> bool:
        """Whether this one needs its ticks while nothing happens, too."""
        return False

    def clock_started(self, now: float) -> None:
        """The ticks begin anew, for something is about to happen."""

    def clock_stopped(self) -> None:
        """There are no more ticks until something happens."""

    def close(self) -> None:
        """The server has ended: write the rest and give everything back. Nothing comes behind this."""


class Observers(Observer):
    """Two observers, called one after the other; one of them may be a pair again."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Observer, second: Observer) -> None:
        self._first = first
        self._second = second

    def connection_opened(self, protocol: str) -> None:
        self._first.connection_opened(protocol)
        self._second.connection_opened(protocol)

    def connection_closed(self, protocol: str) -> None:
        self._first.connection_closed(protocol)
        self._second.connection_closed(protocol)

    def connection_refused(self, protocol: str) -> None:
        self._first.connection_refused(protocol)
        self._second.connection_refused(protocol)

    def connection_handed_over(self, protocol: str) -> None:
        self._first.connection_handed_over(protocol)
        self._second.connection_handed_over(protocol)

    def connection_adopted(self, protocol: str) -> None:
        self._first.connection_adopted(protocol)
        self._second.connection_adopted(protocol)

    def protocol_error(self, protocol: str) -> None:
        self._first.protocol_error(protocol)
        self._second.protocol_error(protocol)

    def application_failed(self, exchange: Exchange) -> None:
        self._first.application_failed(exchange)
        self._second.application_failed(exchange)

    def request_started(self, exchange: Exchange) -> None:
        self._first.request_started(exchange)
        self._second.request_started(exchange)

    def request_called(self, exchange: Exchange) -> None:
        self._first.request_called(exchange)
        self._second.request_called(exchange)

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        self._first.request_ended(exchange, status, seconds)
        self._second.request_ended(exchange, status, seconds)

    def websocket_opened(self, exchange: Exchange) -> None:
        self._first.websocket_opened(exchange)
        self._second.websocket_opened(exchange)

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        self._first.websocket_closed(exchange, code)
        self._second.websocket_closed(exchange, code)

    def message_received(self, exchange: Exchange, message: str | bytes) -> None:
        self._first.message_received(exchange, message)
        self._second.message_received(exchange, message)

    def message_sent(self, exchange: Exchange) -> None:
        self._first.message_sent(exchange)
        self._second.message_sent(exchange)

    def tick(self, now: float) -> None:
        self._first.tick(now)
        self._second.tick(now)

    def needs_clock(self) -> bool:
        return self._first.needs_clock() or self._second.needs_clock()

    def clock_started(self, now: float) -> None:
        self._first.clock_started(now)
        self._second.clock_started(now)

    def clock_stopped(self) -> None:
        self._first.clock_stopped()
        self._second.clock_stopped()

    def close(self) -> None:
        self._first.close()
        self._second.close()


def together(observers: list[Observer]) -> Observer | None:
    """All of them as one, called in their order; ``None`` when there are none."""
    if not observers:
        return None
    all_ = observers[-1]
    for observer in reversed(observers[:-1]):
        all_ = Observers(observer, all_)
    return all_
