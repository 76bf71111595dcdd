"""What connections can be shared for: the origin of a request, and the proxy before it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ssgi_gateway.wire.client.request import Request

__all__ = ["Origin", "Proxy"]


class Proxy(NamedTuple):
    """An HTTP proxy; ``authorization`` is the value of Proxy-Authorization, or empty."""

    host: str
    port: int
    authorization: bytes = b""

    @classmethod
    def of(cls, host: str, port: int, user: str | None, password: str | None) -> Proxy:
        """With a user, Basic authentication (RFC 7617)."""
        if user is None:
            return cls(host, port)
        return cls(host, port, b"Basic " + base64.b64encode(f"{user}:{password or ''}".encode()))

    @property
    def fields(self) -> bytes:
        """The header lines for the proxy."""
        return b"proxy-authorization: %b\r\n" % self.authorization if self.authorization else b""


class Origin(NamedTuple):
    """What connections can be shared for.

    ``kind`` is ``http``, ``scgi`` or ``fcgi``; ``path`` the unix socket's; ``secure`` says TLS.
    """

    kind: str
    host: str
    port: int
    path: str = ""
    secure: bool = False
    proxy: Proxy | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"

    def request_target(self, request: Request) -> tuple[str, bytes]:
        """The request line's target, and header lines for a proxy (RFC 9112 3.2.2)."""
        if self.proxy is None or self.secure:
            return request.target, b""
        url = request.url
        return f"{url.scheme}://{url.authority}{request.target}", self.proxy.fields
