"""RSGI 1.6 applications as SSGI callables.

``__rsgi__`` is called in place of ``__call__`` where there is one; ``__rsgi_init__(loop)`` and ``__rsgi_del__(loop)``
are called before and after the loop runs. What an application may get wrong, and what comes of it:

=============================================  ====================================================================
the application                                outcome
=============================================  ====================================================================
a second ``response_*``                        RSGIProtocolError
the body read for a second time                RSGIProtocolError
a header or status that cannot be sent         ValueError; another response may still be given
``response_file`` of what cannot be opened     404, a warning in the log
a range that ends before it begins             ValueError
more or fewer bytes than its Content-Length    500 if the head is not out, else the connection breaks
``send_*`` after the client disconnected       RSGIProtocolClosed
``send_*`` after the application returned      RSGIProtocolClosed
reading the body after a disconnect            RSGIProtocolClosed
returns without a response                     500, an error in the log
returns in the middle of a stream              that is how a stream ends
raises before the head is out                  500, the traceback in the log
raises after it                                the connection breaks, the traceback in the log
a second ``accept``, one after ``close``       RSGIProtocolError
``accept`` after the client disconnected       RSGIProtocolClosed
``close(status)`` before ``accept``            that HTTP status, 403 without one
``close(status)`` after it                     a close code if it is one; a status from 500 on is 1011, all else 1000
two ``receive`` at once                        RSGIProtocolError
``receive`` after the client's Close           a message of kind 0, then RSGIProtocolClosed
``receive`` after the connection broke         RSGIProtocolClosed
``send_*`` after the application's ``close``   RSGIProtocolError
``send_bytes`` of ``str`` and the like         TypeError
returns without ``accept`` or ``close``        403, an error in the log
returns after ``accept``                       closed with 1000
raises before ``accept``                       500, the traceback in the log
raises after it                                closed with 1011, the traceback in the log
lets an RSGIProtocolClosed through             nothing, if its client has disconnected
is no coroutine function                       taken: then a response costs no task
=============================================  ====================================================================

A client that disconnects does not end the application: what it calls next raises, ``client_disconnect`` resolves, and
an application that uses neither is cancelled ``GRACE`` seconds later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.adapters import shape
from ssgi_gateway.errors import ConfigurationError

from ..callable import SsgiCallable
from .http import RsgiHttpProtocol
from .scope import HttpScope, WebSocketScope
from .websocket import RsgiWebSocketProtocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from ssgi_gateway.settings import Settings

    from ...core.response import HttpResponse
    from ...core.websocket import WebSocket
    from .call import RsgiCall
    from .scope import Scope

__all__ = ["GRACE", "RSGI_VERSION", "RsgiApplication", "adapt"]

RSGI_VERSION: Final = "1.6"

GRACE: Final = 10.0
"""Seconds between a client's disconnection and the application's cancellation, as for ASGI."""


def adapt(app: Any, settings: Settings | None = None) -> RsgiApplication:
    """An SSGI callable that serves an RSGI application.

    Args:
        app: has ``__rsgi__``, or is called with ``scope`` and ``protocol``.
        settings: ``deadlines.client_left``.

    Raises:
        ConfigurationError: neither.
    """
    target = getattr(app, "__rsgi__", app)
    if not shape.accepts(target, 2):
        raise ConfigurationError(
            f"the {shape.describe(target)} cannot be called as RSGI: an RSGI application takes two arguments (scope, "
            "protocol)"
        )
    grace = GRACE if settings is None else settings.deadlines.client_left
    return RsgiApplication(app, target, grace)


class RsgiApplication(SsgiCallable):
    """The SSGI callable.

    Args:
        app: the application, for its life: ``__rsgi_init__`` and ``__rsgi_del__``.
        target: what is called with ``scope`` and ``protocol``.
        grace: seconds an application may go on after its client has disconnected and it did not listen.
    """

    __slots__ = ("_app", "_grace", "_target")

    def __init__(self, app: Any, target: Callable[..., Any], grace: float = GRACE) -> None:
        self._app = app
        self._target = target
        self._grace = grace

    def before_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """``__rsgi_init__``: "the event loop won't be running at the time the init function gets called"."""
        init = getattr(self._app, "__rsgi_init__", None)
        if init is not None:
            init(loop)

    def after_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """``__rsgi_del__``: the loop runs no more."""
        delete = getattr(self._app, "__rsgi_del__", None)
        if delete is not None:
            delete(loop)

    def _serve(self, res: HttpResponse) -> None:
        call = RsgiHttpProtocol.__new__(RsgiHttpProtocol)
        call.init(res, self._grace)
        scope = HttpScope.__new__(HttpScope)
        scope.init(res.request)
        self._run(call, scope)

    def _serve_websocket(self, ws: WebSocket) -> None:
        self._run(RsgiWebSocketProtocol(ws, self._grace), WebSocketScope(ws.request))

    def _run(self, call: RsgiCall, scope: Scope) -> None:
        result = self._target(scope, call)
        if hasattr(result, "__await__"):
            call.run(result)
        else:
            call.conclude(None)
