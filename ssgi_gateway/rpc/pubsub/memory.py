"""``MemoryPubSub``: topics of one process."""

from __future__ import annotations

import time

from .broker import Broker, Recalled
from .store import Store

__all__ = ["MemoryPubSub"]


class MemoryPubSub(Broker):
    """For one worker, for tests and for development."""

    single_process = True

    def __init__(self) -> None:
        super().__init__()
        self._store = Store()

    async def publish(self, topic: str, payload: bytes, history: int, ttl: float) -> str:
        """Publish; returns the position."""
        message = self._store.publish(topic, payload, history, ttl, time.monotonic())
        self.deliver(topic, message)
        return message.id

    async def recall(self, topic: str, since: str | None) -> Recalled:
        """What was published after a position."""
        return self._store.recall(topic, since, time.monotonic())
