"""``scope``: an RSGI application's view of a request. Nothing is computed before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.forwarded import HTTP_SCHEMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...wire.cgi import RequestHead
    from ...wire.variables import Variables

__all__ = ["HttpScope", "RsgiHeaders", "Scope", "WebSocketScope"]

VERSION: Final = "1.6"


class RsgiHeaders:
    """All headers, read-only, lower-case names; a look-up takes any case and costs nothing but itself.

    Web servers join repeated headers with ``", "`` (cookies with ``"; "``), so ``get_all`` mostly finds one value.
    """

    __slots__ = ("_variables",)

    def __init__(self, variables: Variables) -> None:
        self._variables = variables

    def get(self, key: str, default: Any = None) -> Any:
        """The header's value, or ``default``."""
        value = self._variables.header(key)
        return default if value is None else value

    def get_all(self, key: str) -> list[str]:
        """Every value of the header."""
        value = self._variables.header(key)
        return [] if value is None else [value]

    def keys(self) -> list[str]:
        """The names."""
        return [name for name, _ in self._variables.headers()]

    def values(self) -> list[str]:
        """The values, in the same order."""
        return [value for _, value in self._variables.headers()]

    def items(self) -> list[tuple[str, str]]:
        """Names and values."""
        return self._variables.headers()

    def __getitem__(self, key: str) -> str:
        value = self._variables.header(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._variables.header(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self._variables.headers())

    def __repr__(self) -> str:
        return f"RsgiHeaders({self.items()!r})"


Mapping.register(RsgiHeaders)


class Scope:
    """What HTTP and WebSockets have in common."""

    __slots__ = ("_headers", "_request")

    def __init__(self, request: RequestHead) -> None:
        self.init(request)

    def init(self, request: RequestHead) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._request = request
        self._headers: RsgiHeaders | None = None

    @property
    def rsgi_version(self) -> str:
        """The version of the specification."""
        return VERSION

    @property
    def http_version(self) -> str:
        """``"1"``, ``"1.1"``, ``"2"`` or ``"3"``: the client's."""
        version = self._request.http_version()
        return "1" if version == "1.0" else version

    @property
    def server(self) -> str:
        """``address:port``; without the port where it is not known."""
        return self._request.server_address

    @property
    def client(self) -> str:
        """The same of the client."""
        return self._request.remote_address

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``, also of a WebSocket."""
        scheme = self._request.scheme()
        return HTTP_SCHEMES.get(scheme, scheme)

    @property
    def method(self) -> str:
        """The method."""
        return self._request.method

    @property
    def path(self) -> str:
        """The path, decoded; RSGI knows no root path, so that one is in it."""
        return self._request.path

    @property
    def query_string(self) -> str:
        """What follows the ``?``, not decoded."""
        return self._request.query_string

    @property
    def authority(self) -> str | None:
        """The pseudo-header ``:authority``; there is none before HTTP/2."""
        if self._request.http_version()[:1] == "1":
            return None
        return self._request.variables.header("host")

    @property
    def headers(self) -> RsgiHeaders:
        """The headers."""
        if self._headers is None:
            self._headers = RsgiHeaders(self._request.variables)
        return self._headers


class HttpScope(Scope):
    """Of a request."""

    __slots__ = ()

    @property
    def proto(self) -> str:
        """``"http"``."""
        return "http"


class WebSocketScope(Scope):
    """Of a WebSocket."""

    __slots__ = ()

    @property
    def proto(self) -> str:
        """``"ws"``."""
        return "ws"
