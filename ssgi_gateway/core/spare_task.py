"""Tasks of applications, and one in reserve for coroutines that never wait.

An ``async def`` application that answers without waiting has no use for a task but one: while it runs,
``asyncio.current_task()`` has to be one. To make a task is a good part of what a small ASGI request costs. So one is
made in advance. It is the current task while a coroutine takes its first step. If that is the coroutine's last, the
task is lent to the next one. If the coroutine waits, the task takes it over where it stands, and is from then on its
task, as it was before: code that asked for the current task in the first step has the right one.

Nothing of asyncio is replaced for that. The task is made as any other, by its class, on its loop, and its coroutine is
a ``Relay``. The relay waits by asyncio's protocol for futures that are not its own ("Extending", Futures): it is what
the task waits for, so it is given the task's callback, and calls it when it has a coroutine for the task. Until the
loop has come to the task's first step there is no such callback, and none is needed: the relay has its coroutine by
then.

The task is lent again only as it was. Anything that a first step left on it (a callback, a cancellation, a reference or
weak reference to it, a name, an attribute, a context variable) is a use of it: then it ends as the coroutine did, and
calls its callbacks, and the next coroutine gets another. In reserve it is not in ``asyncio.all_tasks()``.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import current_task
from asyncio.tasks import _enter_task, _leave_task  # documented under "Extending"
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Final
from weakref import getweakrefcount

from .step import Ended, step

NAME: Final = "ssgi-gateway request"
"""Of every task made here: names with a number, as asyncio makes them, cost more than they are worth."""

EXITED: Final = "the application called sys.exit()"

IDLE: Final = 0  # in reserve
LENT: Final = 1  # the current task of a coroutine that takes its first step
TAKEN: Final = 2  # the coroutine waits for something; not yet reported to the task
RUNNING: Final = 3  # the task runs the coroutine
ENDED: Final = 4  # the coroutine has ended; the task has not, or has just


class _CurrentTasks:
    """What ``CURRENT`` is where asyncio has no such dict."""

    def __contains__(self, loop: asyncio.AbstractEventLoop) -> bool:
        return current_task(loop) is not None

    def __setitem__(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
        _enter_task(loop, task)

    def __delitem__(self, loop: asyncio.AbstractEventLoop) -> None:
        task = current_task(loop)
        if task is not None:
            _leave_task(loop, task)


CURRENT: Any = getattr(asyncio.tasks, "_current_tasks") if sys.version_info < (3, 14) else _CurrentTasks()  # noqa: B009
"""The tasks that are being run now, one for each loop: what ``asyncio.current_task`` looks into. Its functions for
entering and leaving a task, and for asking, do the same as a dict does, and cost ten times as much. From Python 3.14 on
there is such a dict still, but it is that of the tasks in Python; those in C are in the thread's state."""


class Relay:
    """The coroutine of a ``RequestTask``: it runs another one, once there is one, and ends as that did."""

    __slots__ = (
        "_asyncio_future_blocking",
        "coroutine",
        "error",
        "loop",
        "marked",
        "pending",
        "result_",
        "state",
        "wakeup",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self.loop = loop
        self.state = IDLE
        self.coroutine: Coroutine[Any, Any, Any] | None = None
        self.pending: Any = None  # what the coroutine waits for; not yet reported to the task
        self.result_: Any = None
        self.error: BaseException | None = None
        self.wakeup: Callable[[Relay], object] | None = None  # the task's callback, while it waits for this
        self.marked = False  # something was left on the task

    # -- as a coroutine ------------------------------------------------------------------------------------------

    def __await__(self) -> Relay:
        return self

    def __iter__(self) -> Relay:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Resume."""
        state = self.state
        if state == RUNNING:
            try:
                return self.coroutine.send(value)  # type: ignore[union-attr]  # the state shows that
            except (SystemExit, KeyboardInterrupt) as error:
                raise RuntimeError(EXITED) from error
        if state == TAKEN:
            self.state = RUNNING
            pending, self.pending = self.pending, None
            return pending
        if state == ENDED:
            if self.error is not None:
                raise self.error
            raise StopIteration(self.result_)
        self._asyncio_future_blocking = True
        return self

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Resume with an exception."""
        error = kind if value is None else value
        try:
            if self.state == ENDED:
                raise self.error if self.error is not None else error
            if self.coroutine is None:
                self.state = ENDED
                raise error
            if self.state == TAKEN:
                # The task was cancelled in the first step. asyncio then cancels what the coroutine came to wait for.
                self.state = RUNNING
                pending, self.pending = self.pending, None
                if pending is not None and pending.cancel():
                    return pending
            return self.coroutine.throw(error)
        except (SystemExit, KeyboardInterrupt) as exit_:
            raise RuntimeError(EXITED) from exit_
        finally:
            # Its traceback has this frame: what the coroutine held is to be let go now, and not by the collector.
            kind = value = error = None

    def close(self) -> None:
        """End."""
        if self.coroutine is not None:
            self.coroutine.close()

    # -- for tools that show where a task is (asyncio.Task.print_stack, monitors) ---------------------------------

    @property
    def cr_frame(self) -> Any:
        """The coroutine's frame."""
        return getattr(self.coroutine, "cr_frame", None)

    @property
    def cr_await(self) -> Any:
        """What it waits for."""
        return getattr(self.coroutine, "cr_await", None)

    @property
    def cr_code(self) -> Any:
        """Its code."""
        return getattr(self.coroutine, "cr_code", None)

    @property
    def cr_running(self) -> bool:
        """Whether it runs."""
        return bool(getattr(self.coroutine, "cr_running", False))

    def __getattr__(self, name: str) -> Any:
        if name in ("__qualname__", "__name__"):
            return getattr(self.coroutine, name, "a task in reserve")
        raise AttributeError(name)

    # -- as what the task waits for ------------------------------------------------------------------------------

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The task's loop."""
        return self.loop

    def add_done_callback(self, callback: Callable[[Relay], object], *, context: Context | None = None) -> None:
        """The task asks to be called."""
        self.wakeup = callback

    def result(self) -> None:
        """The task asks what it waited for: nothing, it goes on by ``send``."""

    def cancel(self, msg: Any = None) -> bool:
        """The task was cancelled by the coroutine's first step, and gets the CancelledError when it goes on."""
        return False


Coroutine.register(Relay)

if TYPE_CHECKING:
    Task = asyncio.Task[Any]
else:
    Task = asyncio.Task


class RequestTask(Task):
    """A task of an application."""

    __slots__ = ("relay",)

    relay: Relay

    def get_coro(self) -> Any:
        """The coroutine that it runs."""
        coroutine = self.relay.coroutine
        return self.relay if coroutine is None else coroutine

    _coro = property(get_coro)  # what print_stack and repr look at

    def __setattr__(self, name: str, value: Any) -> None:
        self.relay.marked = True  # asyncio's tasks have a dict that cannot be looked into
        Task.__setattr__(self, name, value)

    # What leaves something on the task, as ``__setattr__`` does.

    def add_done_callback(self, fn: Callable[[Any], object], *, context: Context | None = None) -> None:
        """As of any task."""
        self.relay.marked = True
        # Not None: asyncio's tasks in C would take it for the context, and call back in that of what ends the task.
        Task.add_done_callback(self, fn, context=copy_context() if context is None else context)

    def cancel(self, msg: Any = None) -> bool:
        """As of any task."""
        self.relay.marked = True
        return Task.cancel(self, msg)

    def set_name(self, value: object) -> None:
        """As of any task."""
        self.relay.marked = True
        Task.set_name(self, value)

    def done(self) -> bool:
        """Whether it has ended. One in reserve counts as that, and so is not in ``asyncio.all_tasks()``."""
        return self.relay.state == IDLE or Task.done(self)


# Not by assignment, which would mark the task as the application's.
set_relay: Any = RequestTask.relay.__set__
set_log_destroy_pending: Any = Task._log_destroy_pending.__set__  # type: ignore[attr-defined]


class SpareTask:
    """A task that has no coroutine yet.

    Args:
        loop: asyncio's.
        context: in which it runs all of its coroutine; it is not entered.
    """

    __slots__ = ("_loop", "_references", "_relay", "_task", "_weak_references", "context")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: Context) -> None:
        self._loop = loop
        self.context = context
        self._relay = relay = Relay(loop)
        task = RequestTask.__new__(RequestTask)
        set_relay(task, relay)
        RequestTask.__init__(task, relay, loop=loop, name=NAME, context=context)
        set_log_destroy_pending(task, False)  # it may never get one
        self._task = task
        self._weak_references = getweakrefcount(task)
        del task
        self._references = self._count_references()

    def first_step(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any] | None:
        """Let a coroutine take its first step, now; no task is being run.

        Returns:
            The task that goes on with it; ``None`` if it has ended. Then ``take_back`` or ``end`` has to follow, as
            after an exception.

        Raises:
            BaseException: the coroutine's; an exit is a RuntimeError.
        """
        relay = self._relay
        relay.coroutine = coroutine
        relay.state = LENT
        CURRENT[self._loop] = self._task
        try:
            pending = step(self.context, coroutine)
        except (SystemExit, KeyboardInterrupt) as error:
            raise RuntimeError(EXITED) from error
        finally:
            if self._loop in CURRENT:
                del CURRENT[self._loop]
        if type(pending) is Ended:
            relay.result_ = pending.result
            return None
        relay.pending = pending
        relay.state = TAKEN
        self._go_on()
        return self._task

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Be the task of a coroutine, which is begun now; no task is being run."""
        try:
            if self.first_step(coroutine) is None:
                self.end(None)
        except BaseException as error:
            self.end(error)
        return self._task

    def queue(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Be the task of a coroutine, which the loop will begin."""
        self._relay.coroutine = coroutine
        self._relay.state = RUNNING
        set_log_destroy_pending(self._task, True)
        return self._task

    def take_back(self) -> bool:
        """Whether it is as it was made; then it is in reserve again. The coroutine's first step was its last."""
        relay = self._relay
        if relay.marked or self._count_references() != self._references:
            return False
        if getweakrefcount(self._task) != self._weak_references:
            return False
        relay.coroutine = relay.result_ = None
        relay.state = IDLE
        return True

    def end(self, error: BaseException | None) -> None:
        """End as the coroutine did, for code that took the task for its own."""
        self._relay.error = error
        self._relay.state = ENDED
        if error is not None:
            # The coroutine's caller has it, and it is not to be reported as never retrieved.
            self._task.add_done_callback(_retrieve, context=self.context)
        self._go_on()

    def _go_on(self) -> None:
        """Let the task take the next step, if the loop has not yet to begin it: then it will."""
        set_log_destroy_pending(self._task, True)
        wakeup, self._relay.wakeup = self._relay.wakeup, None
        if wakeup is not None:
            self.context.run(wakeup, self._relay)

    def _count_references(self) -> int:
        return getrefcount(self._task)


def _retrieve(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()
