"""The Python client."""

from __future__ import annotations

from .calls import Call, Item, Stream, Subscription
from .client import Client

__all__ = ["Call", "Client", "Item", "Stream", "Subscription"]
