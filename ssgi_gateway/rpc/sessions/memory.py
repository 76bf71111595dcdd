"""``MemorySessions``: sessions of one process, which end with it."""

from __future__ import annotations

import time

from .session import DAYS_14, ROTATION, Sessions

__all__ = ["MemorySessions"]

SWEEP = 256
"""Uses after which sessions that are too old are forgotten."""


class MemorySessions(Sessions):
    """For one worker, for tests and for development.

    Args:
        ttl: seconds after its last use that a session is forgotten.
    """

    single_process = True

    def __init__(self, ttl: float = DAYS_14) -> None:
        super().__init__(ttl)
        self._fields: dict[str, dict[str, bytes]] = {}
        self._expires: dict[str, float] = {}
        self._renamed: dict[str, tuple[str, float]] = {}
        self._until_sweep = SWEEP

    async def resolve(self, id: str) -> str | None:
        """The id that a session has now."""
        self._sweep()
        renamed, until = self._renamed.get(id, (id, 0.0))
        now_called = renamed if until > time.monotonic() else id
        return now_called if self._use(now_called) else None

    async def read(self, id: str, key: str) -> bytes | None:
        """A field."""
        return self._fields[id].get(key) if self._use(id) else None

    async def read_all(self, id: str) -> dict[str, bytes]:
        """All fields."""
        return dict(self._fields[id]) if self._use(id) else {}

    async def write(self, id: str, key: str, value: bytes) -> None:
        """Write a field."""
        self._use(id)
        self._fields.setdefault(id, {})[key] = value
        self._expires[id] = time.monotonic() + self.ttl

    async def remove(self, id: str, key: str) -> None:
        """Remove a field; a session without any is none."""
        if self._use(id):
            self._fields[id].pop(key, None)
            if not self._fields[id]:
                self._forget(id)

    async def remove_all(self, id: str) -> None:
        """Remove all fields."""
        self._forget(id)

    async def rename(self, old: str, new: str) -> None:
        """Give a session another id."""
        if self._use(old):
            self._fields[new] = self._fields.pop(old)
            self._expires[new] = self._expires.pop(old)
        self._renamed[old] = (new, time.monotonic() + ROTATION)

    def _use(self, id: str) -> bool:
        """Whether a session is there; if so it is used."""
        now = time.monotonic()
        if id not in self._fields:
            return False
        if self._expires[id] <= now:
            self._forget(id)
            return False
        self._expires[id] = now + self.ttl
        return True

    def _forget(self, id: str) -> None:
        self._fields.pop(id, None)
        self._expires.pop(id, None)

    def _sweep(self) -> None:
        self._until_sweep -= 1
        if self._until_sweep > 0:
            return
        self._until_sweep = SWEEP
        now = time.monotonic()
        for each in [each for each, expires in self._expires.items() if expires <= now]:
            self._forget(each)
        self._renamed = {old: (new, until) for old, (new, until) in self._renamed.items() if until > now}
