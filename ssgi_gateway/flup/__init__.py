"""flup's servers, for scripts that were written for flup 1.0.3: one changed import, and they run here.

::

    from ssgi_gateway.flup.server.fcgi import WSGIServer      # was: from flup.server.fcgi import WSGIServer
    WSGIServer(app).run()

Without any change: ``python -m ssgi_gateway.flup script.fcgi``. The signatures are flup's; what has no counterpart
(``minSpare``, ``maxChildren``, ``timeout`` ...) is taken and has no effect, as one process serves all that come.

* Descriptor 0 is served where no ``bindAddress`` is given: a listening socket over FastCGI, otherwise the one request
  that CGI started the process for. ``run`` then ends with ``sys.exit(0)``, as flup's does.
* ``run`` returns True after SIGHUP, for scripts that start themselves anew then, and False after SIGTERM and SIGINT.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

__all__ = ["FcgiServer", "ScgiServer"]

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
BindAddress = str | tuple[Any, ...] | None

THREADS: Final = 8
"""The threads of a multithreaded server without ``maxThreads``; flup has as many as requests come."""

MAX_THREADS: Final = 256


class _Server:
    """What the servers of all protocols and kinds share."""

    protocol = "fastcgi"

    def __init__(
        self,
        application: Application,
        environ: Mapping[str, Any] | None,
        multithreaded: bool,
        bindAddress: BindAddress,  # noqa: N803 - flup's name
        umask: int | None,
        debug: bool,
        root_path: str | None,
        more: Mapping[str, Any],
    ) -> None:
        self.application = application
        self.environ = dict(environ or {})
        self.threads = min(int(more.get("maxThreads", THREADS)), MAX_THREADS) if multithreaded else 0
        self.bindAddress = bindAddress
        self.umask = umask
        self.debug = debug
        self.root_path = root_path

    def run(self) -> bool:
        """Serve until a signal; True after SIGHUP.

        Raises:
            SystemExit: the one request of a CGI process was served.
        """
        from ssgi_gateway.process import standard_input

        if self.bindAddress is None:
            started = standard_input.CGI if self._forces_cgi() else standard_input.started_as(os.environ)
            if started == standard_input.CGI:
                self._serve_cgi()
            standard_input.adjust()
        return self._serve()

    def _forces_cgi(self) -> bool:
        return False

    def _called(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """The application, with what ``environ`` adds to each request."""
        environ.update(self.environ)
        return self.application(environ, start_response)

    def _settings(self) -> Any:
        from ssgi_gateway.settings.sources import combine, from_command_line

        given: dict[str, Any] = {
            self.protocol: [_address(self.bindAddress)],
            "workers": "0",
            "threads": str(self.threads),
            "deadline_drain": "2.5" if self.bindAddress is None else "30",
        }
        if self.umask is not None:
            given["socket_mode"] = f"{0o777 & ~self.umask:o}"
        if self.root_path is not None:
            given["root_path"] = self.root_path
        if self.debug:
            given["development"] = True
        return combine(from_command_line(given))

    def _serve_cgi(self) -> None:
        from ssgi_gateway.process import cgi

        cgi.call(self._called, self._settings())
        sys.exit(0)

    def _serve(self) -> bool:
        import logging

        from ssgi_gateway import engine
        from ssgi_gateway.adapters import negotiation
        from ssgi_gateway.process.sockets import addresses, open_all
        from ssgi_gateway.server.control import Control

        settings = self._settings()
        application = negotiation.resolve(self._called, "wsgi", settings)
        hung_up: list[bool] = []

        class Flup(Control):
            """SIGHUP ends ``run``, too."""

            def begin(self, loop: Any, cancel: Callable[[], object], bound: float) -> None:
                super().begin(loop, cancel, bound)
                loop.add_signal_handler(signal.SIGHUP, self._hang_up)

            def _hang_up(self) -> None:
                hung_up.append(True)
                self.stop()

        control = Flup()
        opened = open_all(addresses(settings), settings)
        try:
            logging.getLogger("ssgi_gateway").setLevel(logging.WARNING)
            engine.module("server.serve", settings.codec).run(settings, application, opened, control)
        finally:
            for listener in opened:
                listener.close()
            if control.ending is not None:
                control.ending.lift()  # the script goes on
        return bool(hung_up)


class FcgiServer(_Server):
    """``flup.server.fcgi.WSGIServer``."""

    def __init__(
        self,
        application: Application,
        environ: Mapping[str, Any] | None = None,
        multithreaded: bool = True,
        multiprocess: bool = False,
        bindAddress: BindAddress = None,  # noqa: N803
        umask: int | None = None,
        multiplexed: bool = False,
        debug: bool = False,
        roles: tuple[int, ...] = (1,),
        forceCGI: bool = False,  # noqa: N803
        **kw: Any,
    ) -> None:
        super().__init__(application, environ, multithreaded, bindAddress, umask, debug, None, kw)
        self.forceCGI = forceCGI

    def _forces_cgi(self) -> bool:
        return self.forceCGI


class _NoDefault:
    """flup's mark for a ``scriptName`` that was not given."""


class ScgiServer(_Server):
    """``flup.server.scgi.WSGIServer``."""

    protocol = "scgi"

    def __init__(
        self,
        application: Application,
        scriptName: Any = _NoDefault,  # noqa: N803
        environ: Mapping[str, Any] | None = None,
        multithreaded: bool = True,
        multiprocess: bool = False,
        bindAddress: BindAddress = ("localhost", 4000),  # noqa: N803
        umask: int | None = None,
        allowedServers: Any = None,  # noqa: N803
        loggingLevel: int = 20,  # noqa: N803
        debug: bool = False,
        **kw: Any,
    ) -> None:
        root_path = None if scriptName is _NoDefault else (scriptName or "").rstrip("/")
        super().__init__(application, environ, multithreaded, bindAddress, umask, debug, root_path, kw)


def _address(bind: BindAddress) -> str:
    """The ``bindAddress`` as an address: a path, ``(host, port)``, or more for IPv6; None is descriptor 0."""
    if bind is None:
        return "fd:0"
    if isinstance(bind, str):
        return f"unix:{bind}"
    host, port = bind[0] or "", bind[1]
    return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
