"""What the variables of one request give away about a web server that is configured wrongly.

Pure: variables in, findings out. The running gateway looks at its first requests in this way and logs each kind once
(``Diagnosis``); ``ssgi-gateway doctor`` looks at those of its own probes. Each rule is something that was seen behind a
real web server; what is right behind the configurations that this project ships finds nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

__all__ = ["Finding", "diagnose", "fix_for", "front_of"]

NGINX, APACHE, LIGHTTPD, CADDY, HAPROXY = "nginx", "apache", "lighttpd", "caddy", "haproxy"

Rule = Callable[[Mapping[str, str], str], "str | None"]


class Finding(NamedTuple):
    """One thing that is wrong.

    Args:
        kind: its name, for programs; ``host-without-port``.
        seen: what was seen.
        why: what comes of it.
        fix: the directive that fixes it, of the web server that was recognised.
    """

    kind: str
    seen: str
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.seen}: {self.why}. {self.fix}"


def front_of(software: str) -> str:
    """Which web server a SERVER_SOFTWARE or a Server field names; empty when none is recognised."""
    names = {"nginx": NGINX, "apache": APACHE, "lighttpd": LIGHTTPD, "caddy": CADDY, "haproxy": HAPROXY, "h2o": "h2o"}
    lower = software.lower()
    return next((front for name, front in names.items() if lower.startswith(name)), "")


PORT: Final = re.compile(r":\d+$")
NOT_RAW: Final = re.compile(r"[\x00-\x20\x7f]")
"""Bytes above 0x7f are not looked at: some clients send them as they are, and web servers pass them on."""
NUMBER: Final = re.compile(r"\d+")

RAW_URI: Final = {
    NGINX: "set REQUEST_URI to $request_uri, not to $uri or $document_uri",
    "": "pass the request's target as it is",
}

FIXES: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "host-without-port": (
        "links and redirects of the application lose the port",
        {
            NGINX: 'write "HTTP_HOST $http_host if_not_empty", or $host$ssgi_port as ssgi-gateway config nginx does',
            HAPROXY: "do not rewrite the Host header",
        },
    ),
    "script-name-is-the-first-segment": (
        "the first segment of each path is taken for the place where the application is mounted",
        {LIGHTTPD: 'add "fix-root-scriptname" => "enable", or start the gateway with --root-path \'\''},
    ),
    "uri-decoded": (
        "the path was decoded or rewritten before it came here, so %2F, %25 and spaces are not what the client wrote",
        RAW_URI,
    ),
    "uri-without-query": (
        "REQUEST_URI has no query although QUERY_STRING has one, so it was rewritten",
        RAW_URI,
    ),
    "no-request-uri": (
        "the path has to be put together from parts that are decoded already",
        {NGINX: "include scgi_params or fastcgi_params, which have REQUEST_URI $request_uri", "": "pass REQUEST_URI"},
    ),
    "no-remote-address": (
        "the application does not learn the client's address",
        {NGINX: "include scgi_params or fastcgi_params, which have REMOTE_ADDR $remote_addr", "": "pass REMOTE_ADDR"},
    ),
    "no-server-port": (
        "the application does not learn its own address",
        {NGINX: "include scgi_params or fastcgi_params, which have SERVER_PORT $server_port", "": "pass SERVER_PORT"},
    ),
    "scheme-unknown": (
        "requests over TLS look like plain HTTP to the application: cookies lose Secure, links say http",
        {NGINX: "add HTTPS $https if_not_empty, or REQUEST_SCHEME $scheme", "": "pass HTTPS=on or REQUEST_SCHEME"},
    ),
    "scheme-of-another-front": (
        "a further server in front terminates TLS, and this web server does not pass that on",
        {
            NGINX: "set HTTPS from a map of $http_x_forwarded_proto, for connections of that server only",
            APACHE: 'SetEnvIf X-Forwarded-Proto "^https$" HTTPS=on, where only that server can connect',
            CADDY: "name it in trusted_proxies",
            "": "configure this web server to trust that one",
        },
    ),
    "address-of-a-proxy": (
        "every client has the address of a server in front of this web server",
        {
            NGINX: "set_real_ip_from ADDRESS; real_ip_header X-Forwarded-For;",
            APACHE: "RemoteIPHeader X-Forwarded-For and RemoteIPTrustedProxy ADDRESS (mod_remoteip)",
            CADDY: "name it in trusted_proxies",
            HAPROXY: "bind ... accept-proxy, with send-proxy at the server in front",
            "": "configure this web server to trust that one's X-Forwarded-For",
        },
    ),
    "upgrade-in-band": (
        "this web server cannot make a tunnel of an answer that comes over SCGI, so a WebSocket hangs after its 101",
        {
            APACHE: "lead WebSockets to the direct port, and write RequestHeader unset Upgrade elsewhere",
            LIGHTTPD: "lead WebSockets to the direct port; from lighttpd 1.4.74 on \"upgrade\" => \"enable\" will do",
            "": "lead WebSockets to the gateway's direct port (--websocket)",
        },
    ),
}  # fmt: skip
"""For each kind: what comes of it, and the fix by web server; ``""`` is the one for any other."""


def fix_for(kind: str, front: str) -> tuple[str, str]:
    """Why a kind matters, and what to write at ``front``."""
    why, fixes = FIXES[kind]
    return why, fixes.get(front) or fixes.get("") or "; ".join(f"{name}: {fix}" for name, fix in fixes.items())


def diagnose(variables: Mapping[str, str], protocol: str) -> Iterator[Finding]:
    """All that one request gives away.

    Args:
        variables: the request's, as the web server sent them.
        protocol: how they came: ``scgi``, ``fastcgi``, ``uwsgi``. Those of the direct ports are the gateway's own.
    """
    front = front_of(variables.get("SERVER_SOFTWARE", ""))
    for kind, rule in RULES.items():
        seen = rule(variables, protocol)
        if seen is not None:
            yield Finding(kind, seen, *fix_for(kind, front))


# -- the rules: what was seen, or None -------------------------------------------------------------------------------


def _host_without_port(variables: Mapping[str, str], protocol: str) -> str | None:
    host, port = variables.get("HTTP_HOST", ""), variables.get("SERVER_PORT", "")
    usual = "443" if _is_https(variables) else "80"
    # A browser's Host has the port whenever it is not the usual one; a server further in front may have another.
    if not host or not port or port in (usual, "80", "443") or _behind_another(variables):
        return None
    return None if PORT.search(host) else f"HTTP_HOST is {host!r}, and the web server listens on port {port}"


def _script_name_is_the_first_segment(variables: Mapping[str, str], protocol: str) -> str | None:
    script, info = variables.get("SCRIPT_NAME", ""), variables.get("PATH_INFO", "")
    if front_of(variables.get("SERVER_SOFTWARE", "")) != LIGHTTPD or script.count("/") != 1 or len(script) < 2:
        return None
    return f"SCRIPT_NAME is {script!r} and PATH_INFO {info!r}" if variables.get("SCRIPT_FILENAME") else None


def _uri_decoded(variables: Mapping[str, str], protocol: str) -> str | None:
    uri = variables.get("REQUEST_URI", "")
    return f"REQUEST_URI is {uri!r}" if NOT_RAW.search(uri) else None


def _uri_without_query(variables: Mapping[str, str], protocol: str) -> str | None:
    uri, query = variables.get("REQUEST_URI", ""), variables.get("QUERY_STRING", "")
    return f"REQUEST_URI is {uri!r}, QUERY_STRING {query!r}" if uri and query and "?" not in uri else None


def _missing(name: str) -> Rule:
    def rule(variables: Mapping[str, str], protocol: str) -> str | None:
        return None if variables.get(name) else f"the web server sends no {name}"

    return rule


def _is_https(variables: Mapping[str, str]) -> bool:
    https = variables.get("HTTPS", "").lower()
    return https in ("on", "1") or variables.get("REQUEST_SCHEME", "").lower() == "https"


def _behind_another(variables: Mapping[str, str]) -> bool:
    """Whether a further server is in front of this one: X-Forwarded-For is there, and ends with another address."""
    last = variables.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
    return bool(last) and last != variables.get("REMOTE_ADDR", "")


def _scheme_unknown(variables: Mapping[str, str], protocol: str) -> str | None:
    known = "HTTPS" in variables or "REQUEST_SCHEME" in variables
    return (
        "SERVER_PORT is 443, with neither HTTPS nor REQUEST_SCHEME"
        if variables.get("SERVER_PORT") == "443" and not known
        else None
    )


def _is_private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_private
    except ValueError:
        return False


def _scheme_of_another_front(variables: Mapping[str, str], protocol: str) -> str | None:
    proto = variables.get("HTTP_X_FORWARDED_PROTO", "")
    if proto.lower() != "https" or _is_https(variables) or not _is_private(variables.get("REMOTE_ADDR", "")):
        return None
    return f"X-Forwarded-Proto says https, and the web server serves {variables.get('REQUEST_SCHEME', 'http')}"


def _address_of_a_proxy(variables: Mapping[str, str], protocol: str) -> str | None:
    address = variables.get("REMOTE_ADDR", "")
    if not _behind_another(variables) or not _is_private(address):
        return None
    return f"REMOTE_ADDR is {address}, and X-Forwarded-For is there"


def _upgrade_in_band(variables: Mapping[str, str], protocol: str) -> str | None:
    if protocol not in ("scgi", "uwsgi") or variables.get("HTTP_UPGRADE", "").lower() != "websocket":
        return None
    software = variables.get("SERVER_SOFTWARE", "")
    front = front_of(software)
    version = tuple(map(int, NUMBER.findall(software)[:3]))
    if front == APACHE or (front == LIGHTTPD and version < (1, 4, 74)):
        return f"an upgrade came over {protocol.upper()} from {software}"
    return None


RULES: Final[dict[str, Rule]] = {
    "host-without-port": _host_without_port,
    "script-name-is-the-first-segment": _script_name_is_the_first_segment,
    "uri-decoded": _uri_decoded,
    "uri-without-query": _uri_without_query,
    "no-request-uri": _missing("REQUEST_URI"),
    "no-remote-address": _missing("REMOTE_ADDR"),
    "no-server-port": _missing("SERVER_PORT"),
    "scheme-unknown": _scheme_unknown,
    "scheme-of-another-front": _scheme_of_another_front,
    "address-of-a-proxy": _address_of_a_proxy,
    "upgrade-in-band": _upgrade_in_band,
}
