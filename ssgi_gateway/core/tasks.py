"""Every task has a parent: who runs it, who hears of its end, who cancels it.

asyncio keeps only weak references to tasks, so a scope keeps the strong ones.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
from asyncio import current_task
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, Final

from .spare_task import CURRENT, NAME, SpareTask, make_task
from .step import has_variables

EAGER = sys.version_info >= (3, 12)
"""From Python 3.12 a task can run until its first suspension before its creator goes on: an application that
answers without waiting then costs no turn of the loop. Before, ``make_task`` makes that possible."""

MAX_SPENT: Final = 64
"""At how many tasks in reserve, used up at a rate of one in three or more, it is plain that this application uses each:
its framework notes something on every task, say. Then ordinary ones are cheaper."""


class TaskScope:
    """The tasks of one server; ``tasks`` is what is still running."""

    __slots__ = ("_spare", "_spent", "loop", "tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.tasks: set[asyncio.Task[Any]] = set()
        self._spare: SpareTask | None = None
        self._spent = 0

    def spawn(self, awaitable: Awaitable[Any], done: Callable[[asyncio.Task[Any]], object]) -> asyncio.Task[Any]:
        """Run ``awaitable`` to its end; ``done(task)`` is called then, on the loop."""
        task = start_task(self.loop, to_coroutine(awaitable))
        self._hold(task, done)
        return task

    def run(self, awaitable: Awaitable[Any], done: Callable[[asyncio.Task[Any]], object]) -> asyncio.Task[Any] | None:
        """As ``spawn``, where nobody wants the task of what ends at once.

        Returns:
            The task; ``None`` if ``awaitable`` has ended already, and then ``done`` is not called.

        Raises:
            BaseException: what ``awaitable`` raised before it waited for anything.
        """
        coroutine = to_coroutine(awaitable)
        if EAGER or self._spent >= MAX_SPENT or self._cannot_lend():
            task: asyncio.Task[Any] | None = start_task(self.loop, coroutine)
            if task is not None and task.done():
                task.result()
                return None
        else:
            task = self._run_first_step(coroutine)
        if task is not None:
            self._hold(task, done)
        return task

    def _cannot_lend(self) -> bool:
        """Whether a task is running already, or the coroutine has to inherit something that one in reserve has not."""
        loop = self.loop
        return loop in CURRENT or has_variables() or loop.get_task_factory() is not None

    def _run_first_step(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        spare, self._spare = self._spare, None
        if spare is None:
            spare = SpareTask(self.loop)
        try:
            task: asyncio.Task[Any] | None = spare.first_step(coroutine)
        except BaseException as error:
            self._take_back(spare, error)
            raise
        if task is None:
            self._take_back(spare, None)
        return task

    def _take_back(self, spare: SpareTask, error: BaseException | None) -> None:
        if spare.is_spare():
            self._spare = spare
            if self._spent:
                self._spent -= 1
        else:
            self._spent += 2
            spare.end(error)

    def _hold(self, task: asyncio.Task[Any], done: Callable[[asyncio.Task[Any]], object]) -> None:
        """Keep a task until it has ended, and tell of its end."""
        if task.done():
            done(task)
            return
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(done)


def start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """A task for ``coroutine``, begun at once unless another task is being run.

    It is an ordinary task in every respect (``current_task``, timeouts, cancellation), only its first step is not
    put into the loop's queue: on Python 3.11 that saves two thirds of what a task costs.
    """
    if current_task(loop) is not None or loop.get_task_factory() is not None:
        return loop.create_task(coroutine)
    if EAGER:
        return asyncio.Task(coroutine, loop=loop, name=NAME, eager_start=True)  # type: ignore[call-arg, unused-ignore]
    task, first = make_task(loop, coroutine)
    first.run()
    return task


def to_coroutine(awaitable: Awaitable[Any]) -> Coroutine[Any, Any, Any]:
    """What a task can be made of."""
    if type(awaitable) is CoroutineType or isinstance(awaitable, Coroutine):
        return awaitable
    return _await(awaitable)


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
