"""The signals of a supervisor, one after the other, as a descriptor that becomes readable."""

from __future__ import annotations

import signal
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from ssgi_gateway.core.stop_signals import STOPS, StopSignals
from ssgi_gateway.process import events

__all__ = ["HEARD", "MEANING", "MEANT_LATER", "Signals"]

MEANING: Final[Mapping[int, type[events.Term | events.Int | events.Ttin | events.Ttou | events.Usr2]]] = {
    signal.SIGTERM: events.Term,
    signal.SIGQUIT: events.Term,
    signal.SIGINT: events.Int,
    signal.SIGTTIN: events.Ttin,
    signal.SIGTTOU: events.Ttou,
    signal.SIGUSR2: events.Usr2,
}
"""What a signal means to the plan, for those that mean nothing else."""

HEARD: Final = frozenset({*MEANING, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGCHLD})

MEANT_LATER: Final = HEARD - {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
"""Those that can wait until a supervisor listens; the others end one that starts."""

FULL: Final = 128
"""Signals that wait at once, from which on the kernel may have had no room for more; then one of a kind is enough."""

COUNTED: Final = frozenset({signal.SIGTTIN, signal.SIGTTOU})
"""Signals of which two that wait are more than one."""


class Signals:
    """What has come and was not taken yet.

    Args:
        waiting: what a predecessor has not taken.
        clock: says when a signal has come, in seconds.
    """

    def __init__(self, waiting: Iterable[int] = (), clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stop_signals = StopSignals()
        self._noted: dict[int, float] = {}  # when one of this kind has come last
        self._waiting = deque(it for it in waiting if it not in STOPS or self.stops(it))
        self._reading, self._writing = socket.socketpair()
        self._reading.setblocking(False)
        self._writing.setblocking(False)
        self._come: set[int] = set()  # of which kinds, whether or not there was room

    def fileno(self) -> int:
        """Readable when there are some."""
        return self._reading.fileno()

    def listen(self) -> None:
        """Have them from now on. Until here they may have been blocked, so that none is lost."""
        for number in HEARD:
            signal.signal(number, self._note)
        signal.set_wakeup_fd(self._writing.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def block(self) -> list[int]:
        """Let none come any more; those that were not taken."""
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        self.collect()
        return list(self._waiting)

    def waiting(self) -> bool:
        """Whether there are some that were collected and not taken."""
        return bool(self._waiting)

    def take(self) -> Iterator[int]:
        """Those that were collected, in their order."""
        while self._waiting:
            yield self._waiting.popleft()

    def collect(self) -> None:
        """Read those that have come; what comes later makes the descriptor readable again."""
        try:
            numbers = self._reading.recv(4096)
        except BlockingIOError:
            return
        come, self._come = self._come, set()
        if len(numbers) >= FULL:
            numbers += bytes(come - set(numbers))
        # Of one kind many are one, except where each counts.
        single = (it for place, it in enumerate(numbers) if it in COUNTED or it not in numbers[:place])
        self._waiting.extend(it for it in single if it not in STOPS or self.stops(it))

    def stops(self, number: int) -> bool:
        """Whether this signal, which means a stop, does not only repeat the one before."""
        return self._stop_signals.counts(number, self._noted.get(number, self._clock()))

    def _note(self, number: int, _: object) -> None:
        self._come.add(number)
        self._noted[number] = self._clock()

    def close(self) -> None:
        """Hear none any more."""
        signal.set_wakeup_fd(-1)
        self._reading.close()
        self._writing.close()
