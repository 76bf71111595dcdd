"""``Client``."""

from __future__ import annotations


class Client:
    """A connection to a Swill server."""
