"""ASGI 3 applications as SSGI callables: HTTP and WebSocket 2.5, lifespan 2.0 with state.

Offered extensions: ``websocket.http.response``, ``tls`` where the web server passes TLS variables, and, where the
settings enable them (``asgi_pathsend``, ``file_header``), ``http.response.pathsend`` and
``http.response.zerocopysend``.

What an application may get wrong, and what comes of it. "Error" is an exception in the application, out of its
``send``; if the application does not catch it, the last three rows apply.

HTTP

=============================================  ====================================================================
the application                                outcome
=============================================  ====================================================================
body, file or anything else before the start   RuntimeError
a second start                                 RuntimeError
anything after the end                         ignored, as ASGI has it; a warning in the log
an unknown event, or one not offered           RuntimeError naming it
headers as tuples, lists, or missing           taken
header names in capitals, ``str`` for bytes    taken
a Connection, Transfer-Encoding ... header     dropped: the connection is the web server's
CR, LF or NUL in a header, a bad name          ValueError naming the header
a status that is none, or 1xx                  ValueError
``str`` for the body                           TypeError
more or fewer bytes than its Content-Length    ValueError; if the head is out, the connection breaks
a file that cannot be opened                   OSError, before anything was sent
a piece or file after the client disconnected  ConnectionAbortedError, an OSError
the start or last piece after it has           quiet: what comes after an answer is done
``receive`` after the client disconnected      ``http.disconnect``, each time
``receive`` after the whole request            waits for the end, then ``http.disconnect``
``receive`` after the whole response           ``http.disconnect``, once all of it has left
returns without a response                     500, an error in the log
returns in the middle of one                   the connection breaks, an error in the log
is no coroutine function                       the same as returning: 500, or what it did before it returned
never answers                                  the client waits; once it has disconnected, it may go on
goes on in the middle of an answer             once the client has disconnected, informed, then cancelled
is cancelled                                   500 if nothing was sent, else the connection breaks
raises before the head is out                  500, the traceback in the log
raises after it                                the connection breaks, the traceback in the log
raises after the end                           the client has its answer, the traceback is in the log
=============================================  ====================================================================

WebSocket

=============================================  ====================================================================
the application                                outcome
=============================================  ====================================================================
a message before it has accepted               RuntimeError
a second accept                                RuntimeError
a subprotocol that was not offered             ValueError
neither ``text`` nor ``bytes``                 ValueError
the wrong type in one of them                  TypeError
a close code or reason that must not be sent   ValueError
``close`` before it has accepted               403
``send`` after a close by either side          ConnectionAbortedError, an OSError; quiet while another task of the
                                               application waits in ``receive``, which will report it
``close`` after one by the client              quiet, once: what it wants is so
``receive`` after a close by either side       ``websocket.disconnect`` with code and reason, each time
returns before it has decided                  403, an error in the log
returns later                                  closed with 1000
raises before it has accepted                  500, the traceback in the log
raises later                                   closed with 1011, the traceback in the log
=============================================  ====================================================================

A client that disconnects does not end the application: ``receive`` and ``send`` report it at once, and an application
that calls neither is cancelled ``GRACE`` seconds later. Nothing here catches a ``CancelledError``.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters import shape
from ssgi_gateway.adapters.asgi.lifespan import Lifespan
from ssgi_gateway.errors import ConfigurationError

from ..callable import SsgiCallable
from .http import HttpCall
from .scope import http_scope, websocket_scope
from .websocket import WebSocketCall

if TYPE_CHECKING:
    from collections.abc import Callable

    from ssgi_gateway.settings import Settings

    from ...core.response import HttpResponse
    from ...core.websocket import WebSocket

__all__ = ["ASGI_VERSION", "GRACE", "AsgiApplication", "adapt"]

ASGI_VERSION: Final = "2.5"
"""What ``get_supported`` is given: the version of the HTTP and WebSocket message format."""

SWALLOWED: Final = (
    "; a middleware may have swallowed http.response.pathsend, which it has to pass on or hide: without "
    "--asgi-pathsend and --file-header it is not offered"
)

GRACE: Final = 10.0
"""Seconds between a client's disconnection and the application's cancellation; Daphne's application_close_timeout."""


def adapt(app: Any, settings: Settings | None = None) -> AsgiApplication:
    """An SSGI callable that serves the ASGI 3 application ``app``.

    Args:
        app: called with ``scope, receive, send``.
        settings: ``asgi_pathsend``, ``file_header`` and ``deadlines.client_left``; without them files are offered.

    Raises:
        ConfigurationError: it cannot be called with ``scope, receive, send``.
    """
    if not shape.accepts(app, 3):
        hint = ""
        if inspect.isclass(app) and shape.accepts(app, 1):
            hint = ". It looks like ASGI 2: wrap it in asgiref.compatibility.guarantee_single_callable"
        raise ConfigurationError(
            f"the {shape.describe(app)} cannot be called as ASGI 3, with scope, receive and send{hint}"
        )
    if settings is None:
        return AsgiApplication(app)
    files = settings.asgi_pathsend or bool(settings.file_header)
    return AsgiApplication(app, settings.deadlines.client_left, files=files)


class AsgiApplication(SsgiCallable):
    """The SSGI callable.

    Args:
        app: an ASGI 3 application.
        grace: seconds an application may go on after its client has disconnected, before it is cancelled; 0 for ever.
        files: whether ``http.response.pathsend`` and ``http.response.zerocopysend`` are offered.
    """

    __slots__ = ("_app", "_files", "_grace", "_lifespan", "_state")

    def __init__(
        self,
        app: Callable[..., Any],
        grace: float = GRACE,
        files: bool = True,
    ) -> None:
        self._app = app
        self._grace = grace
        self._files = files
        self._lifespan: Lifespan | None = None
        self._state: dict[str, Any] = {}

    def _serve(self, res: HttpResponse) -> Any:
        call = HttpCall.__new__(HttpCall)
        call.init(res, self._grace, self._files)
        scope = http_scope(res, self._state, self._files)
        if self._files:
            res.hint = SWALLOWED
        return self._app(scope, call.receive, call.send)

    def _serve_websocket(self, ws: WebSocket) -> Any:
        return WebSocketCall(ws, self._grace).run(self._app, websocket_scope(ws, self._state))

    async def startup(self, state: dict[str, Any]) -> None:
        """Run the application's lifespan up to its ``startup.complete``.

        Args:
            state: the worker's; the application fills it, and each scope gets a shallow copy.

        Raises:
            ConfigurationError: the application answered ``startup.failed``.
        """
        self._state = state
        self._lifespan = Lifespan(self._app)
        await self._lifespan.startup(state)

    async def shutdown(self) -> None:
        """Run the rest of its lifespan."""
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    def __repr__(self) -> str:
        return f"<AsgiApplication {self._app!r}>"
