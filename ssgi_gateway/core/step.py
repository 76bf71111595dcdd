"""Running a coroutine without a task: one step of it, in a context of its own."""

from __future__ import annotations

from collections.abc import Coroutine
from contextvars import Context, copy_context
from typing import Any, Final

ENDED: Final = object()
"""What ``step`` returns of a coroutine that has nothing left to do; its own result is not asked for."""


def step(context: Context, coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Let a coroutine run until it waits or ends.

    Returns:
        What it waits for, as it is told to a task; ``ENDED`` if it has ended.

    Raises:
        BaseException: the coroutine's.
    """
    try:
        return context.run(coroutine.send, None)
    except StopIteration:
        return ENDED


def has_variables() -> bool:
    """Whether any context variable is set here, which a coroutine that is run here has to find."""
    return len(copy_context()) > 0
