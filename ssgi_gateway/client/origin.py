"""What connections can be shared for: the origin of a request, and the proxy or the gateway in its place."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from ssgi_gateway.errors import ConfigurationError

from ..server.address import Address

if TYPE_CHECKING:
    from ssgi_gateway.wire.client.request import Request, Url

__all__ = ["Origin", "Proxy", "gateway_origin", "parse_proxy", "proxy_of_environment"]


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


def parse_proxy(text: str) -> Proxy:
    """A proxy as people write it.

    Raises:
        ConfigurationError: it is none that this client can use.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        raise ConfigurationError(f"{text!r} is no proxy for this client; write http://user:password@host:port")
    user = None if parts.username is None else unquote(parts.username)
    return Proxy.of(parts.hostname, port, user, unquote(parts.password or ""))


def proxy_of_environment(url: Url) -> Proxy | None:
    """The proxy that ``http_proxy``, ``all_proxy`` and the like name for a URL, unless ``no_proxy`` excludes it."""
    proxies = getproxies()
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found or proxy_bypass(f"{url.host}:{url.port}" if ":" not in url.host else url.host):
        return None
    return parse_proxy(found)


def gateway_origin(scgi: str | None, fastcgi: str | None, app: Any) -> Origin | None:
    """Where all requests go, whatever their URL: to a gateway, or an application in this process; ``None`` for neither.

    Raises:
        ConfigurationError: the gateway's address is none that a client can connect to.
    """
    if app is not None:
        return Origin("fcgi", "application", 0)
    if scgi is None and fastcgi is None:
        return None
    address = Address.parse(scgi or fastcgi or "")
    if address.kind == "fd":
        raise ConfigurationError(f"{address}: a client connects to unix:/path or host:port")
    kind = "scgi" if scgi else "fcgi"
    return Origin(kind, address.host or "127.0.0.1", address.port, address.path)
