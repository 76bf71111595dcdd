"""The states of one request on a FastCGI connection, and what every record does in each of them.

``TRANSITIONS`` is the program, written for people; ``TABLE`` is the same for the machine (``wire.fastcgi.codec``, in
both builds), which looks there and has no other idea of what may follow what.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.wire.fastcgi.records import ABORT_REQUEST, BEGIN_REQUEST, PARAMS, STDIN

__all__ = [
    "ABORTED",
    "ACTIONS",
    "BODY",
    "CLOSED",
    "ENDED",
    "HEAD",
    "IDLE",
    "PARAMS_END",
    "REJECTED",
    "STATES",
    "STDIN_END",
    "STREAM_END",
    "TABLE",
    "TRANSITIONS",
]

IDLE: Final = 0
"""No request is in progress."""
HEAD: Final = 1
"""BEGIN_REQUEST was read, PARAMS are being read."""
BODY: Final = 2
"""``HeadReceived`` was reported, STDIN is being read."""
ENDED: Final = 3
"""``RequestEnded`` was reported."""
REJECTED: Final = 4
"""``RequestRejected`` was raised: its answer is due, the rest of the request is skipped."""
ABORTED: Final = 5
"""``RequestAborted`` was reported: END_REQUEST is due, the rest of the request is skipped."""
CLOSED: Final = 6
"""Nothing will be read any more."""

STATES: Final = ("IDLE", "HEAD", "BODY", "ENDED", "REJECTED", "ABORTED", "CLOSED")

# The empty record that ends a stream (3.3) is an input of its own. Record types of a request are below 16 (8).
STREAM_END: Final = 16
PARAMS_END: Final = STREAM_END | PARAMS
STDIN_END: Final = STREAM_END | STDIN

TRANSITIONS: Final[dict[int, dict[int, tuple[str, int]]]] = {
    # state: {a record of the request: (what is done, the next state)}; every other record is skipped.
    # An action that refuses chooses another next state: REJECTED, ABORTED or CLOSED.
    IDLE: {
        BEGIN_REQUEST: ("begin", HEAD),
    },
    HEAD: {
        BEGIN_REQUEST: ("begun twice", CLOSED),
        PARAMS: ("collect", HEAD),
        PARAMS_END: ("head", BODY),
        STDIN: ("too early", CLOSED),
        STDIN_END: ("too early", CLOSED),
        ABORT_REQUEST: ("abandon", IDLE),
    },
    BODY: {
        BEGIN_REQUEST: ("begun twice", CLOSED),
        STDIN: ("body", BODY),
        STDIN_END: ("end", ENDED),
        ABORT_REQUEST: ("abort", ABORTED),
    },
    ENDED: {
        BEGIN_REQUEST: ("begun twice", CLOSED),
        ABORT_REQUEST: ("abort", ABORTED),
    },
    REJECTED: {
        BEGIN_REQUEST: ("begun twice", CLOSED),
        ABORT_REQUEST: ("abort", ABORTED),
    },
    ABORTED: {
        BEGIN_REQUEST: ("begun twice", CLOSED),
    },
    CLOSED: {},
}

ACTIONS: Final = ("skip", "begin", "collect", "head", "body", "end", "abort", "abandon", "too early", "begun twice")
"""Their numbers in ``TABLE``."""


def _table() -> bytes:
    table = bytearray(8 * 32)
    for state, row in TRANSITIONS.items():
        for arrival, (action, following) in row.items():
            table[state << 5 | arrival] = ACTIONS.index(action) << 3 | following
    return bytes(table)


TABLE: Final = _table()
"""``TABLE[state << 5 | arrival]`` is ``action << 3 | next state``; 0 where the record is skipped."""
