"""The event loop as the server uses it: what is registered here runs in the server's own context.

asyncio keeps a copy of the current context (``contextvars``) with each reader, writer, timer and callback, and runs
them in it. Most of what the server registers it registers while an application is running: ``send`` that has to wait
registers a writer, the end of an answer a reader. Such a callback would carry the variables of one request into every
later request of the connection, and keep alive whatever they refer to. So there are two rules, and this is their place:

* The server registers with the loop only through this class, which gives each callback a copy of the server's context.
* An application is called in a context of its own, ``fresh()``, which begins as the server's.

``tests/unit/test_contexts.py`` looks for code that goes around it.
"""

from __future__ import annotations

from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from .step import call_with, copy_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from contextvars import Context

__all__ = ["ServerLoop"]


class ServerLoop:
    """An event loop and the server's context.

    Args:
        loop: asyncio's, or one like it; ``asyncio`` is its name here.

    The context is what is current when this is made: before any request.
    """

    __slots__ = ("_call_soon", "_call_soon_threadsafe", "_size", "_values", "asyncio", "context")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.asyncio = loop
        self._call_soon = loop.call_soon  # looked up and bound once
        self._call_soon_threadsafe = loop.call_soon_threadsafe
        self.context: Context = copy_context()
        self._size = len(self.context)
        self._values = [id(value) for value in self.context.values()]  # the context keeps them alive

    # -- contexts ------------------------------------------------------------------------------------------------

    def fresh(self) -> Context:
        """A context for one call of the application. Can be called on any thread."""
        return copy_of(self.context)

    def is_fresh(self, context: Context) -> bool:
        """Whether ``context`` has the server's variables, and nothing else."""
        if len(context) != self._size:
            return False
        if not self._size:
            return True
        # Identity and not equality: two empty lists are equal, and one of them may be in use elsewhere.
        return [id(value) for value in map(context.get, self.context)] == self._values

    # -- descriptors ---------------------------------------------------------------------------------------------

    def add_reader(self, fd: int, callback: Callable[..., object]) -> None:
        """Call ``callback`` whenever ``fd`` is readable."""
        copy_of(self.context).run(self.asyncio.add_reader, fd, callback)

    def add_writer(self, fd: int, callback: Callable[..., object]) -> None:
        """Call ``callback`` whenever ``fd`` is writable."""
        copy_of(self.context).run(self.asyncio.add_writer, fd, callback)

    def remove_reader(self, fd: int) -> None:
        """Forget the reader of ``fd``."""
        self.asyncio.remove_reader(fd)

    def remove_writer(self, fd: int) -> None:
        """Forget the writer of ``fd``."""
        self.asyncio.remove_writer(fd)

    # -- callbacks -----------------------------------------------------------------------------------------------

    # The loop copies the current context for a callback that comes without one, and that is less work than to name one.
    # Only the loop's thread enters the server's context, and nothing else runs there.

    def call_soon(self, callback: Callable[[], object]) -> asyncio.Handle:
        """Call ``callback`` in the next turn of the loop."""
        handle: asyncio.Handle = call_with(self.context, self._call_soon, callback)
        return handle

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> asyncio.Handle:
        """As ``call_soon``, from another thread.

        Raises:
            RuntimeError: the loop was closed.
        """
        handle: asyncio.Handle = call_with(copy_of(self.context), self._call_soon_threadsafe, callback)
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.TimerHandle:
        """Call ``callback`` after ``delay`` seconds."""
        return self.asyncio.call_later(delay, callback, *args, context=copy_of(self.context))

    def when_done(self, future: asyncio.Future[Any], callback: Callable[[Any], object]) -> None:
        """Call ``callback(future)`` when ``future`` is done; what ``future.add_done_callback`` is elsewhere."""
        future.add_done_callback(callback, context=copy_of(self.context))

    # -- tasks, futures, time ------------------------------------------------------------------------------------

    def create_task(self, coroutine: Any) -> asyncio.Task[Any]:
        """A task of the server's; those of applications are made by ``TaskScope``."""
        task: asyncio.Task[Any] = copy_of(self.context).run(self.asyncio.create_task, coroutine)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return self.asyncio.create_future()

    def run_in_executor(self, executor: Any, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Call ``function`` in a thread; asyncio gives threads no context."""
        return self.asyncio.run_in_executor(executor, function, *args)

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return self.asyncio.time()
