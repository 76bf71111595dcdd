"""Hooks: an observer of one's own, as one object with callables of these names, each of which may be missing.

======================================  ============================================================================
``start()``, ``stop()``                 when a worker begins and ends, behind the fork: connect, start threads there
``around(application)``                 gives what is called in the application's place: an SSGI callable like it
``request_started(request)``            before the application is called
``request_ended(request, status, s)``   the request is over; 499 for a client that disconnected; 101 for a WebSocket
``websocket_closed(request, code)``     a WebSocket is over
``message_received(request, message)``  of a WebSocket
``message_sent(request)``               likewise
======================================  ============================================================================

``request`` is a ``HookRequest``. A hook is called on the event loop's thread and must not wait; what it raises is
logged and harms no request. Without hooks there is no observer and no cost, nor where none of them is about requests.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from .observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..core.exchange import Exchange

__all__ = ["HookObserver", "HookRequest"]

logger = logging.getLogger("ssgi_gateway.hooks")

WATCHING = ("request_started", "request_ended", "websocket_closed", "message_received", "message_sent")
"""Those that are called for requests."""
NAMES = ("start", "stop", "around", *WATCHING)


class HookRequest:
    """A request, for hooks; the same object from its start to its end, and for its WebSocket.

    Attributes:
        exchange: the ``res`` or ``ws`` that the application has.
        method: ``GET`` and so on.
        path: as received, not decoded.
        query: without the question mark.
        scheme: ``http`` or ``https``.
        protocol: what carries it: ``scgi``, ``http`` ...
        server: the address that was asked.
        remote: the client's.
        http_version: of the client's request.
        request_id: its name in log lines.
        data: for hooks to keep something in.
    """

    def __init__(self, exchange: Exchange) -> None:
        request = exchange.request
        self.exchange = exchange
        self.method = request.method
        self.path = request.raw_path
        self.query = request.query_string
        self.scheme = request.scheme()
        self.server = request.server_address
        self.remote = request.remote_address
        self.http_version = request.http_version()
        self.protocol = exchange.protocol
        self.request_id = exchange.request_id()
        self.data: dict[str, Any] = {}

    def header(self, name: str) -> str | None:
        """A header of the request, by its name in any case."""
        return self.exchange.request.variables.header(name)

    @property
    def sent(self) -> int:
        """Bytes of the answer's body so far."""
        return self.exchange.sent

    @property
    def received(self) -> int:
        """Bytes of the request's body so far."""
        return self.exchange.received()


class HookObserver(Observer):
    """The observer that calls hooks.

    Args:
        hooks: the object.
    """

    def __init__(self, hooks: Any) -> None:
        self._hooks = {name: found for name in NAMES if callable(found := getattr(hooks, name, None))}
        self._requests: dict[int, HookRequest] = {}

    def _call(self, name: str, *args: Any) -> Any:
        hook = self._hooks.get(name)
        if hook is None:
            return None
        try:
            return hook(*args)
        except Exception:
            logger.exception("the hook %s raised", name)
            return None

    @property
    def watches(self) -> bool:
        """Whether a hook is about requests. Where none is, requests need not be observed, only ``close`` be called."""
        return any(name in self._hooks for name in WATCHING)

    def start(self) -> None:
        """The worker begins."""
        self._call("start")

    def around(self, application: Callable[..., Any] | None) -> Callable[..., Any] | None:
        """What is called in the place of ``application``."""
        if application is None:
            return None
        return self._call("around", application) or application

    def request_started(self, exchange: Exchange) -> None:
        self._requests[id(exchange)] = request = HookRequest(exchange)
        self._call("request_started", request)

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        # An accepted WebSocket goes on.
        request = self._requests.get(id(exchange)) if status == 101 else self._requests.pop(id(exchange), None)
        if request is not None:
            self._call("request_ended", request, status, seconds)

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        request = self._requests.pop(id(exchange), None)
        if request is not None:
            self._call("websocket_closed", request, code)

    def message_received(self, exchange: Exchange, message: str | bytes) -> None:
        if "message_received" in self._hooks and (request := self._requests.get(id(exchange))) is not None:
            self._call("message_received", request, message)

    def message_sent(self, exchange: Exchange) -> None:
        if "message_sent" in self._hooks and (request := self._requests.get(id(exchange))) is not None:
            self._call("message_sent", request)

    def close(self) -> None:
        self._call("stop")
