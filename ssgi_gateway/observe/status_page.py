"""The status page: one file, no build step, nothing from the network.

The page is ``status.html`` beside this module; it draws what arrives over the WebSocket at its own address.
"""

from __future__ import annotations

import functools
import pathlib

__all__ = ["page"]


@functools.cache
def page() -> str:
    """The page."""
    return pathlib.Path(__file__).with_name("status.html").read_text()
