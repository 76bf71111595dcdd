"""The name of a request in every line that is written about it.

The front's, if it is harmless: what a client can choose must not end a line, nor fill it. Made otherwise: eight
hexadecimal digits of this process, which are random, and eight that count.
"""

from __future__ import annotations

import itertools
import os
import re
from typing import Final

__all__ = ["choose"]

_harmless = re.compile(r"[A-Za-z0-9._-]{1,128}")
_count: Final = itertools.count(1)
_prefix = ""


def choose(given: str | None) -> str:
    """The id of a request whose front sends ``given``."""
    if given is not None and _harmless.fullmatch(given):
        return given
    return f"{_prefix or _begin()}{next(_count) & 0xFFFFFFFF:08x}"


def _begin() -> str:
    global _prefix
    _prefix = os.urandom(4).hex()
    return _prefix


def _forget() -> None:
    global _prefix
    _prefix = ""


os.register_at_fork(after_in_child=_forget)  # a fork is another process
