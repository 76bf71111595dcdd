"""Frames: one msgpack array in one binary message. Pure, in both roles; the tables are in docs/swill-wire.md.

A request has three to five items, ``[seq, data, rpc, type = 0, metadata = nil]``, and more are ignored. An answer
always has five, ``[seq, data, type, leading, trailing]``. This module does not know what ``data`` means: it stays
encoded (``msgspec.Raw``) until the procedure's type decodes it.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

__all__ = [
    "CANCEL",
    "CREDIT",
    "END_OF_STREAM",
    "ERROR",
    "MESSAGE",
    "METADATA",
    "NIL",
    "AnswerFrame",
    "ErrorMessage",
    "RequestFrame",
    "decode_answer",
    "decode_any",
    "decode_request",
    "encode",
    "encode_answer",
    "encode_error",
    "encode_request",
    "explain_request",
]

MESSAGE: Final = 0
END_OF_STREAM: Final = 1
METADATA: Final = 2
CANCEL: Final = 3
"""Of a client."""
ERROR: Final = 3
"""Of a server."""
CREDIT: Final = 4
"""An extension, in both directions; only after hello."""

MAX_SEQ: Final = 2**53 - 1
"""The largest integer that JavaScript's numbers hold exactly."""

NIL: Final = msgspec.Raw(b"\xc0")

Seq = Annotated[int, msgspec.Meta(ge=1, le=MAX_SEQ)]
Kind = Annotated[int, msgspec.Meta(ge=0, le=4)]
Metadata = dict[str, Any]


class RequestFrame(msgspec.Struct, array_like=True, gc=False):
    """From the client."""

    seq: Seq
    data: msgspec.Raw
    rpc: str
    type: Kind = 0
    metadata: Metadata | None = None


class AnswerFrame(msgspec.Struct, array_like=True, gc=False):
    """From the server; ``seq`` 0 is the connection's own."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]
    data: msgspec.Raw
    type: Kind = 0
    leading: Metadata | None = None
    trailing: Metadata | None = None


class ErrorMessage(msgspec.Struct, omit_defaults=True):
    """The ``data`` of an ERROR; ``data`` of its own is left out when there is none."""

    code: int
    message: str
    data: Any = None


decode_request = msgspec.msgpack.Decoder(RequestFrame).decode
"""Raises ``msgspec.MsgspecError``; ``explain_request`` then finds the seq and the words of the answer."""

decode_answer = msgspec.msgpack.Decoder(AnswerFrame).decode
decode_any = msgspec.msgpack.Decoder().decode
encode = msgspec.msgpack.Encoder().encode


def encode_answer(seq: int, data: Any, kind: int, leading: Metadata | None = None, trailing: Any = None) -> bytes:
    """A frame of the server."""
    return encode((seq, data, kind, leading, trailing))


def encode_error(seq: int, code: int, message: str, data: Any = None) -> bytes:
    """An ERROR, the end of a request; it carries no metadata. ``seq`` 0 is about the connection."""
    return encode((seq, ErrorMessage(code, message, data), ERROR, None, None))


def encode_request(seq: int, data: Any, rpc: str, kind: int = MESSAGE, metadata: Metadata | None = None) -> bytes:
    """A frame of a client, with as few items as possible: the bytes that the original's client sends, too."""
    if metadata is not None:
        return encode((seq, data, rpc, kind, metadata))
    return encode((seq, data, rpc) if kind == MESSAGE else (seq, data, rpc, kind))


def explain_request(message: bytes, error: Exception) -> tuple[int, str]:
    """What to answer to a message that is no request frame.

    Returns:
        The seq that the ERROR is about, 0 where none can be read, and its words.
    """
    try:
        value = decode_any(message)
    except (msgspec.MsgspecError, ValueError, RecursionError):  # ValueError: a timestamp that no datetime holds
        return 0, "the message is not one msgpack value"
    if not isinstance(value, list) or not value:
        return 0, "a frame is an array: [seq, data, rpc, type, metadata]"
    seq = value[0]
    if type(seq) is not int or not 1 <= seq <= MAX_SEQ:
        return 0, "the first item, seq, is an integer from 1 to 2^53-1"
    return seq, f"not a frame [seq, data, rpc, type, metadata]: {error}"
