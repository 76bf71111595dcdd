"""How a serving process ends: two signals, and one bound for everything that comes after the first.

The first SIGTERM, SIGINT or SIGQUIT begins the drain, and a clock with it. What is not done at its end is left undone,
because the process then ends: threads that are stuck, an event loop that is blocked, hooks that wait for ever,
tasks that ignore their cancellation, the interpreter's own wait for threads. A second signal leaves a second, unless it
only repeats the first one (``core.stop_signals``).

The clock is a thread, for it has to go on when the event loop does not; it is started by the signal, so that a process
that serves has none. Code in C that holds the interpreter's lock, as a regular expression may for years, does not let
it run; for that there is a second clock, faulthandler's, which needs no lock and has the last word. Exit statuses: 0
when all ended by itself or was cut off in order, ``UNFINISHED`` when a clock had to end it; the log names what was
still running.
"""

from __future__ import annotations

import _thread
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from types import FrameType
from typing import Any, Final

from ssgi_gateway import linux
from ssgi_gateway.core import forks
from ssgi_gateway.core.stop_signals import MOMENT, STOPS, StopSignals

__all__ = ["UNFINISHED", "Ending"]

logger = logging.getLogger("ssgi_gateway.server")

UNFINISHED: Final = 1
"""The exit status of a process that did not end by itself within its bound."""

AT_ONCE: Final = 1.0
"""Seconds from a second signal to the end."""

LAST_WORDS: Final = 0.5
"""Seconds for the last line of the log and the standard streams' buffers; their reader may be stuck, too."""

LOCKED: Final = 1.0
"""Seconds that the clock has from its end to that of the process; then the interpreter's lock is not to be had."""

MAX_NAMED: Final = 5
"""Threads that the last line names."""


class Ending:
    """The signals of one process, and its bound.

    Args:
        bound: seconds from the first signal to the end.
        clock: says when a signal has come, in seconds.
        moment: seconds in which a second signal is the same wish.

    Attributes:
        should_exit: a signal has come. sse-starlette, which makes the event streams of FastAPI and MCP applications,
            looks for an object with this attribute behind the handler of SIGTERM (uvicorn's ``Server`` is one), and
            then lets its streams end in their own way.
    """

    def __init__(self, bound: float, clock: Callable[[], float] = time.monotonic, moment: float = MOMENT) -> None:
        self.should_exit = False
        self._bound = bound
        self._clock = clock
        self._come: deque[tuple[int, float]] = deque()
        self._handling = False
        self._stop_signals = StopSignals(moment)
        self._end = 0.0
        self._said = False
        self._standard_error = -1
        self._lifted = False
        self._before: dict[int, Any] = {}  # who handled the signals
        self._first: Callable[[str], object] | None = None
        self._again: Callable[[str], object] | None = None

    def listen(
        self, first: Callable[[str], object], again: Callable[[str], object], signals: Collection[int] = STOPS
    ) -> None:
        """Handle ``signals`` from now on; on the main thread.

        Args:
            first: called with the first signal's name, between any two instructions of the main thread.
            again: likewise, for each further one that does not repeat the one before.
            signals: their numbers.
        """
        self._first, self._again = first, again
        for number in signals:
            self._before[number] = signal.signal(number, self.handle_exit)
            forks.signals.add(number)

    def lift(self) -> None:
        """The server has ended and the process goes on: no bound any more, and the signals are handled as before."""
        self._lifted = True
        if self._end:
            faulthandler.cancel_dump_traceback_later()
            os.close(self._standard_error)
        for number, handler in self._before.items():
            signal.signal(number, handler)
            forks.signals.discard(number)

    def handle_exit(self, number: int, frame: FrameType | None) -> None:
        """The handler of these signals. One may interrupt that of another; they are handled in their order."""
        self._come.append((number, self._clock()))
        if self._handling:
            return
        self._handling = True
        try:
            while self._come:
                self._handle(*self._come.popleft())
        finally:
            self._handling = False

    def _handle(self, number: int, came: float) -> None:
        if not self._stop_signals.counts(number, came):
            return
        handler = self._again if self.should_exit else self._first
        if self.should_exit:
            self.limit(AT_ONCE)
        else:
            self._begin()
        if handler is not None:
            handler(signal.Signals(number).name)

    def begin(self) -> None:
        """The end has begun otherwise than by a signal; one that comes in this moment is the same wish."""
        if not self.should_exit:
            self._stop_signals.counts(signal.SIGTERM, self._clock())
            self._begin()

    def _begin(self) -> None:
        self.should_exit = True
        self.limit(self._bound)

    def limit(self, seconds: float) -> None:
        """End the process at the latest so many seconds from now; called again, the earlier end counts."""
        now = time.monotonic()
        end = now + seconds
        if self._end:
            self._end = min(self._end, end)
        else:
            self._end = end
            with contextlib.suppress(RuntimeError):  # there can be no more threads: the other clock has to do
                # Not threading.Thread: its start takes locks that the code which was interrupted may hold.
                _thread.start_new_thread(self._watch, ())
        self._end_without_lock(self._end - now + LAST_WORDS + LOCKED)

    def _end_without_lock(self, seconds: float) -> None:
        """End this process so many seconds from now, even if its main thread never lets go of the lock."""
        if self._standard_error < 0:
            try:
                self._standard_error = linux.reopen(2)  # its reader may have stopped
            except OSError:
                self._standard_error = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            faulthandler.dump_traceback_later(seconds, exit=True, file=self._standard_error)
        except RuntimeError:  # no more threads, not even this one: then without a word
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _watch(self) -> None:
        while (left := self._end - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))
            if self._lifted:
                return
        _thread.start_new_thread(self._last_words, ())
        until = time.monotonic() + LAST_WORDS
        while not self._said and time.monotonic() < until:
            time.sleep(0.01)
        os._exit(UNFINISHED)

    def _last_words(self) -> None:
        logger.critical("still running at the end of the time there is for it, and ended so; busy: %s", busy_threads())
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        self._said = True


def busy_threads() -> str:
    """What the threads of this process are doing, for a log line."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = [
        f"{names[ident]} in {frame.f_code.co_name} ({frame.f_code.co_filename}:{frame.f_lineno})"
        for ident, frame in sys._current_frames().items()
        if ident in names
    ]
    more = f" and {len(found) - MAX_NAMED} more" if len(found) > MAX_NAMED else ""
    return ", ".join(found[:MAX_NAMED]) + more
