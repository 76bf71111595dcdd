"""All that concerns one origin: its connections, the attempts to get one, and what waits, first come, first served."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

    from .attempt import Attempt
    from .carrier import Carrier
    from .exchange import Exchange
    from .multiplexed import Http2Carrier
    from .origin import Origin

__all__ = ["Place"]


class Place:
    """All that concerns one origin."""

    __slots__ = ("attempts", "carriers", "idle", "limit", "multiplexed", "origin", "roomy", "waiting")

    def __init__(self, origin: Origin, limit: int) -> None:
        self.origin = origin
        self.limit = limit
        self.carriers: set[Carrier] = set()
        self.idle: list[Carrier] = []  # one at a time; last in, first out
        self.roomy: dict[Http2Carrier, None] = {}  # that take further streams
        self.attempts: dict[Attempt, None] = {}
        self.waiting: OrderedDict[Exchange, asyncio.TimerHandle | None] = OrderedDict()
        self.multiplexed: bool | None = None if origin.kind == "http" else False

    @property
    def wanted(self) -> bool:
        """Whether a further attempt to connect would be waited for."""
        if not self.waiting or len(self.carriers) + len(self.attempts) >= self.limit:
            return False
        if self.multiplexed or (self.multiplexed is None and self.origin.secure):
            # Until ALPN has decided, and the peer has sent how many streams it takes: one connection after the other.
            return not self.attempts and all(carrier.settled for carrier in self.carriers)
        return len(self.waiting) > len(self.attempts)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is lost when it is forgotten."""
        return not (self.carriers or self.attempts or self.waiting)

    def free(self, fresh: bool, born_after: float) -> Carrier | None:
        """A connection that takes a further exchange now.

        Args:
            fresh: not one that was idle, nor one that ends.
            born_after: an older one is closed in place of being used again; the loop's time.
        """
        for carrier in self.roomy:
            if carrier.room > 0 and not (fresh and carrier.ending):
                return carrier
        while self.idle and not fresh:
            found = self.idle.pop()
            if found.born >= born_after:
                return found
            found.close()
        return None

    def first(self) -> Exchange:
        """The exchange that waits longest."""
        return next(iter(self.waiting))

    def leave_line(self, exchange: Exchange) -> None:
        """It waits no longer, whatever the reason."""
        timer = self.waiting.pop(exchange)
        if timer is not None:
            timer.cancel()

    def wanted_at_once(self) -> bool:
        """Whether an exchange that comes now would have a connection opened."""
        if self.multiplexed and self.carriers:
            return False
        return not self.origin.secure and len(self.carriers) + len(self.attempts) < self.limit
