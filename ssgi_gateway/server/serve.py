"""``serve``: a server is a function of listeners, an application, settings and a control.

``run`` is that function in a process: event loop, signals, exit status.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.server.control import Control

from ..observe.access_log import AccessLog
from ..observe.observer import Observer, together
from ..wire.fastcgi.codec import FastcgiCodec
from ..wire.scgi.codec import ScgiCodec
from ..wire.uwsgi.codec import UwsgiCodec
from . import system
from .acceptor import Acceptor
from .gateway import Gateway

if TYPE_CHECKING:
    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.settings import Settings

    from .listeners import Listener

logger = logging.getLogger("ssgi_gateway.server")

HEAP: Final = 1 << 20
"""Bytes of the largest block that is to come from the heap. Twice as much stays there: room for a few reads
(``system.RECEIVE_SIZE``) and what is made of them."""


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
    observer = together(observers(settings))
    gateway = Gateway(asyncio.get_running_loop(), application.http, application.websocket, settings, observer)
    control.gateway = gateway
    acceptors = [Acceptor(gateway, listener.socket, codec_factory(listener, settings)) for listener in listeners]
    try:
        await application.startup(gateway.state)
        try:
            for acceptor in acceptors:
                acceptor.start()
            control.ready()
            await control.stopped()
            stop_listening(gateway, acceptors, listeners)
            await drain(gateway, settings.deadlines.drain)
        finally:
            if not gateway.draining:
                stop_listening(gateway, acceptors, listeners)
            await cut_off(gateway)
            await application.shutdown()
    finally:
        gateway.stop()


def observers(settings: Settings) -> list[Observer]:
    """Who looks at this server.

    Raises:
        ConfigurationError: a log cannot be opened.
    """
    return [AccessLog(settings.access_log)] if settings.access_log else []


def codec_factory(listener: Listener, settings: Settings) -> Callable[[int], Any]:
    """What makes the codec for each connection of ``listener``."""
    limits = settings.limits
    if listener.protocol == "scgi":
        ScgiCodec(limits)  # what it lacks is to be told now, not to the first visitor
        return lambda fd: ScgiCodec(limits)
    if listener.protocol == "uwsgi":
        return lambda fd: UwsgiCodec(limits)
    if listener.protocol == "fastcgi":
        return lambda fd: FastcgiCodec(limits, settings.max_connections)
    # h11 and ipaddress are a tenth of the time a start takes, and only this listener needs them.
    from ssgi_gateway.wire.forwarded import trusted_peers

    from ..wire.http1 import UpgradeCodec

    trusted_peers(settings.trusted_peers)  # likewise, a peer that is none
    return lambda fd: UpgradeCodec(limits, *system.addresses(fd), settings.trusted_peers)


def stop_listening(gateway: Gateway, acceptors: Sequence[Acceptor], listeners: Sequence[Listener]) -> None:
    """Serve what was accepted for us so far, and take nothing new."""
    gateway.draining = True
    for acceptor, listener in zip(acceptors, listeners, strict=True):
        acceptor.stop()
        listener.close()


async def drain(gateway: Gateway, bound: float) -> None:
    """Let what is in progress end, for at most ``bound`` seconds."""
    for connection in tuple(gateway.connections):
        protocol = connection.protocol
        if protocol is not None:  # the end of another connection may have been the end of this one
            protocol.shut_down()
    try:
        async with asyncio.timeout(bound):
            await gateway.when_empty()
            while gateway.scope.tasks:
                await asyncio.wait(tuple(gateway.scope.tasks))
    except TimeoutError:
        logger.warning(
            "%d connections and %d tasks were still busy after %.0f s; they were cut off",
            len(gateway.connections), len(gateway.scope.tasks), bound,
        )  # fmt: skip


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


def run(settings: Settings, application: Application, listeners: Sequence[Listener]) -> int:
    """Serve in this process until SIGTERM or SIGINT; returns the exit status.

    A second signal does not wait for the drain.
    """

    async def main() -> None:
        loop = asyncio.get_running_loop()
        control = Control()
        serving = loop.create_task(serve(listeners, application, settings, control))

        def stop(name: str) -> None:
            if control.stopping:
                logger.warning("%s again: not waiting any longer", name)
                serving.cancel()
            else:
                logger.info("%s: draining", name)
                control.stop()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop, number.name)
        try:
            await serving
        except asyncio.CancelledError:
            pass

    keep_heap()
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
