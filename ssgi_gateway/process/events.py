"""What may happen to a supervisor, as the plan gets it."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from ssgi_gateway.process.states import Limits

__all__ = [
    "Event",
    "Hup",
    "Int",
    "Refused",
    "ReplacementChecked",
    "TemplateExited",
    "TemplateFailed",
    "TemplateLoaded",
    "Term",
    "Tick",
    "Ttin",
    "Ttou",
    "Usr2",
    "Winch",
    "WorkerExited",
    "WorkerFailed",
    "WorkerReady",
    "WorkerStarted",
    "WorkerStuck",
    "WorkerWorn",
]


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
    """A worker reports its process id."""

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
    """A worker's process has ended. ``pid`` is 0 where it was not forked, or ended before it reported it."""

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
    """A reload was requested and cannot be done, because the settings are wrong."""

    text: str


class Term(NamedTuple):
    """Stop; a second one does not wait. ``signals`` leaves out what only repeats the one before."""


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
    """The objection of a new supervisor to the present state; empty for none."""

    trouble: str


Event: TypeAlias = (
    Tick | TemplateLoaded | TemplateFailed | TemplateExited | WorkerStarted | WorkerReady | WorkerFailed
    | WorkerExited | WorkerWorn | WorkerStuck | Hup | Refused | Term | Int | Ttin | Ttou | Winch | Usr2
    | ReplacementChecked
)  # fmt: skip
