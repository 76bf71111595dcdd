"""The main program of a worker: ``serve`` with listeners that all workers share, controlled by the supervisor.

It comes out of a template (``template``) with everything loaded but, unless it was preloaded, the application.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import engine, linux
from ssgi_gateway.adapters import loading, negotiation
from ssgi_gateway.adapters.application import Application
from ssgi_gateway.core.stop_signals import SPREAD
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe import log_setup
from ssgi_gateway.observe.table import CALL_NUMBER, CALL_SINCE, H_WANTED, STATE, STATES, Seat
from ssgi_gateway.process import prometheus, sockets, starting
from ssgi_gateway.process.balance import Balance
from ssgi_gateway.process.lifeline import Lifeline, refuse
from ssgi_gateway.process.messages import Channel
from ssgi_gateway.process.stuck import Stuck
from ssgi_gateway.process.system import entitle
from ssgi_gateway.server.control import Control, post
from ssgi_gateway.server.ending import Ending

if TYPE_CHECKING:
    import asyncio

    from ssgi_gateway.process.template import Loaded
    from ssgi_gateway.server.duty import Duty
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["application_of", "main"]

logger = logging.getLogger("ssgi_gateway.process")

READY: Final = STATES.index("ready")

GOLDEN: Final = 0.6180339887
"""Multiples of it are as far from each other, modulo 1, as they can be."""

AT_ONCE: Final = 0.75
"""The part of a worker's surplus that it gives away at one tick: not all connections have as much to do."""

MEMORY_TICKS: Final = 4
"""Ticks, of half a second, between two looks at the memory."""

LAST_SECONDS: Final = 5
"""Seconds for what runs at the exit (atexit); then SIGALRM ends the process."""


def application_of(settings: Settings) -> Application:
    """Load the application that ``settings`` name.

    Raises:
        ConfigurationError: it cannot be.
    """
    loaded = loading.load(settings.app, pythonpath=settings.pythonpath)
    return negotiation.resolve(loaded, settings.interface, settings)


def main(loaded: Loaded, seat: int, descriptor: int) -> int:
    """Serve until the supervisor stops it or has ended; returns the exit status.

    Args:
        loaded: from the template.
        seat: this worker's number.
        descriptor: the pair to the supervisor.
    """
    channel = Channel(socket.socket(fileno=descriptor))
    entitle(f"ssgi worker {seat}")
    os.setpgid(0, 0)  # so that what the application starts can be ended with it
    lifeline = Lifeline(descriptor)
    place = _sit_down(loaded, seat)
    starting.answer(channel, "a worker was not ready", loaded.settings.deadlines.start)
    channel.send("started", str(os.getpid()))
    try:
        status = _serve(loaded, seat, channel, place, lifeline)
    except ConfigurationError as error:
        channel.send("failed", "2", str(error))
        status = 2
    except (SystemExit, KeyboardInterrupt) as error:
        channel.send("failed", "2", loading.failure(loading.EXITED, error))
        status = 2
    except BaseException as error:
        logger.error("the worker ends with an error", exc_info=error)
        channel.send("failed", "1", "".join(traceback.format_exception(error)).rstrip())
        status = 1
    _leave()
    channel.close()
    return status


def _sit_down(loaded: Loaded, number: int) -> Seat | None:
    """Where this worker writes down what it does."""
    if not loaded.settings.metrics or number > loaded.table.seats:
        return None
    seat = loaded.table.seat(number)
    seat.begin(os.getpid())
    return seat


def _serve(loaded: Loaded, seat: int, channel: Channel, place: Seat | None, lifeline: Lifeline) -> int:
    settings = loaded.settings
    log_setup.number_worker(seat)
    prometheus.sit_down(seat)
    application = loaded.application or application_of(settings)
    log_setup.enable()
    all_ = [(it.protocol, it.address) for it in loaded.listeners]
    served = sockets.served(all_, application.http is not None, application.websocket is not None)
    opened = []
    for listener in loaded.listeners:
        if (listener.protocol, listener.address) in served:
            opened.append(listener)
        else:
            listener.close()
    with loaded.adoption[0], loaded.adoption[1]:
        control = WorkerControl(channel, loaded.adoption, application, loaded.names)
        control.seat = place
        control.log = loaded.log
        control.workers = loaded.workers
        care = Care(loaded, seat, control)
        control.care = care
        control.lifeline, control.opened = lifeline, opened
        control.observers.append(care.duty)
        run = engine.module("server.serve", settings.codec).run
        try:
            return int(run(settings, application, opened, control))
        finally:
            care.stop()
            for each in opened:
                each.close()  # it may have been stopped before it listened


class WorkerControl(Control):
    """Hears the supervisor."""

    shared = True

    def __init__(
        self,
        channel: Channel,
        adoption: tuple[socket.socket, socket.socket],
        application: Application,
        names: tuple[str, str],
    ) -> None:
        super().__init__()
        self.adoption = adoption
        self._channel = channel
        self._application = application
        self._names = names
        self.private = [channel.fileno(), *(end.fileno() for end in adoption)]
        self._last = False
        self._when_alone: Callable[[], object] | None = None
        self.care: Care | None = None
        self.lifeline: Lifeline | None = None
        self.opened: list[Listener] = []

    @property
    def alone(self) -> bool:
        return self._last

    def when_alone(self, callback: Callable[[], object]) -> None:
        if self._last:
            callback()
        else:
            self._when_alone = callback

    def begin(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object], bound: float) -> None:
        self._loop = loop
        self._cancel = cancel
        linux.release_zeros(id(loop), type(loop).__basicsize__)  # uvloop's has a buffer of 250 KiB, all zero
        if self.care is not None:
            self.care.start(loop)
        self.ending = Ending(bound, moment=SPREAD)
        first, again = partial(post, loop, lambda _: self.stop()), partial(post, loop, lambda _: cancel())
        self.ending.listen(first, again, (signal.SIGTERM, signal.SIGQUIT))
        loop.add_reader(self._channel.fileno(), self._on_message)
        if self.lifeline is not None:
            self.lifeline.serve(self._orphaned)
        self.listen_to_questions(loop)

    def ready(self) -> None:
        served = (self._application.http, self._application.websocket)
        starting.started()
        self._channel.send("ready", *("1" if it is not None else "0" for it in served), *self._names)

    def give_up(self, why: str) -> None:
        """Request a replacement."""
        if why == "stuck":
            self._channel.send("stuck")
        else:
            self._channel.send("worn", why)

    def _orphaned(self) -> None:
        """The supervisor has ended, and the loop may not turn: others may start, and this process has a bound."""
        refuse(self.opened)
        if self.ending is not None:
            self.ending.begin()

    def _on_message(self) -> None:
        while (message := self._channel.receive()) is not None:
            words = message[0]
            if not words:  # the supervisor has ended: no other worker will be started
                logger.warning("the supervisor is gone: draining")
                self._loop.remove_reader(self._channel.fileno())
                self._retire(last=True)
                return
            if words[0] == "end":
                self._cancel()
            elif words[0] == "logs":
                for fd in message[1]:
                    self.reopen_log(fd)
            else:
                self._retire(last=words[0] == "last")

    def _retire(self, last: bool) -> None:
        if last and not self._last:
            self._last = True
            if self.stopping and self.gateway is not None and self.gateway.adoption is not None:
                self.gateway.adoption.abandon()
            if self._when_alone is not None:  # a drain is under way
                self._when_alone()
        self.stop()


class Care:
    """What a worker does about itself: see ``server.duty`` and ``stuck``."""

    def __init__(self, loaded: Loaded, seat: int, control: WorkerControl) -> None:
        settings = loaded.settings
        self._control = control
        self._settings = settings.worker
        self._began = time.monotonic()
        self._ticks = 0
        self._seat = seat
        self._table = loaded.table
        self._seats: list[Seat] = []
        self._compared = Balance()
        # No two seats have the same limits, and so do not wear out together.
        share = 0.9 + 0.2 * (seat * GOLDEN % 1)
        self._most_requests = int(self._settings.max_requests * share)
        self._longest = self._settings.max_age * share
        tracked = bool(settings.request_timeout or settings.slow_request)
        duty_class = engine.module("server.serve", settings.codec).Duty
        always = bool(tracked or self._longest or self._settings.max_memory or loaded.watched)
        self.duty: Duty = duty_class(tracked, self._tick, self._share, always)
        self._stuck = (
            Stuck(self.duty, settings.slow_request, settings.request_timeout, control.give_up, control.seat)
            if tracked
            else None
        )

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop runs."""
        if self._stuck is not None:
            self._stuck.start(loop)

    def stop(self) -> None:
        """It does no more."""
        if self._stuck is not None:
            self._stuck.stop()

    def _share(self, exchange: Any) -> None:
        """A call was long: requests that have come meanwhile are for those who have nothing to do."""
        mover, gateway = self._control.mover, self._control.gateway
        if mover is not None and not gateway.draining:
            idle = sum(map(_is_idle, self._others()))
            if idle:
                mover.share(idle, getattr(exchange.channel, "connection", None))

    def _balance(self) -> None:
        """Answering more than the others do: give a connection away."""
        mover, gateway = self._control.mover, self._control.gateway
        if mover is None or gateway is None or gateway.draining or self._control.seat is None:
            return
        others = {it.number: it.words[CALL_NUMBER] for it in self._others() if it.words[STATE] == READY}
        surplus = self._compared.surplus(self.duty.requests, others)
        if surplus:
            mover.give_away(surplus * AT_ONCE)

    def _others(self) -> list[Seat]:
        """The seats beside this worker's, as many as there are workers."""
        if len(self._seats) != self._table.words[H_WANTED] + 1:
            count = min(self._table.seats, self._table.words[H_WANTED] + 2)
            self._seats = [self._table.seat(number) for number in range(1, count + 1) if number != self._seat]
        return self._seats

    def _tick(self) -> None:
        if self._stuck is not None:
            self._stuck.tick()
        self._balance()
        self._ticks += 1
        if self._most_requests and self.duty.requests >= self._most_requests:
            self._wear("requests")
        elif self._longest and time.monotonic() - self._began >= self._longest:
            self._wear("age")
        elif self._too_large():
            self._wear("memory")

    def _too_large(self) -> bool:
        limit = self._settings.max_memory
        return bool(limit) and self._ticks % MEMORY_TICKS == 0 and linux.resident_memory() > limit

    def _wear(self, why: str) -> None:
        if self._ticks >= 0 and not self._control.stopping:
            self._control.give_up(why)
            self._most_requests, self._longest = 0, 0.0
            self._ticks = -1 << 62  # once is enough


def _is_idle(seat: Seat) -> bool:
    """Whether a worker serves, and runs no call."""
    words = seat.words
    return words[STATE] == READY and words[CALL_SINCE] == 0


def _leave() -> None:
    """What an interpreter does at its end, but for waiting for threads: a thread may never end, a worker has to."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LAST_SECONDS)
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
