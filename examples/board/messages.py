"""What a visitor may say to the board, checked before anything else looks at it.

A message is one JSON object in a text frame, and ``type`` names its kind. Nothing a client sends is believed: sizes
are bounded, coordinates are whole numbers on the board, colours are names from a list (so that no client can put a
style into another's page), and names lose everything that is not a printable character. What does not fit raises
``BadMessage`` with a sentence that the visitor gets as the reason of the close (RFC 6455, section 7.1.6).

This module is pure: it knows no sockets and no other visitors.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

BOARD_WIDTH, BOARD_HEIGHT = 1600, 1000
COLORS = ("blue", "red", "green", "violet", "orange", "teal", "pink", "ink")
WIDTHS = (3, 7, 15)
MAX_MESSAGE = 8192
MAX_POINTS = 256
MAX_NAME = 24


class BadMessage(ValueError):
    """The visitor sent something that this page never sends; the text is a sentence for a person."""


@dataclass(frozen=True, slots=True)
class Hello:
    """The visitor's name and colour, at the start or changed later."""

    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Draw:
    """More points of one of the visitor's own strokes: x, y, x, y, ..."""

    stroke: int
    width: int
    points: list[int]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the visitor points, or ``None`` for nowhere."""

    point: list[int] | None


@dataclass(frozen=True, slots=True)
class Clear:
    """Wipe the board for everyone."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Answered at once with the same token; the page measures the round trip with it."""

    token: int


Message = Hello | Draw | Cursor | Clear | Ping


def parse(raw: str | bytes) -> Message:
    """Check one message.

    Raises:
        BadMessage: it is too long, not JSON, of an unknown type, or a value is out of range.
    """
    if not isinstance(raw, str):
        raise BadMessage("The board speaks text, not binary.")
    if len(raw) > MAX_MESSAGE:
        raise BadMessage("The message is too long.")
    try:
        fields = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadMessage("The message is not JSON.") from None
    kind = fields.get("type") if isinstance(fields, dict) else None
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise BadMessage("The message is of no known type.")
    return read(fields)


def clean_name(name: str) -> str:
    """A name fit to be shown: composed, printable, single-spaced, short; may be empty.

    ``str.isprintable`` is false for controls, for bidirectional overrides and for lone surrogates.
    """
    printable = "".join(c if c.isprintable() else " " for c in unicodedata.normalize("NFC", name))
    return " ".join(printable.split())[:MAX_NAME].rstrip()


def _hello(fields: dict[str, Any]) -> Hello:
    name, color = fields.get("name"), fields.get("color")
    if not isinstance(name, str):
        raise BadMessage("A name is text.")
    if color not in COLORS:
        raise BadMessage("The colour is not one of the board's.")
    return Hello(clean_name(name), color)


def _draw(fields: dict[str, Any]) -> Draw:
    width, points = fields.get("width"), fields.get("points")
    if not isinstance(width, int) or width not in WIDTHS:
        raise BadMessage("The width is not one of the board's.")
    if not isinstance(points, list) or not 2 <= len(points) <= 2 * MAX_POINTS or len(points) % 2:
        raise BadMessage("A stroke has some points, and not too many at once.")
    return Draw(_whole(fields.get("stroke"), 2**31), width, _on_board(points))


def _cursor(fields: dict[str, Any]) -> Cursor:
    point = fields.get("point")
    if point is None:
        return Cursor(None)
    if not isinstance(point, list) or len(point) != 2:
        raise BadMessage("A point is two numbers.")
    return Cursor(_on_board(point))


def _ping(fields: dict[str, Any]) -> Ping:
    return Ping(_whole(fields.get("token"), 2**31))


def _on_board(points: list[Any]) -> list[int]:
    limits = (BOARD_WIDTH, BOARD_HEIGHT)
    return [_whole(value, limits[i % 2]) for i, value in enumerate(points)]


def _whole(value: Any, limit: int) -> int:
    # bool is an int to isinstance, and true is not a coordinate.
    if type(value) is not int or not 0 <= value <= limit:
        raise BadMessage("A number is out of range.")
    return value


_READERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "hello": _hello,
    "draw": _draw,
    "cursor": _cursor,
    "clear": lambda fields: Clear(),
    "ping": _ping,
}
