"""The head of a uwsgi packet, byte by byte. The compiled build has a twin, which reads the variables in place."""

from __future__ import annotations

from typing import Final

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.hints import hint

from ..variables import Variables

__all__ = ["HEADER_SIZE", "head_end", "read_pairs", "refuse_modifier", "speaks_of_body", "variables_of_packet"]

HEADER_SIZE: Final = 4
"""modifier1, the size of the variables in two bytes, modifier2."""


def head_end(data: bytes) -> int:
    """Where the head that begins ``data`` ends; 0 while its size is not here.

    Raises:
        RemoteProtocolError: a modifier that is not 0.
    """
    whole = len(data) >= HEADER_SIZE
    if data[0] or (whole and data[3]):
        refuse_modifier(data)
    return HEADER_SIZE + (data[1] | data[2] << 8) if whole else 0


def refuse_modifier(data: bytes) -> None:
    """Raise for the modifier that is not 0; what is no uwsgi mostly differs in its first byte."""
    if data[0]:
        raise RemoteProtocolError(
            f"modifier1 is {data[0]}, and 0 is served here (uwsgi_modifier1 0;){hint(data[:32], 'uwsgi')}"
        )
    raise RemoteProtocolError(f"modifier2 is {data[3]}, and 0 is served here (uwsgi_modifier2 0;)")


def speaks_of_body(data: bytes, end: int) -> bool:
    """Whether a header field of the client's may declare a body; the head was read up to ``end`` and is good.

    It is called for every request without a body, so for most: the compiled build looks at names of their lengths
    alone.
    """
    return data.find(b"HTTP_TRANSFER_ENCODING", 0, end) >= 0 or data.find(b"HTTP_CONTENT_LENGTH", 0, end) >= 0


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


def variables_of_packet(data: bytes, start: int, end: int, most: int) -> Variables:
    """The variables in a uwsgi packet, which lie in ``data`` from ``start`` to ``end``.

    Raises:
        RemoteProtocolError: one of them would end elsewhere, or has no name.
        RequestRejected: 431, there are more than ``most``; or as ``Variables``.
    """
    return Variables(read_pairs(data, start, end, most))
