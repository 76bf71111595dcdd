"""Threads, the queue in front of them and the mailbox behind them.

A request that goes to a thread and back wakes two sleepers, and that is most of what a small one costs; so nobody is
woken who is about to look anyway:

* The loop is woken once for all that was posted until it comes.
* While the application's calls are brisk (the last one took less than ``BRISK``), a worker that is at work takes the
  next request from the queue itself, and no second one is woken to wait for the interpreter lock. It may be mistaken,
  because a call can begin to wait for something: so the loop looks again after a millisecond and wakes as many as
  there are requests. Calls that are not brisk have a thread each at once, as long as there are threads.

The worker that slept last is woken first, for its stack is still in the cache.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

__all__ = ["WorkerPool"]

BRISK: Final = 0.0005
"""Seconds, by the clock: a worker that goes from one such call to the next is as good as two that share a lock."""

LOOK_AGAIN: Final = 0.001
"""Seconds."""

STOP_TIME: Final = 2.0
"""Seconds given to each thread at the end; those are idle then, or stuck."""


def _shares_one_lock() -> bool:
    is_enabled = getattr(sys, "_is_gil_enabled", None)
    return True if is_enabled is None else bool(is_enabled())


class WorkerPool:
    """A fixed number of threads.

    Args:
        size: threads.
        queue_limit: requests that may wait for one.
        high_water: bytes of output above which a thread waits for its client.
    """

    __slots__ = (
        "_awake",
        "_brisk",
        "_idle",
        "_jobs",
        "_looking",
        "_mail",
        "_queue_limit",
        "_shares",
        "_size",
        "_threads",
        "high_water",
        "loop",
    )

    def __init__(self, size: int, queue_limit: int, high_water: int) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.high_water = high_water
        self._size = size
        self._queue_limit = queue_limit
        self._jobs: deque[Any] = deque()
        self._idle: list[Any] = []  # the locks that sleeping workers wait for
        self._mail: deque[Any] = deque()
        self._awake = False  # the loop knows that there is mail
        self._looking = False  # the loop is going to look again
        self._brisk = False
        self._shares = _shares_one_lock()
        self._threads: list[threading.Thread] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the threads, once. They are daemons: one that is stuck does not keep the process."""
        if self.loop is None:
            self.loop = loop
            for number in range(self._size):
                thread = threading.Thread(target=self._work, name=f"wsgi-{number}", daemon=True)
                self._threads.append(thread)
                thread.start()

    def stop(self) -> None:
        """End the threads after what is in the queue."""
        self._jobs.extend([None] * len(self._threads))
        while self._wake():
            pass
        for thread in self._threads:
            thread.join(STOP_TIME)
        self._threads = []
        self.loop = None

    # -- on the loop ---------------------------------------------------------------------------------------------

    def overloaded(self) -> bool:
        """Whether as many requests wait as may."""
        return len(self._jobs) - len(self._idle) >= self._queue_limit

    def submit(self, job: Any) -> None:
        """Have ``job.run()`` called in a thread."""
        self._jobs.append(job)
        if self._brisk and self._shares and len(self._idle) < self._size:
            if not self._looking and self.loop is not None:
                self._looking = True
                self.loop.call_later(LOOK_AGAIN, self._look_again)
        else:
            self._wake()

    def _look_again(self) -> None:
        """Requests are still waiting, where a worker was to take them in no time: it does not."""
        self._looking = False
        waiting = len(self._jobs)
        if waiting:
            self._brisk = False
            while waiting and self._wake():
                waiting -= 1

    def _wake(self) -> bool:
        """Wake the worker that slept last; ``False`` when none sleeps."""
        try:
            self._idle.pop().release()
        except IndexError:
            return False
        return True

    def _deliver(self) -> None:
        self._awake = False  # before the mail is taken: what comes later wakes us again
        mail = self._mail
        while mail:
            mail.popleft().deliver()

    # -- in the threads ------------------------------------------------------------------------------------------

    def post(self, item: Any) -> None:
        """Have ``item.deliver()`` called on the loop."""
        self._mail.append(item)
        if not self._awake:
            self._awake = True
            loop = self.loop
            if loop is not None:
                try:
                    loop.call_soon_threadsafe(self._deliver)
                except RuntimeError:
                    pass  # the loop was closed, and nobody is left who could want this

    def _work(self) -> None:
        bed = threading.Lock()
        bed.acquire()
        jobs = self._jobs
        began = perf_counter()
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                self._sleep(bed)
                began = perf_counter()
                continue
            if job is None:
                return
            job.run()
            job = None  # while it waits for the next one nothing of this one is kept
            ended = perf_counter()
            self._brisk = ended - began < BRISK
            began = ended

    def _sleep(self, bed: Any) -> None:
        """Wait for a request."""
        idle = self._idle
        idle.append(bed)
        if self._jobs:
            # It came after the last look and before the loop could see that nobody is at work.
            try:
                idle.remove(bed)
            except ValueError:
                pass  # the loop has seen it: the lock is released, or about to be
            else:
                return
        bed.acquire()
