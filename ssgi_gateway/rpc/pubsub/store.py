"""Topics in memory: counters, history, and how long they are kept. Pure; time is an argument."""

from __future__ import annotations

import secrets
from collections import deque
from typing import Final

from .broker import BEGINNING, Message, Recalled, parse_position

__all__ = ["Store"]

SWEEP: Final = 256
"""Publications after which topics that are not in use are forgotten."""


class Record:
    """One topic: its epoch, how many messages it had, the last of them."""

    __slots__ = ("epoch", "history", "last_used", "offset", "ttl")

    def __init__(self, now: float) -> None:
        self.epoch = secrets.token_hex(4)
        self.offset = 0
        self.history: deque[tuple[float, Message]] = deque()
        self.ttl = 300.0
        self.last_used = now

    def forget(self, now: float, history: int) -> None:
        """Drop what is too old or too much."""
        while self.history and (len(self.history) > history or self.history[0][0] <= now - self.ttl):
            self.history.popleft()


class Store:
    """All topics of one process."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._until_sweep = SWEEP

    def publish(self, topic: str, payload: bytes, history: int, ttl: float, now: float) -> Message:
        """Give a message its position and keep it, if it is to be kept."""
        record = self._record(topic, now)
        record.offset += 1
        record.ttl = ttl
        message = Message(record.epoch, record.offset, payload)
        if history:
            record.history.append((now, message))
        record.forget(now, history)
        self._until_sweep -= 1
        if not self._until_sweep:
            self._sweep(now)
        return message

    def recall(self, topic: str, since: str | None, now: float) -> Recalled:
        """What was published after a position."""
        record = self._record(topic, now)
        record.forget(now, len(record.history))
        if since is None:
            return Recalled(record.epoch, record.offset, True, [])
        if since == BEGINNING:
            return Recalled(record.epoch, record.offset, True, [message for _, message in record.history])
        epoch, offset = parse_position(since)
        missed = [message for _, message in record.history if message.offset > offset]
        whole = epoch == record.epoch and offset <= record.offset and record.offset - offset == len(missed)
        return Recalled(record.epoch, record.offset, whole, missed if whole else [])

    def _record(self, topic: str, now: float) -> Record:
        record = self._records.get(topic)
        if record is None:
            record = self._records[topic] = Record(now)
        record.last_used = now
        return record

    def _sweep(self, now: float) -> None:
        """Forget topics that were unused for as long as they remember; a later subscriber finds another epoch."""
        self._until_sweep = SWEEP
        for topic, record in tuple(self._records.items()):
            if record.last_used < now - record.ttl - 60:
                del self._records[topic]
