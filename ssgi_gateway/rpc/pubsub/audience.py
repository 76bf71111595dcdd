"""The subscribers of a topic in this process: one by one, or together where the same bytes go to many connections.

A frame begins with the subscriber's seq, and clients of one kind subscribe with the same: a ``Fan`` holds those, and a
message becomes one frame that is written to all of their connections, without a call, an object or a task for each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .broker import Message, Sink

__all__ = ["Audience", "Fan"]


class Fan:
    """Subscribers whose frames begin alike.

    Args:
        head: what their frames begin with.
        send: ``send_to_all`` of the build that serves them (``core/websocket.py``).
    """

    __slots__ = ("_head", "_send", "_sockets", "messages", "octets", "sinks")

    def __init__(self, head: bytes, send: Callable[[list[Any], bytes], list[Any]]) -> None:
        self._head = head
        self._send = send
        self._sockets: list[Any] | None = None
        self.sinks: dict[Any, Any] = {}
        """By their WebSockets, each with ``behind(writable)``."""
        self.messages = 0
        self.octets = 0
        """What went to each since this was made: a subscriber's share is the difference to when it joined."""

    def add(self, socket: Any, sink: Any) -> None:
        """One more."""
        self.sinks[socket] = sink
        self._sockets = None

    def remove(self, socket: Any) -> None:
        """One fewer."""
        self.sinks.pop(socket, None)
        self._sockets = None

    def put(self, message: Message) -> None:
        """Send a message to all; those that can take no more leave."""
        if self._sockets is None:  # made anew, and not changed: it may be on its way through ``send``
            self._sockets = list(self.sinks)
        frame = self._head + message.tail
        self.messages += 1
        self.octets += len(frame)
        for socket, writable in self._send(self._sockets, frame):
            sink = self.sinks.get(socket)
            if sink is not None:
                sink.behind(writable)


class Audience:
    """The subscribers of one topic in this process.

    Attributes:
        members: all of them, with what takes their messages now: a gate, or themselves.
        single: those of them who get messages one by one.
        fans: the others, by what their frames begin with.
    """

    __slots__ = ("fans", "members", "single")

    def __init__(self) -> None:
        self.members: dict[Sink, Sink] = {}
        self.single: dict[Sink, Sink] = {}
        self.fans: dict[bytes, Fan] = {}

    def add(self, sink: Sink, taker: Sink) -> None:
        """Enter a subscriber whose messages ``taker`` takes."""
        self.members[sink] = self.single[sink] = taker

    def remove(self, sink: Sink) -> None:
        """Take one out."""
        self.members.pop(sink, None)
        self.single.pop(sink, None)
        sink.leave()

    def deliver(self, message: Message) -> None:
        """Hand a message to all subscribers."""
        single = tuple(self.single.values())  # before the fans: one that leaves a fan on the way has got the message
        for fan in tuple(self.fans.values()):
            fan.put(message)
        for taker in single:
            taker.put(message)
