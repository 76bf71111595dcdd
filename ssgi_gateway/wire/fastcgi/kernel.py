"""What the FastCGI codec does with bytes: functions without a state, of which the compiled build has its own."""

from __future__ import annotations

from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.fastcgi.answers import encode_answer, encode_end
from ssgi_gateway.wire.fastcgi.records import HEADER, HEADER_SIZE, STDIN, VERSION, decode_pairs

from ..variables import Variables

__all__ = ["cut", "frame_answer", "read_body", "variables_of_params"]


def cut(data: bytes, start: int, end: int) -> bytes:
    """``data[start:end]``, which has to be there."""
    return data[start:end]


def frame_answer(
    request_id: int, head: bytes | None, data: bytes | bytearray | memoryview | None, end: bool
) -> list[bytes | memoryview]:
    """A piece of an answer as records: STDOUT with ``head`` and ``data``, then the end where it is one.

    A small piece is one ``bytes``, a large payload is not copied.
    """
    return encode_answer(request_id, head, data, encode_end(request_id) if end else b"")


def read_body(
    data: bytes, position: int, left: int, skip: int, body_left: int, request_id: int
) -> tuple[bytes, int, int, int, int]:
    """What is here of a body, up to a record that is something else.

    Args:
        data: what was received.
        position: in it, behind the header of a STDIN record.
        left: bytes of the record that belong to the body.
        skip: bytes of the record behind those.
        body_left: bytes that the body may still have behind this record; -1 for any number.
        request_id: whose body it is.

    Returns:
        The bytes, and what the four numbers are behind them.
    """
    pieces = []
    size = len(data)
    while True:
        piece = data[position : position + left]
        pieces.append(piece)
        position += len(piece)
        left -= len(piece)
        if not left:
            step = min(skip, size - position)
            position += step
            skip -= step
        if left or skip or size - position < HEADER_SIZE:
            break
        version, kind, record_id, length, padding = HEADER.unpack_from(data, position)
        if version != VERSION or kind != STDIN or record_id != request_id or not length:
            break
        position += HEADER_SIZE
        left = length if body_left < 0 else min(length, body_left)
        skip = length + padding - left
        if body_left >= 0:
            body_left -= left
    return b"".join(pieces), position, left, skip, body_left


def variables_of_params(block: bytes, most: int) -> Variables:
    """The variables in FastCGI's name-value pairs (FastCGI 1.0 3.4).

    CONTENT_LENGTH is dropped where it is ``-1``: Caddy before 2.7 sends that for a body whose length it does not know,
    and over FastCGI the number is not needed.

    Args:
        block: what PARAMS carried.
        most: how many variables there may be.

    Raises:
        RequestRejected: 431, there are more; 400, the block ends inside a pair, or as ``Variables``.
    """
    pairs, whole = decode_pairs(block, most)
    if len(pairs) > most:
        raise RequestRejected(431, f"there are more than {most} request variables")
    if not whole:
        raise RequestRejected(400, "PARAMS end inside a name-value pair")
    return Variables([pair for pair in pairs if pair != (b"CONTENT_LENGTH", b"-1")])
