"""The WebSocket protocol (RFC 6455) after its handshake, the server's side of it.

The rules of this module:

* Frames are read by wsproto's ``FrameDecoder``. What it leaves to its users is done here and in ``message``: bounds,
  whole messages, close codes, answers to pings, no quadratic joining.
* ``receive`` only keeps bytes; ``next_event`` reads as far as the next event and no further. So at most one message is
  inflated at a time, however many small compressed ones arrived together.
* After ``next_event`` look at ``has_output``: the answer to every ping that came before the event is waiting, and goes
  out before the application gets the event.
* A ``WebSocketError`` ends reading. ``encode_close(error.code, error.reason)`` is then what the peer should receive.
* After a Close frame, received or sent, nothing but the missing Close is sent (RFC 6455 5.5.1).

It does not know of clocks (the server decides when to ping) nor of the handshake, whose module is ``handshake``.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import TYPE_CHECKING, Final

from wsproto.frame_protocol import Frame, FrameDecoder, Opcode, ParseFailed

from ssgi_gateway.errors import LocalProtocolError, WebSocketError
from ssgi_gateway.wire import buffers
from ssgi_gateway.wire.buffers import flat
from ssgi_gateway.wire.websocket.close_codes import (
    MAX_CONTROL_PAYLOAD,
    encode_close_payload,
    is_close_code,
    parse_close,
)
from ssgi_gateway.wire.websocket.deflate import COMPRESS_FROM, Deflater, Inflater
from ssgi_gateway.wire.websocket.message import MessageAssembler

from ..events import CloseReceived, Event, MessageReceived, PongReceived

if TYPE_CHECKING:
    from ssgi_gateway.settings import WebSocketSettings
    from ssgi_gateway.wire.websocket.deflate import DeflateParams

__all__ = ["CLOSED", "LOCAL_CLOSING", "OPEN", "REMOTE_CLOSING", "TRANSITIONS", "WebSocketCodec", "is_close_code"]

OPEN: Final = "open"
REMOTE_CLOSING: Final = "remote closing"
LOCAL_CLOSING: Final = "local closing"
CLOSED: Final = "closed"

CLOSE_RECEIVED: Final = "close received"
CLOSE_SENT: Final = "close sent"
READING_FAILED: Final = "reading failed"

TRANSITIONS: Final[dict[str, dict[str, str]]] = {
    OPEN: {CLOSE_RECEIVED: REMOTE_CLOSING, READING_FAILED: REMOTE_CLOSING, CLOSE_SENT: LOCAL_CLOSING},
    # Nothing more is read; our Close frame is due.
    REMOTE_CLOSING: {CLOSE_SENT: CLOSED},
    # Messages that were on their way still arrive; the peer's Close frame is due.
    LOCAL_CLOSING: {CLOSE_RECEIVED: CLOSED, READING_FAILED: CLOSED},
    CLOSED: {},
}

TEXT_FINAL: Final = 0x81
BINARY_FINAL: Final = 0x82
CLOSE_FINAL: Final = 0x88
PING_FINAL: Final = 0x89
PONG_FINAL: Final = 0x8A
RSV1_BIT: Final = 0x40


MAX_PONGS: Final = 16
"""Answers kept between two calls of ``take_output``, the latest ones. RFC 6455 5.5.3: an endpoint that has not yet
answered earlier pings "MAY elect to send a Pong frame for only the most recently processed Ping frame"; a burst is
answered all the same, because clients (and Autobahn's case 2.10) count, and a flood costs 2 KiB."""

MAX_JOINED: Final = buffers.MAX_JOINED


def encode_header(first: int, length: int) -> bytes:
    """An unmasked frame header in the shortest form (RFC 6455 5.2)."""
    if length <= 125:
        return bytes((first, length))
    if length <= 65535:
        return struct.pack("!BBH", first, 126, length)
    return struct.pack("!BBQ", first, 127, length)


class WebSocketCodec:
    """One WebSocket connection, the server's end.

    Args:
        limits: ``max_message_size`` and ``max_frame_size`` bound what is received; what is sent has no bound here.
        deflate: the parameters agreed on in the handshake, or ``None``.

    Attributes:
        state: a key of ``TRANSITIONS``.
        has_output: ``take_output`` has something to send.
    """

    __slots__ = ("_deflater", "_frames", "_message", "_pongs", "has_output", "state")

    protocol = "websocket"

    def __init__(self, limits: WebSocketSettings, deflate: DeflateParams | None = None) -> None:
        self.state: str = OPEN
        self._deflater = None if deflate is None else Deflater(deflate)
        self._message = MessageAssembler(limits, None if deflate is None else Inflater(deflate))
        self._frames = FrameDecoder(client=False, extensions=[self._message])
        self._pongs: deque[bytes] = deque(maxlen=MAX_PONGS)
        self.has_output = False

    # Receiving

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer. Those after its Close frame, or after an error, are dropped unread."""
        if self.state is OPEN or self.state is LOCAL_CLOSING:
            self._frames.receive_bytes(data)

    def next_event(self) -> Event | None:
        """The next ``MessageReceived``, ``PongReceived`` or ``CloseReceived``; ``NEED_DATA`` when there is none yet.

        Raises:
            WebSocketError: the peer broke the protocol or a bound; there will be no further event.
        """
        if self.state is not OPEN and self.state is not LOCAL_CLOSING:
            return None
        try:
            frame = self._frames.process_buffer()
            while frame is not None:
                event = self._take(frame)
                if event is not None:
                    return event
                frame = self._frames.process_buffer()
        except WebSocketError:
            self._stop_reading(READING_FAILED)
            raise
        except ParseFailed as error:
            self._stop_reading(READING_FAILED)
            raise WebSocketError(int(error.code), str(error)) from None
        return None

    def _take(self, frame: Frame) -> Event | None:
        opcode = frame.opcode
        if not opcode.iscontrol():
            message = self._message.add(frame)
            return None if message is None else MessageReceived(message)
        payload = frame.payload
        assert isinstance(payload, bytes)
        if opcode is Opcode.PING:
            self._pongs.append(payload)
            self.has_output = self.state is OPEN
            return None
        if opcode is Opcode.PONG:
            return PongReceived(payload)
        event = CloseReceived(*parse_close(payload))
        self._stop_reading(CLOSE_RECEIVED)
        return event

    def _stop_reading(self, cause: str) -> None:
        self.state = TRANSITIONS[self.state][cause]
        self._message.reset()
        self._frames = FrameDecoder(client=False, extensions=[self._message])

    def take_output(self) -> bytes:
        """The Pongs that are due, once; empty when none is, and after our Close frame."""
        if not self.has_output:
            return b""
        self.has_output = False
        output = b"".join([encode_header(PONG_FINAL, len(payload)) + payload for payload in self._pongs])
        self._pongs.clear()
        return output

    # Sending

    def encode_message(self, data: str | bytes | bytearray | memoryview) -> list[bytes | memoryview]:
        """One message as one frame: text for ``str``, binary for bytes-like objects.

        A long payload is passed on as it is; of a ``bytearray`` or a ``memoryview`` that is a view, so one that keeps
        the result for later copies it first.

        Raises:
            LocalProtocolError: after a Close frame in either direction.
            TypeError: for other objects.
            ValueError: for text that UTF-8 cannot express (lone surrogates).
        """
        if self.state is not OPEN:
            raise LocalProtocolError("a message after the Close frame")
        first = BINARY_FINAL
        payload: bytes | memoryview
        if isinstance(data, bytes):
            payload = data
        elif isinstance(data, str):
            first = TEXT_FINAL
            payload = data.encode()
        else:
            payload = flat(data)
        if self._deflater is not None and len(payload) >= COMPRESS_FROM:
            first |= RSV1_BIT
            payload = self._deflater.deflate(payload)
        header = encode_header(first, len(payload))
        if len(payload) <= MAX_JOINED:
            return [b"".join((header, payload))]
        return [header, payload]

    def is_plain(self, size: int) -> bool:
        """Whether a message of so many bytes would be sent uncompressed: the same bytes as on any connection."""
        return self.state is OPEN and (self._deflater is None or size < COMPRESS_FROM)

    def encode_ping(self, payload: bytes = b"") -> bytes:
        """A Ping frame; its Pong carries the same payload of at most 125 bytes.

        Raises:
            LocalProtocolError: after a Close frame in either direction.
            ValueError: for a longer payload.
        """
        if self.state is not OPEN:
            raise LocalProtocolError("a Ping after the Close frame")
        if len(payload) > MAX_CONTROL_PAYLOAD:
            raise ValueError(f"a Ping carries at most {MAX_CONTROL_PAYLOAD} bytes, not {len(payload)}")
        return encode_header(PING_FINAL, len(payload)) + payload

    def encode_close(self, code: int | None = 1000, reason: str = "") -> bytes:
        """Our Close frame, which is the last that we send.

        Args:
            code: ``None`` for none; what the peer then sees is 1005.
            reason: at most 123 bytes of UTF-8.

        Raises:
            LocalProtocolError: when it has been sent before.
            ValueError: for a code that may not be sent, a reason that is too long, or one without a code.
        """
        payload = encode_close_payload(code, reason)
        following = TRANSITIONS[self.state].get(CLOSE_SENT)
        if following is None:
            raise LocalProtocolError("a second Close frame")
        self.state = following
        self.has_output = False
        return encode_header(CLOSE_FINAL, len(payload)) + payload
