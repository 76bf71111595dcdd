"""Every exception this project raises on purpose.

::

    GatewayError
    ├── ConfigurationError          a setting, an address or an import string cannot be used
    ├── LocalProtocolError          this side asked for what the protocol forbids
    └── RemoteProtocolError         the peer broke the framing: close, one line in the log
        ├── RequestRejected         well framed, not acceptable: answered with an HTTP status
        └── WebSocketError          ends a WebSocket with a close code

Applications never meet these: what an application does wrong is a ``ValueError`` or a ``RuntimeError``
(``spec`` page: SSGI), and a peer that left is a ``ConnectionAbortedError``.
"""

from __future__ import annotations

__all__ = [
    "ConfigurationError",
    "GatewayError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "RequestRejected",
    "WebSocketError",
]


class GatewayError(Exception):
    """The root of the tree."""


class ConfigurationError(GatewayError):
    """A setting, an address or an import string cannot be used; the message says what to do."""


class LocalProtocolError(GatewayError):
    """This side asked a codec for something its protocol forbids."""


class RemoteProtocolError(GatewayError):
    """The peer broke the framing. The connection is closed and one line says what was wrong."""


class RequestRejected(RemoteProtocolError):  # noqa: N818 - a refusal, not a fault of ours
    """A request that was framed correctly and cannot be served.

    Args:
        status: the HTTP status to answer with (400, 411, 413, 414, 426, 431 ...).
        message: what was wrong, in words, for the log and for the answer's body.
        headers: further header pairs the answer must carry (RFC 9110 15.5.22 wants ``Upgrade`` on a 426).
    """

    def __init__(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers


class WebSocketError(RemoteProtocolError):
    """The peer broke RFC 6455, or a bound of ours: the connection ends with a Close frame.

    Args:
        code: the close code (RFC 6455 7.4.1): 1002, 1003, 1007, 1009 ...
        reason: at most 123 bytes of UTF-8, sent along.
    """

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
