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
* Every wait ends: each state that waits has a time at which it is given up.

Nothing here knows a socket, a clock, or a process. Actions may fail and never say so: what is true comes back as an
event.
"""

from __future__ import annotations

from ssgi_gateway.process.actions import Action
from ssgi_gateway.process.events import Event
from ssgi_gateway.process.hearing import Hearing
from ssgi_gateway.process.states import State

__all__ = ["next_due", "plan"]


def plan(state: State, event: Event, now: float) -> tuple[State, list[Action]]:
    """The state after ``event``, and what is to be done.

    Args:
        state: what was; it is not changed.
        event: what has happened.
        now: seconds, of any clock that never goes back.
    """
    step = Hearing(state, now)
    step.hear(event)
    step.settle()
    return step.result(), step.actions


def next_due(state: State) -> float:
    """When the next ``Tick`` is needed; ``inf`` for never."""
    seats = (seat.due for seat in state.seats.values())
    generations = (generation.due for generation in state.generations.values())
    return min((state.due, *seats, *generations))
