"""What the plan has a supervisor do. Actions may fail and do not report it: what is true comes back as an event."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

__all__ = [
    "Action",
    "Ask",
    "Check",
    "Exec",
    "Exit",
    "Fork",
    "Kill",
    "KillTemplate",
    "Log",
    "Notify",
    "Record",
    "Retire",
    "StartTemplate",
    "Unlisten",
]


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


class Ask(NamedTuple):
    """Have a worker, or a template, that takes too long to start say where it is; it ends then.

    Args:
        seat: of a worker; 0 for the template.
        generation: which it is of.
    """

    seat: int
    generation: int


class Retire(NamedTuple):
    """Have a worker drain; ``last`` when there is no other to hand connections to."""

    seat: int
    last: bool = False


class Kill(NamedTuple):
    """Send a signal to a worker: ``hard`` is SIGKILL to its process group, else SIGTERM."""

    seat: int
    hard: bool


class Unlisten(NamedTuple):
    """Refuse new connections; what is in the queues is still accepted."""


class Notify(NamedTuple):
    """Notify the service manager."""

    text: str


class Record(NamedTuple):
    """A reload has ended: ``text`` is empty for success; ``begun`` is false where its settings were refused at once."""

    text: str
    begun: bool = True


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
    StartTemplate | KillTemplate | Fork | Ask | Retire | Kill | Unlisten | Notify | Record | Log | Check | Exec | Exit
)
