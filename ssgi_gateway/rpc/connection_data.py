"""The request a connection began with, for hooks and handlers; parsed when it is read."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

__all__ = ["ConnectionData", "parse_cookies"]


class ConnectionData:
    """Headers, cookies, query, path and client of the handshake, and the headers its answer gets.

    Attributes:
        path: as requested, below and with the root path.
        query_string: not decoded.
        client: ``host:port``.
        scheme: ``http`` or ``https``.
        root_path: where the application is mounted.
        response_headers: pairs to add to the 101.
        subprotocol: the name that was chosen.
    """

    __slots__ = (
        "_get_header",
        "client",
        "path",
        "query_string",
        "response_headers",
        "root_path",
        "scheme",
        "subprotocol",
    )

    def __init__(self, client: str, path: str, query_string: str, get_header: Any, scheme: str, root_path: str) -> None:
        self.client = client
        self.path = path
        self.query_string = query_string
        self._get_header = get_header
        self.scheme = scheme
        self.root_path = root_path
        self.response_headers: list[tuple[str, str]] = []
        self.subprotocol = ""

    @property
    def headers(self) -> Any:
        """All request headers: a read-only mapping, case-insensitive."""
        return self._get_header()

    request_headers = headers
    """The original's name."""

    def header(self, name: str) -> str | None:
        """One request header."""
        value: str | None = self._get_header(name)
        return value

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies of the request."""
        return parse_cookies(self.header("cookie"))

    @property
    def query(self) -> dict[str, str]:
        """The query, decoded; of a name that is repeated the first value."""
        result: dict[str, str] = {}
        for name, value in parse_qsl(self.query_string, keep_blank_values=True):
            result.setdefault(name, value)
        return result


def parse_cookies(header: str | None) -> dict[str, str]:
    """``Cookie`` as a dict; what is malformed is left out."""
    jar: SimpleCookie = SimpleCookie()
    for pair in (header or "").split(";"):
        try:
            jar.load(pair.strip())
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}
