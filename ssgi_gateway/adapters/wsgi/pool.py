# cython: freethreading_compatible=False
"""Threads, the queue in front of them and the mailbox behind them.

A request that goes to a thread and back wakes two sleepers, and where they share an interpreter lock each of them then
waits for the other to let go of it: that is most of what a small one costs. So no thread is woken that is about to look
anyway, or that could not begin yet:

* Workers are woken when the loop has read all that had arrived, for all of it.
* The loop is woken when a worker has nothing more to do, for all that was posted until then; at once for a block of an
  answer that goes on, because its application may come back late.
* While the application's calls are brisk (the last one took less than ``BRISK``), a worker that is at work takes the
  next request from the queue itself, and no second one is woken to wait for the interpreter lock. It may be mistaken,
  because a call can begin to wait for something: so the loop looks again after a millisecond, takes what was posted,
  and if no request was begun in that time wakes as many workers as there are requests. Calls that are not brisk have a
  thread each at once, as long as there are threads, and their answers are taken at once.

The worker that slept last is woken first, for its stack is still in the cache.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.core import forks

if TYPE_CHECKING:
    from ...core.server_loop import ServerLoop

__all__ = ["WorkerPool"]

logger = logging.getLogger("ssgi_gateway.app")

BRISK: Final = 0.0001
"""Seconds, by the clock: a worker that goes from one such call to the next is as good as two that share a lock. What
waits for a database, even a near one, takes longer."""

LOOK_AGAIN: Final = 0.001
"""Seconds."""

BUSY_TIME: Final = 5
"""Seconds in which no request is taken from the queue, after which there is a line in the log."""

STOP_TIME: Final = 1.0
"""Seconds given to all threads together at the end; those are idle then, or stuck."""


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
        "_begun",
        "_brisk",
        "_handing",
        "_idle",
        "_jobs",
        "_looking",
        "_mail",
        "_on_mail",
        "_on_turn",
        "_queue_limit",
        "_shares",
        "_size",
        "_submitted",
        "_threads",
        "_watched",
        "_watching",
        "high_water",
        "loop",
    )

    def __init__(self, size: int, queue_limit: int, high_water: int) -> None:
        self.loop: ServerLoop | None = None
        self.high_water = high_water
        self._size = size
        self._queue_limit = queue_limit
        self._jobs: deque[Any] = deque()
        self._idle: list[Any] = []  # the locks that sleeping workers wait for
        self._mail: deque[Any] = deque()
        self._on_mail = self._deliver  # bound once
        self._on_turn = self._hand_over
        self._submitted = 0
        self._begun = 0  # of those, when the loop was scheduled to look again
        self._awake = False  # the loop knows that there is mail
        self._handing = False  # the loop is going to wake workers at the end of this turn
        self._looking = False  # the loop is going to look again
        self._brisk = False
        self._shares = _shares_one_lock()
        self._threads: list[threading.Thread] = []
        self._watching = False  # the loop is going to look whether the queue has moved
        self._watched: Any = None  # what was first in the queue before that

    def start(self, loop: ServerLoop) -> None:
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
        until = perf_counter() + STOP_TIME
        for thread in self._threads:
            thread.join(max(until - perf_counter(), 0.0))
        self._threads = []
        self.loop = None

    # -- on the loop ---------------------------------------------------------------------------------------------

    def overloaded(self) -> bool:
        """Whether as many requests wait as may."""
        return len(self._jobs) - len(self._idle) >= self._queue_limit

    def load(self) -> tuple[int, int, int]:
        """Requests that wait for a thread, threads at work, threads."""
        count = len(self._threads)
        return len(self._jobs), max(0, count - len(self._idle)), count

    def submit(self, job: Any) -> None:
        """Have ``job.run()`` called in a thread."""
        self._jobs.append(job)
        self._submitted += 1
        if not self._watching and len(self._jobs) > len(self._idle):
            self._watch()
        if not self._handing and self.loop is not None:
            self._handing = True
            self.loop.call_soon(self._on_turn)

    def _watch(self) -> None:
        """Look again in a while whether the queue has moved."""
        if self.loop is not None and self._jobs:
            self._watching = True
            self._watched = self._jobs[0]
            self.loop.call_later(BUSY_TIME, self._look_at_queue)

    def _look_at_queue(self) -> None:
        """Log it if nothing was taken from the queue: otherwise a site stands still without a line in the log."""
        watched, self._watched = self._watched, None
        self._watching = False
        if self._jobs and self._jobs[0] is watched:
            logger.warning(
                "all %d threads of the application have been busy for %d s, and %d requests wait for one: what the "
                "threads wait for is too slow, or there are too few of them (--threads)",
                self._size,
                BUSY_TIME,
                len(self._jobs),
            )
        if self._jobs:
            self._watch()

    def _hand_over(self) -> None:
        """Wake workers for what has arrived in this turn of the loop."""
        self._handing = False
        waiting = len(self._jobs)
        if not self._brisk or not self._shares:
            self._wake_as_many(waiting)
            return
        if waiting and len(self._idle) == self._size:
            self._wake()
            waiting -= 1
        if waiting and not self._looking:
            self._look_later()

    def _look_later(self) -> None:
        if self.loop is not None:
            self._looking = True
            self._begun = self._submitted - len(self._jobs)
            self.loop.call_later(LOOK_AGAIN, self._look_again)

    def _look_again(self) -> None:
        """What was to be done in no time: whether it is."""
        self._looking = False  # before the mail is taken: what comes later wakes us
        self._deliver()
        waiting = len(self._jobs)
        if waiting and self._begun == self._submitted - waiting:
            self._brisk = False
            self._wake_as_many(waiting)
        elif waiting:
            self._look_later()

    def _wake_as_many(self, waiting: int) -> None:
        while waiting and self._wake():
            waiting -= 1

    def _wake(self) -> bool:
        """Wake the worker that slept last; ``False`` when none sleeps."""
        if not self._idle:
            return False
        try:
            self._idle.pop().release()
        except IndexError:
            return False  # it has just found something to do
        return True

    def _deliver(self) -> None:
        self._awake = False  # before the mail is taken: what comes later wakes us again
        mail = self._mail
        while mail:
            mail.popleft().deliver()

    # -- in the threads ------------------------------------------------------------------------------------------

    def post_deferred(self, item: Any) -> None:
        """Have ``item.deliver()`` called on the loop, when the job that calls this is done."""
        self._mail.append(item)

    def post(self, item: Any) -> None:
        """Have ``item.deliver()`` called on the loop, now."""
        self._mail.append(item)
        self._wake_loop()

    def _wake_loop(self) -> None:
        """Wake the loop for the mail."""
        if not self._awake:
            self._awake = True
            loop = self.loop
            if loop is not None:
                try:
                    loop.call_soon_threadsafe(self._on_mail)
                except RuntimeError:
                    pass  # the loop was closed, and nothing is left that could want this

    def _work(self) -> None:
        wakeup = threading.Lock()
        wakeup.acquire()
        jobs = self._jobs
        stray = forks.stray
        began = perf_counter()
        while True:
            if not jobs:
                self._sleep(wakeup)
                began = perf_counter()
            try:
                job = jobs.popleft()
            except IndexError:
                continue  # another worker has it
            if job is None:
                return
            job.run()
            if stray:
                forks.exit_child()  # the application has forked here, and the child has come back
            job = None  # while it waits for the next one nothing of this one is kept
            ended = perf_counter()
            self._brisk = ended - began < BRISK
            began = ended
            if self._mail and not (jobs and self._looking):
                self._wake_loop()

    def _sleep(self, wakeup: Any) -> None:
        """Wait for a request."""
        idle = self._idle
        idle.append(wakeup)
        if self._jobs:
            # It came after the last look and before the loop could see that no worker is at work.
            try:
                idle.remove(wakeup)
            except ValueError:
                pass  # the loop has seen it: the lock is released, or about to be
            else:
                return
        wakeup.acquire()
