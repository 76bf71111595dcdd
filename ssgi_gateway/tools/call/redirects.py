"""``-L``: where a redirect leads, what is sent there, and what does not go along.

A server chooses where a redirect leads, so it leads to web servers only, and to another origin go neither passwords nor
cookies (RFC 9110 15.4; curl does likewise).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from ssgi_gateway.errors import LocalProtocolError
from ssgi_gateway.wire.client.request import parse_url

from .body import Body
from .failure import REDIRECTS, CallFailed

if TYPE_CHECKING:
    from ssgi_gateway.wire.client.events import AnswerReceived

__all__ = [
    "MAX_REDIRECTS",
    "NOT_ELSEWHERE",
    "is_of_gateway",
    "is_same_origin",
    "joined",
    "location_of",
    "next_body",
    "next_url",
]

MAX_REDIRECTS: Final = 50

NOT_ELSEWHERE: Final = frozenset((b"authorization", b"cookie", b"host"))
"""Headers for the origin of the first request."""


def location_of(event: AnswerReceived) -> str | None:
    """Where an answer redirects to, ``None`` where it does not."""
    if event.status not in (301, 302, 303, 307, 308):
        return None
    for name, value in event.headers:
        if name == b"location":
            return value.decode("utf-8", "surrogateescape")
    return None


def joined(url: str, location: str) -> str:
    """A Location as a whole url, ``""`` without one; what cannot be one as it stands."""
    try:
        return urljoin(url, location) if location else ""
    except ValueError:
        return location


def next_url(url: str, location: str) -> str:
    """The url of the next request.

    Raises:
        CallFailed: it is none of a web server.
    """
    whole = joined(url, location)
    try:
        parsed = parse_url(whole)
    except LocalProtocolError as error:
        raise CallFailed(REDIRECTS, f"the redirect leads nowhere: {error}") from None
    if parsed.scheme not in ("http", "https") or parsed.path:
        raise CallFailed(REDIRECTS, f"the redirect leads to {whole}, which is no web server's url; call it yourself")
    return whole


def is_same_origin(one: str, other: str) -> bool:
    """Whether scheme, host and port are the same (RFC 6454)."""
    first, second = parse_url(one), parse_url(other)
    return (first.scheme, first.host, first.port) == (second.scheme, second.host, second.port)


def is_of_gateway(url: str, first: str, host: str | None) -> bool:
    """Whether a redirect of an application stays at its gateway, which has no name of its own.

    Args:
        url: where it leads.
        first: the url of the first request.
        host: the Host header that was given, if one was.
    """
    return urlsplit(url).netloc in ("localhost", urlsplit(first).netloc, host)


def next_body(status: int, method: str, body: Body) -> Body:
    """What the next request sends (RFC 9110 15.4.2 to 15.4.4): after a 303, or a 301 or 302 to a POST, nothing.

    Args:
        status: of the redirect.
        method: what the request was by its body, whatever ``-X`` calls it.
        body: what it sent.

    Raises:
        CallFailed: the body cannot be sent again.
    """
    if method != "HEAD" and (status == 303 or (status in (301, 302) and method == "POST")):
        return Body()
    body.rewind()
    return body
