"""WebSockets over both builds."""

from __future__ import annotations

import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import WebSocketPair
from fuzz.seeds import frame
from ssgi_gateway.settings import WebSocketSettings
from tests.equivalence.machine import Machine
from tests.equivalence.strategies import BOUNDS, DEFLATE, WEBSOCKET, cut, examples

SIZES = st.sampled_from((0, 1, 125, 126, 2000, 16_384, 65_535, 65_536, 70_000))
MESSAGES = st.one_of(
    st.sampled_from(("s\xfc\u20ac\U0001f600", "\ud800", memoryview(b"abcdef")[::2], 5, None)),
    st.lists(st.integers(0, 65_535)).map(lambda numbers: array.array("H", numbers)),
    SIZES.map(bytes),
    SIZES.map(bytearray),
    SIZES.map(lambda size: memoryview(bytes(size))),
    SIZES.map(lambda size: "x" * size),
    SIZES.map(lambda size: "\xe9" * size),
)


@examples(400)
@given(bounds=BOUNDS, deflate=DEFLATE, pieces=cut(st.lists(WEBSOCKET, max_size=8).map(b"".join)))
def test_any_frames_in_any_cut(bounds, deflate, pieces):
    pair = WebSocketPair(bounds, deflate)
    for piece in pieces:
        pair.receive(piece)
        pair.events()
        pair.take_output()


class WebSocket(Machine):
    @initialize(bounds=BOUNDS, deflate=DEFLATE)
    def connect(self, bounds, deflate):
        self.pair = WebSocketPair(bounds, deflate)

    @rule(frames=WEBSOCKET)
    def the_peer_writes(self, frames):
        self.wire += frames

    @rule(message=MESSAGES)
    def the_server_sends(self, message):
        self.pair.encode_message(message)

    @rule(payload=st.sampled_from((b"", b"x", bytes(125), bytes(126))))
    def the_server_pings(self, payload):
        self.pair.encode_ping(payload)

    @rule(code=st.sampled_from((None, 1000, 1005, 4999, 70_000)), reason=st.sampled_from(("", "bye", "\u20ac" * 50)))
    def the_server_closes(self, code, reason):
        self.pair.encode_close(code, reason)


WebSocket.TestCase.settings = examples(120, 60)
TestWebSocket = WebSocket.TestCase


@pytest.mark.parametrize("first", range(256))
def test_utf8_by_every_second_byte(first):
    """Text that comes in pieces is checked by a table; here is every entry of it that two bytes can reach."""
    for second in range(256):
        for rest in (b"", b"\x80", b"\x80\x80", b"a"):
            pair = WebSocketPair(WebSocketSettings(), None)
            pair.receive(frame(1, bytes((first,))) + frame(0, bytes((second,))))
            pair.events()
            pair.receive(frame(0x80, rest))
            pair.events()


@pytest.mark.parametrize("size", [*range(20), 65_535, 65_536, 65_537])
def test_masks_at_every_phase(size):
    payload = bytes(index * 7 & 255 for index in range(size))
    whole = frame(0x82, payload[:125], b"\x01\x20\x40\x80") if size < 126 else b""
    for data in (whole, frame(0x82, payload, b"\xde\xad\xbe\xef")[: 8 + size] if 125 < size < 65_536 else b""):
        for place in {1, 2, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, len(data) - 3, len(data) - 1}:
            pair = WebSocketPair(WebSocketSettings(), None)
            for piece in (data[:place], data[place:]):
                if piece:
                    pair.receive(piece)
                    pair.events()
