"""The events of the client's codecs, in the past tense: one vocabulary for HTTP/1.1, HTTP/2, SCGI and FastCGI."""

from __future__ import annotations

__all__ = ["AnswerEnded", "AnswerReceived", "BodyArrived", "Headers", "InformationalReceived"]

Headers = list[tuple[bytes, bytes]]
"""Names in lower case, every line, in order."""


class InformationalReceived:
    """A 1xx answer other than 101; the final one is still to come."""

    __slots__ = ("headers", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers


class AnswerReceived:
    """The head of the answer.

    ``more`` is False when nothing can follow. A 101, and a 2xx to CONNECT, have it False as well: what follows is no
    body but the bytes of a tunnel.
    """

    __slots__ = ("headers", "more", "status", "tunnel", "version")

    def __init__(self, status: int, headers: Headers, version: str, more: bool, tunnel: bool = False) -> None:
        self.status = status
        self.headers = headers
        self.version = version
        self.more = more
        self.tunnel = tunnel


class BodyArrived:
    """A piece of the answer's body, never empty."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class AnswerEnded:
    """The body is complete. What a protocol does not have is empty."""

    __slots__ = ("app_status", "stderr", "trailers")

    def __init__(self, trailers: Headers | None = None, stderr: bytes = b"", app_status: int = 0) -> None:
        self.trailers = trailers
        self.stderr = stderr
        self.app_status = app_status
