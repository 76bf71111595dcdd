"""FastCGI 1.0 records and name-value pairs as bytes, for either end of a connection.

Every number is big-endian. A record is an 8-byte header (3.3), content, padding; a name-value pair is two lengths,
the name, the value (3.4). This file holds no state and does not know which role we play.

On the way out no record is padded: padding is optional (3.3), costs bytes, and no web server reads ours faster for
it. What is cut is cut at 65,528 bytes, the largest multiple of eight, so a long body keeps the alignment it began
with.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "ABORT_REQUEST",
    "BEGIN_BODY",
    "BEGIN_REQUEST",
    "CANT_MPX_CONN",
    "DATA",
    "END_REQUEST",
    "FULL_CONTENT",
    "GET_VALUES",
    "GET_VALUES_RESULT",
    "HEADER",
    "HEADER_SIZE",
    "KEEP_CONN",
    "NO_RECORD",
    "OVERLOADED",
    "PARAMS",
    "REQUEST_COMPLETE",
    "RESPONDER",
    "STDERR",
    "STDIN",
    "STDOUT",
    "UNKNOWN_ROLE",
    "UNKNOWN_TYPE",
    "VERSION",
    "decode_pairs",
    "encode_end_request",
    "encode_pair",
    "encode_record",
    "encode_stream",
]

VERSION: Final = 1
HEADER: Final = struct.Struct(">BBHHBx")
"""Version, type, request id, content length, padding length, one reserved byte (3.3)."""
HEADER_SIZE: Final = 8
NO_RECORD: Final = bytes(8)
"""A header of version 0, which no web server takes: nginx, where it waits for the close (no KEEP_CONN), would take a
close alone for the end of the answer."""

# Record types (8). Those up to DATA speak of one request; the others are management records, of request id 0.
BEGIN_REQUEST: Final = 1
ABORT_REQUEST: Final = 2
END_REQUEST: Final = 3
PARAMS: Final = 4
STDIN: Final = 5
STDOUT: Final = 6
STDERR: Final = 7
DATA: Final = 8
GET_VALUES: Final = 9
GET_VALUES_RESULT: Final = 10
UNKNOWN_TYPE: Final = 11

BEGIN_BODY: Final = struct.Struct(">HB5x")
"""Role and flags (5.1)."""
RESPONDER: Final = 1
KEEP_CONN: Final = 1

# Protocol statuses of END_REQUEST (5.5).
REQUEST_COMPLETE: Final = 0
CANT_MPX_CONN: Final = 1
OVERLOADED: Final = 2
UNKNOWN_ROLE: Final = 3

FULL_CONTENT: Final = 65528
"""The most content one of our records carries (module docstring)."""

_END_RECORD: Final = struct.Struct(">BBHHBxIB3x")
_LONG: Final = struct.Struct(">I")
_LONG_BIT: Final = 0x80000000


def encode_record(kind: int, request_id: int, content: bytes = b"") -> bytes:
    """One record; the content is at most 65,535 bytes."""
    return HEADER.pack(VERSION, kind, request_id, len(content), 0) + content


def encode_end_request(request_id: int, protocol_status: int = REQUEST_COMPLETE, app_status: int = 0) -> bytes:
    """An END_REQUEST record (5.5)."""
    return _END_RECORD.pack(VERSION, END_REQUEST, request_id, 8, 0, app_status, protocol_status)


def encode_stream(
    kind: int, request_id: int, head: bytes, payload: bytes | bytearray | memoryview
) -> list[bytes | memoryview]:
    """Records of a stream that carry ``head``, then ``payload``; without the empty record that ends the stream.

    The payload is not copied: what is returned holds slices of it, so it must not change until they are written.
    The head shares a record with the payload's first bytes.
    """
    view = memoryview(payload).cast("B")
    if len(head) >= FULL_CONTENT:
        return [*encode_stream(kind, request_id, b"", head), *encode_stream(kind, request_id, b"", payload)]
    records: list[bytes | memoryview] = []
    start = 0
    if head:
        start = min(FULL_CONTENT - len(head), len(view))
        records.append(HEADER.pack(VERSION, kind, request_id, len(head) + start, 0) + head)
        if start:
            records.append(view[:start])
    left = len(view) - start
    if left >= FULL_CONTENT:
        full = HEADER.pack(VERSION, kind, request_id, FULL_CONTENT, 0)
        for at in range(start, len(view) - FULL_CONTENT + 1, FULL_CONTENT):
            records += (full, view[at : at + FULL_CONTENT])
        left %= FULL_CONTENT
    if left:
        records += (HEADER.pack(VERSION, kind, request_id, left, 0), view[len(view) - left :])
    return records


def encode_pair(name: bytes, value: bytes) -> bytes:
    """One name-value pair (3.4)."""
    return _encode_length(len(name)) + _encode_length(len(value)) + name + value


def _encode_length(length: int) -> bytes:
    return bytes((length,)) if length < 128 else _LONG.pack(length | _LONG_BIT)


def decode_pairs(data: bytes, most: int) -> tuple[list[tuple[bytes, bytes]], bool]:
    """Take name-value pairs apart, no more than ``most`` + 1 of them.

    Returns the pairs, and whether they were all: False when the bytes end inside a pair (it is left out) or when
    there are more than ``most``. Nothing is allocated for a length before its bytes are there: slicing takes what
    exists, and a pair that claims two gigabytes only moves the position past the end.
    """
    pairs: list[tuple[bytes, bytes]] = []
    position, end = 0, len(data)
    for _ in range(most + 1):
        if position >= end:
            break
        try:
            name_length, value_length = data[position], data[position + 1]
            if name_length < 128 and value_length < 128:
                position += 2
            else:
                name_length, position = _decode_length(data, position)
                value_length, position = _decode_length(data, position)
        except (IndexError, struct.error):
            return pairs, False
        middle = position + name_length
        pairs.append((data[position:middle], data[middle : middle + value_length]))
        position = middle + value_length
    if position > end:
        pairs.pop()
    return pairs, position == end and len(pairs) <= most


def _decode_length(data: bytes, position: int) -> tuple[int, int]:
    if data[position] < 128:
        return data[position], position + 1
    return _LONG.unpack_from(data, position)[0] & ~_LONG_BIT, position + 4
