"""Requests that take too long: found, written down, ended; and a worker that cannot end one is given up.

============================  =========================================================================================
what hangs                    what is done after ``request_timeout``
============================  =========================================================================================
a task that waits             504, and the task is cancelled
a thread of WSGI              504, and ``RequestTimeout`` is raised in the thread
the event loop itself         an alarm (setitimer(2)) raises ``RequestTimeout`` in the application's code: 500
any of these, still there     the supervisor is notified, or sees it: a successor, then SIGKILL
============================  =========================================================================================

The alarm is armed anew at each sweep, so while the loop turns it never comes. An answer that has begun is never ended:
streams may take as long as they like.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.observe.stacks import MAX_TASKS, describe_task
from ssgi_gateway.observe.table import SLOW, STUCK

if TYPE_CHECKING:
    from ssgi_gateway.observe.table import Seat
    from ssgi_gateway.server.duty import Duty

__all__ = ["GRACE", "RequestTimeout", "Stuck"]

logger = logging.getLogger("ssgi_gateway.slow")

GRACE: Final = 5.0
"""Seconds between the end of our patience with a request and that with its worker."""

SWEEP: Final = 0.5
"""Seconds between two ticks while all is well."""


class RequestTimeout(BaseException):
    """A request has taken longer than ``request_timeout``; not an ``Exception``, so that few catch it."""


class Stuck:
    """One worker's patience.

    Args:
        duty: knows what runs.
        slow: seconds after which a request is written down; 0 for never.
        timeout: seconds after which it is ended; 0 for never.
        give_up: called with a reason when this worker should be replaced: ``"stuck"`` at once, anything else when its
            other requests have ended.
    """

    def __init__(
        self, duty: Duty, slow: float, timeout: float, give_up: Callable[[str], None], seat: Seat | None = None
    ) -> None:
        self._duty = duty
        self._seat = seat  # where all of this is counted
        self._slow = slow
        self._timeout = timeout
        self._give_up = give_up
        self._patience = min(it for it in (slow, timeout) if it)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turned = 0.0
        self._told: set[Any] = set()  # exchanges that were written down
        self._interrupted: Any = None
        self._ended: dict[Any, float] = {}  # calls in threads that were ended, and when our patience with them ends

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop runs, on this thread."""
        self._loop = loop
        signal.signal(signal.SIGALRM, self._on_alarm)
        self.tick()

    def stop(self) -> None:
        """The end: no alarm comes any more."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def tick(self) -> None:
        """The loop turns: look at what waits."""
        now = self._turned = time.monotonic()
        self._interrupted = None
        signal.setitimer(signal.ITIMER_REAL, self._patience + SWEEP)
        for exchange, since in list(self._duty.exchanges.items()):
            if exchange.committed():
                continue
            if self._slow and now - since >= self._slow:
                self._write_down(exchange, now - since, None)
            if self._timeout and now - since >= self._timeout:
                self._end(exchange, now)
        self._told &= self._duty.exchanges.keys()
        for call, until in list(self._ended.items()):
            if not call.thread:
                del self._ended[call]
            elif until <= now:
                del self._ended[call]
                self._give_up("a thread that cannot be interrupted")

    def _end(self, exchange: Any, now: float) -> None:
        logger.error("%s has taken %.1f s: ended", exchange.label(), now - self._duty.exchanges[exchange])
        call = exchange.in_thread()
        self._count(STUCK if call is None else STUCK + 1)
        exchange.time_out()
        self._duty.exchanges.pop(exchange, None)
        if call is not None:
            self._ended[call] = now + GRACE
            _raise_in_thread(call.thread)

    def _count(self, index: int) -> None:
        if self._seat is not None:
            self._seat.words[index] += 1

    # -- the loop does not turn ----------------------------------------------------------------------------------

    def _on_alarm(self, _: int, frame: FrameType | None) -> None:
        """It is blocked, by code that runs on this thread now: ``frame``."""
        now = time.monotonic()
        blocked = now - self._turned
        exchange, since = self._running()
        if self._slow and blocked >= self._slow:
            self._write_down(exchange, blocked, frame)
        if not self._timeout or blocked < self._timeout:
            signal.setitimer(signal.ITIMER_REAL, max(0.05, self._timeout - blocked if self._timeout else 60.0))
            return
        signal.setitimer(signal.ITIMER_REAL, GRACE)
        if exchange is None or self._interrupted is not None:
            self._give_up("stuck")
            return
        logger.error("%s has taken %.1f s and blocks the event loop: interrupted", exchange.label(), now - since)
        self._interrupted = exchange
        self._count(STUCK + 1)
        raise RequestTimeout(f"the request has taken longer than {self._timeout:g} s")

    def _running(self) -> tuple[Any, float]:
        """The request whose code runs on this thread, and since when; ``None`` where it is none's."""
        duty = self._duty
        if duty.call is not None:
            return duty.call, duty.since
        task = asyncio.current_task(self._loop) if self._loop is not None else None
        for exchange, since in list(duty.exchanges.items()):
            if task is not None and exchange.runs(task):
                return exchange, since
        return None, 0.0

    def _write_down(self, exchange: Any, seconds: float, frame: FrameType | None) -> None:
        if exchange in self._told:
            return
        self._told.add(exchange)
        self._count(SLOW)
        what = exchange.label() if exchange is not None else "the event loop, for no request,"
        logger.warning("%s has taken %.1f s so far:\n%s", what, seconds, self._stacks(frame))

    def _stacks(self, frame: FrameType | None) -> str:
        """Where all threads are, and, unless in a signal handler, all tasks."""
        names = {it.ident: it.name for it in threading.enumerate()}
        main = threading.main_thread().ident
        blocks = []
        for ident, found in sys._current_frames().items():
            stack = traceback.format_stack(frame if frame is not None and ident == main else found)
            blocks.append(f"thread {names.get(ident, ident)}:\n{''.join(stack)}")
        if frame is None and self._loop is not None:
            blocks += [describe_task(task) for task in list(asyncio.all_tasks(self._loop))[:MAX_TASKS]]
        return "".join(blocks).rstrip()


def _raise_in_thread(thread: int) -> None:
    """Raise in another thread, at its next line of Python."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(RequestTimeout))
