"""From frames to whole messages: order, bounds, inflation, UTF-8 (RFC 6455 5.4 to 5.6).

The rules of this module:

* A frame is judged by its header, before its payload has arrived: a peer that announces 2^62 bytes gets 1009 at
  once, and nothing is ever buffered that could not become a message.
* What a message may cost is bounded in three ways: the bytes it carries on the wire, the bytes it has after inflation,
  and the number of its fragments, for empty ones cost nothing of the first two.
* Text is decoded as it arrives, so that the first wrong byte ends the connection (1007), not the last.
* A message that came in one piece is never copied into a buffer; one that came in many is written once and read once.

The assembler is a wsproto ``Extension``: that is the door through which wsproto shows a frame's header.
"""

from __future__ import annotations

import codecs
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import Frame, FrameDecoder, FrameProtocol, Opcode, RsvBits

from ssgi_gateway.errors import WebSocketError
from ssgi_gateway.wire.websocket.bounds import max_fragments, max_wire_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ssgi_gateway.settings import WebSocketSettings
    from ssgi_gateway.wire.websocket.deflate import Inflater

__all__ = ["MessageAssembler", "max_fragments", "max_wire_size"]

NO_RSV: Final = RsvBits(False, False, False)
RSV1: Final = RsvBits(True, False, False)

_utf8_decoder = codecs.getincrementaldecoder("utf-8")


class MessageAssembler(Extension):
    """Judges frame headers and joins payloads.

    Args:
        limits: ``max_message_size`` and ``max_frame_size``, in bytes.
        inflater: when permessage-deflate was agreed on.
    """

    name = "message-assembler"

    def __init__(self, limits: WebSocketSettings, inflater: Inflater | None) -> None:
        self._max_message = limits.max_message_size
        self._max_frame = limits.max_frame_size
        self._max_fragments = max_fragments(limits.max_message_size)
        self._inflater = inflater
        self.reset()

    def reset(self) -> None:
        """Between messages; also drops what has been gathered of one."""
        self._sink: _TextSink | BytesIO | None = None
        self._compressed = False
        self._received = 0
        self._inflated = 0
        self._fragments = 0

    def offer(self) -> bool:
        """This is no extension that is ever negotiated."""
        return False

    def frame_inbound_header(
        self, proto: FrameDecoder | FrameProtocol, opcode: Opcode, rsv: RsvBits, payload_length: int
    ) -> RsvBits:
        """Judge a header; wsproto may call this twice for one whose masking key is still on its way.

        Returns:
            The reserved bits that may be set.

        Raises:
            WebSocketError: 1002 for a frame that is out of order, 1009 for one that is too long.
        """
        if opcode.iscontrol():
            return NO_RSV
        first = opcode is not Opcode.CONTINUATION
        if first is (self._sink is not None):
            # RFC 6455 5.4: "The fragments of one message MUST NOT be interleaved between the fragments of another
            # message unless an extension has been negotiated that can interpret the interleaving."
            raise WebSocketError(1002, "a new message inside a message" if first else "a continuation of no message")
        if first:
            self._compressed = rsv.rsv1
        self._judge_size(payload_length)
        # RFC 7692 6.1: RSV1 is "set only on the first fragment".
        return RSV1 if first and self._inflater is not None else NO_RSV

    def _judge_size(self, payload_length: int) -> None:
        if self._max_frame and payload_length > self._max_frame:
            raise WebSocketError(1009, f"a frame of more than {self._max_frame} bytes")
        bound = max_wire_size(self._max_message) if self._compressed else self._max_message
        if self._received + payload_length > bound:
            raise WebSocketError(1009, f"a message of more than {self._max_message} bytes")
        if self._fragments >= self._max_fragments:
            raise WebSocketError(1009, f"a message of more than {self._max_fragments} fragments")

    def add(self, frame: Frame) -> str | bytes | None:
        """Take a data frame, or the piece of one that has arrived.

        Returns:
            The message, when this was the last of it.

        Raises:
            WebSocketError: 1007 for bytes that are not UTF-8 or not deflate, 1009 for too much of them.
        """
        payload = frame.payload
        assert isinstance(payload, bytes)
        ended = frame.frame_finished and frame.message_finished
        if self._sink is None:
            if ended and not self._compressed:
                return payload if frame.opcode is Opcode.BINARY else decode_text(payload)
            self._sink = BytesIO() if frame.opcode is Opcode.BINARY else _TextSink()
        self._received += len(payload)
        self._fragments += frame.frame_finished
        if self._compressed:
            assert self._inflater is not None
            self._write_all(self._inflater.inflate(payload, self._max_message - self._inflated))
            if ended:
                self._write_all(self._inflater.finish(self._max_message - self._inflated))
        else:
            self._sink.write(payload)
        return self._finish() if ended else None

    def _write_all(self, pieces: Iterable[bytes]) -> None:
        assert self._sink is not None
        for piece in pieces:
            self._inflated += len(piece)
            self._sink.write(piece)

    def _finish(self) -> str | bytes:
        assert self._sink is not None
        message = self._sink.getvalue()
        self.reset()
        return message


class _TextSink:
    """UTF-8 in, ``str`` out, checked as it comes."""

    __slots__ = ("_decoder", "_text")

    def __init__(self) -> None:
        self._decoder = _utf8_decoder()
        self._text = StringIO(newline="")

    def write(self, data: bytes) -> None:
        self._text.write(self._decode(data, False))

    def getvalue(self) -> str:
        self._text.write(self._decode(b"", True))
        return self._text.getvalue()

    def _decode(self, data: bytes, final: bool) -> str:
        try:
            text = self._decoder.decode(data, final)
        except UnicodeDecodeError:
            raise WebSocketError(1007, INVALID_TEXT) from None
        # The first two bytes of a surrogate are wrong already; Python waits for the third, which an error handler
        # ("surrogatepass") might want to see.
        started = self._decoder.getstate()[0]
        if started[:1] == b"\xed" and started[1:2] >= b"\xa0":
            raise WebSocketError(1007, INVALID_TEXT)
        return text


INVALID_TEXT: Final = "invalid UTF-8 in a text message"


def decode_text(data: bytes) -> str:
    """A whole text message. RFC 6455 8.1: bytes that are not UTF-8 "MUST _Fail the WebSocket Connection_"."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WebSocketError(1007, INVALID_TEXT) from None
