"""Every exception this project raises on purpose.

::

    GatewayError
    ├── ConfigurationError          a setting, an address or an import string cannot be used
    ├── LocalProtocolError          this side did what the protocol forbids
    └── ClientError                 an exchange of the client ended without its answer
        ├── RemoteProtocolError     the peer broke the framing: close, one line in the log
        │   ├── RequestRejected     well framed, not acceptable: answered with an HTTP status
        │   └── WebSocketError      ends a WebSocket with a close code
        ├── ConnectError            refused, unreachable, no such name, TLS
        ├── ConnectTimeout, PoolTimeout, WriteTimeout, ReadTimeout
        ├── ConnectionReset         also a ``ConnectionResetError``
        ├── StreamReset             HTTP/2: RST_STREAM, with its code
        ├── GoAway                  HTTP/2: GOAWAY, with its code
        └── Overloaded              FastCGI: the application takes no more requests

Applications of the server never meet these: what an application does wrong is a ``ValueError`` or a ``RuntimeError``
(SSGI 1.0), and a peer that disconnected is a ``ConnectionAbortedError``. Users of the client meet those below
``ClientError``, and ``LocalProtocolError``.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "ClientError",
    "ConfigurationError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionReset",
    "GatewayError",
    "GoAway",
    "LocalProtocolError",
    "Overloaded",
    "PoolTimeout",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestRejected",
    "StreamReset",
    "WebSocketError",
    "WriteTimeout",
]


class GatewayError(Exception):
    """The root of the tree."""


class ConfigurationError(GatewayError):
    """A setting, an address or an import string cannot be used; the message says what to do."""


class LocalProtocolError(GatewayError):
    """This side called a codec for something its protocol forbids."""


class ClientError(GatewayError):
    """An exchange of the client ended without its answer.

    Attributes:
        retryable: nothing of the request was processed, for certain; it may be sent again whatever its method.
        name: what ``http.stream.disconnect`` calls it.
        events: what a codec had read before it, in the same bytes; it is to be delivered first.
    """

    retryable = False
    events: list[Any] | tuple[()] = ()

    @property
    def name(self) -> str:
        """The class's name."""
        return type(self).__name__


class RemoteProtocolError(ClientError):
    """The peer broke the framing. The connection is closed, and one line of the log names the mistake."""


class RequestRejected(RemoteProtocolError):  # noqa: N818 - a refusal, not a fault of ours
    """A request that was framed correctly and cannot be served.

    Args:
        status: the HTTP status to answer with (400, 411, 413, 414, 426, 431 ...).
        message: what was wrong, in words, for the log and for the answer's body.
        headers: further header pairs the answer must carry (RFC 9110 15.5.22 requires ``Upgrade`` on a 426).
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


class ConnectError(ClientError):
    """No connection came to be: refused, unreachable, no such name, a TLS handshake that failed.

    Args:
        message: what was tried, and what happened.
        reason: ``"name"``, ``"connect"``, ``"tls"``, ``"certificate"`` or ``"proxy"``.
    """

    retryable = True

    def __init__(self, message: str, reason: str = "connect") -> None:
        super().__init__(message)
        self.reason = reason


class ConnectTimeout(ClientError):  # noqa: N818 - the name httpx and requests gave it
    """No connection came to be in time."""

    retryable = True


class PoolTimeout(ClientError):  # noqa: N818
    """No connection became free in time."""

    retryable = True


class WriteTimeout(ClientError):  # noqa: N818
    """The peer took nothing of the request for too long."""


class ReadTimeout(ClientError):  # noqa: N818
    """The peer was silent for too long, or the whole exchange took longer than it may."""


class ConnectionReset(ClientError, ConnectionResetError):  # noqa: N818
    """The peer reset the connection."""

    @property
    def name(self) -> str:
        """That of the built-in exception it is, too."""
        return "ConnectionResetError"


class StreamReset(ClientError):  # noqa: N818
    """The peer ended the stream by RST_STREAM (RFC 9113 6.4).

    Args:
        code: the error code; 7, REFUSED_STREAM, means that nothing was processed (RFC 9113 8.7).
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer reset the stream, error code {code}")
        self.code = code
        self.retryable = code == 7


class GoAway(ClientError):  # noqa: N818
    """The peer closes the connection and did not process this stream (RFC 9113 6.8).

    Args:
        code: the error code.
    """

    retryable = True

    def __init__(self, code: int) -> None:
        super().__init__(f"the peer went away before it processed the request, error code {code}")
        self.code = code


class Overloaded(ClientError):  # noqa: N818
    """The FastCGI application takes no more requests (FastCGI 5.5, FCGI_OVERLOADED)."""

    retryable = True
