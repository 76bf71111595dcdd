"""Waiting for something to happen: futures, made when they are needed, and all done when it has happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future

    from .server_loop import ServerLoop


class Waiters:
    """Any number of waits for the same thing, which may happen again and again."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[Future[Any]] = []

    def wait(self, loop: ServerLoop) -> Future[Any]:
        """A future that the next ``wake`` sets."""
        futures = self._futures
        if futures and futures[-1].done():
            # Given up. Waiting with a timeout, again and again, leaves one each time.
            self._futures = futures = [future for future in futures if not future.done()]
        future: Future[Any] = loop.create_future()
        futures.append(future)
        return future

    async def pause(self, loop: ServerLoop) -> None:
        """Wait. What is cancelled is dropped at once: some applications wait and cancel, again and again."""
        future = self.wait(loop)
        try:
            await future
        finally:
            if future in self._futures:
                self._futures.remove(future)

    def wake(self, value: Any) -> None:
        """It has happened: give ``value`` to all who still wait. Those who wake up may wait again."""
        futures = self._futures
        if futures:
            self._futures = []
            for future in futures:
                if not future.done():
                    future.set_result(value)

    def waiting(self) -> bool:
        """Whether a future is waited for; one that was given up (a timeout, a cancellation) is not."""
        return any([not future.done() for future in self._futures])  # noqa: C419 - compiled, no closure


def settled(loop: ServerLoop, value: Any) -> Future[Any]:
    """The future of what has happened already."""
    future: Future[Any] = loop.create_future()
    future.set_result(value)
    return future
