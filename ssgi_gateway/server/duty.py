"""What a worker watches about itself: how much it has served, how long its requests take, whether it still turns.

What has to be done about a request that takes too long is for ``process.stuck``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ..observe.observer import Observer
from .system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.exchange import Exchange

LONG: Final = 0.002
"""Seconds of one call; after a longer one others may have been waiting."""


class Duty(Observer):
    """One worker's.

    Args:
        track: remember every request in progress, for ``exchanges``.
        on_tick: called twice a second.
        always: ``on_tick`` has something to do while nothing happens as well.
        on_long: called after a call that was long.
    """

    __slots__ = (
        "_always",
        "_on_long",
        "_on_tick",
        "_track",
        "call",
        "exchanges",
        "number",
        "requests",
        "since",
    )

    def __init__(
        self,
        track: bool,
        on_tick: Callable[[], None],
        on_long: Callable[[Exchange], None] | None,
        always: bool = False,
    ) -> None:
        self._always = always
        self._track = track
        self._on_tick = on_tick
        self._on_long = on_long
        self.requests = 0
        self.number = 0
        self.since = 0.0
        self.call: Exchange | None = None
        self.exchanges: dict[Any, float] = {}

    def request_started(self, exchange: Exchange) -> None:
        """The application is called."""
        self.requests += 1
        self.number += 1
        self.call = exchange
        self.since = exchange.began
        if self._track:
            self.exchanges[exchange] = self.since

    def request_called(self, exchange: Exchange) -> None:
        """The call has returned."""
        self.call = None
        if self._on_long is not None and clock() - self.since > LONG:
            self._on_long(exchange)

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        """It is over."""
        if self._track:
            self.exchanges.pop(exchange, None)

    def tick(self, now: float) -> None:
        """Twice a second."""
        self._on_tick()

    def needs_clock(self) -> bool:
        """Whether that has to be so while nothing happens."""
        return self._always
