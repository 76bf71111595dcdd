"""What is asked, from the options: the request with its headers, and the variables that a web server would send."""

from __future__ import annotations

import os
from binascii import b2a_base64
from typing import TYPE_CHECKING, Any

from ssgi_gateway import __version__
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.wire.client.cgi_request import cgi_variables
from ssgi_gateway.wire.client.request import Request
from ssgi_gateway.wire.client.scgi import check_target

from .body import content_of
from .failure import URL, CallFailed
from .fronts import front_variables
from .redirects import NOT_ELSEWHERE, is_same_origin

if TYPE_CHECKING:
    from .body import Body

__all__ = ["given_host", "header_lines", "make_pairs", "make_request"]

Pairs = list[tuple[bytes, bytes]]


def make_request(given: Any, method: str, body: Body, url: str, first: str) -> Request:
    """The request.

    Args:
        given: the options.
        method: of the request.
        body: what is sent.
        url: what is asked.
        first: the url that was asked first; to another origin go neither passwords nor cookies.

    Raises:
        CallFailed: a header is none.
    """
    headers: Pairs = []
    removed = set()
    for line in given.header:
        name, colon, value = line.partition(":")
        if not colon and not line.endswith(";"):
            raise CallFailed(URL, f"-H {line!r}: write 'Name: value'")
        if colon and not value.strip():
            removed.add(os.fsencode(name.strip().lower()))
        else:
            headers.append((os.fsencode(name.strip(" ;")), os.fsencode(value.strip())))
    names = {name.lower() for name, _ in headers} | removed
    headers += [
        (name, os.fsencode(value)) for name, value in _usual_headers(given, body) if name not in names and value
    ]
    if given.protocol is None and not is_same_origin(url, first):
        headers = [(name, value) for name, value in headers if name.lower() not in NOT_ELSEWHERE]
    if not names & {b"content-length", b"transfer-encoding"} and body.length > 0:
        headers.append((b"content-length", b"%d" % body.length))
    cgi = {"HTTPS": "on"} if given.https else {}
    request = Request(method, url, headers, b"", bool(body.length), {"cgi": cgi})
    if b"host" in removed and all(name.lower() != b"host" for name, _ in headers):
        request.headers = [pair for pair in request.headers if pair[0] != b"host"]
    return request


def header_lines(given: list[str]) -> list[str]:
    """The lines of ``-H``; those of files in place of ``@FILE``, without empty ones and ``#`` comments.

    Raises:
        CallFailed: a file cannot be read.
    """
    lines: list[str] = []
    for line in given:
        if line.startswith("@"):
            text = content_of(line, strip=False).decode("utf-8", "surrogateescape")
            lines += [one for one in text.splitlines() if one.strip() and not one.startswith("#")]
        else:
            lines.append(line)
    return lines


def given_host(given: Any) -> str | None:
    """The Host header of ``-H``."""
    lines = (line.partition(":") for line in given.header)
    return next((value.strip() for name, _, value in lines if name.strip().lower() == "host"), None)


def _usual_headers(given: Any, body: Body) -> list[tuple[bytes, str]]:
    is_json = any(how == "json" for how, _ in given.data or ()) and not given.get
    user = b2a_base64(os.fsencode(given.user), newline=False).decode() if given.user else ""
    return [
        (b"user-agent", f"ssgi-gateway/{__version__}" if given.user_agent is None else given.user_agent),
        (b"accept", "application/json" if is_json else "*/*"),
        (b"content-type", body.kind),
        (b"cookie", "; ".join(given.cookie or ())),
        (b"referer", given.referer or ""),
        (b"authorization", f"Basic {user}" if user else ""),
        (b"accept-encoding", "gzip, deflate" if given.compressed else ""),
    ]


def make_pairs(given: Any, protocol: str, request: Request, length: int) -> Pairs | None:
    """The variables; ``None`` over HTTP, which has none.

    Raises:
        CallFailed: ``--param`` is none.
        ConfigurationError: there are variables to send, and none can be sent.
        LocalProtocolError: the path has what SCGI cannot carry.
    """
    if protocol == "http":
        if given.param or given.script_filename:
            words = "--param and --script-filename set variables of SCGI and FastCGI; over HTTP -H sends headers"
            raise ConfigurationError(f"call: {words}")
        return None
    if protocol == "scgi":
        check_target(request.target)
    if given.front:
        pairs = front_variables(given.front, protocol, request, length, given.https, given.remote)
    else:
        pairs = cgi_variables(request, length, scgi=protocol == "scgi")
        changed = {b"REMOTE_ADDR": os.fsencode(given.remote)}
        pairs = [(name, changed.get(name, value)) for name, value in pairs]
    if given.script_filename:
        pairs = _with(pairs, b"SCRIPT_FILENAME", given.script_filename)
    for text in given.param:
        name, equals, value = text.partition("=")
        if equals:
            pairs = _with(pairs, os.fsencode(name), value)
        elif name.startswith("-"):
            pairs = [pair for pair in pairs if pair[0] != os.fsencode(name[1:])]
        else:
            raise CallFailed(URL, f"--param {text}: write NAME=VALUE, or -NAME to remove one")
    return pairs


def _with(pairs: Pairs, name: bytes, value: str) -> Pairs:
    """With this value in the variable's place, or at the end if there is none of that name."""
    made = (name, os.fsencode(value))
    if any(known == name for known, _ in pairs):
        return [made if pair[0] == name else pair for pair in pairs]
    return [*pairs, made]
