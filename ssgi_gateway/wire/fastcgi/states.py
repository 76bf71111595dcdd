"""The states of a FastCGI responder's connection, and what every record does in each of them.

The table is the program: ``fastcgi.py`` looks here and has no other idea of what may follow what.
"""

from __future__ import annotations

from typing import Final

from ssgi_gateway.wire.fastcgi.records import ABORT_REQUEST, BEGIN_REQUEST, PARAMS, STDIN

__all__ = [
    "ABORTED",
    "BODY",
    "CLOSED",
    "ENDED",
    "HEAD",
    "IDLE",
    "PARAMS_END",
    "REJECTED",
    "STDIN_END",
    "STREAM_END",
    "TRANSITIONS",
]

IDLE: Final = "IDLE"
"""No request is in progress."""
HEAD: Final = "HEAD"
"""BEGIN_REQUEST was read, PARAMS are being read."""
BODY: Final = "BODY"
"""``HeadReceived`` was told, STDIN is being read."""
ENDED: Final = "ENDED"
"""``RequestEnded`` was told."""
REJECTED: Final = "REJECTED"
"""``RequestRejected`` was raised: its answer is due, the rest of the request is skipped."""
ABORTED: Final = "ABORTED"
"""``RequestAborted`` was told: END_REQUEST is due, the rest of the request is skipped."""
CLOSED: Final = "CLOSED"
"""Nothing will be read any more."""

# The empty record that ends a stream (3.3) is an input of its own.
STREAM_END: Final = 0x100
PARAMS_END: Final = STREAM_END | PARAMS
STDIN_END: Final = STREAM_END | STDIN

TRANSITIONS: Final[dict[str, dict[int, tuple[str, str]]]] = {
    # state: {a record for the request in progress: (the method that acts on it, the next state)}; all else is skipped.
    # A method that refuses chooses another next state: REJECTED, ABORTED or CLOSED.
    IDLE: {
        BEGIN_REQUEST: ("_begin", HEAD),
    },
    HEAD: {
        BEGIN_REQUEST: ("_begun_twice", CLOSED),
        PARAMS: ("_params", HEAD),
        PARAMS_END: ("_head", BODY),
        STDIN: ("_stdin_too_early", CLOSED),
        STDIN_END: ("_stdin_too_early", CLOSED),
        ABORT_REQUEST: ("_abandon", IDLE),
    },
    BODY: {
        BEGIN_REQUEST: ("_begun_twice", CLOSED),
        STDIN: ("_stdin", BODY),
        STDIN_END: ("_stdin_end", ENDED),
        ABORT_REQUEST: ("_abort", ABORTED),
    },
    ENDED: {
        BEGIN_REQUEST: ("_begun_twice", CLOSED),
        ABORT_REQUEST: ("_abort", ABORTED),
    },
    REJECTED: {
        BEGIN_REQUEST: ("_begun_twice", CLOSED),
        ABORT_REQUEST: ("_abort", ABORTED),
    },
    ABORTED: {
        BEGIN_REQUEST: ("_begun_twice", CLOSED),
    },
    CLOSED: {},
}
