"""SCGI as a client: a netstring of variables, a body, an answer that ends with the connection, or with its length.

https://python.ca/scgi/protocol.txt. No sockets, no clock.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import LocalProtocolError

from .cgi_answer import CgiAnswer
from .cgi_request import cgi_variables, key_of, usual_variables
from .events import AnswerEnded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .request import Request

__all__ = ["ScgiClient", "check_target"]


def _netstring(pairs: list[tuple[bytes, bytes]]) -> bytes:
    block = b"".join([b"%b\0%b\0" % pair for pair in pairs])
    return b"%d:%b," % (len(block), block)


@lru_cache(maxsize=64)
def _usual(*key: Any) -> bytes:
    """A client of one page sends the same each time."""
    return _netstring(usual_variables(*key))


def check_target(target: str) -> None:
    """Refuse a NUL in the path: decoded it would end its variable, and what follows would be variables of its own.

    Raises:
        LocalProtocolError: it has one.
    """
    if "%00" in target and "%00" in target.partition("?")[0]:
        raise LocalProtocolError("a NUL in the path (%00), which SCGI cannot carry: it ends a variable there")


_NONE: Final = CgiAnswer("")
"""The answer before there is a request."""


class ScgiClient:
    """One connection, which is one request.

    Attributes:
        answer: the answer so far.
    """

    __slots__ = ("answer",)

    def __init__(self) -> None:
        self.answer = _NONE

    def begin(self, request: Request, length: int, pairs: list[tuple[bytes, bytes]] | None = None) -> bytes:
        """The head.

        Args:
            request: what to send.
            length: of the body, in bytes; SCGI has no other way to mark its end.
            pairs: variables in place of those that follow from the request.
        """
        self.answer = CgiAnswer(request.method, request.upgrade)
        if pairs is None and not request.cgi:
            return _usual(*key_of(request, length, True))
        return _netstring(cgi_variables(request, length, scgi=True) if pairs is None else pairs)

    def encode(self, data: Any, more: bool) -> list[Any]:
        """A piece of the body; CONTENT_LENGTH marks its end."""
        return [data] if data else []

    def encode_many(self, pieces: Sequence[Any], more: bool) -> list[Any]:
        """Likewise several of them."""
        return [*pieces]

    def receive(self, data: bytes) -> list[Any]:
        """Take bytes, ``b""`` for the end of the stream; gives the events they make.

        A body that is as long as its Content-Length is complete, as it is for nginx: a program that leaves the
        connection open, or resets it because it has not read the request, has answered.

        Raises:
            RemoteProtocolError: it is no answer, or not a whole one.
        """
        answer = self.answer
        if not data:
            return answer.end()
        events = answer.receive(data)
        if answer.filled:
            events.append(AnswerEnded())
        return events
