"""Every exception of Swill.

::

    SwillException
     +-- Error                  an answer of the application's: code, message, data
     |    +-- SessionUnavailable    503: the session's store cannot be reached
     |    +-- PubSubUnavailable     503: the broker cannot be reached
     +-- CloseConnection        ends the connection, from any hook or handler
     +-- SwillResponseError     a handler's misuse of ``Response``
     +-- RpcError               clients: the answer was an ERROR
     +-- DisconnectedError      clients: the connection went away before the answer came

The names are those of the original, which its applications import.
"""

from __future__ import annotations

import enum
from typing import Any

__all__ = [
    "CloseConnection",
    "DisconnectedError",
    "Error",
    "ErrorCode",
    "PubSubUnavailable",
    "RpcError",
    "SessionUnavailable",
    "SwillException",
    "SwillResponseError",
]

INTERNAL_MESSAGE = "An internal server error occurred"
"""All that a client gets of an exception: its text may hold a secret."""


class ErrorCode(enum.IntEnum):
    """The codes that Swill itself gives. Applications may use any other integer, too."""

    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    CONFLICT = 409
    GONE = 410
    TOO_LARGE = 413
    VALIDATION_ERROR = 422
    TOO_MANY = 429
    INTERNAL_ERROR = 500
    INVALID_RPC = 501
    """Of the original's list; never sent: a procedure that does not exist is 404."""
    UNAVAILABLE = 503
    DEADLINE = 504


class SwillException(Exception):
    """The base class."""


class Error(SwillException):
    """What a procedure answers in place of a result.

    Args:
        code: any integer; 400 to 599 are also the HTTP status of a call over HTTP.
        message: for people.
        data: for programs: any value that msgpack can hold; left out of the frame when ``None``.
    """

    def __init__(self, *, code: int = 400, message: str = "", data: Any = None) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message
        self.data = data

    def __repr__(self) -> str:
        return f"{type(self).__name__}(code={self.code}, message={self.message!r}, data={self.data!r})"


class SessionUnavailable(Error):
    """The session's store cannot be reached now (503)."""

    def __init__(self, message: str = "the session store is not available") -> None:
        super().__init__(code=ErrorCode.UNAVAILABLE, message=message)


class PubSubUnavailable(Error):
    """The publish/subscribe backend cannot be reached now (503)."""

    def __init__(self, message: str = "publishing is not available") -> None:
        super().__init__(code=ErrorCode.UNAVAILABLE, message=message)


class CloseConnection(SwillException):
    """Ends the connection, raised in any hook or handler.

    Args:
        code: before the upgrade is answered, one below 1000 is the HTTP status, any other means 403. Afterwards it is
            the close code, and one below 1000 becomes 1008.
        reason: the body of the HTTP answer, or the reason in the Close frame (at most 123 bytes).
    """

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    @property
    def http_status(self) -> int:
        """What is answered before the upgrade."""
        return self.code if 400 <= self.code < 1000 else 403

    @property
    def close_code(self) -> int:
        """What is sent after it."""
        return 1008 if self.code < 1000 else self.code


class SwillResponseError(SwillException):
    """Leading metadata was set after the first frame, or twice."""


class RpcError(SwillException):
    """The answer to a client's call was an ERROR.

    Args:
        code: see ``ErrorCode``.
        message: the server's words.
        data: what it added; ``None`` if nothing.
        rpc: the procedure.
    """

    def __init__(self, code: int, message: str, data: Any = None, rpc: str = "") -> None:
        super().__init__(f"{rpc}: {code} {message}".rstrip())
        self.code = code
        self.message = message
        self.data = data
        self.rpc = rpc


class DisconnectedError(SwillException):
    """The connection went away, or could not be made.

    Args:
        message: what happened.
        code: the close code, or the HTTP status of a refused handshake; 1006 when it broke.
        reason: the server's words.
    """

    def __init__(self, message: str, code: int = 1006, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
