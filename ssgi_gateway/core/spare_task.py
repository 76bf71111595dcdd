"""A task in reserve: it stands in for the task of a coroutine that mostly never waits.

An ``async def`` application that answers without waiting has no use for a task but one: while it runs,
``asyncio.current_task()`` has to be one. To make a task is a good part of what a small ASGI request costs. So one is
made in advance and is never begun. It is the current task while a coroutine takes its first step. If that is the
coroutine's last, the task stays in reserve for the next. If the coroutine waits, the task is begun at last, takes the
coroutine over where it stands, and is from then on its task, as it was before: whoever asked for the current task in
the first step has the right one.

It is lent again only as it was. Anything that the first step left on it (a callback, a cancellation, a reference or
weak reference to it, a name, a context variable) is a use of it, and then it ends as the coroutine did, and calls its
callbacks; the next coroutine gets another. One difference remains: in the first step ``asyncio.all_tasks()`` does not
have the current task.

From Python 3.12 asyncio can do nearly the same (``eager_start``), and this is not used.
"""

from __future__ import annotations

import asyncio
import contextvars
from asyncio.tasks import _current_tasks, _register_task, _unregister_task  # type: ignore[attr-defined]
from collections.abc import Callable, Coroutine
from sys import getrefcount
from typing import Any, Final
from weakref import getweakrefcount

from .step import ENDED, step

NAME: Final = "ssgi-gateway request"
"""Of every task that is begun at once: names with a number, as asyncio makes them, cost more than they tell."""

CURRENT: Final[dict[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = _current_tasks
"""The tasks that are being run now, one for each loop: what ``asyncio.current_task`` looks into. Its functions for
entering and leaving a task, and for asking, do the same as a dict does, and cost ten times as much."""


class FirstStep:
    """In the place of ``loop.call_soon`` while a task is made: keeps what asyncio would have put into the queue."""

    __slots__ = ("callback", "context")

    def __call__(self, callback: Callable[[], object], *, context: contextvars.Context | None = None) -> None:
        """As ``loop.call_soon``."""
        self.callback = callback
        self.context = context if context is not None else contextvars.copy_context()

    def run(self) -> None:
        """Take the step in the task's context."""
        self.context.run(self.callback)


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any) -> tuple[asyncio.Task[Any], FirstStep]:
    """A task, and its first step, which nobody but the caller will take."""
    first = FirstStep()
    loop.call_soon = first  # type: ignore[method-assign, assignment]
    try:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, name=NAME)
    finally:
        del loop.call_soon
    return task, first


class Relay:
    """The coroutine of the task in reserve: it goes on with another one, or ends as that did."""

    __slots__ = ("coroutine", "error", "pending", "reported")

    def __init__(self) -> None:
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.pending: Any = None  # what the coroutine waits for; the task has not been told yet
        self.reported = True
        self.error: BaseException | None = None

    def __await__(self) -> Relay:
        return self

    def __iter__(self) -> Relay:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Resume."""
        if not self.reported:
            self.reported = True
            pending, self.pending = self.pending, None
            return pending
        if self.coroutine is None:
            raise self.error if self.error is not None else StopIteration
        return self.coroutine.send(value)

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Resume with an exception."""
        error = kind if value is None else value
        if self.coroutine is None:
            raise self.error if self.error is not None else error
        if not self.reported:
            # The task was cancelled in the first step. asyncio then cancels what the coroutine has come to wait for.
            self.reported = True
            pending, self.pending = self.pending, None
            if pending is not None and pending.cancel():
                return pending
        return self.coroutine.throw(error)

    def close(self) -> None:
        """End."""
        if self.coroutine is not None:
            self.coroutine.close()


Coroutine.register(Relay)


class SpareTask:
    """The task in reserve of a loop; made outside of any task, in a context without variables."""

    __slots__ = ("_first", "_loop", "_references", "_relay", "_task")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._relay = Relay()
        self._task, self._first = make_task(loop, self._relay)
        self._task._log_destroy_pending = False  # type: ignore[attr-defined]  # it may never be begun
        _unregister_task(self._task)
        self._references = self._count_references()

    def first_step(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Let a coroutine take its first step.

        Returns:
            The task that goes on with it; ``None`` if it has ended.

        Raises:
            BaseException: the coroutine's.
        """
        CURRENT[self._loop] = self._task
        try:
            pending = step(self._first.context, coroutine)
        finally:
            del CURRENT[self._loop]
        if pending is ENDED:
            return None
        relay = self._relay
        relay.coroutine = coroutine
        relay.pending = pending
        relay.reported = False
        self._begin()
        return self._task

    def is_spare(self) -> bool:
        """Whether it is as it was made, and can be lent again; asked when a first step was a coroutine's last."""
        if self._count_references() != self._references:
            return False
        task: Any = self._task  # a reference more, so not before they are counted
        return (
            not len(self._first.context)
            and not getweakrefcount(task)
            and task._callbacks is None
            and not task._must_cancel
            and not task.cancelling()
            and task.get_name() is NAME
        )

    def end(self, error: BaseException | None) -> None:
        """End as the coroutine did, for those who took the task for its own."""
        self._relay.error = error
        self._begin()
        if error is not None and not self._task.cancelled():
            self._task.exception()  # it was raised to the caller, and is not to be reported as never retrieved

    def _begin(self) -> None:
        self._task._log_destroy_pending = True  # type: ignore[attr-defined]
        _register_task(self._task)
        self._first.run()

    def _count_references(self) -> int:
        return getrefcount(self._task)
