"""The behaviour application below a path of the site: its own paths begin behind the root path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import behaviour

if TYPE_CHECKING:
    from ssgi_gateway.ssgi import GetHeader


def app(
    type: str,
    server_address: str,
    remote_address: str,
    method: str,
    path: str,
    query_string: str,
    get_header: GetHeader,
    res: Any,
) -> object:
    """As ``behaviour.app``, with the root path cut off the path where that leads to a behaviour."""
    inside = path.removeprefix(res.extensions["root_path"])
    chosen = inside if inside.startswith(("/do/", "/ws/")) else path
    return behaviour.app(type, server_address, remote_address, method, chosen, query_string, get_header, res)
