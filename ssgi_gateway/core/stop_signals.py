"""Which of the signals that stop a server is a wish of its own, and which repeats the one before.

One wish often comes as two signals. GNU ``timeout`` signals its child, then its whole process group; ^C at a terminal
reaches a server and the program that has started it (npm, foreman, a script), which passes it on, some as SIGTERM.
What would be the second wish, not to wait any longer, was then never expressed.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Collection
from typing import Final

__all__ = ["MOMENT", "SPREAD", "STOPS", "StopSignals", "interrupt_start"]

STOPS: Final = frozenset({signal.SIGTERM, signal.SIGQUIT, signal.SIGINT})
"""The signals that stop a server."""

MOMENT: Final = 0.02
"""Seconds after a stop signal in which another one is the same wish, where both come from outside.

``timeout`` sends both within microseconds, and a program that passes one on needs a few milliseconds. A person or a
script that looks whether the first signal has been enough needs more than this.
"""

SPREAD: Final = 0.1
"""The same for a worker, which is told by its supervisor and may be signalled itself (``killall``, a service manager
that signals every process), and for the hang-ups of a closed terminal: two processes have to run in between."""


class StopSignals:
    """Those that one process gets: SIGTERM and SIGQUIT, which let requests end, and SIGINT, which is harsher.

    Args:
        moment: seconds in which a second one is the same wish.
    """

    def __init__(self, moment: float = MOMENT) -> None:
        self._moment = moment
        self._last = -math.inf
        self._harsh = False

    def counts(self, number: int, came: float) -> bool:
        """Whether this signal is a wish of its own.

        It is not when it comes less than the moment after the last one that counted, unless it is harsher.

        Args:
            number: the signal.
            came: when it came, in seconds of a clock that never goes back.
        """
        harsh = number == signal.SIGINT
        moment = SPREAD if number == signal.SIGHUP else self._moment
        if came - self._last < moment and self._harsh >= harsh:
            return False
        self._last, self._harsh = came, harsh
        return True


def interrupt_start(signals: Collection[int] = STOPS) -> None:
    """Until there are other handlers a stop signal raises KeyboardInterrupt, so that it leaves no socket file behind.

    One that repeats it does not: it would interrupt what removes that file. SIGINT stays ignored where it is, as in
    what a shell has started in the background.
    """
    stop_signals = StopSignals()

    def interrupt(number: int, _: object) -> None:
        if stop_signals.counts(number, time.monotonic()):
            raise KeyboardInterrupt

    for number in signals:
        if number != signal.SIGINT or signal.getsignal(number) == signal.default_int_handler:
            signal.signal(number, interrupt)
