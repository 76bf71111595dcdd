"""What a FastCGI responder writes, in records: pieces of an answer, its end, and what needs no application.

Knows no connection: who may write what, and when, is the codec's.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.buffers import MAX_JOINED
from ssgi_gateway.wire.fastcgi.records import (
    END_REQUEST,
    FULL_CONTENT,
    GET_VALUES,
    GET_VALUES_RESULT,
    HEADER,
    REQUEST_COMPLETE,
    STDOUT,
    UNKNOWN_TYPE,
    VERSION,
    decode_pairs,
    encode_pair,
    encode_record,
    encode_stream,
)

if TYPE_CHECKING:
    from ssgi_gateway.wire.file_slice import FileSlice

__all__ = ["encode_answer", "encode_end", "encode_management", "frame_file"]

_END: Final = struct.Struct(">BBHHBx BBHHBx IB3x")


def encode_answer(
    request_id: int, head: bytes | None, data: bytes | bytearray | memoryview | None, end: bytes
) -> list[bytes | memoryview]:
    """A piece of an answer: CGI header block, payload and ``encode_end``, each of which may be empty.

    A small piece is one ``bytes``, a large payload is not copied (``encode_stream``).
    """
    head = head or b""
    size = len(head)
    if data:
        size += len(data) if type(data) is bytes else memoryview(data).nbytes
    if size > MAX_JOINED:
        pieces = encode_stream(STDOUT, request_id, head, data or b"")
        return [*pieces, end] if end else pieces
    if size:
        return [b"".join((HEADER.pack(VERSION, STDOUT, request_id, size, 0), head, data or b"", end))]
    return [end] if end else []


def encode_end(request_id: int) -> bytes:
    """The end of an answer: STDOUT's, which is due in any case (6.1), and END_REQUEST."""
    return _END.pack(VERSION, STDOUT, request_id, 0, 0, VERSION, END_REQUEST, request_id, 8, 0, 0, REQUEST_COMPLETE)


def frame_file(request_id: int, file: FileSlice) -> list[Any]:
    """STDOUT records whose content is a part of a file; its slices stand for their bytes."""
    pieces: list[Any] = []
    for part in file.split(FULL_CONTENT):
        pieces += (HEADER.pack(VERSION, STDOUT, request_id, len(part), 0), part)
    return pieces


def encode_management(kind: int, content: bytes, max_connections: int, max_requests: int) -> bytes:
    """The answer to a management record (4): the values that were requested, or UNKNOWN_TYPE.

    A GET_VALUES that holds garbage is ignored from there on. However long it is, the answer is one record of
    at most three values.
    """
    if kind != GET_VALUES:
        return encode_record(UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))
    values = {
        b"FCGI_MAX_CONNS": b"%d" % max_connections,
        b"FCGI_MAX_REQS": b"%d" % max_requests,
        b"FCGI_MPXS_CONNS": b"1",
    }
    asked = {name for name, _ in decode_pairs(content, len(content))[0]}
    found = [encode_pair(name, value) for name, value in values.items() if name in asked]
    return encode_record(GET_VALUES_RESULT, 0, b"".join(found))
