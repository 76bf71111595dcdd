"""What the plan works on: seats and generations. Plain values; times are seconds of a monotonic clock.

A *seat* is a worker's place and number; its workers come and go. A *generation* is all that was started from one
template, that is from one state of the code. See ``plan`` for what leads from where to where.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

__all__ = ["Generation", "Limits", "Seat", "State"]

# -- modes -----------------------------------------------------------------------------------------------------------

SERVING: Final = "serving"
DELAYED: Final = "stopping soon"  # after TERM, for stop_delay: everything goes on
STOPPING: Final = "stopping"  # all workers drain
FAST: Final = "stopping now"  # nothing is waited for

# -- states of a seat ------------------------------------------------------------------------------------------------

STARTING: Final = "starting"  # forked, its application starts
READY: Final = "ready"  # serves
RETIRING: Final = "retiring"  # drains
KILLED: Final = "killed"  # SIGKILL was sent
BACKOFF: Final = "waiting"  # empty: the last worker died too soon, the next one is forked at ``due``
RUNNING: Final = frozenset({STARTING, READY, RETIRING, KILLED})
"""States in which there is a process."""

# -- states of a template --------------------------------------------------------------------------------------------

LOADING: Final = "loading"
LOADED: Final = "loaded"
DEAD: Final = "dead"  # it ended by itself; a new one is started at ``due``

NEVER: Final = float("inf")


class Limits(NamedTuple):
    """What the settings say.

    Args:
        start: seconds that a template, or a worker, has until it is loaded, or ready.
        drain: seconds that a worker which retires has.
        stop_delay: seconds between SIGTERM and the drain.
        surge: workers above the wanted number while others are replaced.
    """

    start: float = 60.0
    drain: float = 30.0
    stop_delay: float = 0.0
    surge: int = 1


class Seat(NamedTuple):
    """A worker, or the place of one that is to come.

    Args:
        number: from 1.
        generation: which template it came from.
        state: see above.
        since: when it came into this state.
        due: when something has to happen unless it leaves the state before. In BACKOFF, NEVER means that the time has
            come and a worker may be forked.
        pid: 0 until it is known.
        worn: why it is to be replaced, empty for no reason: ``requests``, ``memory``, ``age``, ``stuck``.
        deaths: how often in a row workers of this seat died young.
        asked: it takes too long to start, and was asked where it is.
    """

    number: int
    generation: int
    state: str
    since: float
    due: float = NEVER
    pid: int = 0
    worn: str = ""
    deaths: int = 0
    asked: bool = False


class Generation(NamedTuple):
    """A template.

    Args:
        number: from 1.
        state: see above.
        due: as for a seat.
        deaths: how often in a row it died.
        asked: as for a seat.
    """

    number: int
    state: str
    due: float = NEVER
    deaths: int = 0
    asked: bool = False


class State(NamedTuple):
    """Everything the plan knows.

    Args:
        wanted: how many workers there should be; 0 after SIGWINCH.
        before_winch: how many there were wanted before it; 0 for no such time.
        before_ttin: likewise before SIGTTIN, until those that it added serve.
        mode: see above.
        goal: the generation that should serve.
        last: the highest number that a generation was given.
        good: the last generation that is known to serve; 0 for none so far.
        seats: by number; empty ones are not in it.
        generations: those whose template is alive or is to be.
        reload: a reload is under way.
        again: another reload was requested meanwhile.
        replace: ``""``, ``"wanted"`` (the supervisor is to be replaced once nothing starts) or ``"checking"``.
        before_hup: how many there were wanted before the reload that is under way; 0 where that does not matter.
        due: in DELAYED: when the drain begins; in FAST: when SIGKILL is sent.
    """

    wanted: int
    limits: Limits = Limits()
    before_winch: int = 0
    mode: str = SERVING
    goal: int = 1
    last: int = 1
    good: int = 0
    seats: Mapping[int, Seat] = MappingProxyType({})
    generations: Mapping[int, Generation] = MappingProxyType({})
    reload: bool = False
    again: bool = False
    replace: str = ""
    due: float = NEVER
    before_ttin: int = 0
    before_hup: int = 0
