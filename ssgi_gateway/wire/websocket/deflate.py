"""permessage-deflate (RFC 7692): what was agreed on, and the two directions of it.

The rules of this module:

* Inflating is bounded by what comes out, not by what went in: deflate expands up to 1032 times, and 58 kB on the wire
  can be 60 MB of message. Output is made in steps of ``INFLATE_STEP`` and counted after each, so a bomb costs the
  message limit and one step.
* Nothing is allocated before a compressed message needs it: an idle connection has neither window nor hash table.
* Our windows are small. Memory is per connection and for its whole life, while what a larger window saves is a few
  percent of messages that are mostly shorter than the window.

It knows nothing of frames; ``message`` feeds it payloads.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from ssgi_gateway.errors import WebSocketError

__all__ = ["COMPRESS_FROM", "WINDOW_BITS", "DeflateParams", "Deflater", "Inflater", "accept_offer"]

WINDOW_BITS = 12
"""The window we request and use: 4 KiB. With ``MEMORY_LEVEL`` a compressor takes 32 KiB where zlib's own choices
(15 and 8) take 256; the ``websockets`` package ships the same two numbers."""

MEMORY_LEVEL = 5

COMPRESSION_LEVEL = zlib.Z_BEST_SPEED
"""Compression happens on the event loop's thread, where every other connection waits for it."""

COMPRESS_FROM = 1024
"""Messages shorter than this many bytes go out as they are: they fill one network packet either way, and compressing
one costs more than sending it. Node's ``ws`` draws the line in the same place."""

INFLATE_STEP = 65536

MAX_FINAL_BLOCKS = 64
"""A message may hold several finished deflate streams (RFC 7692 7.2.3.4), each of which costs a new decompressor for
as little as two bytes. No known sender makes more than one a fragment."""

SYNC_TAIL = b"\x00\x00\xff\xff"
"""The end of an empty stored block, left out on the wire (RFC 7692 7.2.1)."""


class DeflateParams(NamedTuple):
    """The parameters both ends agreed on (RFC 7692 7.1); ``None`` for a window that was not mentioned, so 15 bits.

    Args:
        server_no_context_takeover: each message of ours starts with an empty window.
        client_no_context_takeover: each message of the client does.
        server_max_window_bits: the largest window we may use, 9 to 15.
        client_max_window_bits: the largest window the client will use, 8 to 15.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int | None = None
    client_max_window_bits: int | None = None

    def response(self) -> str:
        """The value of ``Sec-WebSocket-Extensions`` for it."""
        parts = ["permessage-deflate"]
        if self.server_no_context_takeover:
            parts.append("server_no_context_takeover")
        if self.client_no_context_takeover:
            parts.append("client_no_context_takeover")
        if self.server_max_window_bits is not None:
            parts.append(f"server_max_window_bits={self.server_max_window_bits}")
        if self.client_max_window_bits is not None:
            parts.append(f"client_max_window_bits={self.client_max_window_bits}")
        return "; ".join(parts)


_PARAMETERS: Final = frozenset(
    ("server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits", "client_max_window_bits")
)
_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}


def accept_offer(parameters: list[tuple[str, str | None]]) -> DeflateParams | None:
    """Our answer to one offer, or ``None`` to decline it.

    RFC 7692 7.1: a server MUST decline an offer with a parameter that is unknown, has an invalid value, or comes twice.
    """
    given = dict(parameters)
    if len(given) != len(parameters) or not given.keys() <= _PARAMETERS:
        return None
    if any(given.get(name) is not None for name in ("server_no_context_takeover", "client_no_context_takeover")):
        return None
    server_bits: int | None = None
    if "server_max_window_bits" in given:
        # zlib cannot compress with a raw window of 8 bits, so that offer cannot be met.
        server_bits = _window_bits(given["server_max_window_bits"])
        if server_bits is None or server_bits == 8:
            return None
        server_bits = min(server_bits, WINDOW_BITS)
    client_bits: int | None = None
    if "client_max_window_bits" in given:
        # 7.1.2.2: without a value the client only declares that it understands the parameter in an answer.
        client_bits = _window_bits(given["client_max_window_bits"] or "15")
        if client_bits is None:
            return None
        client_bits = min(client_bits, WINDOW_BITS)
    return DeflateParams(
        server_no_context_takeover="server_no_context_takeover" in given,
        client_no_context_takeover="client_no_context_takeover" in given,
        server_max_window_bits=server_bits,
        client_max_window_bits=client_bits,
    )


def _window_bits(value: str | None) -> int | None:
    """RFC 7692 7.1.2: "a decimal integer value without leading zeroes between 8 to 15, inclusive"."""
    return None if value is None else _WINDOW_BITS.get(value)


class Inflater:
    """The client's messages, decompressed within bounds."""

    __slots__ = ("_decompressor", "_final_blocks", "_takeover", "_window_bits")

    def __init__(self, params: DeflateParams) -> None:
        # zlib's compressor has always turned a window of 8 bits into one of 9; a window that is too large reads both.
        self._window_bits = max(params.client_max_window_bits or zlib.MAX_WBITS, 9)
        self._takeover = not params.client_no_context_takeover
        self._decompressor: zlib._Decompress | None = None
        self._final_blocks = 0

    def inflate(self, data: bytes, room: int) -> Iterator[bytes]:
        """Decompress a piece of the current message.

        Args:
            data: payload bytes, cut anywhere.
            room: how many bytes may still come out of this message.

        Yields:
            Pieces of at most ``INFLATE_STEP`` bytes.

        Raises:
            WebSocketError: 1009 when more than ``room`` comes out, 1007 when the data is not deflate. What is wrong
                first counts, however the data is cut: so no step goes beyond the limit by more than the byte that
                shows it, and what is before that byte is looked at first. (One case zlib does not report: this very
                byte, and behind it invalid data that it has seen already.)
        """
        rest = data
        full = False
        # A full step may leave output inside zlib after its input has run out.
        while rest or full:
            step = min(INFLATE_STEP, room + 1)
            piece, rest = self._step(rest, step)
            full = len(piece) == step
            if piece:
                yield piece[:room]
            room -= len(piece)
            if room < 0:
                raise WebSocketError(1009, "the message inflates to more than the limit")

    def finish(self, room: int) -> Iterator[bytes]:
        """The message's payload is complete: what is left of it, as ``inflate``."""
        # RFC 7692 7.2.2: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message." Unless
        # it ended with a final block, as some do without the octet 0x00 that 7.2.3.4 shows: there is no end to mark.
        if self._decompressor is not None:
            yield from self.inflate(SYNC_TAIL, room)
        self._final_blocks = 0
        if not self._takeover:
            self._decompressor = None

    def _step(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        decompressor = self._decompressor
        if decompressor is None:
            decompressor = self._decompressor = zlib.decompressobj(-self._window_bits)
        try:
            piece = decompressor.decompress(data, most)
        except zlib.error:
            raise WebSocketError(1007, "invalid deflate data") from None
        if not decompressor.eof:
            return piece, decompressor.unconsumed_tail
        # A block with BFINAL set ended the stream. Senders without a sync flush do that and begin the next stream with
        # an empty window; zlib would swallow everything that follows without a word.
        self._decompressor = None
        self._final_blocks += 1
        if self._final_blocks > MAX_FINAL_BLOCKS:
            raise WebSocketError(1009, f"more than {MAX_FINAL_BLOCKS} final deflate blocks in a message")
        return piece, decompressor.unused_data


class Deflater:
    """Our messages, compressed."""

    __slots__ = ("_compressor", "_takeover", "_window_bits")

    def __init__(self, params: DeflateParams) -> None:
        self._window_bits = min(params.server_max_window_bits or zlib.MAX_WBITS, WINDOW_BITS)
        self._takeover = not params.server_no_context_takeover
        self._compressor: zlib._Compress | None = None

    def deflate(self, data: bytes | memoryview) -> bytes:
        """The payload of one compressed message, whose frame has RSV1 (RFC 7692 7.2.1)."""
        compressor = self._compressor
        if compressor is None:
            compressor = zlib.compressobj(COMPRESSION_LEVEL, zlib.DEFLATED, -self._window_bits, MEMORY_LEVEL)
        compressed = compressor.compress(data)
        flushed = compressor.flush(zlib.Z_SYNC_FLUSH)
        # The window of the peer now holds this message: with takeover the compressor must go on from here.
        self._compressor = compressor if self._takeover else None
        return compressed + flushed[:-4]
