"""The states of a connection, the phases of a request on it, and the deadline that never comes.

For modules that keep them as C numbers, each its own.
"""

from __future__ import annotations

from typing import Final

__all__ = ["BODY", "CLOSED", "FLUSHING", "HEAD", "IDLE", "LINGERING", "NEVER", "NEW", "OPEN", "WHOLE"]

OPEN: Final = 0
"""In use."""
FLUSHING: Final = 1
"""Nothing more will be written; it closes when the output has left."""
LINGERING: Final = 2
"""Half-closed: what still arrives is thrown away."""
CLOSED: Final = 3
"""Given back."""

NEW: Final = 0
"""Nothing has arrived on the connection."""
IDLE: Final = 1
"""The last request was answered; nothing of another has come."""
HEAD: Final = 2
"""A part of a request's head has come."""
BODY: Final = 3
"""The head is whole, and the body may follow."""
WHOLE: Final = 4
"""All of the request has come."""

NEVER: Final = float("inf")
"""The deadline of a connection that waits for nothing."""
