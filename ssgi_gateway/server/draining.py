"""The end of a server: it takes nothing new, what is in progress ends or is cut off, and the shutdown hooks run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from ..core.channel import RECONNECTING, UNANSWERED, UNENDED
from . import system
from .websocket import WebSocketProtocol

if TYPE_CHECKING:
    from ssgi_gateway.adapters.application import Application
    from ssgi_gateway.settings import Deadlines

    from .acceptor import Acceptor
    from .control import Control
    from .gateway import Gateway
    from .listeners import Listener

__all__ = ["HOOK_TIME", "cut_off", "drain", "shut_down", "stop_listening"]

logger = logging.getLogger("ssgi_gateway.server")

RESERVE: Final = 2.0
"""Seconds before the drain's bound at which requests are cut off, at most a quarter of it: for tasks that clean up, and
for the shutdown hooks."""

TOGETHER: Final = 32
"""Connections that were queued when the drain began, served in one turn of the loop."""

HOOK_TIME: Final = 1.0
"""Seconds that the hooks of an application have at least, however late it is."""


LAST_WORD: Final = 1.0
"""Seconds before requests are cut off at which those get an end that can have an orderly one, at most an eighth of the
drain."""

NOTICE: Final = 0.8
"""The part of the drain in which handlers of ``on_drain`` may finish what is open; then WebSockets are closed."""


async def stop_listening(
    gateway: Gateway, acceptors: Sequence[Acceptor], listeners: Sequence[Listener], alone: bool, adoption: Any
) -> None:
    """Take nothing new; what waits for us so far is served, here if there is no other process."""
    gateway.draining = True
    pending: list[tuple[Acceptor, int]] = []
    for acceptor, listener in zip(acceptors, listeners, strict=True):
        pending += [(acceptor, fd) for fd in acceptor.stop(queue=alone)]
        listener.close()
    if adoption is not None:
        adoption.stop()
        if alone:
            adoption.empty()
        else:
            gateway.adoption = adoption
    pending.reverse()
    try:
        while pending:
            for _ in range(min(TOGETHER, len(pending))):
                acceptor, fd = pending.pop()
                acceptor.serve(fd)
            await asyncio.sleep(0)
    finally:
        for _, fd in pending:
            system.close(fd)


async def drain(gateway: Gateway, control: Control, deadlines: Deadlines, until: float, spread: float) -> None:
    """Let what is in progress end.

    Args:
        gateway: whose connections they are.
        control: knows whether another process serves. Then nobody waits for the end of this one, and what has not been
            answered yet may take as long as anything else.
        deadlines: ``drain`` is the bound of everything, ``stream`` and ``poll`` those of what would go on for ever.
        until: the loop's time at which the bound is.
        spread: seconds over which WebSockets are closed, so that their clients do not come back all at once.
    """
    end = until - min(RESERVE, deadlines.drain / 4)
    last_word = end - min(LAST_WORD, deadlines.drain / 8)
    later = gateway.loop.call_later
    timers = [
        later(deadlines.stream, to_all, gateway, RECONNECTING),
        later(last_word - gateway.loop.time(), to_all, gateway, UNENDED),
    ]
    control.when_alone(lambda: timers.append(later(deadlines.poll, to_all, gateway, UNANSWERED)))
    try:
        async with asyncio.timeout_at(end):
            await announce_drain(gateway, NOTICE * deadlines.drain)
            sockets = []
            for connection in tuple(gateway.connections):
                protocol = connection.protocol
                if type(protocol) is WebSocketProtocol:
                    sockets.append(protocol)
                elif protocol is not None:  # the end of another connection may have been the end of this one
                    protocol.shut_down()
            for place, protocol in enumerate(sockets):
                if place and spread:
                    await asyncio.sleep(spread / len(sockets))
                protocol.shut_down()
            await gateway.when_empty()
            while gateway.scope.tasks:
                await asyncio.wait(tuple(gateway.scope.tasks))
    except TimeoutError:
        logger.warning(
            "%d connections and %d tasks were still busy after %g s; they were cut off",
            len(gateway.connections), len(gateway.scope.tasks), deadlines.drain,
        )  # fmt: skip
    finally:
        for timer in timers:
            timer.cancel()


def to_all(gateway: Gateway, urgency: int) -> None:
    """Hurry every connection there is."""
    for connection in tuple(gateway.connections):
        protocol = connection.protocol
        if protocol is not None:  # the end of another connection may have been the end of this one
            protocol.hurry(urgency)


async def announce_drain(gateway: Gateway, bound: float) -> None:
    """Notify applications that registered for it (``on_drain``); wait at most ``bound`` seconds for what they do."""
    if gateway.drain_handlers:
        before = set(gateway.scope.tasks)
        gateway.tell_drain()
        started = set(gateway.scope.tasks) - before
        if started:
            await asyncio.wait(started, timeout=bound)


async def cut_off(gateway: Gateway) -> None:
    """End what is left."""
    for connection in tuple(gateway.connections):
        connection.lost()
    for task in tuple(gateway.scope.tasks):
        task.cancel()
    if gateway.scope.tasks:
        await asyncio.wait(tuple(gateway.scope.tasks), timeout=RESERVE / 2)


async def shut_down(application: Application, gateway: Gateway, until: float) -> None:
    """Run the shutdown hooks, for what is left of the drain, and for a second at least."""
    loop = asyncio.get_running_loop()
    ending = loop.create_task(application.shutdown())
    try:
        await asyncio.wait((ending,), timeout=max(until - loop.time(), HOOK_TIME))
    finally:
        if ending.cancel():
            logger.error("the application's shutdown was not done in time; it was cancelled")
            await asyncio.wait((ending,), timeout=HOOK_TIME / 4)
    if ending.done() and not ending.cancelled():
        ending.result()
