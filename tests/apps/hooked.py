"""Hooks that tell what they have heard."""

from __future__ import annotations

from typing import Any

SAID: list[str] = []


class Deaf:
    """About no request."""

    def start(self) -> None:
        SAID.append("start")

    def stop(self) -> None:
        SAID.append("stop")


class Listening(Deaf):
    """About requests, too."""

    def request_ended(self, request: Any, status: int, seconds: float) -> None:
        SAID.append(str(status))
