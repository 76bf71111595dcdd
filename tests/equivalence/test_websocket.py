"""WebSockets over both builds."""

from __future__ import annotations

import array
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import WebSocketPair
from fuzz.seeds import frame
from ssgi_gateway.settings import WebSocketSettings
from ssgi_gateway.wire.websocket.bounds import max_fragments
from ssgi_gateway.wire.websocket.deflate import DeflateParams
from tests.equivalence.machine import Machine
from tests.equivalence.strategies import BOUNDS, DEFLATE, WEBSOCKET, cut, deflated, examples

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


@pytest.mark.parametrize("first", [0x01, 0x02, 0x41])
def test_fragments_one_by_one(first):
    """The bound on their number is reached at the same one."""
    pair = WebSocketPair(WebSocketSettings(max_message_size=160), DeflateParams())
    for index in range(max_fragments(160) + 2):
        pair.receive(frame(0 if index else first))
        pair.events()


@pytest.mark.parametrize("size", [99, 100, 101])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01])
def test_sizes_about_the_bounds(size, first):
    for bounds in (WebSocketSettings(max_message_size=100), WebSocketSettings(max_frame_size=100)):
        pair = WebSocketPair(bounds, None)
        for data in (
            frame(first, bytes(size)),
            frame(0x80, b""),
            frame(first, bytes(60)),
            frame(0x80, bytes(size - 60)),
        ):
            pair.receive(data)
            pair.events()


@pytest.mark.parametrize("size", [49, 50, 51, 99, 100, 101])
@pytest.mark.parametrize("takeover", [True, False])
def test_each_compressed_message_has_the_whole_bound(size, takeover):
    pair = WebSocketPair(
        WebSocketSettings(max_message_size=100), DeflateParams(client_no_context_takeover=not takeover)
    )
    for _ in range(4):
        payload = deflated(bytes(size), zlib.Z_SYNC_FLUSH)
        pair.receive(frame(0x42, payload[:3]) + frame(0x80, payload[3:]))
        pair.events()


@pytest.mark.parametrize("place", range(24))
def test_text_in_pieces_is_looked_at_everywhere(place):
    """Eight bytes at once where they are ASCII: so each place among them matters."""
    for letter in (b"\xc3\xa9", b"\xff", b"\xe2\x82"):
        pair = WebSocketPair(WebSocketSettings(), None)
        pair.receive(frame(0x01, b"a" * place + letter + b"b" * (24 - place)) + frame(0x80, b"c"))
        pair.events()
