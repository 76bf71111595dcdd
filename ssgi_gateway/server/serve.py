"""``serve``: a server is a function of listeners, an application, settings and a control.

``run`` is that function in a process: event loop, signals, exit status.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.sink import Sink
from ssgi_gateway.observe.table import Seat, own_table
from ssgi_gateway.server.control import Control
from ssgi_gateway.server.forks import close_in_children

from ..observe.access_log import FIELDS, AccessLog
from ..observe.hooks import HookObserver
from ..observe.observer import Observer, together
from ..observe.recorder import Recorder
from ..observe.request_lines import RequestLines
from ..wire.fastcgi.codec import FastcgiCodec
from ..wire.scgi.codec import ScgiCodec
from ..wire.uwsgi.codec import UwsgiCodec
from . import system
from .acceptor import Acceptor
from .adoption import Adoption
from .duty import Duty  # noqa: F401 - for workers; half a build is found out by importing this module
from .gateway import Gateway
from .reactor import SWEEP
from .websocket import WebSocketProtocol

if TYPE_CHECKING:
    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.settings import Settings

    from .listeners import Listener

logger = logging.getLogger("ssgi_gateway.server")

HEAP: Final = 1 << 20
"""Bytes of the largest block that is to come from the heap. Twice as much stays there: room for a few reads
(``system.RECEIVE_SIZE``) and what is made of them."""


NOTICE: Final = 0.8
"""The part of the drain in which handlers of ``on_drain`` may finish what is open; then WebSockets are closed."""


async def serve(listeners: Sequence[Listener], application: Application, settings: Settings, control: Control) -> None:
    """Serve until ``control`` is stopped and everything in progress has ended, or the drain deadline has.

    Args:
        listeners: open ones; they are closed when the drain begins.
        application: what to call for HTTP and for WebSockets, as SSGI callables.
        settings: bounds, deadlines and the rest.
        control: begins the drain, and hears when connections are accepted.

    Raises:
        ConfigurationError: the application could not start; it says why.
    """
    seat = own_seat(settings, control)
    hooks = load_hooks(settings)
    observer = together([*control.observers, *observers(settings, seat), *([] if hooks is None else [hooks])])
    http_app, websocket_app = application.http, application.websocket
    if hooks is not None:
        hooks.start()
        http_app, websocket_app = hooks.around(http_app), hooks.around(websocket_app)
    gateway = Gateway(asyncio.get_running_loop(), http_app, websocket_app, settings, observer)
    control.gateway = gateway
    codecs = {listener.protocol: codec_factory(listener.protocol, gateway) for listener in listeners}
    acceptors = [Acceptor(gateway, it.socket, codecs[it.protocol], control.shared) for it in listeners]
    adoption = Adoption(gateway, *control.adoption, codecs) if control.adoption is not None else None
    control.mover = adoption
    try:
        await application.startup(gateway.state)
        try:
            for acceptor in acceptors:
                acceptor.start()
            if adoption is not None:
                adoption.start()
            if seat is not None:
                seat.state = "ready"
            control.ready()
            await control.stopped()
            if seat is not None:
                seat.state = "retiring"
            stop_listening(gateway, acceptors, listeners, control.alone, adoption)
            spread = 0.0 if control.alone else settings.websockets.close_spread
            await drain(gateway, settings.deadlines.drain, spread)
        finally:
            if not gateway.draining:
                stop_listening(gateway, acceptors, listeners, control.alone, adoption)
            await cut_off(gateway)
            await application.shutdown()
    finally:
        if adoption is not None:
            adoption.close()
        gateway.stop()


def own_seat(settings: Settings, control: Control) -> Seat | None:
    """Where this process writes down what it does: at the supervisor's table, or at one of its own."""
    if control.seat is not None or control.shared or not settings.metrics:
        return control.seat
    return own_table(settings.app).seat(1)


def observers(settings: Settings, seat: Seat | None) -> list[Observer]:
    """Who looks at this server.

    Raises:
        ConfigurationError: a log cannot be opened.
    """
    found: list[Observer] = [] if seat is None else [Recorder(seat, SWEEP)]
    if settings.access_log:
        style, fields = settings.access_log_format, settings.access_log_fields
        check_fields(fields)
        sink = Sink(settings.access_log, "--access-log")
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
    ScgiCodec(limits)  # what it lacks is to be reported now, and not to the first visitor
    return lambda fd: ScgiCodec(limits)


def _fastcgi(gateway: Gateway) -> Callable[[int], Any]:
    limits, connections = gateway.settings.limits, gateway.max_connections
    return lambda fd: FastcgiCodec(limits, connections)


def _uwsgi(gateway: Gateway) -> Callable[[int], Any]:
    limits = gateway.settings.limits
    return lambda fd: UwsgiCodec(limits)


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


def stop_listening(
    gateway: Gateway, acceptors: Sequence[Acceptor], listeners: Sequence[Listener], alone: bool, adoption: Any
) -> None:
    """Take nothing new; what waits for us so far is served, here if there is nobody else."""
    gateway.draining = True
    for acceptor, listener in zip(acceptors, listeners, strict=True):
        acceptor.stop(queue=alone)
        listener.close()
    if adoption is not None:
        adoption.stop()
        if alone:
            adoption.empty()
        else:
            gateway.adoption = adoption


async def drain(gateway: Gateway, bound: float, spread: float) -> None:
    """Let what is in progress end.

    Args:
        gateway: whose connections they are.
        bound: seconds it may take.
        spread: seconds over which WebSockets are closed, so that their clients do not come back all at once.
    """
    try:
        async with asyncio.timeout(bound):
            await announce_drain(gateway, NOTICE * bound)
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
            "%d connections and %d tasks were still busy after %.0f s; they were cut off",
            len(gateway.connections), len(gateway.scope.tasks), bound,
        )  # fmt: skip


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
        await asyncio.wait(tuple(gateway.scope.tasks), timeout=1.0)


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

    Without one, until SIGTERM or SIGINT; a second signal does not wait for the drain.
    """
    control = control or Control()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        serving = loop.create_task(serve(listeners, application, settings, control))
        control.begin(loop, serving.cancel)
        try:
            await serving
        except asyncio.CancelledError:
            pass

    keep_heap()
    close_in_children([listener.socket for listener in listeners], control.private)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        loop = runner.get_loop()
        application.before_loop(loop)
        try:
            runner.run(main())
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
