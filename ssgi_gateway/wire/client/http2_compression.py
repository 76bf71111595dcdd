"""HTTP/2's header compression (RFC 7541), by jh2 where it is installed, otherwise by hpack; blocks in and out."""

from __future__ import annotations

import importlib.util
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from . import http2_frames as frames
from .http2_frames import Fault
from .request import HOP_BY_HOP

if TYPE_CHECKING:
    from .events import Headers
    from .request import Request

__all__ = ["MAX_HEAD", "BlockReader", "field_section", "is_available", "load", "make_coders"]

MAX_HEAD: Final = 65536
MAX_CONTINUATIONS: Final = 16

_HOST: Final = b"host"


def is_available() -> bool:
    """Whether a library for header compression is installed."""
    return any(importlib.util.find_spec(name) is not None for name in ("jh2", "hpack"))


@cache
def load() -> tuple[Any, Any]:
    """The classes of encoders and decoders; to import them takes milliseconds."""
    try:
        from jh2.hpack import Decoder, Encoder
    except ImportError:
        from hpack import Decoder, Encoder
    return Encoder, Decoder


def make_coders() -> tuple[Any, Any]:
    """An encoder and a decoder for one connection, whose tables belong to it."""
    Encoder, Decoder = load()  # noqa: N806 - classes
    decoder = Decoder()
    decoder.max_header_list_size = MAX_HEAD
    decoder.max_allowed_table_size = 4096
    return Encoder(), decoder


def field_section(request: Request) -> list[tuple[bytes, bytes]]:
    """Pseudo-headers and fields (RFC 9113 8.3.1, 8.2.2)."""
    authority = b""
    fields = []
    for name, value in request.headers:
        if name == _HOST:
            authority = value
        elif name not in HOP_BY_HOP and (name != b"te" or value == b"trailers"):
            fields.append((name, value.strip(b" \t")))  # white space around it is malformed here (RFC 9113 8.2.1)
    if request.length < 0 and request.has_body and not request.more:
        fields.append((b"content-length", b"%d" % len(request.body)))
    if request.method == "CONNECT":
        return [(b":method", b"CONNECT"), (b":authority", request.target.encode()), *fields]
    return [
        (b":method", request.method.encode()),
        (b":authority", authority),
        (b":scheme", request.url.scheme.encode()),
        (b":path", request.target.encode()),
        *fields,
    ]


class BlockReader:
    """A header block as its frames come: HEADERS, and CONTINUATION frames with nothing between them.

    Attributes:
        stream: whose block is incomplete; 0 while none is.
    """

    __slots__ = ("_count", "_decoder", "_flags", "_fragments", "stream")

    def __init__(self, decoder: Any) -> None:
        self._decoder = decoder
        self._fragments: list[bytes] = []
        self._flags = self._count = 0
        self.stream = 0

    def begin(self, number: int, flags: int, payload: bytes) -> Headers | None:
        """A HEADERS frame, without padding; its fields if the block is whole.

        Raises:
            Fault: they cannot be decoded.
        """
        if flags & frames.PRIORITY_FLAG:
            payload = payload[5:]
        if flags & frames.END_HEADERS:
            return self._decode(payload)
        self.stream, self._flags, self._fragments, self._count = number, flags, [payload], 0
        return None

    def go_on(self, flags: int, payload: bytes) -> tuple[int, Headers] | None:
        """A CONTINUATION frame; the flags of its HEADERS, and the fields, if the block is whole now.

        Raises:
            Fault: there is no block, or too much of it, or it cannot be decoded.
        """
        if not self.stream:
            raise Fault(frames.PROTOCOL_ERROR, "a CONTINUATION of nothing")
        self._fragments.append(payload)
        if self._count == MAX_CONTINUATIONS or sum(map(len, self._fragments)) > MAX_HEAD:
            raise Fault(frames.ENHANCE_YOUR_CALM, f"a header block of more than {MAX_HEAD} bytes, or too many frames")
        self._count += 1
        if not flags & frames.END_HEADERS:
            return None
        self.stream = 0
        block, self._fragments = b"".join(self._fragments), []
        return self._flags, self._decode(block)

    def _decode(self, block: bytes) -> Headers:
        """Also that of a stream that is over has to be decoded: it changes the table."""
        try:
            return [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except Exception as error:  # hpack's and jh2's have no common root
            oversized = "Oversized" in type(error).__name__
            code = frames.ENHANCE_YOUR_CALM if oversized else frames.COMPRESSION_ERROR
            raise Fault(code, f"a header block: {error}") from None
