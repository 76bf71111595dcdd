"""permessage-deflate: the examples of RFC 7692, the offers, the bounds, and what is kept from message to message."""

from __future__ import annotations

import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import WebSocketError
from ssgi_gateway.wire.events import MessageReceived
from ssgi_gateway.wire.websocket.deflate import (
    INFLATE_STEP,
    MAX_FINAL_BLOCKS,
    WINDOW_BITS,
    DeflateParams,
    Deflater,
    Inflater,
    accept_offer,
)
from tests.unit.wire.transcript import read
from tests.unit.wire.websocket_frames import BINARY, CONTINUATION, PING, TEXT, codec, frame

PLAIN = DeflateParams()
CLIENT_FORGETS = DeflateParams(client_no_context_takeover=True)

# RFC 7692 7.2.3: all of these are "Hello".
HELLO = {
    "7.2.3.1 one block": "f2 48 cd c9 c9 07 00",
    "7.2.3.3 a block with no compression": "00 05 00 fa ff 48 65 6c 6c 6f 00",
    "7.2.3.4 a block with BFINAL set": "f3 48 cd c9 c9 07 00 00",
    "7.2.3.5 two blocks": "f2 48 05 00 00 00 ff ff ca c9 c9 07 00",
}


def compressed(*payloads, fin=True):
    """A message with RSV1, in as many frames as there are payloads."""
    frames = [frame(TEXT if not index else CONTINUATION, payload, False, 0 if index else 4)
              for index, payload in enumerate(payloads[:-1])]  # fmt: skip
    return b"".join(frames) + frame(CONTINUATION if frames else TEXT, payloads[-1], fin, 0 if frames else 4)


def inflate(inflater, payload, room=1 << 20):
    return b"".join([*inflater.inflate(payload, room), *inflater.finish(room)])


class TestExamples:
    @pytest.mark.parametrize("payload", HELLO.values(), ids=HELLO.keys())
    def test_hello(self, payload):
        data = compressed(bytes.fromhex(payload))
        assert read(lambda: codec(PLAIN), data).told == [MessageReceived("Hello")]

    def test_7_2_3_1_fragments(self):
        payload = bytes.fromhex("f2 48 cd c9 c9 07 00")
        for cut in range(len(payload) + 1):
            data = compressed(payload[:cut], payload[cut:])
            assert read(lambda: codec(PLAIN), data).told == [MessageReceived("Hello")]

    def test_7_2_3_2_the_window_is_shared_between_messages(self):
        data = compressed(bytes.fromhex("f2 48 cd c9 c9 07 00")) + compressed(bytes.fromhex("f2 00 11 00 00"))
        assert read(lambda: codec(PLAIN), data).told == [MessageReceived("Hello")] * 2

    def test_7_2_3_2_and_is_not_with_no_context_takeover(self):
        server = codec(CLIENT_FORGETS)
        server.receive(compressed(bytes.fromhex("f2 48 cd c9 c9 07 00")) * 2)
        assert [server.next_event(), server.next_event()] == [MessageReceived("Hello")] * 2
        server.receive(compressed(bytes.fromhex("f2 00 11 00 00")))
        with pytest.raises(WebSocketError) as caught:
            server.next_event()
        assert caught.value.code == 1007

    @pytest.mark.parametrize("end", ["00", ""])
    def test_messages_go_on_after_a_final_block(self, end):
        """zlib's decompressor swallows everything that follows one."""
        data = compressed(bytes.fromhex("f3 48 cd c9 c9 07 00" + end)) * 3
        assert read(lambda: codec(PLAIN), data).told == [MessageReceived("Hello")] * 3

    def test_a_ping_between_compressed_fragments(self):
        payload = bytes.fromhex("f2 48 cd c9 c9 07 00")
        data = frame(TEXT, payload[:3], fin=False, rsv=4) + frame(PING, b"p") + frame(CONTINUATION, payload[3:])
        assert read(lambda: codec(PLAIN), data).told == [MessageReceived("Hello")]

    def test_uncompressed_messages_between_compressed_ones(self):
        hello = bytes.fromhex("f2 48 cd c9 c9 07 00")
        again = bytes.fromhex("f2 00 11 00 00")
        data = compressed(hello) + frame(TEXT, b"plain") + frame(BINARY, b"", fin=False) + frame(CONTINUATION, b"x")
        expected = [MessageReceived(message) for message in ("Hello", "plain", b"x", "Hello")]
        assert read(lambda: codec(PLAIN), data + compressed(again)).told == expected


class TestInflater:
    def test_the_room_is_exact(self):
        payload = Deflater(PLAIN).deflate(bytes(100000))
        assert inflate(Inflater(PLAIN), payload, 100000) == bytes(100000)
        with pytest.raises(WebSocketError) as caught:
            inflate(Inflater(PLAIN), payload, 99999)
        assert caught.value.code == 1009

    def test_pieces_are_small(self):
        payload = Deflater(PLAIN).deflate(bytes(1000000))
        pieces = list(Inflater(PLAIN).inflate(payload, 1000000))
        assert max(map(len, pieces)) <= INFLATE_STEP

    @pytest.mark.parametrize("size", [INFLATE_STEP - 1, INFLATE_STEP, INFLATE_STEP + 1, 2 * INFLATE_STEP, 258 * 1000])
    def test_output_that_zlib_holds_back_belongs_to_its_message(self, size):
        inflater, deflater = Inflater(PLAIN), Deflater(PLAIN)
        for _ in range(3):
            assert inflate(inflater, deflater.deflate(bytes(size))) == bytes(size)

    def test_as_many_final_blocks_as_are_allowed(self):
        block = zlib.compress(b"x", 9, -15)
        assert inflate(Inflater(PLAIN), block * MAX_FINAL_BLOCKS) == b"x" * MAX_FINAL_BLOCKS
        with pytest.raises(WebSocketError):
            inflate(Inflater(PLAIN), block * (MAX_FINAL_BLOCKS + 1))

    def test_final_blocks_are_counted_by_the_message(self):
        inflater, block = Inflater(PLAIN), zlib.compress(b"x", 9, -15)
        for _ in range(3):
            assert inflate(inflater, block * MAX_FINAL_BLOCKS) == b"x" * MAX_FINAL_BLOCKS

    @pytest.mark.parametrize("bits", range(8, 16))
    def test_any_window_of_the_client(self, bits):
        compressor = zlib.compressobj(9, zlib.DEFLATED, -max(bits, 9))
        data = bytes(range(256)) * 500
        payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert inflate(Inflater(DeflateParams(client_max_window_bits=bits)), payload[:-4]) == data


class TestDeflater:
    @given(
        messages=st.lists(st.binary(min_size=1, max_size=3000), max_size=5),
        forgets=st.booleans(),
        bits=st.none() | st.integers(9, 15),
    )
    def test_a_plain_decompressor_reads_it(self, messages, forgets, bits):
        params = DeflateParams(server_no_context_takeover=forgets, server_max_window_bits=bits)
        deflater, reader = Deflater(params), zlib.decompressobj(-(bits or 15))
        for message in messages:
            if forgets:
                reader = zlib.decompressobj(-(bits or 15))
            assert reader.decompress(deflater.deflate(message) + b"\x00\x00\xff\xff") == message

    def test_takeover_makes_repeated_messages_small(self):
        noise = bytes(zlib.crc32(bytes([index & 255, index >> 8])) & 255 for index in range(2000))
        keeps, forgets = Deflater(PLAIN), Deflater(DeflateParams(server_no_context_takeover=True))
        first = len(keeps.deflate(noise))
        assert len(keeps.deflate(noise)) < first / 10
        assert len(forgets.deflate(noise)) == len(forgets.deflate(noise)) == first

    def test_memory_of_a_connection(self):
        tracemalloc.start()
        try:
            pairs = [(Inflater(PLAIN), Deflater(PLAIN)) for _ in range(10)]
            idle = tracemalloc.get_traced_memory()[0]
            for inflater, deflater in pairs:
                inflate(inflater, deflater.deflate(b"x" * 2000))
            used = tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
        assert idle < 10 * 512
        assert used < 10 * 100000


def params(text):
    """``a=1; b`` as the parser gives it."""
    items = (item.strip().partition("=") for item in text.split(";") if item)
    return [(name, value if equals else None) for name, equals, value in items]


class TestOffers:
    @pytest.mark.parametrize(
        ("offer", "response"),
        [
            ("", "permessage-deflate"),
            ("client_max_window_bits", f"permessage-deflate; client_max_window_bits={WINDOW_BITS}"),
            ("client_max_window_bits=15", f"permessage-deflate; client_max_window_bits={WINDOW_BITS}"),
            ("client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
            ("client_max_window_bits=8", "permessage-deflate; client_max_window_bits=8"),
            ("server_max_window_bits=15", f"permessage-deflate; server_max_window_bits={WINDOW_BITS}"),
            ("server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
            ("server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
            ("client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
            (
                "client_max_window_bits=10;server_max_window_bits=11;client_no_context_takeover;server_no_context_takeover",
                "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
                "server_max_window_bits=11; client_max_window_bits=10",
            ),
        ],
    )
    def test_accepted(self, offer, response):
        accepted = accept_offer(params(offer))
        assert accepted is not None
        assert accepted.response() == response

    @pytest.mark.parametrize(
        "offer",
        [
            "server_max_window_bits",
            "server_max_window_bits=8",
            "server_max_window_bits=16",
            "server_max_window_bits=09",
            "server_max_window_bits=x",
            "client_max_window_bits=7",
            "client_max_window_bits=16",
            "client_max_window_bits=010",
            "client_max_window_bits=-9",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_no_context_takeover;server_no_context_takeover",
            "client_max_window_bits;client_max_window_bits=10",
            "mux",
            "server_max_window_bits=10;level=9",
        ],
    )
    def test_declined(self, offer):
        assert accept_offer(params(offer)) is None
