"""``ssgi-gateway serve``.

It reads the settings and hands them to a supervisor (``process.supervisor``), or, with ``--workers 0``, loads the
application and serves in this process. Options are made from the settings (``settings.sources``), none is written here;
help and mistakes are for ``arguments``. The exit status is 0 after a drain.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from ssgi_gateway import __version__
from ssgi_gateway.process import standard_input
from ssgi_gateway.settings.sources import plain_words, read, unknown_variables

if TYPE_CHECKING:
    from ssgi_gateway.server.control import Control
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["parse", "serve"]


def serve(words: list[str]) -> int:
    """``ssgi-gateway serve``; ``words`` are the arguments behind it."""
    given = parse(words)
    warnings = list(unknown_variables(os.environ))
    settings = read(given)
    if warnings:
        _warn(settings, warnings)
    if standard_input.is_all_there_is(settings, os.environ):
        return _serve_a_web_servers_own(given)
    import signal  # not before: a CGI program has no time for it

    from ssgi_gateway.core import stop_signals

    stop_signals.interrupt_start()
    if settings.workers:
        from ssgi_gateway.process import supervisor

        # They have no meaning until the supervisor listens, and to most processes each is the end.
        signal.pthread_sigmask(signal.SIG_BLOCK, supervisor.MEANT_LATER)
        announce = functools.partial(_announce, settings)
        return supervisor.run(given, settings, announce)
    return _serve_alone(settings)


def _serve_a_web_servers_own(given: dict[str, Any]) -> int:
    """Without an address: a web server may have started this process, with a socket or a request as descriptor 0."""
    started = standard_input.started_as(os.environ)
    if started == standard_input.CGI:
        from ssgi_gateway.process import cgi

        return cgi.run(read(given))
    if started == standard_input.LISTENER:
        standard_input.adjust()
        settings = read(given, {**standard_input.DEFAULTS, "fastcgi": ["fd:0"]})
        return _serve_alone(settings, quiet=True)
    from ssgi_gateway.process import sockets

    sockets.addresses(read(given))  # raises ConfigurationError for what cannot be used
    return 2


def _serve_alone(settings: Settings, quiet: bool = False) -> int:
    """In this process, without a supervisor; ``quiet`` where standard error is the site's error log."""
    from ssgi_gateway import engine
    from ssgi_gateway.adapters import loading, negotiation
    from ssgi_gateway.errors import ConfigurationError
    from ssgi_gateway.observe import log_setup
    from ssgi_gateway.process import directory, lines, sockets
    from ssgi_gateway.process.alone import Alone

    directory.enter(settings.chdir)
    addresses = sockets.addresses(settings)
    run = engine.module("server.serve", settings.codec).run
    log_setup.configure(settings)
    lines.choose_log(settings.log_format)
    control = Alone(settings)
    loaded = loading.load(settings.app, pythonpath=settings.pythonpath)
    application = negotiation.resolve(loaded, settings.interface, settings)
    log_setup.enable()
    http, websocket = application.http is not None, application.websocket is not None
    served = sockets.served(addresses, http, websocket)
    opened = sockets.open_all(served, settings)
    try:
        if served != addresses:
            lines.notice(f"ssgi-gateway: {sockets.NO_WEBSOCKETS}", sockets.NO_WEBSOCKETS, "warning")
        if not quiet:
            _announce(settings, opened, http, websocket, engine.describe(settings.codec), engine.event_loop())
        with _watched(settings, control):
            return int(run(settings, application, opened, control))
    except KeyboardInterrupt:
        return 0  # stopped while it was starting: nothing was in progress
    except SystemExit as error:  # later on an exit is the failure of one request
        raise ConfigurationError(loading.failure(loading.EXITED, error)) from None
    finally:
        for listener in opened:
            listener.close()


@contextlib.contextmanager
def _watched(settings: Settings, control: Control) -> Iterator[None]:
    """With the table that this process writes, and the process that serves ``--status``."""
    if not settings.metrics:
        yield
        return
    from ssgi_gateway.observe.table import own_table

    table = own_table(settings.app)
    control.seat = table.seat(1)
    from ssgi_gateway.process import status

    process = status.Status(table.fd)
    process.open(settings)
    try:
        process.start()
        yield
    finally:
        process.close()


def _announce(
    settings: Settings, opened: Iterable[Listener], http: bool, websocket: bool, codecs: str, loop: str
) -> None:
    from ssgi_gateway.cli.banner import banner, listening
    from ssgi_gateway.process import lines

    # Why it is not another build or loop is shown by --version.
    codecs, loop = codecs.partition(" (")[0], loop.partition(" (")[0]
    shown = list(opened)
    lines.notice(
        banner(shown, http, websocket, settings.app, codecs, loop),
        f"serves {settings.app}",
        app=settings.app, version=__version__, codecs=codecs, loop=loop, listeners=listening(shown, http, websocket),
    )  # fmt: skip


def _warn(settings: Settings, warnings: Iterable[str]) -> None:
    from ssgi_gateway.process import lines

    lines.choose_log(settings.log_format)
    for warning in warnings:
        lines.notice(f"ssgi-gateway: warning: {warning}", warning, "warning")


def parse(words: list[str], command: str = "ssgi-gateway serve") -> dict[str, Any]:
    """The settings of a command line, that of ``serve`` or of a command with the same settings."""
    given = plain_words(words)
    if given is not None:
        return given
    from ssgi_gateway.cli import arguments  # argparse and its parser are a tenth of a start: for help, for mistakes

    return vars(arguments.parse_serve(words, command))
