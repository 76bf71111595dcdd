"""The board's one room: who is here, what is drawn, and what each visitor has yet to be told.

How to write to many clients of which some are slow, with nothing but ``await ws.send(...)``:

* Each visitor has one writer, and the writer awaits each ``send``. It resolves when the client can take more.
* What happens meanwhile gathers in the visitor's outbox and leaves as one frame, a JSON array of events. A fast
  client gets each event by itself; a slower one gets fewer, larger frames.
* An event may replace an older one that nobody has seen yet (a cursor has moved on, so where it was is of no use).
* An outbox that is full is thrown away, and the visitor is *behind*: its next frame is the whole state. So a client
  that never reads costs a bounded amount, and one that reads again is right at once. A newcomer is nothing else
  than a visitor who is behind.

Everything runs on the event loop's thread, so there are no locks. The room lives in one process; a board that spans
several worker processes would publish its events through Redis, NATS or the like.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .messages import COLORS, BadMessage, Clear, Cursor, Draw, Hello, Ping, parse

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import SSGIWebSocket

MAX_VISITORS = 200
MAX_OUTBOX = 256
MAX_HISTORY = 60_000  # coordinates; about a quarter of a megabyte of JSON for a newcomer
NAMES = ("Otter", "Heron", "Lynx", "Finch", "Marten", "Plover", "Badger", "Swift", "Hare", "Wren", "Seal", "Fox")


def encode(**event: Any) -> str:
    """One event as JSON, without spaces."""
    return json.dumps(event, separators=(",", ":"))


class Stroke:
    """A line on the board. Its points grow while it is being drawn."""

    __slots__ = ("color", "points", "width")

    def __init__(self, color: str, width: int) -> None:
        self.color = color
        self.width = width
        self.points: list[int] = []


class History:
    """What is drawn, bounded: when it holds too many coordinates the oldest strokes go."""

    def __init__(self, limit: int = MAX_HISTORY) -> None:
        self._limit = limit
        self._size = 0
        self._strokes: dict[str, Stroke] = {}

    def extend(self, stroke_id: str, color: str, width: int, points: list[int]) -> Stroke:
        """Add points to a stroke, which begins with them if it is new. Its colour stays what it was."""
        stroke = self._strokes.get(stroke_id)
        if stroke is None:
            stroke = self._strokes[stroke_id] = Stroke(color, width)
        stroke.points += points
        self._size += len(points)
        while self._size > self._limit:
            oldest = next(iter(self._strokes))
            self._size -= len(self._strokes.pop(oldest).points)
        return stroke

    def clear(self) -> None:
        """Forget everything."""
        self._strokes.clear()
        self._size = 0

    def snapshot(self) -> list[dict[str, Any]]:
        """Every stroke, oldest first."""
        return [
            {"id": stroke_id, "color": s.color, "width": s.width, "points": s.points}
            for stroke_id, s in self._strokes.items()
        ]


class Visitor:
    """One open WebSocket, with its outbox and its writer."""

    def __init__(self, ws: SSGIWebSocket, number: int, name: str, color: str) -> None:
        self.number = number
        self.name = name
        self.color = color
        self._ws = ws
        self._outbox: dict[str, str] = {}
        self._keys = itertools.count()
        self._behind = True
        self._gone = False
        self._wake = asyncio.Event()
        self._wake.set()

    def tell(self, event: str, replaces: str = "") -> None:
        """Put an event into the outbox; with the same ``replaces``, the newer one takes the older one's place."""
        if self._behind:
            return  # the whole state is on its way, and it will hold this
        self._outbox[replaces or str(next(self._keys))] = event
        self._behind = len(self._outbox) > MAX_OUTBOX
        self._wake.set()

    def left(self) -> None:
        """The connection has ended: let the writer end too."""
        self._gone = True
        self._wake.set()

    async def write(self, whole_state: Callable[[], list[str]]) -> None:
        """Send what is in the outbox, again and again, until the client is gone."""
        while await self._wake.wait() and not self._gone:
            events = whole_state() if self._behind else list(self._outbox.values())
            self._outbox.clear()
            self._behind = False
            self._wake.clear()
            if not await self._ws.send(f"[{','.join(events)}]"):
                return


class Room:
    """The visitors and what they have drawn."""

    def __init__(self) -> None:
        self._visitors: dict[int, Visitor] = {}
        self._numbers = itertools.count(1)
        self._history = History()

    async def visit(self, ws: SSGIWebSocket, seen: dict[str, Any]) -> None:
        """One visit, from the upgrade to the end of the connection.

        Args:
            ws: the pending WebSocket.
            seen: what the gateway says of the handshake; the visitor gets it back, for the page to show.
        """
        if len(self._visitors) >= MAX_VISITORS:
            await ws.reject(503, "The board is full.\n", [("content-type", "text/plain")])
            return
        if not await ws.accept():
            return
        visitor = self._enter(ws)
        try:
            ws.on_close(lambda ws, code, reason: visitor.left())
            ws.on_receive(self._receive, visitor)
            welcome = encode(type="welcome", you=visitor.number, name=visitor.name, color=visitor.color, seen=seen)
            await ws.send(f"[{welcome}]")
            await visitor.write(self._whole_state)
        finally:
            self._leave(visitor)

    def _enter(self, ws: SSGIWebSocket) -> Visitor:
        number = next(self._numbers)
        taken = [v.color for v in self._visitors.values()]
        visitor = Visitor(ws, number, NAMES[number % len(NAMES)], min(COLORS, key=taken.count))
        self._visitors[number] = visitor
        self._tell_who_is_here()
        return visitor

    def _leave(self, visitor: Visitor) -> None:
        del self._visitors[visitor.number]
        self._tell_who_is_here()

    def _receive(self, ws: SSGIWebSocket, raw: str | bytes, visitor: Visitor) -> None:
        try:
            message = parse(raw)
        except BadMessage as error:
            ws.close(1008, str(error))  # 1008: the message violates the endpoint's policy
            return
        match message:
            case Draw():
                self._draw(visitor, message)
            case Cursor(point):
                event = encode(type="cursor", id=visitor.number, point=point)
                self._tell_others(visitor, event, replaces=f"cursor {visitor.number}")
            case Ping(token):
                visitor.tell(encode(type="pong", token=token), replaces="pong")
            case Hello(name, color):
                visitor.name, visitor.color = name or visitor.name, color
                self._tell_who_is_here()
            case Clear():
                self._history.clear()
                self._tell_all(encode(type="clear", by=visitor.number))

    def _draw(self, visitor: Visitor, message: Draw) -> None:
        # The number of the visitor is part of the stroke's id: nobody can extend a stroke of another.
        stroke_id = f"{visitor.number}.{message.stroke}"
        stroke = self._history.extend(stroke_id, visitor.color, message.width, message.points)
        event = encode(type="draw", id=stroke_id, color=stroke.color, width=stroke.width, points=message.points)
        self._tell_others(visitor, event)

    def _people(self) -> str:
        people = [{"id": v.number, "name": v.name, "color": v.color} for v in self._visitors.values()]
        return encode(type="people", people=people)

    def _whole_state(self) -> list[str]:
        return [self._people(), encode(type="snapshot", strokes=self._history.snapshot())]

    def _tell_who_is_here(self) -> None:
        self._tell_all(self._people(), replaces="people")

    def _tell_all(self, event: str, replaces: str = "") -> None:
        for visitor in self._visitors.values():
            visitor.tell(event, replaces)

    def _tell_others(self, visitor: Visitor, event: str, replaces: str = "") -> None:
        for other in self._visitors.values():
            if other is not visitor:
                other.tell(event, replaces)
