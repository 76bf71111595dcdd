"""``--keep N``: the same request again and again, and how long each took."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .report import Report

__all__ = ["repeat"]


def repeat(answers: Callable[[], Iterator[tuple[int, float]]], count: int, report: Report) -> int:
    """Send it ``count`` times and print the latencies; 22 if one answer was an error.

    Raises:
        CallFailed: one failed.
    """
    seconds: list[float] = []
    statuses: Counter[int] = Counter()
    for _, (status, took) in zip(range(count), answers(), strict=False):
        seconds.append(took)
        statuses[status] += 1
    seconds.sort()

    def at(share: float) -> str:
        return f"{seconds[min(len(seconds) - 1, int(share * len(seconds)))] * 1000:.2f} ms"

    counted = ", ".join(f"{number} of {status}" for status, number in sorted(statuses.items()))
    connects = report.facts["num_connects"]
    sys.stdout.write(
        f"{len(seconds)} requests on {connects} connection{'s' if connects > 1 else ''}: {counted}\n"
        f"fastest {at(0)}, median {at(0.5)}, 90 % within {at(0.9)}, 99 % within {at(0.99)}, slowest {at(1)}\n"
        f"{len(seconds) / sum(seconds):.0f} requests a second, one after the other\n"
    )
    sys.stdout.flush()
    return 22 if any(status >= 400 for status in statuses) else 0
