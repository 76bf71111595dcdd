"""Running a coroutine without a task: one step of it, in a context of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Final


class Ended:
    """That a coroutine has ended, and with what."""

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        self.result = result


NOTHING: Final = Ended(None)


def step(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Let a coroutine run until it waits or ends.

    Returns:
        What it waits for, as it is told to a task; an ``Ended`` if it has ended.

    Raises:
        BaseException: the coroutine's.
    """
    try:
        return context.run(coroutine.send, None)
    except StopIteration as end:
        return NOTHING if end.value is None else Ended(end.value)
