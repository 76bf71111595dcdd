"""What a supervisor does: ``plan(state, event, now)`` gives the next state and the actions that lead there.

A seat's states::

    (none) -Fork-> STARTING -ready-> READY -Retire-> RETIRING -exited-> (none)
                      |exited, late     |exited (a crash)   |late: Kill
                      +--> BACKOFF <----+ if it was young   v
                              |due: Fork                  KILLED -exited-> (none)

Rules:

* Something new comes first: a worker is retired only while more of them are ready than are wanted.
* No more than ``wanted + surge`` workers start or serve; those that retire come on top, for ``drain`` seconds.
* A reload goes on only while it works. As long as a worker of the old generation serves, a new one that cannot start
  brings the old generation back.
* Every wait ends: each state that waits for somebody has a time at which it is given up.

Nothing here knows a socket, a clock, or a process. Actions may fail and never say so: what is true comes back as an
event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ssgi_gateway.process.states import (
    BACKOFF,
    DEAD,
    DELAYED,
    FAST,
    KILLED,
    LOADED,
    LOADING,
    NEVER,
    READY,
    RETIRING,
    RUNNING,
    SERVING,
    STARTING,
    STOPPING,
    Action,
    Check,
    Event,
    Exec,
    Exit,
    Fork,
    Generation,
    Hup,
    Int,
    Kill,
    KillTemplate,
    Log,
    Notify,
    Record,
    Refused,
    ReplacementChecked,
    Retire,
    Seat,
    StartTemplate,
    State,
    TemplateExited,
    TemplateFailed,
    TemplateLoaded,
    Term,
    Tick,
    Ttin,
    Ttou,
    Unlisten,
    Usr2,
    Winch,
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    WorkerStarted,
    WorkerStuck,
    WorkerWorn,
)
from ssgi_gateway.settings.values import MAX_WORKERS

__all__ = ["next_due", "plan"]

YOUNG = 10.0
"""A worker that served for less than these seconds died young: the next one is not forked at once."""
FIRST_BACKOFF, LAST_BACKOFF = 0.1, 30.0
"""Seconds until the next try, doubled from the first to the last."""
GRACE = 5.0
"""Seconds beyond its drain that a worker has for the end of its application; and one that was told to end has."""
HURRY = 2.0
"""Seconds between "now" and SIGKILL."""
GOOD = "exit status 0"
"""How a worker ends when nothing went wrong."""


def plan(state: State, event: Event, now: float) -> tuple[State, list[Action]]:
    """The state after ``event``, and what is to be done.

    Args:
        state: what was; it is not changed.
        event: what has happened.
        now: seconds, of any clock that never goes back.
    """
    work = _Work(state, now)
    work.hear(event)
    work.settle()
    return work.result(), work.actions


def next_due(state: State) -> float:
    """When the next ``Tick`` is needed; ``inf`` for never."""
    seats = (seat.due for seat in state.seats.values())
    generations = (generation.due for generation in state.generations.values())
    return min((state.due, *seats, *generations))


def _backoff(deaths: int) -> float:
    return float(min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(deaths - 1, 20)))


class _Work:
    """One step of the plan, on copies."""

    def __init__(self, state: State, now: float) -> None:
        self.now = now
        self.state = state
        self.seats = dict(state.seats)
        self.generations = dict(state.generations)
        self.actions: list[Action] = []

    def result(self) -> State:
        return self.state._replace(seats=self.seats, generations=self.generations)

    def change(self, **fields: object) -> None:
        self.state = self.state._replace(**fields)  # type: ignore[arg-type]

    def act(self, *actions: Action) -> None:
        self.actions.extend(actions)

    def put(self, seat: Seat, state: str, due: float = NEVER) -> None:
        self.seats[seat.number] = seat._replace(state=state, since=self.now, due=due)

    def of(self, *states: str) -> list[Seat]:
        return [seat for seat in self.seats.values() if seat.state in states]

    # -- events --------------------------------------------------------------------------------------------------

    def hear(self, event: Event) -> None:
        HEAR[type(event)](self, event)

    def _tick(self, _: Tick) -> None:
        for seat in [seat for seat in self.seats.values() if seat.due <= self.now]:
            self._late(seat)
        for generation in [it for it in self.generations.values() if it.due <= self.now and it.state == DEAD]:
            self.generations[generation.number] = generation._replace(due=NEVER)  # from now on as soon as it may
        for generation in [it for it in self.generations.values() if it.due <= self.now and it.state == LOADING]:
            self.act(KillTemplate(generation.number))
            self._template_failed(
                TemplateFailed(generation.number, f"it was not loaded after {self.state.limits.start:.0f} s")
            )
        if self.state.due <= self.now:
            if self.state.mode == DELAYED:
                self._drain()
            elif self.state.mode == FAST:
                self.change(due=NEVER)
                for seat in self.of(*RUNNING):
                    self._kill(seat)

    def _late(self, seat: Seat) -> None:
        if seat.state == STARTING:
            self._kill(seat)
            self._start_failed(seat, f"a worker was not ready after {self.state.limits.start:.0f} s", 2)
        elif seat.state == RETIRING:
            self.act(Log("warning", f"worker {seat.number} did not end in time; it is killed"))
            self._kill(seat)
        elif seat.state == READY:  # it is stuck, and its successor is late
            self._kill(seat)
        elif seat.state == BACKOFF:
            self.seats[seat.number] = seat._replace(due=NEVER)  # from now on as soon as it may

    def _template_loaded(self, event: TemplateLoaded) -> None:
        if event.generation in self.generations:
            self.generations[event.generation] = Generation(event.generation, LOADED)

    def _template_failed(self, event: TemplateFailed) -> None:
        known = self.generations.pop(event.generation, None)
        if known is None or event.generation != self.state.goal or self.state.mode not in (SERVING, DELAYED):
            return
        if self.state.reload:
            self._fail_reload(event.text)
        elif not self.state.good:
            self.act(Exit(2, event.text))
        else:
            self.act(Log("error", f"a new template for generation {known.number} failed: {event.text}"))
            self._dead(known)

    def _template_exited(self, event: TemplateExited) -> None:
        known = self.generations.get(event.generation)
        if known is None:
            return
        for seat in self.of(*RUNNING):
            if seat.generation == known.number and not seat.pid:
                del self.seats[seat.number]  # whether it was forked nobody will say any more
        if known.state == LOADING:
            self._template_failed(TemplateFailed(known.number, f"it ended before it was loaded: {event.how}"))
        elif known.number == self.state.goal and self.state.mode in (SERVING, DELAYED):
            self.act(Log("warning", f"the template ended: {event.how}; the next one may load newer code"))
            self._dead(known)
        else:
            del self.generations[known.number]

    def _dead(self, generation: Generation) -> None:
        deaths = generation.deaths + 1
        self.generations[generation.number] = Generation(generation.number, DEAD, self.now + _backoff(deaths), deaths)

    def _worker_started(self, event: WorkerStarted) -> None:
        seat = self.seats.get(event.seat)
        if seat is not None and seat.state in RUNNING:
            self.seats[seat.number] = seat._replace(pid=event.pid)
            if seat.state != STARTING:
                self.act(Kill(seat.number, seat.state == KILLED))  # nobody wants it any more

    def _worker_ready(self, event: WorkerReady) -> None:
        seat = self.seats.get(event.seat)
        if seat is None or seat.state != STARTING:
            return
        self.put(seat, READY)
        if not self.state.good:
            self.change(good=seat.generation)
            self.act(Notify("READY=1"))

    def _worker_failed(self, event: WorkerFailed) -> None:
        seat = self.seats.get(event.seat)
        if seat is not None and seat.state == STARTING:
            self.put(seat._replace(worn="failed"), RETIRING, self.now + GRACE)
            self._start_failed(seat, event.text, event.status)

    def _worker_exited(self, event: WorkerExited) -> None:
        seat = self.seats.pop(event.seat, None)
        if seat is None:
            return
        if seat.state == READY:
            self.act(Log("error", f"worker {seat.number} (process {seat.pid}) ended: {event.how}"))
            young = self.now - seat.since < YOUNG
            if young and self.state.mode in (SERVING, DELAYED) and not seat.worn:
                self._back_off(seat)
        elif seat.state == STARTING and not event.pid:
            self.act(Log("error", f"worker {seat.number} could not be started: {event.how}; trying again"))
            self._back_off(seat)
        elif seat.state == STARTING:
            self._start_failed(seat, f"a worker ended before it was ready: {event.how}", 2)
        elif seat.state == RETIRING and event.how != GOOD and seat.pid and seat.worn != "failed":
            self.act(Log("warning", f"worker {seat.number} (process {seat.pid}) ended: {event.how}"))

    def _back_off(self, seat: Seat) -> None:
        deaths = seat.deaths + 1
        self.put(seat._replace(deaths=deaths, pid=0, worn=""), BACKOFF, self.now + _backoff(deaths))

    def _start_failed(self, seat: Seat, text: str, status: int) -> None:
        """A worker could not start, and is gone or nearly so."""
        if self.state.mode not in (SERVING, DELAYED) or seat.generation != self.state.goal:
            return
        if self.state.reload and any(other.generation != self.state.goal for other in self.of(READY)):
            self._fail_reload(text)
        elif not self.state.good:
            self.act(Exit(status, text))
        else:
            self.act(Log("error", f"worker {seat.number} could not start: {text}"))
            taken = seat.number in self.seats  # the process is still there
            number = self._free() if taken else seat.number
            self._back_off(seat._replace(number=number))

    def _worker_worn(self, event: WorkerWorn) -> None:
        seat = self.seats.get(event.seat)
        if seat is not None and seat.state == READY and not seat.worn:
            self.seats[seat.number] = seat._replace(worn=event.why)
            self.act(Log("info", f"worker {seat.number} is to be replaced: {event.why}"))

    def _worker_stuck(self, event: WorkerStuck) -> None:
        seat = self.seats.get(event.seat)
        if seat is not None and seat.state == READY and seat.worn != "stuck":
            self.seats[seat.number] = seat._replace(worn="stuck", due=self.now + self.state.limits.start)
            self.act(Log("error", f"worker {seat.number} (process {seat.pid}) is stuck; it is replaced"))

    # -- signals -------------------------------------------------------------------------------------------------

    def _hup(self, event: Hup) -> None:
        if self.state.mode != SERVING:
            self.act(Log("warning", "no reload: the server is stopping"))
            return
        self.change(wanted=event.wanted, limits=event.limits, before_winch=0, again=True)
        generation = self.generations.get(self.state.goal)
        if generation is not None and generation.state == LOADING and self.state.replace != "checking":
            # It may have read half of what is new.
            self.act(KillTemplate(generation.number))
            del self.generations[generation.number]
            self._begin_reload()

    def _refused(self, event: Refused) -> None:
        self.act(Log("error", f"no reload: {event.text}"), Record(event.text))

    def _term(self, _: Term) -> None:
        delay = self.state.limits.stop_delay
        if self.state.mode == SERVING and delay:
            self.act(Log("info", f"stopping in {delay:g} s"), Notify("STOPPING=1"))
            self.change(mode=DELAYED, due=self.now + delay)
        elif self.state.mode in (SERVING, DELAYED):
            self._drain()
        else:
            self._int(Int())

    def _int(self, _: Int) -> None:
        if self.state.mode == FAST:
            for seat in self.of(*RUNNING):
                self._kill(seat)
            return
        if self.state.mode != STOPPING:
            self._drain()
        self.act(Log("warning", "not waiting any longer"))
        self.change(mode=FAST, due=self.now + HURRY)
        self.act(*(Kill(seat.number, False) for seat in self.of(*RUNNING)))

    def _ttin(self, _: Ttin) -> None:
        self._want((self.state.wanted or self.state.before_winch) + 1)

    def _ttou(self, _: Ttou) -> None:
        self._want((self.state.wanted or self.state.before_winch) - 1)

    def _want(self, wanted: int) -> None:
        wanted = max(1, min(MAX_WORKERS, wanted))
        self.change(wanted=wanted, before_winch=0)
        self.act(Log("info", f"workers wanted: {wanted}"))

    def _winch(self, _: Winch) -> None:
        if self.state.mode == SERVING and self.state.wanted:
            self.act(Log("info", "all workers retire; SIGHUP or SIGTTIN brings them back"))
            self.change(before_winch=self.state.wanted, wanted=0)

    def _usr2(self, _: Usr2) -> None:
        if self.state.mode == SERVING and not self.state.replace:
            self.change(replace="wanted")

    def _replacement_checked(self, event: ReplacementChecked) -> None:
        self.change(replace="")
        if event.trouble:
            self.act(Log("error", f"the supervisor is not replaced: {event.trouble}"))
        elif self.state.mode == SERVING:
            self.act(Exec())

    # -- what follows --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring what is nearer to what is wanted."""
        if any(type(action) is Exit for action in self.actions):
            return
        if self.state.mode in (STOPPING, FAST):
            if not self.of(*RUNNING):
                self.act(Exit(0))
            return
        self._end_strangers()
        self._retire()
        if self.state.mode == SERVING:
            self._begin_what_waits()
        if self.state.replace != "checking":
            self._start_template()
            self._fork()
        self._finish_reload()

    def _end_strangers(self) -> None:
        """Workers that start for a generation that nobody wants any more."""
        for seat in self.of(STARTING):
            if seat.generation != self.state.goal:
                self.act(Kill(seat.number, False))
                self.put(seat, RETIRING, self.now + GRACE)
        for seat in self.of(BACKOFF):
            if seat.generation != self.state.goal or not self.state.wanted:
                del self.seats[seat.number]

    def _start_template(self) -> None:
        goal = self.generations.get(self.state.goal)
        if goal is None or (goal.state == DEAD and goal.due == NEVER):
            deaths = goal.deaths if goal is not None else 0
            due = self.now + self.state.limits.start
            self.generations[self.state.goal] = Generation(self.state.goal, LOADING, due, deaths)
            self.act(StartTemplate(self.state.goal))

    def _fork(self) -> None:
        goal = self.generations.get(self.state.goal)
        if goal is None or goal.state != LOADED:
            return
        wanted, surge = self.state.wanted, self.state.limits.surge
        for seat in self.of(BACKOFF):
            if seat.due == NEVER and len(self.of(STARTING, READY)) < wanted + surge:
                self._start(seat)
        while True:
            fresh = [seat for seat in self.of(READY) if seat.generation == goal.number and not seat.worn]
            coming = self.of(STARTING, BACKOFF)
            # One shows whether the application starts; if it does, the others come together.
            if coming and not fresh:
                return
            if len(fresh) + len(coming) >= wanted or len(coming) + len(self.of(READY)) >= wanted + surge:
                return
            self._start(Seat(self._free(), goal.number, STARTING, self.now))

    def _start(self, seat: Seat) -> None:
        seat = seat._replace(generation=self.state.goal, pid=0, worn="")
        self.put(seat, STARTING, self.now + self.state.limits.start)
        self.act(Fork(seat.generation, seat.number))

    def _free(self) -> int:
        number = 1
        while number in self.seats:
            number += 1
        return number

    def _retire(self) -> None:
        """Those that are too many: old generations first, then the worn, then the oldest."""
        ready = sorted(self.of(READY), key=lambda seat: (seat.generation == self.state.goal, not seat.worn, seat.since))
        for seat in ready[: max(0, len(ready) - self.state.wanted)]:
            if seat.worn == "stuck":
                self._kill(seat)
            else:
                self.act(Retire(seat.number, last=not self.state.wanted))
                self.put(seat, RETIRING, self.now + self.state.limits.drain + GRACE)
        # With fewer wanted, some that start may be too many.
        extra = len(self.of(READY)) + len(self.of(STARTING)) - self.state.wanted - self.state.limits.surge
        for seat in sorted(self.of(STARTING), key=lambda seat: -seat.since)[: max(0, extra)]:
            self.act(Kill(seat.number, False))
            self.put(seat, RETIRING, self.now + GRACE)

    def _kill(self, seat: Seat) -> None:
        self.act(Kill(seat.number, True))
        self.put(seat, KILLED)

    def _finish_reload(self) -> None:
        ready = self.of(READY)
        goal = self.generations.get(self.state.goal)
        if not self.state.reload or goal is None or goal.state != LOADED or len(ready) < self.state.wanted:
            return
        if any(seat.generation != self.state.goal for seat in ready):
            return
        self.change(reload=False, good=self.state.goal)
        self._forget_templates()
        self.act(Record(""), Log("info", f"reloaded: generation {self.state.goal} serves"), Notify("READY=1"))

    def _forget_templates(self) -> None:
        for number in [number for number in self.generations if number != self.state.goal]:
            del self.generations[number]
            self.act(KillTemplate(number))

    def _fail_reload(self, text: str) -> None:
        failed = self.state.goal
        if self.generations.pop(failed, None) is not None:
            self.act(KillTemplate(failed))
        self.change(goal=self.state.good, reload=False)
        self.act(Log("error", f"the reload failed, generation {self.state.good} goes on: {text}"), Record(text))
        self.act(Notify("READY=1"))

    def _begin_what_waits(self) -> None:
        generation = self.generations.get(self.state.goal)
        quiet = generation is not None and generation.state != LOADING
        if self.state.replace == "wanted" and quiet and not self.state.reload and not self.of(STARTING):
            self.change(replace="checking")
            self.act(Check())
        # Old workers must not pile up: before the next reload those before the last one must have gone.
        retiring = {seat.generation for seat in self.of(RETIRING, KILLED)}
        if self.state.again and not self.state.reload and not self.state.replace and quiet and len(retiring) < 2:
            self._begin_reload()

    def _begin_reload(self) -> None:
        number = self.state.last + 1
        if self.state.good:
            self.change(reload=True)
            self.act(Notify("RELOADING=1"))
        self.change(goal=number, last=number, again=False)
        for dead in [it.number for it in self.generations.values() if it.state == DEAD]:
            del self.generations[dead]
        self._start_template()
        self._end_strangers()

    def _drain(self) -> None:
        """Everybody ends what is in progress."""
        self.change(mode=STOPPING, due=NEVER, reload=False, again=False, replace="")
        self.act(Log("info", "draining"), Notify("STOPPING=1"), Unlisten())
        for seat in list(self.seats.values()):
            if seat.state == BACKOFF:
                del self.seats[seat.number]
            elif seat.state == READY:
                self.act(Retire(seat.number, last=True))
                self.put(seat, RETIRING, self.now + self.state.limits.drain + GRACE)
            elif seat.state == RETIRING:
                self.act(Retire(seat.number, last=True))
            elif seat.state == STARTING:
                self.act(Kill(seat.number, False))
                self.put(seat, RETIRING, self.now + GRACE)
        for number in self.generations:
            self.act(KillTemplate(number))
        self.generations.clear()


HEAR: Final[dict[type, Callable[[_Work, Any], None]]] = {
    Tick: _Work._tick,
    TemplateLoaded: _Work._template_loaded,
    TemplateFailed: _Work._template_failed,
    TemplateExited: _Work._template_exited,
    WorkerStarted: _Work._worker_started,
    WorkerReady: _Work._worker_ready,
    WorkerFailed: _Work._worker_failed,
    WorkerExited: _Work._worker_exited,
    WorkerWorn: _Work._worker_worn,
    WorkerStuck: _Work._worker_stuck,
    Hup: _Work._hup,
    Refused: _Work._refused,
    Term: _Work._term,
    Int: _Work._int,
    Ttin: _Work._ttin,
    Ttou: _Work._ttou,
    Winch: _Work._winch,
    Usr2: _Work._usr2,
    ReplacementChecked: _Work._replacement_checked,
}
"""What each event does at once; ``_Work.settle`` does what follows."""
