"""One step of the plan, on copies: what ``hearing`` and ``settling`` are written in."""

from __future__ import annotations

from ssgi_gateway.process.actions import Action, Kill
from ssgi_gateway.process.states import KILLED, NEVER, Seat, State

__all__ = ["ANSWER", "FIRST_BACKOFF", "GRACE", "LAST_BACKOFF", "Step", "backoff"]

FIRST_BACKOFF, LAST_BACKOFF = 0.1, 30.0
"""Seconds until the next try, doubled from the first to the last."""

ANSWER = 1.0
"""Seconds that a process which takes too long to start has to say where it is."""

GRACE = 5.0
"""Seconds beyond its drain that a worker has for the end of its application; and one that was to end has."""


def backoff(deaths: int) -> float:
    """Seconds until the next try, after so many deaths in a row."""
    return float(min(LAST_BACKOFF, FIRST_BACKOFF * 2 ** min(deaths - 1, 20)))


class Step:
    """One step of the plan, on copies.

    Args:
        state: what was.
        now: seconds.
    """

    def __init__(self, state: State, now: float) -> None:
        self.now = now
        self.state = state
        self.seats = dict(state.seats)
        self.generations = dict(state.generations)
        self.actions: list[Action] = []

    def result(self) -> State:
        """The state after it."""
        return self.state._replace(seats=self.seats, generations=self.generations)

    def change(self, **fields: object) -> None:
        """Set fields of the state."""
        self.state = self.state._replace(**fields)  # type: ignore[arg-type]

    def act(self, *actions: Action) -> None:
        """Have something done."""
        self.actions.extend(actions)

    def put(self, seat: Seat, state: str, due: float = NEVER) -> None:
        """Bring a seat into a state."""
        self.seats[seat.number] = seat._replace(state=state, since=self.now, due=due)

    def of(self, *states: str) -> list[Seat]:
        """The seats in one of these states."""
        return [seat for seat in self.seats.values() if seat.state in states]

    def kill(self, seat: Seat) -> None:
        """End a worker that does not end."""
        self.act(Kill(seat.number, True))
        self.put(seat, KILLED)
