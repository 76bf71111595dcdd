"""The process behind ``--status``: it reads the table and serves what it says, and nothing that serves waits for it.

It belongs to whoever started it, the supervisor or a server without one, and ends with it. As root it becomes nobody,
and in any case it can gain no rights. It is the project's own server with an application of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import system
from ssgi_gateway.process.system import say
from ssgi_gateway.server import listeners
from ssgi_gateway.server.address import Address

if TYPE_CHECKING:
    import asyncio

    from ssgi_gateway.observe.reading import Reader
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["Status", "StatusApplication", "known_descriptors", "main"]

TABLE: Final = 3
LISTENER: Final = 4
"""Descriptors of the process."""
PR_SET_NO_NEW_PRIVS: Final = 38
NOBODY: Final = 65534
SHORTEST_LIFE: Final = 5.0
"""Seconds that it has to live to be started again."""
PERIOD: Final = 1.0
"""Seconds between two pictures for the page, and between two looks at whether the parent is there."""


class Status:
    """The process as its parent knows it.

    Args:
        table: the descriptor of the table.
    """

    def __init__(self, table: int) -> None:
        self.pid = 0
        self._table = table
        self._began = 0.0
        self._listener: Listener | None = None

    def open(self, settings: Settings) -> None:
        """Listen at the address of the setting ``status``, if it has one.

        Raises:
            ConfigurationError: it cannot be used.
        """
        if not settings.status:
            return
        try:
            address = Address.parse(settings.status)
        except ConfigurationError as error:
            raise ConfigurationError(f"--status: {error}") from None
        self._listener = listeners.listen(address, settings, "http")
        place = f"http://{self.address}/" if address.kind == "tcp" else self.address
        print(f"ssgi-gateway: status page at {place}", file=sys.stderr, flush=True)

    @property
    def address(self) -> str:
        """Where it listens; empty for nowhere."""
        return "" if self._listener is None else str(self._listener.address)

    def start(self) -> None:
        """Start the process, if it is wanted and does not run."""
        if self._listener is None or self.pid:
            return
        self._began = time.monotonic()
        listener = self._listener.socket.fileno()
        try:
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *system.python_options(), "-m", "ssgi_gateway.process.status"],
                {**os.environ, "SSGI_STATUS_ADDRESS": self.address},
                # Each over a descriptor that nobody needs, so that one does not close the other.
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, self._table, LISTENER + 20),
                    (os.POSIX_SPAWN_DUP2, listener, LISTENER + 21),
                    (os.POSIX_SPAWN_DUP2, LISTENER + 20, TABLE),
                    (os.POSIX_SPAWN_DUP2, LISTENER + 21, LISTENER),
                    (os.POSIX_SPAWN_CLOSE, LISTENER + 20),
                    (os.POSIX_SPAWN_CLOSE, LISTENER + 21),
                ],
                setsigmask=(),
                setsigdef=(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),
            )
        except OSError as error:
            say("warning", f"--status: {sys.executable}: {error.strerror}")

    def ended(self, how: str) -> None:
        """The process has gone; it is started again unless it went at once."""
        self.pid = 0
        if time.monotonic() - self._began > SHORTEST_LIFE:
            say("warning", f"the status process {how}; another one is started")
            self.start()
        else:
            say("warning", f"the status process {how}; --status is not served any more")
            self.close()

    def close(self) -> None:
        """End the process and give the address back."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, 0)
            self.pid = 0
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    # -- a supervisor that is replaced in place ------------------------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """What a successor has to know."""
        listener = self._listener
        return {
            "pid": self.pid,
            "began": self._began,
            "listener": None if listener is None else [str(listener.address), listener.socket.fileno()],
        }

    def descriptors(self) -> Iterable[int]:
        """What has to stay open over the exec."""
        if self._listener is not None:
            yield self._listener.socket.fileno()

    def take_over(self, known: Mapping[str, Any], table: int) -> None:
        """Go on with the process of the predecessor."""
        from ssgi_gateway.server.listeners import Listener

        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self._table = table
        self.pid, self._began = known["pid"], known["began"]
        if known["listener"] is not None:
            address, fd = known["listener"]
            self._listener = Listener(socket.socket(fileno=fd), Address.parse(address), "http")


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors that a predecessor left."""
    if known["listener"] is not None:
        yield known["listener"][1]


# -- the process ---------------------------------------------------------------------------------------------------


def main() -> int:
    """Serve until the parent is gone; returns the exit status."""
    from ssgi_gateway import engine
    from ssgi_gateway.adapters.negotiation import Application
    from ssgi_gateway.observe import log_setup
    from ssgi_gateway.observe.reading import Reader
    from ssgi_gateway.server.control import Control
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings, WebSocketSettings

    system.entitle("ssgi status")
    settings = Settings(metrics=False, log_level="warning", websockets=WebSocketSettings(origins=("same",)))
    log_setup.configure(settings)
    listener = socket.socket(fileno=LISTENER)
    listener.setblocking(False)
    address = Address.parse(os.environ.get("SSGI_STATUS_ADDRESS") or "fd:4")
    reader = Reader(TABLE)
    control = Control()
    application = StatusApplication(reader, os.getppid())
    application.when_orphaned = control.stop
    run = engine.module("server.serve", "auto").run
    served = Application(application.http, application.websocket, application)
    import_all()
    drop_rights()
    return int(run(settings, served, [Listener(listener, address, "http")], control))


def import_all() -> None:
    """What is needed later on, for nobody may perhaps not read it: all that is imported where it is first used."""
    from ssgi_gateway import engine
    from ssgi_gateway.observe import status_page
    from ssgi_gateway.wire.websocket import handshake

    for name in (
        "observe.exposition",
        "observe.reading",
        "wire.websocket.deflate",
        "wire.forwarded",
        "wire.hints",
        "wire.http.head",
        "wire.http1",
    ):
        importlib.import_module(f"ssgi_gateway.{name}")
    for name in ("base64", "concurrent.futures.thread", "hashlib", "linecache", "traceback", "unicodedata", "zlib"):
        importlib.import_module(name)
    handshake.accept_token("dGhlIHNhbXBsZSBub25jZQ==")
    engine.module("wire.http.codec", "auto")
    engine.module("server.serve", "auto").loop_factory()
    status_page.page()


def drop_rights() -> None:
    """As root: become nobody. In any case: no way back up."""
    if os.geteuid() == 0:
        with contextlib.suppress(PermissionError):
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


class StatusApplication:
    """``/live``, ``/ready``, ``/metrics``, ``/status`` and the page, over the project's own interface.

    Args:
        reader: of the table.
        parent: the process that is alive or not.
    """

    def __init__(self, reader: Reader, parent: int) -> None:
        self._reader = reader
        self._parent = parent
        self._watch: asyncio.Task[None] | None = None
        self.when_orphaned: Any = None

    async def startup(self, _: dict[str, Any]) -> None:
        """Begin to look whether the parent is there."""
        import asyncio  # the supervisor, which starts this program, has no use for it

        self._watch = asyncio.create_task(self._watch_parent())

    async def shutdown(self) -> None:
        """And stop."""
        if self._watch is not None:
            self._watch.cancel()

    async def _watch_parent(self) -> None:
        import asyncio

        while os.getppid() == self._parent:  # noqa: ASYNC110 - no event tells of a parent's end
            await asyncio.sleep(PERIOD)
        self.when_orphaned()

    def http(self, *call: Any) -> Any:
        """Answer a request."""
        method, path, response = call[3], call[4], call[7]
        answer = _ANSWERS.get(path)
        if method not in ("GET", "HEAD"):
            status, kind, body = 405, _TEXT, "only GET is served here\n"
            response.send_headers([("Allow", "GET, HEAD")])
        elif answer is None:
            status, kind, body = 404, _TEXT, "there is /, /live, /ready, /metrics and /status\n"
        else:
            status, kind, body = answer(self)
        response.send_status(status)
        response.send_headers([("Content-Type", kind), ("Cache-Control", "no-store"), *_SECURITY])
        return response.send(body)

    def websocket(self, *call: Any) -> None:
        """Send what ``/status`` says, once a second."""
        path, ws = call[4], call[7]
        if path != "/":
            ws.reject(404)
            return
        ws.accept()
        ws.run_async(self._feed, ws)

    async def _feed(self, ws: Any) -> None:
        import asyncio

        while await ws.send(self._json()):  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(PERIOD)

    # -- answers -------------------------------------------------------------------------------------------------

    def _json(self) -> str:
        from ssgi_gateway.observe.reading import as_json

        return json.dumps(as_json(self._reader.snapshot()))

    def live(self) -> tuple[int, str, str]:
        """Whether there is a server at all: busy is not dead."""
        alive = os.getppid() == self._parent
        return 200 if alive else 503, _TEXT, "live\n" if alive else "the server has ended\n"

    def ready(self) -> tuple[int, str, str]:
        """Whether requests should be sent here."""
        snapshot = self._reader.snapshot()
        if snapshot.stopping:
            return 503, _TEXT, "stopping\n"
        if snapshot.ready:
            return 200, _TEXT, "ready\n"
        states = ", ".join(f"{worker.number} {worker.state}" for worker in snapshot.workers) or "none"
        return 503, _TEXT, f"no worker is ready: {states}\n"

    def metrics(self) -> tuple[int, str, str]:
        """For Prometheus."""
        from ssgi_gateway.observe.exposition import CONTENT_TYPE, exposition

        return 200, CONTENT_TYPE, exposition(self._reader.snapshot())

    def status(self) -> tuple[int, str, str]:
        """For programs."""
        return 200, "application/json", self._json()

    def page(self) -> tuple[int, str, str]:
        """For people."""
        from ssgi_gateway.observe import status_page

        return 200, "text/html; charset=utf-8", status_page.page()


_TEXT: Final = "text/plain; charset=utf-8"
_SECURITY: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy",
     "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' ws: wss:; "
     "img-src data:; frame-ancestors 'self'"),
)  # fmt: skip
_ANSWERS: Final = {
    "/": StatusApplication.page,
    "/live": StatusApplication.live,
    "/ready": StatusApplication.ready,
    "/metrics": StatusApplication.metrics,
    "/status": StatusApplication.status,
}


if __name__ == "__main__":
    sys.exit(main())
