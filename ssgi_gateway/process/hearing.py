"""What each event does at once; what follows from it is ``settling``'s."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ssgi_gateway.process.actions import Ask, Exec, Exit, Kill, KillTemplate, Log, Notify, Record
from ssgi_gateway.process.events import (
    Event,
    Hup,
    Int,
    Refused,
    ReplacementChecked,
    TemplateExited,
    TemplateFailed,
    TemplateLoaded,
    Term,
    Tick,
    Ttin,
    Ttou,
    Usr2,
    Winch,
    WorkerExited,
    WorkerFailed,
    WorkerReady,
    WorkerStarted,
    WorkerStuck,
    WorkerWorn,
)  # fmt: skip
from ssgi_gateway.process.settling import Settling
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
    Generation,
    Seat,
)  # fmt: skip
from ssgi_gateway.process.step import ANSWER, GRACE, backoff
from ssgi_gateway.settings.values import MAX_WORKERS

__all__ = ["Hearing"]

YOUNG = 10.0
"""A worker that served for less than these seconds died young: the next one is not forked at once."""
HURRY = 2.0
"""Seconds between "now" and SIGKILL."""
EXPECTED = ("exit status 0", "killed by SIGTERM")
"""How a worker that was stopped may end: by the signal itself, if it was still starting."""


class Hearing(Settling):
    """The part of a step that has a method for each event."""

    def hear(self, event: Event) -> None:
        """Something has happened."""
        HEAR[type(event)](self, event)

    def _tick(self, _: Tick) -> None:
        for seat in [seat for seat in self.seats.values() if seat.due <= self.now]:
            self._late(seat)
        for generation in [it for it in self.generations.values() if it.due <= self.now and it.state == DEAD]:
            self.generations[generation.number] = generation._replace(due=NEVER)  # from now on as soon as it may
        for generation in [it for it in self.generations.values() if it.due <= self.now and it.state == LOADING]:
            self._late_template(generation)
        if self.state.due <= self.now:
            if self.state.mode == DELAYED:
                self.drain()
            elif self.state.mode == FAST:
                self.change(due=NEVER)
                for seat in self.of(*RUNNING):
                    self.kill(seat)

    def _late_template(self, generation: Generation) -> None:
        if not generation.asked:
            self.act(Ask(0, generation.number))
            self.generations[generation.number] = generation._replace(due=self.now + ANSWER, asked=True)
            return
        self.act(KillTemplate(generation.number))
        text = f"the template was not loaded after {self.state.limits.start:g} s (--deadline-start)"
        self._template_failed(TemplateFailed(generation.number, text))

    def _late(self, seat: Seat) -> None:
        if seat.state == STARTING and seat.pid and not seat.asked:
            self.act(Ask(seat.number, seat.generation))
            self.seats[seat.number] = seat._replace(due=self.now + ANSWER, asked=True)
        elif seat.state == STARTING:
            self.kill(seat)
            self._start_failed(
                seat, f"a worker was not ready after {self.state.limits.start:g} s (--deadline-start)", 2
            )
        elif seat.state == RETIRING:
            self.act(Log("warning", f"worker {seat.number} did not end in time; it is killed"))
            self.kill(seat)
        elif seat.state == READY:  # it is stuck, and its successor is late
            self.kill(seat)
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
            self.fail_reload(event.text)
        elif not self.state.good:
            self.act(Exit(2, event.text))
        else:
            self.act(Log("error", f"a new template for generation {known.number} failed: {event.text}"))
            self._dead(known)

    def _template_exited(self, event: TemplateExited) -> None:
        known = self.generations.get(event.generation)
        if known is None:
            return
        if known.state == LOADING:
            self._template_failed(TemplateFailed(known.number, f"the template ended before it was loaded: {event.how}"))
        elif known.number == self.state.goal and self.state.mode in (SERVING, DELAYED):
            self.act(Log("warning", f"the template ended: {event.how}; the next one may load newer code"))
            self._dead(known)
        else:
            del self.generations[known.number]

    def _dead(self, generation: Generation) -> None:
        deaths = generation.deaths + 1
        self.generations[generation.number] = Generation(generation.number, DEAD, self.now + backoff(deaths), deaths)

    def _worker_started(self, event: WorkerStarted) -> None:
        seat = self.seats.get(event.seat)
        if seat is not None and seat.state in RUNNING:
            self.seats[seat.number] = seat._replace(pid=event.pid)
            if seat.state != STARTING:
                self.act(Kill(seat.number, seat.state == KILLED))  # it is not wanted any more

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
            if event.how == EXPECTED[0]:
                why = "with exit status 0: somebody has sent it SIGTERM, or the application has ended it"
                self.act(Log("warning", f"worker {seat.number} (process {seat.pid}) ended {why}"))
            else:
                self.act(Log("error", f"worker {seat.number} (process {seat.pid}) ended: {event.how}"))
            young = self.now - seat.since < YOUNG
            if young and self.state.mode in (SERVING, DELAYED) and not seat.worn:
                self._back_off(seat)
        elif seat.state == STARTING and not event.pid:
            self.act(Log("error", f"worker {seat.number} could not be started: {event.how}; trying again"))
            self._back_off(seat)
        elif seat.state == STARTING:
            self._start_failed(seat, f"a worker ended before it was ready: {event.how}", 2)
        elif seat.state == RETIRING and event.how not in EXPECTED and seat.pid and seat.worn != "failed":
            self.act(Log("warning", f"worker {seat.number} (process {seat.pid}) ended: {event.how}"))

    def _back_off(self, seat: Seat) -> None:
        deaths = seat.deaths + 1
        self.put(seat._replace(deaths=deaths, pid=0, worn=""), BACKOFF, self.now + backoff(deaths))

    def _start_failed(self, seat: Seat, text: str, status: int) -> None:
        """A worker could not start, and has ended or is about to."""
        if self.state.mode not in (SERVING, DELAYED) or seat.generation != self.state.goal:
            return
        if self.state.reload and any(other.generation != self.state.goal for other in self.of(READY)):
            self.fail_reload(text)
        elif not self.state.good:
            self.act(Exit(status, text))
        elif self.state.before_ttin:
            before = self.state.before_ttin
            self.change(wanted=before, before_ttin=0)
            self.act(Log("error", f"no more workers than the {before} there are: {text}"))
        else:
            self.act(Log("error", f"worker {seat.number} could not start: {text}"))
            taken = seat.number in self.seats  # the process is still there
            number = self.free() if taken else seat.number
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
        self.change(before_hup=self.state.before_hup or self.state.wanted)
        self.change(wanted=event.wanted, limits=event.limits, before_winch=0, before_ttin=0, again=True)
        generation = self.generations.get(self.state.goal)
        if generation is not None and generation.state == LOADING and self.state.replace != "checking":
            # It may have read half of what is new.
            self.act(KillTemplate(generation.number))
            del self.generations[generation.number]
            self.begin_reload()

    def _refused(self, event: Refused) -> None:
        # A service manager that has sent the signal itself (Type=notify-reload) waits for both.
        self.act(Log("error", f"no reload: {event.text}"), Record(event.text, begun=False))
        if self.state.mode == SERVING and self.state.good and not self.state.reload:
            self.act(Notify("RELOADING=1"), Notify("READY=1"))

    def _term(self, _: Term) -> None:
        delay = self.state.limits.stop_delay
        if self.state.mode == SERVING and delay:
            self.act(Log("info", f"stopping in {delay:g} s"), Notify("STOPPING=1"))
            self.change(mode=DELAYED, due=self.now + delay)
        elif self.state.mode in (SERVING, DELAYED):
            self.drain()
        else:
            self._int(Int())

    def _int(self, _: Int) -> None:
        if self.state.mode == FAST:
            for seat in self.of(*RUNNING):
                self.kill(seat)
            return
        if self.state.mode != STOPPING:
            self.drain()
        self.act(Log("warning", "not waiting any longer"))
        self.change(mode=FAST, due=self.now + HURRY)
        self.act(*(Kill(seat.number, False) for seat in self.of(*RUNNING)))

    def _ttin(self, _: Ttin) -> None:
        before = self.state.before_ttin or self.state.wanted
        self._want((self.state.wanted or self.state.before_winch) + 1)
        self.change(before_ttin=before)

    def _ttou(self, _: Ttou) -> None:
        if self.state.wanted:  # after SIGWINCH there are none, and it is not this that brings them back
            self._want(self.state.wanted - 1)

    def _want(self, wanted: int) -> None:
        wanted = max(1, min(MAX_WORKERS, wanted))
        least_or_most = (
            ", which is the least" if wanted == 1 else ", which is the most" if wanted == MAX_WORKERS else ""
        )
        changed = wanted != self.state.wanted
        self.change(wanted=wanted, before_winch=0, before_ttin=0, before_hup=0)
        self.act(Log("info", f"workers wanted: {wanted}{'' if changed else least_or_most}"))

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


HEAR: Final[dict[type, Callable[[Hearing, Any], None]]] = {
    Tick: Hearing._tick,
    TemplateLoaded: Hearing._template_loaded,
    TemplateFailed: Hearing._template_failed,
    TemplateExited: Hearing._template_exited,
    WorkerStarted: Hearing._worker_started,
    WorkerReady: Hearing._worker_ready,
    WorkerFailed: Hearing._worker_failed,
    WorkerExited: Hearing._worker_exited,
    WorkerWorn: Hearing._worker_worn,
    WorkerStuck: Hearing._worker_stuck,
    Hup: Hearing._hup,
    Refused: Hearing._refused,
    Term: Hearing._term,
    Int: Hearing._int,
    Ttin: Hearing._ttin,
    Ttou: Hearing._ttou,
    Winch: Hearing._winch,
    Usr2: Hearing._usr2,
    ReplacementChecked: Hearing._replacement_checked,
}
"""What each event does at once; ``Settling.settle`` does what follows."""
