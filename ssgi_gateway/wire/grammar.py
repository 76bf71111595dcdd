"""The pieces of HTTP's grammar that are met in several places: the token, the decimal length, the list."""

from __future__ import annotations

from typing import Final

__all__ = ["is_token", "list_members", "parse_length"]

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

_MAX_DIGITS: Final = 18
"""An exabyte, and within 63 bits."""


def is_token(text: str) -> bool:
    """Whether ``text`` is a token (RFC 9110 5.6.2), as methods and header names are."""
    return text != "" and _TOKEN.issuperset(text)


def parse_length(text: str) -> int:
    """The number of bytes in ``text``: ASCII digits and nothing else (RFC 9110 8.6), at most 18 of them.

    Returns:
        The number; -1 for anything else, also for what Python's ``int`` would take (``+3``, `` 3``, ``1_0``, ``²``).
    """
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else -1


def list_members(value: str) -> list[str]:
    """The members of a comma-separated list that are compared without case (RFC 9110 5.6.1), lower-case."""
    return [member.strip(" \t").lower() for member in value.split(",")]
