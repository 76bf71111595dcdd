"""The events of the codecs. One vocabulary for every wire protocol.

An event is what arrived, in the past tense. ``next_event()`` returns one of these, or ``NEED_DATA``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .cgi import Variables

NEED_DATA: Final = None
"""Not an event: everything received so far has been reported, more bytes are wanted."""


class Event:
    """The common root; two events are equal when their type and their fields are, and none can be hashed."""

    __slots__ = ()

    def fields(self) -> tuple[object, ...]:
        """The event's content, for comparison and for people."""
        return ()

    def __eq__(self, other: object) -> bool:
        return type(self).__name__ == type(other).__name__ and self.fields() == other.fields()  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]  # they hold what changes: a dict of variables, data that grows

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.fields()!r}"


class HeadReceived(Event):
    """A request has begun; all its CGI variables are here.

    ``body_length`` is the declared length of the body in bytes, or -1 when the body runs to its own end mark.
    """

    __slots__ = ("body_length", "variables")

    def __init__(self, variables: Variables, body_length: int) -> None:
        self.variables = variables
        self.body_length = body_length

    def fields(self) -> tuple[object, ...]:
        return (dict(self.variables.items()), self.body_length)


class BodyReceived(Event):
    """A piece of the request's body, never empty."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    def fields(self) -> tuple[object, ...]:
        return (self.data,)


class RequestEnded(Event):
    """The whole request has arrived."""

    __slots__ = ()


class RequestAborted(Event):
    """The web server reports that its client has disconnected (FCGI_ABORT_REQUEST), or closes within the request."""

    __slots__ = ()


class RequestsInterleaved(Event):
    """A request began while another was in progress on the same connection (FastCGI 3.3).

    ``rest`` is what was received and not read, from that request's first record on: every id needs a codec of its own.
    """

    __slots__ = ("rest",)

    def __init__(self, rest: bytes) -> None:
        self.rest = rest

    def fields(self) -> tuple[object, ...]:
        return (self.rest,)


class MessageReceived(Event):
    """A whole WebSocket message: ``str`` for text, ``bytes`` for binary."""

    __slots__ = ("message",)

    def __init__(self, message: str | bytes) -> None:
        self.message = message

    def fields(self) -> tuple[object, ...]:
        return (self.message,)


class PongReceived(Event):
    """The answer to a ping of ours, or an unsolicited one (RFC 6455 5.5.3)."""

    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def fields(self) -> tuple[object, ...]:
        return (self.payload,)


class CloseReceived(Event):
    """The peer's Close frame; ``code`` is 1005 when it carried none (RFC 6455 7.1.5)."""

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    def fields(self) -> tuple[object, ...]:
        return (self.code, self.reason)
