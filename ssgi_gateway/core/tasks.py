"""Every task has a parent: who runs it, who hears of its end, who cancels it.

asyncio keeps only weak references to tasks, so a scope keeps the strong ones.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

EAGER = sys.version_info >= (3, 12)
"""From Python 3.12 a task can run until its first suspension before its creator goes on: an application that
answers without waiting then costs no turn of the loop. Before, ``FirstStep`` does the same."""


class TaskScope:
    """The tasks of one server; ``tasks`` is what is still running."""

    __slots__ = ("loop", "tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, awaitable: Awaitable[Any], done: Callable[[asyncio.Task[Any]], object]) -> asyncio.Task[Any]:
        """Run ``awaitable`` to its end; ``done(task)`` is called then, on the loop."""
        coroutine: Coroutine[Any, Any, Any] = awaitable if inspect.iscoroutine(awaitable) else _await(awaitable)
        task = start_task(self.loop, coroutine)
        if task.done():
            done(task)
            return task
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(done)
        return task


def start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task for ``coroutine``, begun at once unless another task is being run.

    It is an ordinary task in every respect (``current_task``, timeouts, cancellation), only its first step is not
    put into the loop's queue: on Python 3.11 that saves two thirds of what a task costs.
    """
    if asyncio.current_task(loop) is not None or loop.get_task_factory() is not None:
        return loop.create_task(coroutine)
    if EAGER:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    first = FirstStep()
    loop.call_soon = first  # type: ignore[method-assign, assignment]
    try:
        task = asyncio.Task(coroutine, loop=loop)
    finally:
        del loop.call_soon
    first.run()
    return task


class FirstStep:
    """In the place of ``loop.call_soon`` while a task is made: keeps what asyncio would have put into the queue."""

    __slots__ = ("_callback", "_context")

    def __call__(self, callback: Callable[[], object], *, context: contextvars.Context | None = None) -> None:
        """As ``loop.call_soon``."""
        self._callback = callback
        self._context = context

    def run(self) -> None:
        """Take the step in the task's context."""
        if self._context is None:
            self._callback()
        else:
            self._context.run(self._callback)


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def start(handler: Any, args: tuple[Any, ...]) -> Awaitable[Any] | None:
    """Begin what ``run_async`` and the handlers accept.

    Args:
        handler: a callable, sync or async, or an awaitable when there are no arguments.
        args: its positional arguments.

    Returns:
        what has to be awaited, or ``None`` when the handler was sync and is done.

    Raises:
        TypeError: ``handler`` is neither, or an awaitable came with arguments.
    """
    if callable(handler):
        result = handler(*args)
        return result if inspect.isawaitable(result) else None
    if inspect.isawaitable(handler):
        if args:
            raise TypeError("an awaitable takes no further arguments; pass the coroutine function instead")
        return handler
    raise TypeError(f"expected a callable or an awaitable, got {type(handler).__name__}")
