"""Who waits for something that comes once: a list of futures, made when the first one waits, gone when it has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import Future


def resolve(waiters: list[Future[Any]] | None, value: Any) -> None:
    """It has come: give ``value`` to all who still wait. Whoever gave up (a timeout, a cancellation) gets nothing.

    The caller has taken the list from its place before, because those who wake up may wait again.
    """
    if waiters is not None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(value)
