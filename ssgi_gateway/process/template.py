"""The main program of a generation: a fresh interpreter that loads what workers need, and forks them on command.

It runs no event loop, no thread and no request. What it has loaded is frozen (``gc.freeze``) and never looked through
again, so its workers share that memory. A page of it is copied as soon as an object that lies there is used, for
that is counted in the object: what every worker would do in the same way after the fork is done here before it. A
worker that replaces one of this generation comes from here as well, so a gateway, or with ``--preload`` an application,
that changed on the disk does not mix with what runs.

Descriptor 3 is the pair to the supervisor. The first message holds what to load.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from ssgi_gateway.adapters.application import Application
    from ssgi_gateway.observe.table import Table
    from ssgi_gateway.process.messages import Channel
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["CONTROL", "Loaded", "main"]

CONTROL: Final = 3
"""The descriptor of the pair to the supervisor."""

FOR_THE_SUPERVISOR: Final = (
    signal.SIGINT,  # a terminal sends it to all processes
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGWINCH,
)
"""Signals that a template and its workers ignore: the supervisor knows what they mean."""

STRANGERS: Final = (
    "this version of the gateway and the supervisor that runs do not understand each other; replace the supervisor "
    "first: kill -USR2 its process id"
)

LATE: Final = {"http": "wire.http.codec", "websocket": "wire.http1"}
"""Modules that ``server.serve`` loads when it makes a protocol's first codec; a worker's user may not be able to."""


class Loaded(NamedTuple):
    """What a template hands to its workers.

    Args:
        settings: as this generation reads them.
        application: with ``preload``; otherwise each worker loads its own.
        listeners: open ones.
        adoption: the pair that idle connections go through.
        table: where workers write down what they do.
        names: of the codecs and the event loop in use.
        log: the descriptor of the access log, opened with the supervisor's rights; -1 for none.
        workers: how many there are to be; 0 where that is not known yet.
        watched: the service manager expects signs of life, so workers that have nothing to do give them as well.
    """

    settings: Settings
    application: Application | None
    listeners: list[Listener]
    adoption: tuple[socket.socket, socket.socket]
    table: Table
    names: tuple[str, str]
    log: int = -1
    workers: int = 0
    watched: bool = False


Work: TypeAlias = Callable[[Loaded, int, int], int]
"""A worker's main program: takes what is loaded, its seat and its end of the pair to the supervisor."""


def main() -> int:
    """Serve the supervisor; returns the exit status."""
    gc.disable()  # modules are no garbage, and what is looked through is written to
    for number in FOR_THE_SUPERVISOR:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    from ssgi_gateway.errors import ConfigurationError
    from ssgi_gateway.process.messages import Channel
    from ssgi_gateway.process.system import entitle, trim

    entitle("ssgi template")
    channel = Channel(socket.socket(fileno=CONTROL))
    os.set_inheritable(CONTROL, False)
    try:
        loaded = _load(channel)
        if loaded is not None:
            from ssgi_gateway.process import starting, worker

            starting.started()
            # Whoever ends all processes of a group, as a shell or ``timeout`` does, means the supervisor, which knows
            # when this one is needed no more.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            gc.freeze()
            trim()  # pages that are free now would be copied by every worker that uses them again
            channel.send("loaded")
            _obey(channel, loaded, worker.main)
    except ConfigurationError as error:
        channel.send("failed", "2", str(error))
        return 2
    except BaseException as error:  # the application's import wants to end the process, or it is a fault of ours
        from ssgi_gateway.adapters.loading import failure

        channel.send("failed", "2", failure("the template could not be loaded", error))
        return 2
    finally:
        channel.close()
    return 0


def _obey(channel: Channel, loaded: Loaded, work: Work) -> None:
    """Fork on command until the supervisor has ended."""
    while (message := _next(channel)) is not None:
        words, descriptors = message
        if words[0] == "fork":
            count = int(words[2]) if len(words) > 2 else 0  # a supervisor of an older version does not send it
            log = descriptors[1] if len(descriptors) > 1 else -1
            _fork(channel, loaded._replace(workers=count, log=log), work, int(words[1]), descriptors[0])
            if log >= 0:
                os.close(log)


def _next(channel: Channel) -> tuple[list[str], list[int]] | None:
    """Wait for a message; ``None`` when the supervisor has ended."""
    while True:
        message = channel.receive()
        if message is not None:
            return message if message[0] else None
        select.select([channel.fileno()], [], [])


def _load(channel: Channel) -> Loaded | None:
    from ssgi_gateway.errors import ConfigurationError
    from ssgi_gateway.process import privileges
    from ssgi_gateway.process.directory import enter
    from ssgi_gateway.process.messages import VERSION
    from ssgi_gateway.process.starting import answer
    from ssgi_gateway.settings import sources

    message = _next(channel)
    if message is None:
        return None
    (_, version, about), descriptors = message
    if version != VERSION:
        raise ConfigurationError(STRANGERS)
    start: dict[str, Any] = json.loads(about)
    os.chdir(start["directory"])
    settings = sources.read(start["given"])
    answer(channel, "the template was not loaded", settings.deadlines.start)
    privileges.raise_oom_score()
    from ssgi_gateway import engine

    _import_server(settings, {protocol for protocol, *_ in start["listeners"]})
    from ssgi_gateway.observe import log_setup, table
    from ssgi_gateway.process import prometheus, worker
    from ssgi_gateway.process.system import show_crashes

    privileges.drop(settings)  # before anything of the application's
    enter(settings.chdir)
    show_crashes()
    log_setup.configure(settings)
    if settings.merge_memory:
        _merge_memory()
    application = None
    if settings.preload:
        prometheus.sit_down(0)
        from ssgi_gateway.process.preload import Threads

        with Threads() as threads:
            application = worker.application_of(settings)
        threads.refuse()
    try:
        shared = table.Table(descriptors[0])
    except ValueError:  # of another layout
        raise ConfigurationError(STRANGERS) from None
    incoming, outgoing = (socket.socket(fileno=fd) for fd in descriptors[1:3])
    names = (engine.describe(settings.codec), engine.event_loop())
    return Loaded(
        settings,
        application,
        _listeners(start["listeners"], descriptors[3:]),
        (incoming, outgoing),
        shared,
        names,
        watched=start.get("watched", False),  # a supervisor of an older version does not send it
    )


def _import_server(settings: Settings, protocols: set[str]) -> None:
    """Load what every worker needs, once."""
    from ssgi_gateway import engine

    engine.module("server.serve", settings.codec)
    from ssgi_gateway.observe import diagnosis  # noqa: F401 - for a worker's first requests

    if "scgi" in protocols:  # the portable one loads a library when it is first made
        engine.module("wire.scgi.codec", settings.codec).ScgiCodec(settings.limits)
    for protocol in protocols & LATE.keys():
        engine.module(LATE[protocol], settings.codec)


def _merge_memory() -> None:
    """What an incremented reference count has made a worker's own is mostly equal to that of the others."""
    import logging

    from ssgi_gateway import linux

    logger = logging.getLogger("ssgi_gateway.process")
    trouble = linux.merge_memory()
    if trouble:
        logger.warning("--merge-memory: this kernel cannot (%s); Linux 6.4 and later can", trouble)
    elif not linux.merges_memory():
        logger.warning("--merge-memory: has no effect until the kernel does it: echo 1 > /sys/kernel/mm/ksm/run")


def _listeners(described: list[list[Any]], descriptors: list[int]) -> list[Listener]:
    """The supervisor's listeners, as it has described them."""
    from ssgi_gateway.server.listeners import Address, Listener

    found = []
    # The descriptors may be more: the access log comes behind them.
    for (protocol, address, *inherited), fd in zip(described, descriptors):  # noqa: B905
        held = socket.socket(fileno=fd)
        held.setblocking(False)
        # A supervisor of an older version does not send whose a listener is.
        its = inherited[0] if inherited else True
        found.append(Listener(held, Address.parse(address), protocol, inherited=its))
    return found


def _fork(channel: Channel, loaded: Loaded, work: Work, seat: int, descriptor: int) -> None:
    """Fork a worker that is a child of the supervisor: it loses its parent, and the supervisor is a subreaper."""
    try:
        middle = os.fork()
    except OSError as error:
        channel.send("unforked", str(seat), os.strerror(error.errno or 0))
        os.close(descriptor)
        return
    if middle:
        _, status = os.waitpid(middle, 0)
        trouble = os.waitstatus_to_exitcode(status)
        if trouble:
            channel.send("unforked", str(seat), os.strerror(trouble) if trouble > 0 else "the fork was killed")
        os.close(descriptor)  # the end of the worker's stream, if there is none: the reason comes first
        return
    try:
        if os.fork():
            os._exit(0)
    except OSError as error:
        os._exit(error.errno or 1)
    channel.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    status = 1
    try:
        gc.enable()
        status = work(loaded, seat, descriptor)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
