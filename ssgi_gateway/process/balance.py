"""Whether a worker has more to do than the others: kept connections stay with whoever has taken them.

A web server uses few of its kept connections at a time, the same ones again and again, and a worker that came later, or
in the place of another, has none of them. Where each request is short nobody is ever seen waiting; so workers compare
how many they have answered, and one with clearly more than its share passes a connection on at each tick.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["Balance"]

BUSY: Final = 100
"""Requests between two ticks below which it does not matter who answers them, and one process has warm caches."""

MORE: Final = 1.25
"""How much more than the average is clearly more."""


class Balance:
    """One worker's comparison, from tick to tick."""

    def __init__(self) -> None:
        self._mine = 0
        self._others: dict[int, int] = {}

    def has_surplus(self, mine: int, others: Mapping[int, int]) -> bool:
        """Whether this worker has answered clearly more than its share since the last tick.

        Args:
            mine: requests it has begun so far.
            others: the same of each other worker that serves, by its number.
        """
        done = mine - self._mine
        # Somebody who has sat down since then began to count anew.
        rest = [max(0, count - self._others.get(number, count)) for number, count in others.items()]
        self._mine, self._others = mine, dict(others)
        return bool(rest) and done >= BUSY and done > MORE * (done + sum(rest)) / (1 + len(rest))
