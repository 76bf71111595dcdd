"""Who the client is, by the word of the web server in front: ``X-Forwarded-*`` and ``Forwarded`` (RFC 7239).

The rules of this module:

* It is called only for requests whose peer is trusted. What the trusted peer wrote is distinguished from what any
  client can write by reading each list from its right end, where the nearest server appends.
* ``X-Forwarded-*`` stands before ``Forwarded``: web servers set the former by habit and pass on the latter unread, so a
  client could write it. A front that sets ``Forwarded`` has to remove the others.
* Garbage is never believed and never an error. A client address that cannot be read is an unknown one (empty), not the
  peer's: to an application the web server's own address would look like a visitor on the same machine.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from typing import Final, TypeAlias

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.wire.addresses import DEFAULT_PORTS, is_host, is_port

__all__ = ["TrustedPeers", "forwarded_variables", "parse_forwarded", "parse_node", "trusted_peers"]

Node: TypeAlias = "tuple[str, str] | None"
"""A client or a server in the chain: address and port, each of which may be empty; ``None`` when it is unknown."""

MAX_HOPS: Final = 32
"""Servers of ours in a row; a longer list was written by a client."""

MAX_FORWARDED: Final = 4096
"""Letters of a ``Forwarded`` that are read: some twenty servers with all parameters."""

HTTP_SCHEMES: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
_host_and_port = re.compile(r"(\[.*\]|[^:]*):?([0-9]*)")
_pair = re.compile(r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)=(?:\"((?:[^\"\\]|\\.)*)\"|([^\s;,\"]*))[ \t]*(;|,|\Z)")


class TrustedPeers:
    """The servers whose information about their own client is trusted.

    Args:
        entries: addresses, networks (``10.0.0.0/8``), and ``unix`` for every unix socket.

    Raises:
        ConfigurationError: an entry is none of these.
    """

    __slots__ = ("_networks", "_unix")

    def __init__(self, entries: tuple[str, ...]) -> None:
        self._unix = "unix" in entries
        try:
            self._networks = tuple(ipaddress.ip_network(entry, strict=False) for entry in entries if entry != "unix")
        except ValueError as error:
            raise ConfigurationError(f"trusted peers are addresses, networks or 'unix': {error}") from None

    def __contains__(self, address: str) -> bool:
        """Whether the peer at ``address`` is one; empty for a unix socket."""
        if not address:
            return self._unix
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A listener on [::] sees clients of 1.2.3.4 as ::ffff:1.2.3.4.
        mapped = parsed.ipv4_mapped if parsed.version == 6 else None
        return any((mapped or parsed) in network for network in self._networks)


trusted_peers = functools.lru_cache(maxsize=16)(TrustedPeers)
"""``TrustedPeers``, made once per setting and not once per connection."""


def forwarded_variables(header: Callable[[str], str | None], trusted: TrustedPeers) -> dict[str, str]:
    """The CGI variables that the trusted peer's word changes.

    Args:
        header: ``header("x-forwarded-for")`` and so on, repeated fields joined by commas.
        trusted: in a chain of servers the client is the last node that is none of these.

    Returns:
        REMOTE_ADDR and REMOTE_PORT; REQUEST_SCHEME and HTTPS; HTTP_HOST, SERVER_NAME and SERVER_PORT; SERVER_PORT: each
        group when there is something about it. Empty values for what is unknown.
    """
    addresses, proto, host, port = (header(f"x-forwarded-{name}") for name in ("for", "proto", "host", "port"))
    if addresses or proto or host or port:
        client = nearest_client(addresses.split(","), trusted) if addresses else None
        return _variables(bool(addresses), client, _last(proto), _last(host), _last(port))
    elements = parse_forwarded(header("forwarded") or "")
    if not elements:
        return {}
    index = _nearest([element.get("for", "") for element in elements], trusted)
    client = parse_node(elements[index].get("for", ""))
    return _variables(True, client, elements[index].get("proto", ""), elements[index].get("host", ""), "")


def nearest_client(nodes: list[str], trusted: TrustedPeers) -> Node:
    """The last node that is not a server of ours; the first, when all of them are."""
    return parse_node(nodes[_nearest(nodes, trusted)])


def _nearest(nodes: list[str], trusted: TrustedPeers) -> int:
    """Its index. Read from the right end, no further than there are servers of ours, and at most ``MAX_HOPS``."""
    last = max(len(nodes) - MAX_HOPS, 0)
    for index in range(len(nodes) - 1, last, -1):
        node = parse_node(nodes[index])
        if node is None or node[0] not in trusted:
            return index
    return last


def _variables(known: bool, client: Node, proto: str, host: str, port: str) -> dict[str, str]:
    changes = {}
    if known:
        changes["REMOTE_ADDR"], changes["REMOTE_PORT"] = client or ("", "")
    scheme = HTTP_SCHEMES.get(proto.lower(), "")
    if scheme:
        changes["REQUEST_SCHEME"] = scheme
        changes["HTTPS"] = "on" if scheme == "https" else ""
    if is_host(host):
        match = _host_and_port.fullmatch(host)
        assert match is not None
        changes["HTTP_HOST"] = host
        changes["SERVER_NAME"] = match[1]
        changes["SERVER_PORT"] = match[2] or DEFAULT_PORTS.get(scheme, "")
    if is_port(port):
        changes["SERVER_PORT"] = port
    return changes


def parse_node(text: str) -> Node:
    """An address and a port from ``1.2.3.4``, ``1.2.3.4:5``, ``::1`` or ``[::1]:5``.

    Returns:
        ``None`` for what is no address: ``unknown``, ``_hidden`` (RFC 7239 6.2, 6.3), ``unix:``, garbage.
    """
    text = text.strip(" \t")
    address, port = text, ""
    if text.startswith("["):
        address, bracket, port = text[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            return None
        port = port[1:]
    elif text.count(":") == 1:
        address, _, port = text.partition(":")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    # The scope of an IPv6 address may be any text, and means nothing outside of the host that wrote it (RFC 4007 11.2).
    return str(parsed).partition("%")[0], port if is_port(port) else ""


def parse_forwarded(value: str) -> list[dict[str, str]]:
    """The elements of ``Forwarded`` (RFC 7239 4), the nearest server's last.

    Returns:
        None of them when it is not in its grammar, or longer than any chain of servers makes it.
    """
    if len(value) > MAX_FORWARDED:
        return []
    elements: list[dict[str, str]] = [{}]
    at = 0
    while at < len(value):
        match = _pair.match(value, at)
        if match is None:
            return []
        name, quoted, plain, end = match.groups()
        name = name.lower()
        # "Each parameter MUST NOT occur more than once per field-value."
        if name in elements[-1]:
            return []
        elements[-1][name] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if end == ",":
            elements.append({})
        at = match.end()
    return elements if elements[-1] else []


def _last(value: str | None) -> str:
    return "" if value is None else value.rpartition(",")[2].strip(" \t")
