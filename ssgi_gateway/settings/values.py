"""What people write for a setting, turned into what the setting holds.

A value is text (command line, environment) or already typed (TOML); both end up the same. What cannot be used is a
``ValueError`` whose message completes the sentence ``<where it was written>: ...`` and says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["AUTO", "MAX_WORKERS", "convert", "did_you_mean", "show"]

AUTO: Final = -1
"""The number of workers that stands for ``auto``."""
MAX_WORKERS: Final = 512

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_TRUE: Final = ("1", "true", "yes", "on")
_FALSE: Final = ("0", "false", "no", "off")


def convert(raw: Any, kind: Any, metadata: Mapping[str, Any]) -> Any:
    """The value of a setting.

    Args:
        raw: what was written.
        kind: the type of the setting's field.
        metadata: of the field: ``unit``, ``minimum``, ``choices``.

    Raises:
        ValueError: ``raw`` is no such value; the message says what to write.
    """
    if kind is bool:
        return _flag(raw)
    if kind is int and metadata["unit"] == "octal":
        return _octal(raw, 3, "is no permissions; write three octal digits, such as 660")
    if kind is int and metadata["unit"] == "umask":
        return _octal(raw, 1, "is no umask; write octal digits (0 to 7), such as 027")
    if kind is int and metadata["unit"] == "workers":
        return _workers(raw)
    if kind is int:
        size = metadata["unit"] == "bytes"
        return _at_least(_size(raw) if size else _integer(raw), metadata["minimum"], size)
    if kind is float:
        return _at_least(_seconds(raw), metadata["minimum"], False)
    if kind in (tuple[str, ...], tuple[str, ...] | None):
        return _texts(raw)
    return _text(raw, metadata["choices"])


def show(value: Any, metadata: Mapping[str, Any]) -> str:
    """A value as people write it: ``128k``, ``0660``, ``20``; empty for a value that means "not given"."""
    if value is None or value == "" or value == ():
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value)
    if metadata["unit"] == "workers" and value == AUTO:
        return "auto"
    if metadata["unit"] == "umask" and value < 0:
        return ""
    if metadata["unit"] in ("octal", "umask"):
        return f"{value:04o}"
    if metadata["unit"] == "bytes" and value:
        for suffix, factor in reversed(_UNITS.items()):
            if value % factor == 0:
                return f"{value // factor}{suffix}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def did_you_mean(wrong: str, known: list[str]) -> str:
    """``; did you mean ...?``, or nothing where nothing is like it."""
    import difflib  # only a start that fails needs it

    near = difflib.get_close_matches(wrong, known, n=2, cutoff=0.7)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _flag(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in _TRUE:
        return True
    if isinstance(raw, str) and raw.strip().lower() in _FALSE:
        return False
    raise ValueError(f"{raw!r} is neither yes nor no; write 1 or 0")


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"-?[0-9]{1,18}", raw.strip()):
        return int(raw)
    raise ValueError(f"{raw!r} is not a whole number")


def _workers(raw: Any) -> int:
    if isinstance(raw, str) and raw.strip().lower() == "auto":
        return AUTO
    try:
        count = _integer(raw)
    except ValueError:
        raise ValueError(f"{raw!r} is not a number of processes; write a whole number, or auto") from None
    if not 0 <= count <= MAX_WORKERS:
        raise ValueError(f"{count} processes cannot be; write 0 to {MAX_WORKERS}, or auto")
    return count


def _size(raw: Any) -> int:
    if not isinstance(raw, str):
        return _integer(raw)
    match = re.fullmatch(r"(-?[0-9]{1,18})([kmg]?)(?:i?b)?", raw.strip().lower())
    if match is None:
        raise ValueError(f"{raw!r} is not a size; write bytes, or a number with k, m or g, such as 64k")
    return int(match[1]) * _UNITS[match[2]]


def _seconds(raw: Any) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        seconds = float(raw)
    elif isinstance(raw, str) and re.fullmatch(r"-?[0-9]+(\.[0-9]+)?s?", raw.strip()):
        seconds = float(raw.strip().rstrip("s"))
    else:
        seconds = float("nan")
    if not abs(seconds) < float("inf"):  # which nan is not
        raise ValueError(f"{raw!r} is not a number of seconds, such as 30 or 0.5")
    return seconds


def _at_least(value: Any, minimum: float, size: bool) -> Any:
    if value < minimum:
        smallest = show(int(minimum), {"unit": "bytes"}) if size else f"{minimum:g}"
        raise ValueError(f"{value} is too small; write {smallest} or more")
    return value


def _octal(raw: Any, digits: int, problem: str) -> int:
    """Permissions. Text is octal, as for chmod(1); a TOML number is a number, ``0o660`` there.

    Args:
        raw: what was written.
        digits: that a text has at least.
        problem: the rest of the error's message.
    """
    if isinstance(raw, str) and re.fullmatch(rf"(0o)?[0-7]{{{digits},4}}", raw.strip()):
        mode = int(raw.strip().removeprefix("0o"), 8)
    elif isinstance(raw, int) and not isinstance(raw, bool):
        mode = raw
    else:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"{raw!r} {problem}")
    return mode


def _texts(raw: Any) -> tuple[str, ...]:
    """A repeated option, a TOML array, or one text with commas between the values."""
    pieces = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(pieces, list | tuple) or not all(isinstance(piece, str) for piece in pieces):
        raise ValueError(f"{raw!r} is not a list of texts")
    return tuple(stripped for piece in pieces if (stripped := piece.strip()))


def _text(raw: Any, choices: tuple[str, ...]) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a text")
    if "\0" in raw:
        raise ValueError(f"{raw!r} holds a NUL byte")
    if choices and raw not in choices:
        raise ValueError(f"{raw!r} is not one of {', '.join(choices)}{did_you_mean(raw, list(choices))}")
    return raw
