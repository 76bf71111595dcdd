"""What the plan works on: seats, generations, events, actions. Plain values; times are seconds of a monotonic clock.

A *seat* is a worker's place and number; its workers come and go. A *generation* is all that was started from one
template, that is from one state of the code. See ``plan`` for what leads from where to where.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

__all__ = [
    "Action",
    "Check",
    "Event",
    "Exec",
    "Exit",
    "Fork",
    "Generation",
    "Hup",
    "Int",
    "Kill",
    "KillTemplate",
    "Limits",
    "Log",
    "Notify",
    "Record",
    "Refused",
    "ReplacementChecked",
    "Retire",
    "Seat",
    "StartTemplate",
    "State",
    "TemplateExited",
    "TemplateFailed",
    "TemplateLoaded",
    "Term",
    "Tick",
    "Ttin",
    "Ttou",
    "Unlisten",
    "Usr2",
    "Winch",
    "WorkerExited",
    "WorkerFailed",
    "WorkerReady",
    "WorkerStarted",
    "WorkerStuck",
    "WorkerWorn",
]

# -- modes -----------------------------------------------------------------------------------------------------------

SERVING: Final = "serving"
DELAYED: Final = "stopping soon"  # after TERM, for stop_delay: everything goes on
STOPPING: Final = "stopping"  # everybody drains
FAST: Final = "stopping now"  # nobody waits for anybody

# -- states of a seat ------------------------------------------------------------------------------------------------

STARTING: Final = "starting"  # forked, its application starts
READY: Final = "ready"  # serves
RETIRING: Final = "retiring"  # drains
KILLED: Final = "killed"  # SIGKILL was sent
BACKOFF: Final = "waiting"  # nobody: the last worker died too soon, the next one is forked at ``due``
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
        due: when something has to happen unless it leaves the state before. In BACKOFF, NEVER says that the time has
            come and a worker may be forked.
        pid: 0 until it is known.
        worn: why it is to be replaced, empty for no reason: ``requests``, ``memory``, ``age``, ``stuck``.
        deaths: how often in a row workers of this seat died young.
    """

    number: int
    generation: int
    state: str
    since: float
    due: float = NEVER
    pid: int = 0
    worn: str = ""
    deaths: int = 0


class Generation(NamedTuple):
    """A template.

    Args:
        number: from 1.
        state: see above.
        due: as for a seat.
        deaths: how often in a row it died.
    """

    number: int
    state: str
    due: float = NEVER
    deaths: int = 0


class State(NamedTuple):
    """Everything the plan knows.

    Args:
        wanted: how many workers there should be; 0 after SIGWINCH.
        before_winch: how many there were wanted before it; 0 for no such time.
        mode: see above.
        goal: the generation that should serve.
        last: the highest number that a generation was given.
        good: the last generation that is known to serve; 0 for none so far.
        seats: by number; empty ones are not in it.
        generations: those whose template is alive or is to be.
        reload: a reload is under way.
        again: another reload was asked for meanwhile.
        replace: ``""``, ``"wanted"`` (the supervisor is to be replaced once nothing starts) or ``"checking"``.
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


# -- events ----------------------------------------------------------------------------------------------------------


class Tick(NamedTuple):
    """Time has passed; also the first event of all."""


class TemplateLoaded(NamedTuple):
    """A template is ready to fork."""

    generation: int


class TemplateFailed(NamedTuple):
    """A template cannot load what it should; it has ended or is about to."""

    generation: int
    text: str


class TemplateExited(NamedTuple):
    """A template's process has ended."""

    generation: int
    how: str


class WorkerStarted(NamedTuple):
    """A worker says its process id."""

    seat: int
    pid: int


class WorkerReady(NamedTuple):
    """A worker serves."""

    seat: int


class WorkerFailed(NamedTuple):
    """A worker cannot start; it has ended or is about to. ``status`` is the exit status it suggests."""

    seat: int
    text: str
    status: int = 2


class WorkerExited(NamedTuple):
    """A worker's process has ended. ``pid`` is 0 where it could not even be forked."""

    seat: int
    pid: int
    how: str


class WorkerWorn(NamedTuple):
    """A worker has served enough and is to be replaced."""

    seat: int
    why: str


class WorkerStuck(NamedTuple):
    """A worker does nothing any more; it is replaced, and killed once its successor serves or is late."""

    seat: int


class Hup(NamedTuple):
    """Reload; the settings have been read again."""

    wanted: int
    limits: Limits


class Refused(NamedTuple):
    """A reload was asked for and cannot be, because the settings are wrong."""

    text: str


class Term(NamedTuple):
    """Stop; a second one does not wait."""


class Int(NamedTuple):
    """Stop now."""


class Ttin(NamedTuple):
    """One worker more."""


class Ttou(NamedTuple):
    """One worker less."""


class Winch(NamedTuple):
    """No workers until Ttin or Hup."""


class Usr2(NamedTuple):
    """Replace the supervisor."""


class ReplacementChecked(NamedTuple):
    """What a new supervisor said to the present state; empty for nothing against it."""

    trouble: str


Event: TypeAlias = (
    Tick | TemplateLoaded | TemplateFailed | TemplateExited | WorkerStarted | WorkerReady | WorkerFailed
    | WorkerExited | WorkerWorn | WorkerStuck | Hup | Refused | Term | Int | Ttin | Ttou | Winch | Usr2
    | ReplacementChecked
)  # fmt: skip

# -- actions ---------------------------------------------------------------------------------------------------------


class StartTemplate(NamedTuple):
    """Start a fresh interpreter."""

    generation: int


class KillTemplate(NamedTuple):
    """It is not needed any more."""

    generation: int


class Fork(NamedTuple):
    """Have a generation's template fork a worker."""

    generation: int
    seat: int


class Retire(NamedTuple):
    """Tell a worker to drain; ``last`` when there is nobody to hand connections to."""

    seat: int
    last: bool = False


class Kill(NamedTuple):
    """Send a signal to a worker: ``hard`` is SIGKILL to its process group, else SIGTERM."""

    seat: int
    hard: bool


class Unlisten(NamedTuple):
    """Let nobody new connect; what is in the queues is still accepted."""


class Notify(NamedTuple):
    """Tell the service manager."""

    text: str


class Record(NamedTuple):
    """A reload has ended: ``text`` is empty for success."""

    text: str


class Log(NamedTuple):
    """A line for the log."""

    level: str
    text: str


class Check(NamedTuple):
    """See whether a new supervisor could take over."""


class Exec(NamedTuple):
    """Replace the supervisor."""


class Exit(NamedTuple):
    """The end."""

    status: int
    text: str = ""


Action: TypeAlias = (
    StartTemplate | KillTemplate | Fork | Retire | Kill | Unlisten | Notify | Record | Log | Check | Exec | Exit
)
