"""What follows from what is: ``Settling.settle`` brings what is nearer to what is wanted, whatever has happened."""

from __future__ import annotations

from typing import Final

from ssgi_gateway.process.actions import (
    Check,
    Exec,
    Exit,
    Fork,
    Kill,
    KillTemplate,
    Log,
    Notify,
    Record,
    Retire,
    StartTemplate,
    Unlisten,
)  # fmt: skip
from ssgi_gateway.process.states import (
    BACKOFF,
    DEAD,
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
    Generation,
    Seat,
)  # fmt: skip
from ssgi_gateway.process.step import GRACE, Step

__all__ = ["Settling"]

LAST: Final = (Exit, Exec)
"""Nothing is done after them: what the plan would have had done, a successor would take for done."""


class Settling(Step):
    """The part of a step that does not depend on what has happened."""

    def settle(self) -> None:
        """Bring what is nearer to what is wanted."""
        if any(type(action) in LAST for action in self.actions):
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
        if len(self.of(READY)) >= self.state.wanted:
            self.change(before_ttin=0)

    def _end_strangers(self) -> None:
        """Workers that start for a generation that is not wanted any more."""
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
            self._start(Seat(self.free(), goal.number, STARTING, self.now))

    def _start(self, seat: Seat) -> None:
        seat = seat._replace(generation=self.state.goal, pid=0, worn="", asked=False)
        self.put(seat, STARTING, self.now + self.state.limits.start)
        self.act(Fork(seat.generation, seat.number))

    def free(self) -> int:
        """The lowest number that is free."""
        number = 1
        while number in self.seats:
            number += 1
        return number

    def _retire(self) -> None:
        """Those that are too many: old generations first, then the worn, then the oldest."""
        ready = sorted(self.of(READY), key=lambda seat: (seat.generation == self.state.goal, not seat.worn, seat.since))
        for seat in ready[: max(0, len(ready) - self.state.wanted)]:
            if seat.worn == "stuck":
                self.kill(seat)
            else:
                self.act(Retire(seat.number, last=not self.state.wanted))
                self.put(seat, RETIRING, self.now + self.state.limits.drain + GRACE)
        # With fewer wanted, some that start may be too many.
        extra = len(self.of(READY)) + len(self.of(STARTING)) - self.state.wanted - self.state.limits.surge
        for seat in sorted(self.of(STARTING), key=lambda seat: -seat.since)[: max(0, extra)]:
            self.act(Kill(seat.number, False))
            self.put(seat, RETIRING, self.now + GRACE)

    def _finish_reload(self) -> None:
        ready = self.of(READY)
        goal = self.generations.get(self.state.goal)
        if not self.state.reload or goal is None or goal.state != LOADED or len(ready) < self.state.wanted:
            return
        if any(seat.generation != self.state.goal for seat in ready):
            return
        self.change(reload=False, good=self.state.goal)
        if not self.state.again:
            self.change(before_hup=0)
        self._forget_templates()
        self.act(Record(""), Log("info", f"reloaded: generation {self.state.goal} serves"), Notify("READY=1"))

    def _forget_templates(self) -> None:
        for number in [number for number in self.generations if number != self.state.goal]:
            del self.generations[number]
            self.act(KillTemplate(number))

    def fail_reload(self, text: str) -> None:
        """The old generation goes on."""
        failed = self.state.goal
        if self.generations.pop(failed, None) is not None:
            self.act(KillTemplate(failed))
        self.change(goal=self.state.good, reload=False)
        if self.state.before_hup and not self.state.again:  # another number was wanted of what has failed
            self.change(wanted=self.state.before_hup, before_hup=0)
        self.act(Log("error", f"the reload failed, generation {self.state.good} goes on: {text}"), Record(text))
        self.act(Notify("READY=1"))

    def _begin_what_waits(self) -> None:
        generation = self.generations.get(self.state.goal)
        quiet = generation is not None and generation.state != LOADING
        if self.state.replace == "wanted" and quiet and not self.state.reload and not self.of(STARTING):
            self.change(replace="checking")
            self.act(Check())
        # Old workers must not pile up: before the next reload those before the last one must have ended.
        retiring = {seat.generation for seat in self.of(RETIRING, KILLED)}
        if self.state.again and not self.state.reload and not self.state.replace and quiet and len(retiring) < 2:
            self.begin_reload()

    def begin_reload(self) -> None:
        """Start a new generation."""
        number = self.state.last + 1
        if self.state.good:
            self.change(reload=True)
            self.act(Notify("RELOADING=1"))
        self.change(goal=number, last=number, again=False)
        for dead in [it.number for it in self.generations.values() if it.state == DEAD]:
            del self.generations[dead]
        self._start_template()
        self._end_strangers()

    def drain(self) -> None:
        """All workers end what is in progress."""
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
