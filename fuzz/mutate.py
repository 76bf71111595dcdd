"""Makes inputs worth trying out of those there are.

Chance is a ``random.Random`` that the caller seeds, so a run can be had again.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MAX_INPUT", "TOKENS", "mutate", "tokens"]

MAX_INPUT: Final = 8192
"""Bytes of an input."""

TOKENS: Final = Path(__file__).parent / "tokens"


def tokens(target: str) -> list[bytes]:
    """Pieces of a target's grammar, from its dictionary (in libFuzzer's format, one token a line)."""
    lines = (TOKENS / f"{target}.dict").read_text("ascii").splitlines()
    return [ast.literal_eval(f"b{line}") for line in lines if line.startswith('"')]


Mutation = Callable[[random.Random, bytearray, Sequence[bytes], Sequence[bytes]], None]


def _flip(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _set(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    data[chance.randrange(len(data))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))


def _delete(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    start = chance.randrange(2, len(data))
    del data[start : start + chance.choice((1, 1, 2, 8, 64))]


def _insert(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    start = chance.randint(2, len(data))
    data[start:start] = chance.choice(words)


def _replace(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    token = chance.choice(words)
    start = chance.randint(2, len(data))
    data[start : start + len(token)] = token


def _repeat(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    start = chance.randrange(2, len(data))
    piece = data[start : start + chance.choice((1, 4, 16, 100, 1000))]
    place = chance.randint(2, len(data))
    data[place:place] = piece * chance.choice((1, 1, 2, 20))


def _splice(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    other = chance.choice(others)
    data[chance.randint(2, len(data)) :] = other[chance.randint(2, len(other)) :]


def _number(chance: random.Random, data: bytearray, others: Sequence[bytes], words: Sequence[bytes]) -> None:
    places = [index for index in range(2, len(data)) if 0x30 <= data[index] <= 0x39]
    if places:
        data[chance.choice(places)] = chance.randrange(0x30, 0x3A)


MUTATIONS: Final[tuple[Mutation, ...]] = (_flip, _set, _delete, _insert, _replace, _repeat, _splice, _number)


def mutate(chance: random.Random, data: bytes, others: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Something like ``data``, of at most ``MAX_INPUT`` bytes.

    Args:
        chance: decides.
        data: an input; its first two bytes are directions (``targets``), and stay its first two.
        others: inputs to take ends from.
        words: pieces to put in.
    """
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 5))):
        if len(changed) < 4:
            changed += chance.choice(words)
        chance.choice(MUTATIONS)(chance, changed, others, words)
    return bytes(changed[:MAX_INPUT]).ljust(2, b"\0")
