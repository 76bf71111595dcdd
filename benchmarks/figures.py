"""Statistics of samples; pure.

A ratio is taken between two servers within each round, where they were measured shortly after each other, and the
median of these ratios counts: what slows the machine down for a minute slows both down.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and greatest of what it was taken of."""

    median: float
    least: float
    greatest: float


class Samples:
    """What a run yielded, by work, server and round.

    Args:
        samples: mappings with ``work``, ``server``, ``round`` and ``figures``, as in the raw data.
    """

    def __init__(self, samples: Iterable[Mapping[str, Any]]) -> None:
        self._figures: dict[tuple[str, str], dict[int, Mapping[str, float]]] = {}
        for it in samples:
            self._figures.setdefault((it["work"], it["server"]), {})[it["round"]] = it["figures"]

    def servers(self, work: str) -> list[str]:
        """Who was measured at a work, in the order of their turns."""
        return [server for name, server in self._figures if name == work]

    def spread(self, work: str, server: str, figure: str) -> Spread | None:
        """A figure over all rounds, or ``None`` where there is none."""
        return spread(it[figure] for it in self._figures.get((work, server), {}).values() if figure in it)

    def median(self, work: str, server: str, figure: str) -> float | None:
        """Its median."""
        found = self.spread(work, server, figure)
        return found.median if found else None

    def ratio(self, work: str, server: str, other: str, figure: str) -> Spread | None:
        """One server's figure as a part of another's, over the rounds that both have."""
        ours, theirs = self._figures.get((work, server), {}), self._figures.get((work, other), {})
        return spread(ours[at][figure] / theirs[at][figure] for at in ours.keys() & theirs.keys() if theirs[at][figure])

    def least(self, work: str, servers: Iterable[str], figure: str, *, greatest: bool = False) -> str | None:
        """Whose median of a figure is the least, or the greatest."""
        found = {name: value for name in servers if (value := self.median(work, name, figure)) is not None}
        return (max if greatest else min)(found, key=found.__getitem__) if found else None


def spread(values: Iterable[float]) -> Spread | None:
    """The median and the ends of any number of values."""
    found = sorted(values)
    return Spread(statistics.median(found), found[0], found[-1]) if found else None
