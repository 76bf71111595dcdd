"""The states of a connection, and the deadline that never comes; for modules that keep them as C numbers."""

from __future__ import annotations

from typing import Final

__all__ = ["CLOSED", "FLUSHING", "LINGERING", "NEVER", "OPEN"]

OPEN: Final = 0
"""In use."""
FLUSHING: Final = 1
"""Nothing more will be written; it closes when the output has left."""
LINGERING: Final = 2
"""Half-closed: what still arrives is thrown away."""
CLOSED: Final = 3
"""Given back."""

NEVER: Final = float("inf")
"""The deadline of a connection that waits for nothing."""
