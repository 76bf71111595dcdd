"""A declared topic: its name as a pattern, the type of its messages, who may subscribe, how much history is kept."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import msgspec

from ..procedures import Checker

__all__ = ["Topic"]

PART = re.compile(r"\{(\w+)\}")
NAME = re.compile(r"[^\s{}]{1,200}")


class Topic:
    """What ``@app.topic`` declares.

    Args:
        pattern: ``{room}`` stands for a part without dots and spaces.
        type: of the messages.
        history: how many are kept; 0 for none.
        ttl: seconds that they are kept.
        may_subscribe: ``(connection, **parts) -> bool``, sync or async.

    Raises:
        ValueError: a malformed pattern, or a negative number.
    """

    def __init__(self, pattern: str, type: Any, history: int, ttl: float, may_subscribe: Callable[..., Any]) -> None:
        if not NAME.fullmatch(PART.sub("x", pattern)) or pattern.startswith("swill."):
            raise ValueError(f"{pattern!r} is no topic: text without spaces, {{name}} for a part, not below 'swill.'")
        if history < 0 or ttl <= 0:
            raise ValueError(f"topic {pattern!r}: history is 0 or more messages, ttl more than 0 seconds")
        self.pattern = pattern
        self.type = type
        self.history = history
        self.ttl = ttl
        self.may_subscribe = may_subscribe
        self.summary = (inspect.getdoc(may_subscribe) or "").partition("\n")[0]
        self._expression = re.compile("".join(_expressions(pattern)))
        self._check = Checker(type)
        self._decode = msgspec.msgpack.Decoder(type).decode

    def match(self, name: str) -> dict[str, str] | None:
        """The parts of a name that belongs to this topic; ``None`` if it does not."""
        found = self._expression.fullmatch(name) if NAME.fullmatch(name) else None
        return None if found is None else found.groupdict()

    async def allows(self, connection: Any, name: str) -> bool:
        """Whether a connection may subscribe to a name."""
        answer = self.may_subscribe(connection, **(self.match(name) or {}))
        if inspect.isawaitable(answer):
            answer = await answer
        return bool(answer)

    def encode(self, message: Any) -> bytes:
        """A message, checked.

        Raises:
            TypeError: it is not of the topic's type.
        """
        return msgspec.msgpack.encode(self._check(message))

    def decode(self, payload: bytes) -> Any:
        """A message."""
        return self._decode(payload)


def _expressions(pattern: str) -> list[str]:
    pieces = PART.split(pattern)
    return [re.escape(piece) if index % 2 == 0 else rf"(?P<{piece}>[^.\s]+)" for index, piece in enumerate(pieces)]
