"""The plan: each rule by itself, then any sequence of events against a world that answers to its actions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway.process import states
from ssgi_gateway.process.actions import (
    Ask,
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
)
from ssgi_gateway.process.events import (
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
)
from ssgi_gateway.process.plan import next_due, plan
from ssgi_gateway.process.states import Limits, Seat, State
from ssgi_gateway.settings.values import MAX_WORKERS


class Actions(list):
    """Actions without fields are all ``()`` to ``==``, so the kinds have to be the same, too."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return list.__eq__(self, other) and list(map(type, self)) == list(map(type, other))


class World:
    """Templates and workers as they would be, were every action done at once; answers come when a test says so."""

    def __init__(self, wanted: int = 2, **limits: Any) -> None:
        self.now = 100.0
        self.limits = Limits(**limits)
        self.state = State(wanted, self.limits)
        self.loading: list[int] = []
        self.templates: set[int] = set()
        self.starting: list[int] = []
        self.alive: dict[int, int] = {}  # pid by seat
        self.draining: list[int] = []
        self.status: int | None = None
        self.next_pid = 1000
        self.done: list[Any] = []
        self.stuck = False
        self.replaced = False  # the successor has not looked around yet
        self.hear(Tick())

    def hear(self, event: Any) -> list[Any]:
        """An event, and what follows at once; returns the actions but log lines."""
        self.state, actions = plan(self.state, event, self.now)
        assert not any(isinstance(action, Exec | Exit) for action in actions[:-1]), "it would not be done"
        for action in actions:
            self.act(action)
        self.done += actions
        return Actions(it for it in actions if type(it) is not Log)

    def act(self, action: Any) -> None:
        match action:
            case StartTemplate(number):
                assert number not in self.templates
                self.loading.append(number)
                self.templates.add(number)
            case KillTemplate(number):
                self.templates.discard(number)
                self.loading = [it for it in self.loading if it != number]
            case Fork(generation, seat):
                assert generation in self.templates
                assert seat not in self.alive
                self.next_pid += 1
                self.alive[seat] = self.next_pid
                self.starting.append(seat)
            case Retire(seat):
                assert seat in self.alive
                self.draining.append(seat)
            case Kill(seat, hard):
                if seat in self.alive:
                    self.draining.append(seat)
                    if hard:
                        self.end(seat)
            case Exec():
                self.replaced = True
            case Exit(status):
                assert self.status is None
                self.status = status

    def end(self, seat: int, how: str = "exit status 0") -> None:
        """A worker ends; the plan hears of it later."""
        pid = self.alive.pop(seat)
        self.starting = [it for it in self.starting if it != seat]
        self.draining = [it for it in self.draining if it != seat]
        self.ended = [*getattr(self, "ended", []), WorkerExited(seat, pid, how)]

    def tell_ends(self) -> None:
        ended, self.ended = getattr(self, "ended", []), []
        for event in ended:
            self.hear(event)

    def load(self) -> None:
        if self.loading:
            self.hear(TemplateLoaded(self.loading.pop(0)))

    def start(self) -> None:
        if self.starting:
            seat = self.starting.pop(0)
            self.hear(WorkerStarted(seat, self.alive[seat]))
            self.hear(WorkerReady(seat))

    def drain(self) -> None:
        if self.draining:
            self.end(self.draining[0])
        self.tell_ends()

    def settle(self) -> None:
        """Everything that is under way comes to its end."""
        if self.replaced:
            self.replaced = False
            self.hear(Tick())
        for _ in range(2000):
            if not (self.loading or self.starting or self.draining or getattr(self, "ended", [])):
                return
            self.load()
            self.start()
            self.drain()
        raise AssertionError(f"it never settles: {self.state}")

    def ready(self, generation: int | None = None) -> list[Seat]:
        return [
            seat for seat in self.state.seats.values()
            if seat.state == states.READY and generation in (None, seat.generation)
        ]  # fmt: skip


@pytest.fixture
def world():
    world = World()
    world.settle()
    return world


# -- starting --------------------------------------------------------------------------------------------------------


def test_the_first_worker_shows_whether_the_application_starts_and_then_all_start():
    world = World(4)
    assert world.done == [StartTemplate(1)]
    assert world.hear(TemplateLoaded(1)) == [Fork(1, 1)]
    world.starting.clear()
    assert world.hear(WorkerReady(1)) == [Notify("READY=1"), Fork(1, 2), Fork(1, 3), Fork(1, 4)]


def test_a_first_generation_that_fails_is_the_end():
    world = World()
    assert world.hear(TemplateFailed(1, "no such module")) == [Exit(2, "no such module")]
    world = World()
    world.load()
    assert world.hear(WorkerFailed(1, "no database", 3)) == [Exit(3, "no database")]


def test_a_silent_template_is_given_up():
    world = World()
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [Ask(0, 1)]
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [KillTemplate(1), Exit(2, "the template was not loaded after 60 s (--deadline-start)")]


@pytest.mark.parametrize("answers", [True, False])
def test_a_worker_that_takes_too_long_shows_where_it_is(world, answers):
    world.hear(Hup(2, world.limits))
    world.load()
    world.hear(WorkerStarted(3, world.alive[3]))
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [Ask(3, 2)]
    assert len(world.ready(1)) == 2
    if answers:
        text = "it was here"
        actions = world.hear(WorkerFailed(3, text))
    else:
        text = "a worker was not ready after 60 s (--deadline-start)"
        world.now = next_due(world.state)
        actions = world.hear(Tick())
        assert actions.pop(0) == Kill(3, True)
    assert actions == [KillTemplate(2), Record(text), Notify("READY=1")]


def test_one_that_is_ready_just_then_serves(world):
    world.hear(Ttin())
    world.hear(WorkerStarted(3, world.alive[3]))
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [Ask(3, 1)]
    world.hear(WorkerReady(3))
    assert len(world.ready()) == 3
    assert next_due(world.state) == states.NEVER


# -- reloading -------------------------------------------------------------------------------------------------------


def test_a_reload_retires_only_who_has_a_successor(world):
    assert world.hear(Hup(2, world.limits)) == [Notify("RELOADING=1"), StartTemplate(2)]
    assert len(world.ready(1)) == 2
    assert world.hear(TemplateLoaded(2)) == [Fork(2, 3)]
    world.starting.clear()
    assert world.hear(WorkerReady(3)) == [Retire(1), Fork(2, 4)]
    world.settle()
    assert [seat.generation for seat in world.ready()] == [2, 2]
    assert world.templates == {2}
    assert Record("") in world.done


def test_a_reload_whose_template_fails_changes_nothing(world):
    world.hear(Hup(2, world.limits))
    actions = world.hear(TemplateFailed(2, "SyntaxError"))
    assert actions == [Record("SyntaxError"), Notify("READY=1")]
    assert len(world.ready(1)) == 2
    world.loading.clear()
    world.hear(Hup(2, world.limits))
    assert world.state.goal == 3  # numbers are not used again


def test_a_reload_whose_second_worker_fails_brings_the_old_generation_back(world):
    world.hear(Hup(2, world.limits))
    world.load()
    world.start()
    seat = world.starting[0]
    actions = world.hear(WorkerFailed(seat, "only one may run", 2))
    assert Record("only one may run") in actions
    world.draining.append(seat)
    world.settle()
    assert [it.generation for it in world.ready()] == [1, 1]
    assert world.templates == {1}


def test_a_second_reload_before_the_template_has_loaded_starts_it_anew(world):
    world.hear(Hup(2, world.limits))
    assert world.hear(Hup(2, world.limits)) == [KillTemplate(2), Notify("RELOADING=1"), StartTemplate(3)]


def test_a_reload_during_a_reload_comes_after_it(world):
    world.hear(Hup(2, world.limits))
    world.load()
    world.hear(Hup(2, world.limits))
    world.hear(Hup(2, world.limits))
    world.settle()
    assert [it.generation for it in world.ready()] == [3, 3]


def test_old_generations_do_not_pile_up():
    world = World(1)
    world.load()
    world.start()
    for _ in range(50):
        world.hear(Hup(1, world.limits))
        for _ in range(5):
            world.load()
            world.start()  # those that retire do not end
    assert len({seat.generation for seat in world.state.seats.values()}) <= 3
    world.settle()
    assert len(world.ready()) == 1


def test_settings_that_are_wrong_change_nothing(world):
    refused = Record("--workers: 'x'", begun=False)
    assert world.hear(Refused("--workers: 'x'")) == [refused, Notify("RELOADING=1"), Notify("READY=1")]
    assert world.state.goal == 1


def test_settings_that_are_wrong_do_not_end_a_reload_that_is_under_way(world):
    """The service manager is told of the end of that one; nothing of it is taken back."""
    world.hear(Hup(2, world.limits))
    assert world.hear(Refused("--workers: 'x'")) == [Record("--workers: 'x'", begun=False)]
    world.settle()
    assert len(world.ready(2)) == 2
    assert Record("") in world.done


@pytest.mark.parametrize("wanted", [1, 4])
def test_a_reload_that_fails_leaves_the_number_of_workers_as_it_was(world, wanted):
    """What was wanted more would be of the old generation, with the new application's mistakes."""
    world.hear(Hup(wanted, world.limits))
    world.hear(TemplateFailed(2, "no"))
    world.settle()
    assert world.state.wanted == 2
    assert len(world.ready(1)) == 2
    world.hear(Hup(wanted, world.limits))
    world.settle()
    assert len(world.ready(3)) == wanted
    world.hear(Hup(2, world.limits))
    world.hear(Ttin())
    world.hear(TemplateFailed(4, "no"))
    assert world.state.wanted == 3, "that was asked for by itself"


# -- ends ------------------------------------------------------------------------------------------------------------


def test_a_worker_that_ends_after_long_service_is_replaced_at_once(world):
    world.now += 11
    world.end(1, "killed by SIGSEGV")
    [event] = world.ended
    assert world.hear(event) == [Fork(1, 1)]


def test_workers_that_die_young_wait_longer_and_longer():
    world = World(1)
    world.load()
    world.start()
    waits = []
    for _ in range(12):
        world.end(1, "exit status 3")
        world.tell_ends()
        waits.append(round(next_due(world.state) - world.now, 3))
        world.now = next_due(world.state)
        assert world.hear(Tick()) == [Fork(1, 1)]
        world.start()
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30, 30]


def test_a_fork_that_the_system_refuses_is_tried_again(world):
    world.now += 11
    world.end(1, "killed by SIGKILL")
    world.tell_ends()
    world.alive.pop(1)
    world.starting.clear()
    assert world.hear(WorkerExited(1, 0, "Resource temporarily unavailable")) == []
    assert world.status is None
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [Fork(1, 1)]


def test_a_template_that_dies_is_started_again(world):
    world.templates.discard(1)
    assert world.hear(TemplateExited(1, "killed by SIGKILL")) == []
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [StartTemplate(1)]
    assert len(world.ready()) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_a_silent_worker_is_not_waited_for(world, killed):
    """It was to be forked, and its template is gone, or it ended before it said who it is; its seat is free again."""
    world.hear(Ttin())
    if killed:
        world.hear(Ttou())
    world.starting.clear()
    world.alive.pop(3)
    world.draining.clear()
    world.hear(WorkerExited(3, 0, "it ended before it had begun"))
    world.now += 1
    world.hear(Tick())
    world.settle()
    assert len(world.ready()) == len(world.state.seats) == world.state.wanted


def test_who_does_not_end_in_time_is_killed(world):
    world.hear(Ttou())
    world.now = next_due(world.state)
    assert world.now == 135
    [action] = world.hear(Tick())
    assert action == Kill(world.done[-1].seat, True)


# -- recycling -------------------------------------------------------------------------------------------------------


def test_worn_workers_are_replaced_one_after_the_other_by_successors(world):
    assert world.hear(WorkerWorn(1, "requests")) == [Fork(1, 3)]
    assert world.hear(WorkerWorn(2, "requests")) == []
    assert Retire(1) in world.hear(WorkerReady(3))
    assert world.ready()
    world.starting = [seat for seat in world.starting if seat != 3]
    world.settle()
    assert all(not seat.worn for seat in world.ready())
    assert len(world.ready()) == 2


def test_a_stuck_worker_is_killed_when_its_successor_serves_or_is_late(world):
    assert world.hear(WorkerStuck(1)) == [Fork(1, 3)]
    assert Kill(1, True) in world.hear(WorkerReady(3))
    world = World(1)
    world.load()
    world.start()
    world.hear(WorkerStuck(1))
    world.now = next_due(world.state)
    assert Kill(1, True) in world.hear(Tick())


# -- more, fewer, none -----------------------------------------------------------------------------------------------


def test_more_and_fewer(world):
    assert world.hear(Ttin()) == [Fork(1, 3)]
    world.settle()
    for _ in range(5):
        world.hear(Ttou())
    world.settle()
    assert len(world.ready()) == 1
    assert Log("info", "workers wanted: 1, which is the least") in world.done
    world.state = world.state._replace(wanted=MAX_WORKERS)
    world.hear(Ttin())
    assert world.state.wanted == MAX_WORKERS
    assert Log("info", f"workers wanted: {MAX_WORKERS}, which is the most") in world.done


@pytest.mark.parametrize(("how", "lines"), [("killed by SIGTERM", 0), ("exit status 0", 0), ("killed by SIGSEGV", 1)])
def test_a_worker_that_is_stopped_while_it_starts_may_end_by_the_signal(world, how, lines):
    world.hear(Ttin())
    world.hear(WorkerStarted(3, world.alive[3]))
    world.hear(Term())
    assert Kill(3, False) in world.done
    world.end(3, how)
    world.tell_ends()
    assert len([action for action in world.done if type(action) is Log and action.level != "info"]) == lines


def test_one_more_that_the_application_refuses_is_no_more_wanted(world):
    """What keeps things in memory cannot have a second worker: it is asked once, and the others go on."""
    world.hear(Ttin())
    assert world.hear(WorkerFailed(3, "MemorySessions keeps sessions in one process")) == []
    assert (
        Log("error", "no more workers than the 2 there are: MemorySessions keeps sessions in one process") in world.done
    )
    world.end(3)
    world.tell_ends()
    world.now += 100
    assert world.hear(Tick()) == []
    assert world.state.wanted == 2
    world.hear(Ttin())
    world.settle()
    assert len(world.ready()) == 3


def test_one_that_fails_later_is_tried_again(world):
    """It had started before, so the application can."""
    world.hear(Ttin())
    world.settle()
    world.now += 100
    world.end(3, "killed by SIGKILL")
    world.tell_ends()
    world.hear(WorkerFailed(3, "the database is away"))
    assert world.state.wanted == 3


@pytest.mark.parametrize("event", [Ttin(), Hup(2, Limits())])
def test_none_until_it_is_used(world, event):
    assert world.hear(Winch()) == [Retire(1, True), Retire(2, True)]
    world.settle()
    assert not world.ready()
    assert world.status is None
    assert world.hear(Ttou()) == []
    world.hear(event)
    world.settle()
    assert len(world.ready()) >= 2


# -- stopping --------------------------------------------------------------------------------------------------------


def test_a_stop_drains_everybody_and_ends(world):
    actions = world.hear(Term())
    assert actions == [Notify("STOPPING=1"), Unlisten(), Retire(1, True), Retire(2, True), KillTemplate(1)]
    world.settle()
    assert world.status == 0


def test_a_second_signal_does_not_wait(world):
    world.hear(Term())
    assert world.hear(Term()) == [Kill(1, False), Kill(2, False)]
    world.now = next_due(world.state)
    assert world.hear(Tick()) == [Kill(1, True), Kill(2, True)]


def test_a_delayed_stop_goes_on_serving():
    world = World(1, stop_delay=5.0)
    world.settle()
    assert world.hear(Term()) == [Notify("STOPPING=1")]
    assert world.hear(Hup(1, world.limits)) == []
    world.end(1, "killed by SIGKILL")
    world.now += 1
    world.tell_ends()
    world.now = next_due(world.state)
    world.hear(Tick())
    world.settle()
    assert world.ready()
    world.now = 105.0
    assert Unlisten() in world.hear(Tick())
    world.settle()
    assert world.status == 0


# -- replacement -----------------------------------------------------------------------------------------------------


def test_the_supervisor_is_replaced_when_nothing_starts(world):
    world.hear(Ttin())
    assert world.hear(Usr2()) == []
    world.starting.clear()
    assert world.hear(WorkerReady(3)) == [Check()]
    assert world.hear(Hup(3, world.limits)) == []  # waits
    assert world.hear(ReplacementChecked(""))[0] == Exec()


def test_what_has_to_be_done_after_a_replacement_is_the_successors(world):
    """The exec does not return: a fork that is planned with it would never be done, and its worker waited for."""
    world.hear(Usr2())
    assert world.hear(Ttin()) == []
    assert world.hear(ReplacementChecked("")) == [Exec()]
    assert world.hear(Tick()) == [Fork(1, 3)]


def test_a_supervisor_that_could_not_take_over_is_left_out(world):
    world.hear(Usr2())
    assert world.hear(ReplacementChecked("SyntaxError")) == []
    assert world.state.replace == ""


# -- any sequence ----------------------------------------------------------------------------------------------------

SIGNALS = (Hup(2, Limits()), Hup(3, Limits()), Ttin(), Ttou(), Usr2(), Refused("x"))
ANSWERS = ("load", "start", "drain", "crash", "fail load", "fail start", "kill template", "wait", "worn", "stuck",
           "unforked", "checked", "unchecked")  # fmt: skip
EVENTS = st.one_of(st.sampled_from(SIGNALS), st.tuples(st.sampled_from(ANSWERS), st.integers(0, 7)))


def play(world: World, event: Any) -> None:  # noqa: C901 - a table
    if hasattr(event, "_fields"):
        world.hear(event)
        return
    what, which = event
    ready = world.ready()
    match what:
        case "load" | "start" | "drain":
            getattr(world, what)()
        case "crash" if ready and world.crashes:
            world.crashes -= 1
            world.end(ready[which % len(ready)].number, "killed by SIGSEGV")
            world.tell_ends()
        case "fail load" if world.loading:
            number = world.loading.pop(0)
            world.templates.discard(number)
            world.hear(TemplateFailed(number, "cannot be imported"))
        case "fail start" if world.starting:
            seat = world.starting.pop(0)
            world.draining.append(seat)
            world.hear(WorkerStarted(seat, world.alive[seat]))
            world.hear(WorkerFailed(seat, "cannot start"))
        case "kill template" if world.templates:
            number = sorted(world.templates)[which % len(world.templates)]
            world.templates.discard(number)
            world.loading = [it for it in world.loading if it != number]
            unborn = []
            for seat in [it for it in world.state.seats.values() if it.generation == number and not it.pid]:
                if seat.number in world.starting:
                    world.starting.remove(seat.number)
                    world.alive.pop(seat.number, None)
                    world.draining = [it for it in world.draining if it != seat.number]
                    unborn.append(WorkerExited(seat.number, 0, "it ended before it had begun"))
            # Which of the ends is heard of first is not said.
            told = [*unborn, TemplateExited(number, "killed by SIGKILL")]
            for end in told if which % 2 else reversed(told):
                world.hear(end)
        case "wait":
            due = next_due(world.state)
            world.now = min(due, world.now + 40)
            world.hear(Tick())
            world.tell_ends()
        case "worn" if ready:
            world.hear(WorkerWorn(ready[which % len(ready)].number, "requests"))
        case "stuck" if ready:
            world.stuck = True
            world.hear(WorkerStuck(ready[which % len(ready)].number))
            world.tell_ends()
        case "unforked" if world.starting:
            seat = world.starting.pop(0)
            world.alive.pop(seat)
            world.draining = [it for it in world.draining if it != seat]
            world.hear(WorkerExited(seat, 0, "Resource temporarily unavailable"))
        case "checked" | "unchecked" if world.state.replace == "checking":
            world.hear(ReplacementChecked("" if what == "checked" else "SyntaxError"))


@settings(max_examples=1500, deadline=None)
@given(st.integers(1, 4), st.lists(EVENTS, max_size=60), st.booleans())
def test_any_sequence_of_events(wanted, events, late):
    world = World(wanted)
    world.crashes = 0
    world.settle()
    for event in events:
        before = len(world.ready())
        play(world, event)
        assert next_due(world.state) > world.now or event[:1] != ("wait",), "a supervisor that is never at rest"
        active = [seat for seat in world.state.seats.values() if seat.state in (states.STARTING, states.READY)]
        assert len(active) <= max(world.state.wanted + world.state.limits.surge, before)
        # Only a stuck one whose successor is late may be the last that goes.
        assert world.ready() or world.stuck
        if world.status is not None:
            return
    # Left alone, it comes to what is wanted.
    for _ in range(30):
        world.settle()
        if world.state.replace == "checking":
            world.hear(ReplacementChecked(""))
        if next_due(world.state) != states.NEVER:
            assert next_due(world.state) > world.now, "a supervisor that is never at rest"
            world.now = next_due(world.state)
            world.hear(Tick())
            world.tell_ends()
    assert len(world.ready(world.state.goal)) == world.state.wanted
    assert len(world.state.seats) == world.state.wanted
    assert world.templates == {world.state.goal}
    assert not world.state.reload
    assert next_due(world.state) == states.NEVER
    # And it always ends.
    world.hear(Int() if late else Term())
    world.settle()
    assert world.status == 0


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 3), st.lists(st.one_of(EVENTS, st.sampled_from((Term(), Int(), Winch()))), max_size=40))
def test_any_sequence_with_crashes_and_stops_ends(wanted, events):
    world = World(wanted, stop_delay=3.0)
    world.crashes = 20
    for event in events:
        if world.status is None:
            play(world, event)
    if world.status is None:
        world.hear(Term())
        for _ in range(40):
            if world.status is None and next_due(world.state) != states.NEVER:
                world.now = max(world.now, next_due(world.state))
                world.hear(Tick())
            world.tell_ends()
            world.settle() if world.status is None else None
    assert world.status in (0, 2)
