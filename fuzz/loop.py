"""A fuzzer where there is no better one: keeps the inputs that led to a conversation no other has led to.

It knows nothing of the code it drives, only what it was answered (``Pair.traits``). It is also what the tests run,
with a seed and a number of inputs, so that they try the same each time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from itertools import count, takewhile
from pathlib import Path
from typing import Final

from fuzz.compare import Pair
from fuzz.mutate import mutate, tokens
from fuzz.targets import TARGETS

__all__ = ["CORPUS", "Finding", "corpus", "run"]

CORPUS: Final = Path(__file__).parent / "corpus"


class Finding(Exception):  # noqa: N818 - it is good news
    """An input that something came of; ``__cause__`` is what."""

    def __init__(self, data: bytes) -> None:
        super().__init__(f"an input of {len(data)} bytes: {data[:200].hex()}{'...' if len(data) > 200 else ''}")
        self.data = data


def corpus(target: str) -> list[bytes]:
    """The inputs that are kept for a target."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def run(target: str, *, seed: int, inputs: int = 0, seconds: float = 0.0) -> tuple[int, int]:
    """Try the corpus, then what can be made of it.

    Args:
        target: one of ``TARGETS``.
        seed: for chance.
        inputs: how many to make; 0 for as many as there is time.
        seconds: how long to go on.

    Returns:
        How many inputs were tried, and how many of them were new in kind.

    Raises:
        Finding: one of them is not to be had.
    """
    kept = corpus(target)
    seen: set[tuple[str, str]] = set()
    for data in kept:
        seen |= _try(TARGETS[target], data).traits
    chance = random.Random(seed)
    until = time.monotonic() + seconds
    words = tokens(target)
    known = tried = len(kept)
    for _ in _rounds(inputs, until):
        tried += 1
        data = mutate(chance, chance.choice(kept), kept, words)
        traits = _try(TARGETS[target], data).traits
        if not traits <= seen:
            seen |= traits
            kept.append(data)
    return tried, len(kept) - known


def _rounds(inputs: int, until: float) -> Iterator[int]:
    """So many, or as many as there is time for."""
    return iter(range(inputs)) if inputs else takewhile(lambda _: time.monotonic() < until, count())


def _try(target: Callable[[bytes], Pair], data: bytes) -> Pair:
    try:
        return target(data)
    except Exception as error:
        raise Finding(data) from error
