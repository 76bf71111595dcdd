"""The process behind ``--status``: it reads the table and serves what is there, and nothing that serves waits for it.

It ends with its parent (``status``). As root it becomes nobody, and in any case it can gain no rights. It is the
project's own server with an application of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import linux
from ssgi_gateway.process import system
from ssgi_gateway.process.status import LISTENER, TABLE
from ssgi_gateway.server.address import Address

if TYPE_CHECKING:
    from ssgi_gateway.observe.reading import Reader

__all__ = ["StatusApplication", "main"]

NOBODY: Final = 65534
PERIOD: Final = 1.0
"""Seconds between two pictures for the page; and between two looks for the parent, where no event reports its end."""


def main() -> int:
    """Serve until the parent has ended; returns the exit status."""
    from ssgi_gateway import engine
    from ssgi_gateway.adapters.application import Application
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
    """What is imported where it is first used: later on, as the user nobody, it may be unreadable."""
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
    linux.forgo_privileges()


class StatusApplication:
    """``/live``, ``/ready``, ``/metrics``, ``/status`` and the page, over the project's own interface.

    Args:
        reader: of the table.
        parent: the process that is alive or not.
    """

    def __init__(self, reader: Reader, parent: int) -> None:
        self._reader = reader
        self._parent = parent
        self._watch = -1
        self._look: asyncio.Task[None] | None = None
        self.when_orphaned: Any = None

    async def startup(self, _: dict[str, Any]) -> None:
        """Begin to wait for the parent's end."""
        loop = asyncio.get_running_loop()
        try:
            self._watch = linux.exit_descriptor(self._parent)
        except OSError:  # it has ended already, or this kernel cannot watch it
            self._look = asyncio.create_task(self._look_for_parent())
            return
        loop.add_reader(self._watch, self._parent_ended)
        if os.getppid() != self._parent:  # it had ended before, and the descriptor is of another process
            loop.call_soon(self._parent_ended)

    async def shutdown(self) -> None:
        """And stop."""
        if self._look is not None:
            self._look.cancel()
        if self._watch >= 0:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = -1

    async def _look_for_parent(self) -> None:
        while os.getppid() == self._parent:  # noqa: ASYNC110 - no event reports its end here
            await asyncio.sleep(PERIOD)
        self.when_orphaned()

    def _parent_ended(self) -> None:
        asyncio.get_running_loop().remove_reader(self._watch)
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
        """Send what ``/status`` shows, once a second."""
        path, ws = call[4], call[7]
        if path != "/":
            ws.reject(404)
            return
        ws.accept()
        ws.run_async(self._feed, ws)

    async def _feed(self, ws: Any) -> None:
        while await ws.send(self._json()):  # noqa: ASYNC110 - time is what is waited for
            await asyncio.sleep(PERIOD)

    # -- answers -------------------------------------------------------------------------------------------------

    def _json(self) -> str:
        from ssgi_gateway.observe.snapshot import as_json

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
