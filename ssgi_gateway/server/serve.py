"""``serve``: a server is a function of listeners, an application, settings and a control.

``run`` is that function in a process: event loop, signals, exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import engine, linux
from ssgi_gateway.core import forks
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe import samples
from ssgi_gateway.observe.sink import Sink
from ssgi_gateway.observe.table import BUILD_TEXT, Seat, Table, own_table
from ssgi_gateway.server.control import Control
from ssgi_gateway.server.lasting import run_on

from ..observe.access_log import FIELDS, AccessLog
from ..observe.hooks import HookObserver
from ..observe.observer import Observer, together
from ..observe.recorder import Recorder
from ..observe.request_lines import RequestLines
from ..wire.fastcgi.codec import FastcgiCodec
from ..wire.scgi.codec import ScgiCodec
from ..wire.uwsgi.codec import UwsgiCodec
from . import system
from .acceptor import TURN, Acceptor
from .adoption import Adoption
from .duty import Duty  # noqa: F401 - for workers; half a build is found out by importing this module
from .gateway import Gateway
from .reactor import SWEEP
from .websocket import WebSocketProtocol

if TYPE_CHECKING:
    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.settings import Deadlines, Settings

    from ..core.channel import Protocol
    from .listeners import Listener

logger = logging.getLogger("ssgi_gateway.server")

HEAP: Final = 1 << 20
"""Bytes of the largest block that is to come from the heap. Twice as much stays there: room for a few reads
(``system.RECEIVE_SIZE``) and what is made of them."""

RESERVE: Final = 2.0
"""Seconds before the drain's bound at which requests are cut off, at most a quarter of it: for tasks that clean up, and
for the shutdown hooks."""

TOGETHER: Final = 32
"""Connections that were queued when the drain began, served in one turn of the loop."""

HOOK_TIME: Final = 1.0
"""Seconds that the hooks of an application have at least, however late it is."""


NOTICE: Final = 0.8
"""The part of the drain in which handlers of ``on_drain`` may finish what is open; then WebSockets are closed."""


async def serve(listeners: Sequence[Listener], application: Application, settings: Settings, control: Control) -> None:
    """Serve until ``control`` is stopped and everything in progress has ended, or the drain deadline has.

    Args:
        listeners: open ones; they are closed when the drain begins.
        application: what to call for HTTP and for WebSockets, as SSGI callables.
        settings: bounds, deadlines and the rest.
        control: begins the drain, and is notified when connections are accepted.

    Raises:
        ConfigurationError: the application could not start; it says why.
    """
    seat = own_seat(settings, control)
    hooks = load_hooks(settings)
    own = observers(settings, seat, control, application)
    if hooks is not None and hooks.watches:
        own.append(hooks)
    observer = together([*control.observers, *own])
    http_app, websocket_app = application.http, application.websocket
    if hooks is not None:
        hooks.start()
        http_app, websocket_app = hooks.around(http_app), hooks.around(websocket_app)
    gateway = Gateway(asyncio.get_running_loop(), http_app, websocket_app, settings, observer)
    control.gateway = gateway
    codecs = {listener.protocol: codec_factory(listener.protocol, gateway) for listener in listeners}
    acceptors = [Acceptor(gateway, it.socket, codecs[it.protocol], turn_of(it.protocol, control)) for it in listeners]
    adoption = Adoption(gateway, *control.adoption, codecs) if control.adoption is not None else None
    control.mover = adoption
    held = forks.hold(partial(abandon, gateway, acceptors, control), system.share)
    until = 0.0
    try:
        application.tell_workers(control.workers or settings.workers if settings.workers >= 0 else linux.cpus())
        if not await started(application, gateway, control):
            return
        try:
            for acceptor in acceptors:
                acceptor.start()
            if adoption is not None:
                adoption.start()
            if seat is not None:
                if not control.shared:
                    describe(seat.table, listeners, settings)
                seat.state = "ready"
            control.serving = True
            control.ready()
            await control.stopped()
            if seat is not None:
                seat.state = "retiring"
            until = gateway.loop.time() + settings.deadlines.drain
            await stop_listening(gateway, acceptors, listeners, control.alone, adoption)
            spread = 0.0 if control.alone else settings.websockets.close_spread
            await drain(gateway, settings.deadlines, until, spread)
        finally:
            gateway.draining = True
            for acceptor, listener in zip(acceptors, listeners, strict=True):
                acceptor.stop(queue=False)
                listener.close()
            await cut_off(gateway)
            await shut_down(application, gateway, until)
    finally:
        forks.release(held)
        if adoption is not None:
            adoption.close()
        gateway.stop()
        if hooks is not None and not hooks.watches:
            hooks.close()


def turn_of(protocol: str, control: Control) -> int:
    """How many connections of a protocol this process takes before others have their turn; 0 where there are none."""
    if not control.shared:
        return 0
    return TURN if protocol in ("scgi", "uwsgi") else 1


def own_seat(settings: Settings, control: Control) -> Seat | None:
    """Where this process writes down what it does: at the supervisor's table, or at one of its own."""
    if control.seat is not None or control.shared or not settings.metrics:
        return control.seat
    table = own_table(settings.app)
    os.close(table.fd)  # The map has a descriptor of its own, by which readers find the table; it ends with the server.
    return table.seat(1)


def describe(table: Table, listeners: Sequence[Listener], settings: Settings) -> None:
    """Write down what this server is and where it listens; where there is a supervisor, that does it."""
    words = (engine.describe(settings.codec), engine.event_loop())
    table.set_text(BUILD_TEXT, " ".join(it.partition(" (")[0] for it in words))
    table.set_listeners((it.protocol, str(it.address), it.socket.fileno()) for it in listeners)


def abandon(gateway: Gateway, acceptors: Sequence[Acceptor], control: Control) -> None:
    """In a forked child: give up what is the parent's, and let nothing of the event loop go on there."""
    with contextlib.suppress(RuntimeError):  # in asyncio's debug mode another thread may not say so, nor need it
        gateway.loop.call_soon(forks.exit_child)
    for acceptor in acceptors:
        acceptor.abandon()
    gateway.abandon()
    control.abandon()


async def started(application: Application, gateway: Gateway, control: Control) -> bool:
    """Run the startup hooks; ``False`` when the server was stopped meanwhile, for then nothing is in progress."""
    if not application.starts:
        return not control.stopping
    loop = asyncio.get_running_loop()
    starting = loop.create_task(application.startup(gateway.state))
    stopped = loop.create_task(control.stopped())
    try:
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            return True
        logger.info("stopped while the application was starting")
        return False
    finally:
        for task in (starting, stopped):
            task.cancel()
        await asyncio.wait((starting, stopped), timeout=HOOK_TIME)
        if starting.done() and not starting.cancelled():
            starting.exception()  # it was stopped, and need not say why it could not start


def observers(settings: Settings, seat: Seat | None, control: Control, application: Application) -> list[Observer]:
    """The observers of this server.

    Raises:
        ConfigurationError: a log cannot be opened.
    """
    found: list[Observer] = []
    if seat is not None:
        samplers: list[Callable[[Any], object]] = [samples.ProcessSampler(), samples.server_log]
        if (load := application.thread_load()) is not None:
            samplers.append(samples.threads(load))
        found.append(Recorder(seat, SWEEP, samplers))
    if settings.access_log:
        style, fields = settings.access_log_format, settings.access_log_fields
        check_fields(fields)
        control.sink = sink = Sink(settings.access_log, "--access-log", control.log)
        found.append(AccessLog(sink, style, fields, seat, 0 if seat is None else seat.number))
    elif settings.development:
        found.append(RequestLines())
    return found


def load_hooks(settings: Settings) -> HookObserver | None:
    """The observer that calls what the setting ``hooks`` names.

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    if not settings.hooks:
        return None
    from ssgi_gateway.adapters import loading

    loaded = loading.load(settings.hooks, pythonpath=settings.pythonpath)
    return HookObserver(loaded() if isinstance(loaded, type) else loaded)


def check_fields(fields: tuple[str, ...]) -> None:
    """Whether an access log can have these fields.

    Raises:
        ConfigurationError: one is none.
    """
    for name in fields:
        if name not in FIELDS:
            raise ConfigurationError(f"--access-log-fields: there is no {name!r}; there is {', '.join(FIELDS)}")


def codec_factory(protocol: str, gateway: Gateway) -> Callable[[int], Any]:
    """What makes the codec for each connection of a listener of ``protocol``, given its descriptor.

    Raises:
        ConfigurationError: a setting that only this protocol reads has a mistake.
    """
    return CODECS[protocol](gateway)


def _scgi(gateway: Gateway) -> Callable[[int], Any]:
    limits = gateway.settings.limits
    return ScgiCodec(limits).for_connection  # what the portable one lacks is reported now, and not to the first visitor


def _fastcgi(gateway: Gateway) -> Callable[[int], Any]:
    limits, connections = gateway.settings.limits, gateway.max_connections
    return FastcgiCodec(limits, connections).for_connection


def _uwsgi(gateway: Gateway) -> Callable[[int], Any]:
    return UwsgiCodec(gateway.settings.limits).for_connection


# h11 and ipaddress are a tenth of the time a start takes, and only these two need them.


def _websocket(gateway: Gateway) -> Callable[[int], Any]:
    from ssgi_gateway.wire.forwarded import trusted_peers

    from ..wire.http1 import UpgradeCodec

    limits, trusted = gateway.settings.limits, gateway.settings.trusted_peers
    trusted_peers(trusted)  # likewise, a peer that is none
    return lambda fd: UpgradeCodec(limits, *system.addresses(fd), trusted)


def _http(gateway: Gateway) -> Callable[[int], Any]:
    from ssgi_gateway.wire.forwarded import trusted_peers

    from ..wire.http.codec import HttpCodec

    limits, trusted, date = gateway.settings.limits, gateway.settings.trusted_peers, gateway.date
    trusted_peers(trusted)
    return lambda fd: HttpCodec(limits, *system.addresses(fd), trusted, date)


CODECS: Final = {"scgi": _scgi, "fastcgi": _fastcgi, "uwsgi": _uwsgi, "websocket": _websocket, "http": _http}
"""For each of ``wire.protocols.PROTOCOLS``."""


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


async def drain(gateway: Gateway, deadlines: Deadlines, until: float, spread: float) -> None:
    """Let what is in progress end.

    Args:
        gateway: whose connections they are.
        deadlines: ``drain`` is the bound of everything, ``stream`` and ``poll`` those of what would go on for ever.
        until: the loop's time at which the bound is.
        spread: seconds over which WebSockets are closed, so that their clients do not come back all at once.
    """
    timers = [
        gateway.loop.call_later(deadlines.stream, to_all, gateway, end_stream),
        gateway.loop.call_later(deadlines.poll, to_all, gateway, end_poll),
    ]
    try:
        async with asyncio.timeout_at(until - min(RESERVE, deadlines.drain / 4)):
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


def to_all(gateway: Gateway, how: Callable[[Protocol], object]) -> None:
    """Do something to every connection there is."""
    for connection in tuple(gateway.connections):
        protocol = connection.protocol
        if protocol is not None:  # the end of another connection may have been the end of this one
            how(protocol)


def end_stream(protocol: Protocol) -> None:
    """End it if it is an event stream."""
    protocol.hurry(False)


def end_poll(protocol: Protocol) -> None:
    """End it if it is an event stream, or if its request was not answered at all."""
    protocol.hurry(True)


async def announce_drain(gateway: Gateway, bound: float) -> None:
    """Tell applications that asked for it (``on_drain``), and wait at most ``bound`` seconds for what they do."""
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


def keep_heap() -> None:
    """Have the C library keep the memory that large bodies take and give back, time and again.

    glibc gives the heap's free end back to the system above 128 KiB, and one read of an upload is more: then the system
    clears every page of it anew, which is up to a fifth of what an upload costs. Once a large block was freed that had
    come from the system by itself, blocks up to its size come from the heap, and twice as much may stay there
    (mallopt(3), the dynamic threshold). Other libraries do as they do.
    """
    bytes(HEAP)


def run(
    settings: Settings, application: Application, listeners: Sequence[Listener], control: Control | None = None
) -> int:
    """Serve in this process until ``control`` says so; returns the exit status.

    Without one, until SIGTERM or SIGINT; ``Ending`` says what a signal does, and what becomes of what does not end.
    """
    control = control or Control()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        serving = loop.create_task(serve(listeners, application, settings, control))
        control.begin(loop, serving.cancel, settings.deadlines.drain)
        try:
            await serving
        except asyncio.CancelledError:
            pass

    keep_heap()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        loop = runner.get_loop()
        application.before_loop(loop)
        try:
            run_on(loop, main(), control)
        finally:
            application.after_loop(loop)
    return 0


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """The loop: uvloop where it is installed, asyncio's own loop where not."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
