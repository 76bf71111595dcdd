"""Whether a worker has more to do than the others: kept connections stay with the worker that accepted them.

A web server uses few of its kept connections at a time, the same ones again and again, and a worker that came later, or
in the place of another, has none of them. Where each request is short no worker is ever seen waiting; so workers
compare how many they have answered, and at each tick one with clearly more than its share passes a part of those in use
on.
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

    def surplus(self, mine: int, others: Mapping[int, int]) -> float:
        """The part of what this worker has answered since the last tick that was more than its share.

        Args:
            mine: requests it has begun so far.
            others: the same of each other worker that serves, by its number.

        Returns:
            0 where it is not clearly more, or does not matter.
        """
        done = mine - self._mine
        # A worker that took the seat since then began to count anew.
        rest = [max(0, count - self._others.get(number, count)) for number, count in others.items()]
        self._mine, self._others = mine, dict(others)
        share = (done + sum(rest)) / (1 + len(rest))
        return 1 - share / done if rest and done >= BUSY and done > MORE * share else 0.0
