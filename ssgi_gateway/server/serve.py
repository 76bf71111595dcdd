"""``serve``: a server is a function of listeners, an application, settings and a control.

``run`` is that function in a process: event loop, signals, exit status.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ssgi_gateway import linux
from ssgi_gateway.core import forks
from ssgi_gateway.server.control import Control
from ssgi_gateway.server.exits import run_on

from . import system
from .acceptor import TURN, Acceptor
from .adoption import Adoption
from .codecs import codec_factory
from .draining import HOOK_TIME, cut_off, drain, shut_down, stop_listening
from .duty import Duty  # noqa: F401 - for workers; half a build is found out by importing this module
from .gateway import Gateway
from .observing import describe, load_hooks, observer_of, own_seat

if TYPE_CHECKING:
    from ssgi_gateway.adapters.application import Application
    from ssgi_gateway.observe.table import Seat
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
        control: begins the drain, and is notified when connections are accepted.

    Raises:
        ConfigurationError: the application could not start; it says why.
    """
    seat = own_seat(settings, control)
    hooks = load_hooks(settings)
    observer = observer_of(settings, seat, hooks, control, application)
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
        if seat is not None and not control.shared:
            describe(seat.table, listeners, settings)
        try:
            await accept(acceptors, adoption, seat, control)
            until = gateway.loop.time() + settings.deadlines.drain
            await stop_listening(gateway, acceptors, listeners, control.alone, adoption)
            spread = 0.0 if control.alone else settings.websockets.close_spread
            await drain(gateway, control, settings.deadlines, until, spread)
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


async def accept(acceptors: Sequence[Acceptor], adoption: Adoption | None, seat: Seat | None, control: Control) -> None:
    """Take connections until ``control`` is stopped."""
    for acceptor in acceptors:
        acceptor.start()
    if adoption is not None:
        adoption.start()
    if seat is not None:
        seat.state = "ready"
    control.serving = True
    control.ready()
    await control.stopped()
    if seat is not None:
        seat.state = "retiring"


def turn_of(protocol: str, control: Control) -> int:
    """How many connections of a protocol this process takes before others have their turn; 0 where there are none."""
    if not control.shared:
        return 0
    return TURN if protocol in ("scgi", "uwsgi") else 1


def abandon(gateway: Gateway, acceptors: Sequence[Acceptor], control: Control) -> None:
    """In a forked child: give up what is the parent's, and let nothing of the event loop go on there."""
    with contextlib.suppress(RuntimeError):  # in asyncio's debug mode another thread may not call this, nor need it
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
            starting.exception()  # it was stopped: why it could not start is of no interest


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
    """Serve in this process until ``control`` ends it; returns the exit status.

    Without one, until SIGTERM or SIGINT; ``Ending`` documents what a signal does, and what becomes of what does not
    end.
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
