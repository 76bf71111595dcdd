"""The variables of a uwsgi packet, read one by one. The compiled build reads them in place (``wire.variables``)."""

from __future__ import annotations

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected

__all__ = ["read_pairs"]


def read_pairs(data: bytes, start: int, end: int, limit: int) -> list[tuple[bytes, bytes]]:
    """The variables that lie from ``start`` to ``end``.

    Raises:
        RemoteProtocolError: one of them would end elsewhere, or has no name.
        RequestRejected: 431, there are more than ``limit``.
    """
    pairs: list[tuple[bytes, bytes]] = []
    at = start
    while at < end:
        name_at = at + 2
        if name_at > end:
            raise RemoteProtocolError("a variable of the head has no size")
        value_size_at = name_at + (data[at] | data[at + 1] << 8)
        value_at = value_size_at + 2
        if value_at > end:
            raise RemoteProtocolError("a variable's name ends behind the head")
        if value_size_at == name_at:
            raise RemoteProtocolError("a variable of the head has no name")
        at = value_at + (data[value_size_at] | data[value_size_at + 1] << 8)
        if at > end:
            raise RemoteProtocolError("a variable's value ends behind the head")
        pairs.append((data[name_at:value_size_at], data[value_at:at]))
    if len(pairs) > limit:
        raise RequestRejected(431, f"there are more than {limit} request variables")
    return pairs
