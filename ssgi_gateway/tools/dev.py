"""``ssgi-gateway dev``: an application, a browser, and nothing else to install.

It takes every option of ``serve``, and listens for HTTP on 127.0.0.1:8000, or at ``$PORT``, by default.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import __version__
from ssgi_gateway.adapters import loading
from ssgi_gateway.cli import arguments
from ssgi_gateway.core import stop_signals
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.request_lines import has_colours
from ssgi_gateway.process import directory, sockets
from ssgi_gateway.process.develop import BROWSER, Development
from ssgi_gateway.process.lines import Lines
from ssgi_gateway.settings import Deadlines, Settings, WebSocketSettings
from ssgi_gateway.settings.sources import add_options, read
from ssgi_gateway.tools.front_nginx import PORT as HTTPS_PORT
from ssgi_gateway.tools.front_nginx import front
from ssgi_gateway.wire.protocols import PROTOCOLS

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["dev"]

PORT: Final = 8000


def dev(words: list[str]) -> int:
    """The command; ``words`` are the arguments behind it."""
    given = _parse(words)
    folder = tempfile.mkdtemp(prefix="ssgi-dev-") if given.nginx else ""
    try:
        return _run(given, _settings(given, folder), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(given: Namespace, settings: Settings, folder: str) -> int:
    directory.enter(settings.chdir)
    # ^C before there is anything to end.
    stop_signals.interrupt_start((signal.SIGTERM, signal.SIGINT))
    with contextlib.ExitStack() as stack:
        opened = sockets.open_all(sockets.addresses(settings), settings)
        for listener in opened:
            stack.callback(listener.close)
        watched = [os.path.realpath(it) for it in (given.watch or (".", *settings.pythonpath))]
        missing = next((it for it in watched if not os.path.isdir(it)), None)
        if missing is not None:
            raise ConfigurationError(f"--watch: there is no folder {missing}")
        development = Development(settings, opened, watched, _out, _say)
        urls = [f"http://{listener.address}/" for listener in opened if listener.protocol == "http"]
        if given.nginx:
            socket = next(str(it.address.path) for it in opened if it.protocol == "scgi")
            urls = [stack.enter_context(front(settings.app, socket, folder, development.others, _port() or HTTPS_PORT))]
        _print_banner(settings, urls, opened, watched)
        if given.open and urls:
            development.opened = lambda: _open(urls[0])
        return development.run()


def _parse(words: list[str]) -> Namespace:
    parser = arguments.parser(
        "ssgi-gateway dev",
        "Serve an application while it is being written: it is loaded again whenever a file changes.",
    )
    parser.usage = "ssgi-gateway dev APP [--open] [--nginx] [--watch DIR] [OPTION ...]"
    own = parser.add_argument_group("development")
    own.add_argument("--open", action="store_true", help="Open a browser when the application is ready.")
    own.add_argument(
        "--nginx", action="store_true", help="Start nginx in front, with TLS and a certificate of its own."
    )
    own.add_argument(
        "--watch", action="append", metavar="DIR", help="Watch this folder instead of the current one. Repeatable."
    )
    add_options(parser)
    return arguments.read(parser, words)


def _settings(given: Namespace, folder: str) -> Settings:
    settings = read(vars(given))
    if not settings.app:
        raise ConfigurationError(loading.NO_APPLICATION)  # no change of a file mends that
    changes: dict[str, Any] = {
        "development": True,
        "log_format": "text" if settings.log_format == "auto" else settings.log_format,
        # That it drains and starts again is printed here already.
        "log_level": "warning" if settings.log_level == "info" else settings.log_level,
        # Long enough for a connection that was just accepted, and short beside the half second that a reload may take.
        "deadlines": Deadlines(**{**vars(settings.deadlines), "drain": 0.25}),
    }
    if folder:
        changes["scgi"] = (f"unix:{folder}/scgi.sock",)
        changes["websockets"] = WebSocketSettings(**{**vars(settings.websockets), "origins": ("same",)})
    elif not any(getattr(settings, protocol) for protocol in PROTOCOLS):
        changes["http"] = (f"127.0.0.1:{_port() or PORT}",)
    return Settings(**{**vars(settings), **changes})


def _port() -> int:
    """``PORT`` of the environment, which platforms set; 0 if it is not there."""
    port = os.environ.get("PORT", "")
    if port and not (port.isascii() and port.isdigit()):
        raise ConfigurationError(f"PORT in the environment is {port!r}, not a number")
    return int(port or 0)


# -- output ------------------------------------------------------------------------------------------------------


def _paint(colour: str, text: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if has_colours(sys.stdout) else text


_out: Final = Lines(1)
"""Not ``print``: a terminal that was stopped must not stop the one who looks for changes."""


def _say(line: str) -> None:
    _out.write(f"{_paint('2', time.strftime('%H:%M:%S'))} {_paint('36', line)}\n")


def _print_banner(settings: Settings, urls: list[str], opened: list[Any], folders: list[str]) -> None:
    print(f"\n  {_paint('1', 'ssgi-gateway')} {__version__}  {settings.app}\n")
    for url in urls:
        print(f"  {_paint('32', '➜')}  {_paint('1', url)}")
    for listener in opened:
        if listener.protocol != "http":
            print(f"     {listener.protocol} {listener.address}")
    print(f"\n  {_paint('2', 'watching ' + ', '.join(folders) + '; ^C ends')}\n", flush=True)


def _open(url: str) -> None:
    """A browser, without waiting for it."""
    with contextlib.suppress(OSError):
        subprocess.Popen(
            [sys.executable, "-m", "webbrowser", url], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env={**os.environ, BROWSER: "1"},
        )  # fmt: skip
