"""Every task has a parent, which runs it, is notified of its end, and cancels it.

asyncio keeps only weak references to tasks, so a scope keeps the strong ones.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from types import CoroutineType
from typing import Any

from .server_loop import ServerLoop
from .spare_task import CURRENT, SpareTask


class TaskScope:
    """The tasks of one server; ``tasks`` has what is still running, and what is called at its end.

    Each is begun at once, unless another task is being run or the application has a task factory of its own. It is an
    ordinary task in every respect (``current_task``, timeouts, cancellation), and only its first step is not put into
    the loop's queue: an application that answers without waiting then costs no turn of the loop. A coroutine that
    calls ``sys.exit()`` fails with a RuntimeError: asyncio would end the server.
    """

    __slots__ = ("_spare", "loop", "tasks")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = ServerLoop(loop)
        self.tasks: dict[asyncio.Task[Any], Callable[[asyncio.Task[Any]], object]] = {}
        self._spare: SpareTask | None = None

    def spawn(
        self,
        awaitable: Awaitable[Any],
        done: Callable[[asyncio.Task[Any]], object],
        context: Context | None = None,
    ) -> asyncio.Task[Any]:
        """Run ``awaitable`` to its end; ``done(task)`` is called then, on the loop.

        Args:
            awaitable: a coroutine, or what can be awaited.
            done: takes the task.
            context: in which it runs, and which is not entered; without one a copy of the current one.
        """
        task = self._task_of(awaitable, context)
        self.keep(task, done)
        return task

    def _task_of(self, awaitable: Awaitable[Any], context: Context | None) -> asyncio.Task[Any]:
        coroutine = to_coroutine(awaitable)
        loop = self.loop.asyncio
        if context is None:
            context = copy_context()
        if loop.get_task_factory() is not None:
            task: asyncio.Task[Any] = context.run(loop.create_task, coroutine)
        elif loop in CURRENT:
            task = SpareTask(loop, context).queue(coroutine)
        else:
            task = SpareTask(loop, context).start(coroutine)
        return task

    def run(self, awaitable: Awaitable[Any], context: Context | None = None) -> asyncio.Task[Any] | None:
        """As ``spawn``, without a task for what ends at once.

        Returns:
            The task, which the caller has to give to ``keep``; ``None`` if ``awaitable`` has ended already.

        Raises:
            BaseException: what ``awaitable`` raised before it waited for anything.
        """
        loop = self.loop
        if loop.asyncio in CURRENT or loop.asyncio.get_task_factory() is not None:
            return self._task_of(awaitable, context)
        coroutine = to_coroutine(awaitable)
        if context is None:
            context = copy_context()
        if loop.is_fresh(context):
            spare, self._spare = self._spare, None
            if spare is None:
                spare = SpareTask(loop.asyncio, context)
        else:
            # It has variables that the one in reserve has not.
            spare = SpareTask(loop.asyncio, context)
        try:
            task = spare.first_step(coroutine)
        except BaseException as error:
            self._take_back(spare, error)
            raise
        if task is None:
            self._take_back(spare, None)
        return task

    def _take_back(self, spare: SpareTask, error: BaseException | None) -> None:
        if self.loop.is_fresh(spare.context) and spare.take_back():
            self._spare = spare
        else:
            spare.end(error)

    def keep(self, task: asyncio.Task[Any], done: Callable[[asyncio.Task[Any]], object]) -> None:
        """Keep a task until it has ended; ``done(task)`` is called then, and at once if it has."""
        if task.done():
            done(task)
            return
        self.tasks[task] = done
        self.loop.when_done(task, self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self.tasks.pop(task)(task)


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
