"""A request's body that is an iterable, sent piece by piece."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import LocalProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .exchange import Exchange

__all__ = ["send_pieces"]

LARGE: Final = 65536
TOGETHER: Final = 1 << 21
"""Bytes of an iterable's large pieces that leave with one write."""


async def send_pieces(exchange: Exchange, body: Any) -> None:
    """Send the pieces of an iterable."""
    try:
        if hasattr(body, "__aiter__"):
            async for piece in body:
                if len(_checked(piece)):
                    await exchange.send(piece, True)
                if exchange.over:
                    return
        else:
            for pieces in _together(body):
                await exchange.send_many(pieces, True)
                if exchange.over:
                    return
        await exchange.send(b"", False)
    except Exception as error:
        exchange.abort_response(error)


def _together(body: Iterable[Any]) -> Iterator[list[Any]]:
    """The pieces of an iterable; large ones together, because much of a write costs the same whatever its size."""
    pieces: list[Any] = []
    size = 0
    for piece in body:
        if type(piece) is bytes and (length := len(piece)) >= LARGE:
            pieces.append(piece)
            size += length
            if size >= TOGETHER:
                yield pieces
                pieces, size = [], 0
            continue
        length = len(_checked(piece))
        if type(piece) is not bytes and pieces:
            yield pieces
            pieces, size = [], 0
        if length:
            pieces.append(piece)
        # A small one is not to wait for the next; what is no bytes may be a buffer that the iterable uses again.
        if pieces:
            yield pieces
            pieces, size = [], 0
    if pieces:
        yield pieces


def _checked(piece: Any) -> Any:
    if isinstance(piece, (bytes, bytearray, memoryview)):  # `|` would make a type for each piece
        return piece
    raise LocalProtocolError(f"pieces of a body are bytes, not {type(piece).__name__}: encode them")
