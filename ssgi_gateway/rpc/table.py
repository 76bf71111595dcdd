"""The life of a request, as a table: what a frame of the client does in each state. Pure; docs/swill-wire.md has it.

A request is ``(rpc, seq)`` within its connection. It is

* ``OPEN`` while items may come, ``CLOSED`` when the client has ended them, ``SINGLE`` when it has only one,
* ``DRAINING`` after it was answered while items may still come: what keeps late items from opening a new request,
* else unknown, and then what counts is what is called: a single or streaming procedure, or none of that name.
"""

from __future__ import annotations

from typing import Final

from .frames import CANCEL, CREDIT, END_OF_STREAM, MESSAGE, METADATA

__all__ = ["MAX_DRAINING", "TRANSITIONS", "Draining"]

MAX_DRAINING: Final = 1024
"""How many answered requests a connection remembers; the oldest is forgotten."""

# States.
NEW_SINGLE: Final = "none, single rpc"
NEW_STREAMING: Final = "none, streaming rpc"
NEW_UNKNOWN: Final = "none, unknown rpc"
OPEN: Final = "open"
CLOSED: Final = "closed, streaming"
SINGLE: Final = "closed, single"
DRAINING: Final = "draining"

# What is done.
BEGIN: Final = "begin"
"""The request begins, with this item."""
BEGIN_EMPTY: Final = "begin without an item"
TAKE: Final = "take the item"
FINISH: Final = "no more items"
STOP: Final = "cancel, answer nothing"
REFUSE: Final = "ERROR 400, cancel"
REJECT: Final = "ERROR 400"
NOT_FOUND: Final = "ERROR 404"
GRANT: Final = "add credit"
LOG: Final = "ignored, logged"
IGNORE: Final = "ignored"
FORGET: Final = "forget the request"

TRANSITIONS: Final[dict[str, dict[int, str]]] = {
    NEW_SINGLE: {MESSAGE: BEGIN, METADATA: REJECT, END_OF_STREAM: LOG, CANCEL: IGNORE, CREDIT: IGNORE},
    NEW_STREAMING: {MESSAGE: BEGIN, METADATA: BEGIN_EMPTY, END_OF_STREAM: LOG, CANCEL: IGNORE, CREDIT: IGNORE},
    NEW_UNKNOWN: {MESSAGE: NOT_FOUND, METADATA: NOT_FOUND, END_OF_STREAM: LOG, CANCEL: IGNORE, CREDIT: IGNORE},
    OPEN: {MESSAGE: TAKE, METADATA: REFUSE, END_OF_STREAM: FINISH, CANCEL: STOP, CREDIT: GRANT},
    CLOSED: {MESSAGE: LOG, METADATA: LOG, END_OF_STREAM: IGNORE, CANCEL: STOP, CREDIT: GRANT},
    SINGLE: {MESSAGE: REFUSE, METADATA: REFUSE, END_OF_STREAM: IGNORE, CANCEL: STOP, CREDIT: GRANT},
    DRAINING: {MESSAGE: IGNORE, METADATA: IGNORE, END_OF_STREAM: FORGET, CANCEL: FORGET, CREDIT: IGNORE},
}


class Draining:
    """The requests of one connection that were answered while items may still come: a bounded, ordered set."""

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[tuple[str, int], None] = {}

    def add(self, key: tuple[str, int]) -> None:
        """Remember a request, and forget the oldest if there are too many."""
        self._keys[key] = None
        if len(self._keys) > MAX_DRAINING:
            del self._keys[next(iter(self._keys))]

    def discard(self, key: tuple[str, int]) -> None:
        """Forget a request."""
        self._keys.pop(key, None)

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self._keys)
