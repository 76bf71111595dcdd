"""Texts of log lines that need no escaping, which are nearly all, and numbers: what is done for every line.

The compiled build has a twin of this module that looks at the characters where they lie.
"""

from __future__ import annotations

__all__ = ["decimal", "is_plain"]


def is_plain(text: str) -> bool:
    """Whether ``text`` is printable ASCII without a quote or a backslash: it can stand in a field as it is."""
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def decimal(number: float) -> str:
    """A number of seconds, not negative, with six digits behind the point."""
    return f"{number:.6f}"
