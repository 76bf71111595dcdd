"""The Python client."""

from __future__ import annotations

from .calls import Call, Stream
from .client import Client
from .subscription import Item, Subscription

__all__ = ["Call", "Client", "Item", "Stream", "Subscription"]
