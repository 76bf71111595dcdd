"""The client's half of a WebSocket, for tests: frames, right ones and wrong ones."""

from __future__ import annotations

from itertools import pairwise

from ssgi_gateway.settings import WebSocketSettings
from ssgi_gateway.wire.websocket.codec import WebSocketCodec

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

MASK = bytes.fromhex("37fa213d")  # the one of the examples in RFC 6455 5.7


def masked(payload, mask=MASK):
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def header(opcode, length, fin=True, rsv=0, mask=MASK):
    first = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask is not None else 0
    if length < 126:
        return first + bytes([bit | length]) + (mask or b"")
    if length < 65536:
        return first + bytes([bit | 126]) + length.to_bytes(2, "big") + (mask or b"")
    return first + bytes([bit | 127]) + length.to_bytes(8, "big") + (mask or b"")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK):
    """One frame; ``mask=None`` for an unmasked one."""
    return header(opcode, len(payload), fin, rsv, mask) + (masked(payload, mask) if mask else payload)


def zero_frame(opcode, payload=b"", fin=True, rsv=0):
    """A frame whose mask changes nothing: quick to make when it is large."""
    return header(opcode, len(payload), fin, rsv, bytes(4)) + payload


def close(code, reason=b""):
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def codec(deflate=None, **limits):
    return WebSocketCodec(WebSocketSettings(**limits), deflate)


def pieces(data, cuts):
    """``data``, bytes or text, cut at the positions ``cuts``."""
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]
