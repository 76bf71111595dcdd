"""The CGI variables of one request (RFC 3875 4.1), cleaned of what no application may meet, on any interface.

* Values are bytes on the wire and latin-1 text here, decoded when they are read.
* Repeats are merged, never refused. The last one wins (it is how ``include`` and a line of one's own override in
  nginx), but header fields that are lists (HTTP_*) are joined as RFC 9110 5.3 joins header lines. Fields that exist
  once (``SINGLE``) are no lists: two of them are a configuration's, and a comma would make garbage of both.
* Two different CONTENT_LENGTHs are 400: a server that guesses can be made to smuggle (RFC 9112 6.3). An empty
  one conflicts with nothing. Over FastCGI it overrides as any other variable does; over SCGI, where nginx sends a
  number of its own first and the body is framed by it, the number stays.
* HTTP_PROXY is dropped: programs read it as a setting of theirs (httpoxy, CVE-2016-5385).
* HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE and HTTP_TRANSFER_ENCODING are dropped: the web server has taken the body
  out of its framing already, and CONTENT_LENGTH and CONTENT_TYPE have the rest.
* REDIRECT_HTTP_AUTHORIZATION, REDIRECT_REMOTE_USER and REDIRECT_AUTH_TYPE stand in for those without REDIRECT_: so
  Apache renames them for a script that was reached by rewriting. A client cannot send them, its headers get HTTP_.
* HTTP_HOST is dropped when it is not a host, so that no links are built of it; ``header("host")`` then is the
  server's own name.
* A name is not empty and holds no NUL, CR, LF or ``=`` (what could not stand in an environment): else 400.

The compiled build has its own class of this name, with the same methods.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, overload

from ssgi_gateway.errors import RequestRejected

from .addresses import fallback_host, is_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Variables", "header_name", "merge_repeated", "variable_name"]

DROPPED: Final = ("HTTP_PROXY", "HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING")

USER: Final = ("REMOTE_USER", "AUTH_TYPE", "REMOTE_IDENT")

REDIRECTED: Final = {
    b"REDIRECT_HTTP_AUTHORIZATION": b"HTTP_AUTHORIZATION",
    b"REDIRECT_REMOTE_USER": b"REMOTE_USER",
    b"REDIRECT_AUTH_TYPE": b"AUTH_TYPE",
}

SINGLE: Final = frozenset(
    b"HTTP_" + name
    for name in (
        b"AUTHORIZATION", b"CONTENT_LENGTH", b"CONTENT_TYPE", b"CONTENT_ENCODING", b"CONTENT_LANGUAGE",
        b"CONTENT_LOCATION", b"CONTENT_RANGE", b"DATE", b"FROM", b"HOST", b"IF_MODIFIED_SINCE", b"IF_RANGE",
        b"IF_UNMODIFIED_SINCE", b"MAX_FORWARDS", b"ORIGIN", b"PROXY_AUTHORIZATION", b"RANGE", b"REFERER",
        b"SEC_WEBSOCKET_KEY", b"SEC_WEBSOCKET_VERSION", b"UPGRADE_INSECURE_REQUESTS", b"USER_AGENT",
    )
)  # fmt: skip
"""Variables of header fields whose grammar is no list (RFC 9110, 9111, 6454, 6455)."""

BODILESS: Final = frozenset(("GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"))
"""Methods that have a body only by way of exception: ``CONTENT_LENGTH=0`` is no header of the client's there."""

# What a token (RFC 9110 5.6.2) turns into: capitals, and underscores for dashes.
_VARIABLE: Final = frozenset("!#$%&'*+.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_MAX_KEPT_SIZE: Final = 64
_MAX_KEPT: Final = 1024

# Names that passed the check, with the header each stands for. Requests repeat them, so mostly a look here is all the
# checking there is; bounded, because clients choose header names.
_known: dict[str, str] = {}


def header_name(variable: str) -> str:
    """The header a variable stands for, lower-case and with dashes; ``""`` if it stands for none.

    HTTP_ and a token in capitals is a header (RFC 3875 4.1.18), and so are CONTENT_TYPE and CONTENT_LENGTH.
    """
    if variable == "CONTENT_TYPE":
        return "content-type"
    if variable == "CONTENT_LENGTH":
        return "content-length"
    name = variable[5:]
    if not name or variable[:5] != "HTTP_" or not _VARIABLE.issuperset(name):
        return ""
    return name.replace("_", "-").lower()


@lru_cache(maxsize=1024)
def variable_name(header: str) -> str:
    """The variable a header comes in, whatever the case of ``header``; ``""`` if it comes in none.

    A name with an underscore is none: web servers drop such headers, or they look like the one with the dash.
    """
    name = header.upper().replace("-", "_")
    if name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        variable = name
    else:
        variable = f"HTTP_{name}"
    return variable if header and header_name(variable) == header.lower() else ""


@lru_cache(maxsize=1024)  # requests repeat them
def _encoded(name: str) -> bytes:
    return name.encode("latin-1")


def merge_repeated(pairs: Iterable[tuple[bytes, bytes]], keep_length: bool = False) -> dict[bytes, bytes]:
    """The variables with each name once, in the order in which the names first came.

    Args:
        pairs: names and values as they came.
        keep_length: whether a CONTENT_LENGTH that is empty leaves the one before as it is (SCGI).

    Raises:
        RequestRejected: 400, two values of CONTENT_LENGTH.
    """
    merged: dict[bytes, bytes] = {}
    for name, value in pairs:
        if name not in merged:
            merged[name] = value
        elif name.startswith(b"HTTP_") and name not in SINGLE:
            # RFC 6265 5.4: a request has one Cookie header; RFC 9113 8.2.3 has how several become one.
            merged[name] = (b"; " if name == b"HTTP_COOKIE" else b", ").join((merged[name], value))
        elif name != b"CONTENT_LENGTH":
            merged[name] = value
        elif value and merged[name] not in (b"", value):
            raise RequestRejected(400, f"CONTENT_LENGTH was sent twice: {_show(merged[name])} and {_show(value)}")
        elif value or not keep_length:
            merged[name] = value
    return merged


def take_redirected(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Variables that Apache has renamed for a rewritten request under their own names, where those are empty."""
    values = dict(pairs)
    renamed = {name: own for name, own in REDIRECTED.items() if name in values and not values.get(own)}
    replaced = set(renamed.values())
    return [(renamed.get(name, name), value) for name, value in pairs if name not in replaced]


class Variables:
    """The variables of one request, and its headers among them.

    Args:
        pairs: names and values as they came, repeats included.

    Raises:
        RequestRejected: 400, for two different CONTENT_LENGTHs or a name that cannot be one.
    """

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self._values = {name.decode("latin-1"): value for name, value in merge_repeated(pairs).items()}
        self._clean()

    @classmethod
    def from_unique(cls, values: dict[str, bytes]) -> Variables:
        """Make one of names that are different already; ``values`` is taken over, not copied."""
        variables = cls.__new__(cls)
        variables._values = values
        variables._clean()
        return variables

    def _clean(self) -> None:
        values = self._values
        if not values.keys() <= _known.keys():
            _check_names(values)
        for name in DROPPED:
            if name in values:
                del values[name]
        if "REDIRECT_STATUS" in values or "REDIRECT_HTTP_AUTHORIZATION" in values:
            pairs = take_redirected([(name.encode("latin-1"), value) for name, value in values.items()])
            self._values = values = {name.decode("latin-1"): value for name, value in pairs}
        host = values.get("HTTP_HOST")
        if host is not None and not is_host(host.decode("latin-1")):
            del values["HTTP_HOST"]

    def settle_user(self, believed: bool) -> None:
        """Drop REMOTE_USER, AUTH_TYPE and REMOTE_IDENT where they are empty (RFC 3875 4.1.1, 4.1.10, 4.1.11).

        Args:
            believed: whether the web server is known to check them; some pass on what a client claims.
        """
        for name in USER:
            if name in self._values and not (believed and self._values[name]):
                del self._values[name]

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """The variable ``name``, such as ``REQUEST_METHOD``, as it was sent."""
        value = self._values.get(name)
        return default if value is None else value.decode("latin-1")

    def header(self, name: str) -> str | None:
        """The request header ``name``, in any case; ``None`` if the client sent none of that name.

        Content-Type and Content-Length are ``None`` when empty, and Content-Length also when it is 0 on a method
        that usually has no body: web servers send these two whether or not the client did.
        """
        variable = variable_name(name)
        value = self._values.get(variable)
        if variable[:8] == "CONTENT_":
            return self._content_header(variable, value)
        if value is None:
            return fallback_host(self) if variable == "HTTP_HOST" else None
        return value.decode("latin-1")

    def headers(self) -> list[tuple[str, str]]:
        """Every header once: what ``header`` returns for every name it knows, lower-case, in the order received."""
        headers = []
        for variable, value in self._values.items():
            name = _known.get(variable)
            if name is None:
                name = header_name(variable)
            if not name:
                continue
            text = self._content_header(variable, value) if variable[:8] == "CONTENT_" else value.decode("latin-1")
            if text is not None:
                headers.append((name, text))
        if "HTTP_HOST" not in self._values:
            host = fallback_host(self)
            if host is not None:
                headers.append(("host", host))
        return headers

    def header_pairs(self) -> list[tuple[bytes, bytes]]:
        """``headers()`` as bytes, as ASGI and ``res.extensions`` have them."""
        return [(_encoded(name), value.encode("latin-1")) for name, value in self.headers()]

    def _content_header(self, variable: str, value: bytes | None) -> str | None:
        if not value:
            return None
        if variable == "CONTENT_LENGTH" and not value.strip(b"0") and self.get("REQUEST_METHOD") in BODILESS:
            return None
        return value.decode("latin-1")

    def items(self) -> Iterable[tuple[str, str]]:
        """All variables, in the order received."""
        return [(name, value.decode("latin-1")) for name, value in self._values.items()]

    def __getitem__(self, name: str) -> str:
        return self._values[name].decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Variables({dict(self.items())!r})"


def _check_names(names: Iterable[str]) -> None:
    """Refuse names that cannot be names, and remember the others.

    Raises:
        RequestRejected: 400.
    """
    for name in names:
        if name in _known:
            continue
        if not name or "=" in name or "\n" in name or "\r" in name or "\0" in name:
            raise RequestRejected(400, f"a variable's name is {_show(name.encode('latin-1'))}")
        if len(name) <= _MAX_KEPT_SIZE:
            if len(_known) >= _MAX_KEPT:
                _known.clear()
            _known[name] = header_name(name)


def _show(value: bytes) -> str:
    """A value for a message: printable and not too long."""
    return repr(value[:40])[1:] + ("..." if len(value) > 40 else "")
