"""The WebSocket codec: transcripts, bad input by its numbers, and wsproto's client at the other end of a wire."""

from __future__ import annotations

import array
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import CLIENT, Connection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

from ssgi_gateway.errors import LocalProtocolError, WebSocketError
from ssgi_gateway.wire.events import CloseReceived, MessageReceived, PongReceived
from ssgi_gateway.wire.websocket.codec import (
    CLOSED,
    LOCAL_CLOSING,
    MAX_JOINED,
    MAX_PONGS,
    OPEN,
    REMOTE_CLOSING,
    TRANSITIONS,
    is_close_code,
)
from ssgi_gateway.wire.websocket.deflate import COMPRESS_FROM, DeflateParams
from ssgi_gateway.wire.websocket.message import max_fragments
from tests.unit.wire.transcript import Refused, Transcript, pieces_of, play, read
from tests.unit.wire.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close,
    codec,
    frame,
    header,
    pieces,
    zero_frame,
)

DEFLATE = DeflateParams()
MIB = 1 << 20

HELLO = frame(TEXT, b"Hello")
MESSAGES_READ = {
    "rfc 6455 5.7: a masked text message": (bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), ["Hello"]),
    "text is str": (frame(TEXT, "süß \U0001f600".encode()), ["süß \U0001f600"]),
    "binary is bytes": (frame(BINARY, b"\x00\xff"), [b"\x00\xff"]),
    "empty": (frame(TEXT) + frame(BINARY), ["", b""]),
    "line ends stay as they are": (
        frame(TEXT, b"a\r\nb\r", fin=False) + frame(CONTINUATION, b"\nc\r"),
        ["a\r\nb\r\nc\r"],
    ),
    "text fragments, cut inside a character": (
        frame(TEXT, b"\xf0\x9f", fin=False) + frame(CONTINUATION, b"", fin=False) + frame(CONTINUATION, b"\x98\x80"),
        ["\U0001f600"],
    ),
    "binary fragments": (
        frame(BINARY, b"ab", fin=False) + frame(CONTINUATION, b"cd", fin=False) + frame(CONTINUATION, b"e") + HELLO,
        [b"abcde", "Hello"],
    ),
    "16-bit length": (frame(BINARY, bytes(126)), [bytes(126)]),
    "64-bit length": (frame(BINARY, bytes(65536)), [bytes(65536)]),
}
REFUSED = {
    "an opcode that is none": (frame(3), 1002, "Invalid opcode 0x3"),
    "a control opcode that is none": (frame(11), 1002, "Invalid opcode 0xb"),
    "a length in more bytes than needed": (b"\x82\xfe\x00\x05" + bytes(9), 1002, "2 bytes when 1 would have sufficed"),
    "a reserved bit": (frame(TEXT, b"a", rsv=4), 1002, "Reserved bit set unexpectedly"),
    "a fragmented ping": (frame(PING, fin=False), 1002, "Invalid attempt to fragment control frame"),
    "a long ping": (frame(PING, bytes(126)), 1002, "Control frame with payload len > 125"),
    "a continuation of nothing": (frame(CONTINUATION, b"a"), 1002, "a continuation of no message"),
    "a continuation of a message that has ended": (HELLO + frame(CONTINUATION), 1002, "a continuation of no message"),
    "a message inside a message": (
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        1002,
        "a new message inside a message",
    ),
    "text that is not UTF-8": (frame(TEXT, b"\xff"), 1007, "invalid UTF-8 in a text message"),
    "text that ends inside a character": (frame(TEXT, b"a\xc3"), 1007, "invalid UTF-8 in a text message"),
    "text with a surrogate": (frame(TEXT, b"\xed\xa0\x80"), 1007, "invalid UTF-8 in a text message"),
}


@pytest.mark.parametrize(("data", "messages"), MESSAGES_READ.values(), ids=MESSAGES_READ.keys())
def test_messages(data, messages):
    assert read(codec, data, trailing=frame(PING, b"late")[:3]).told == [MessageReceived(item) for item in messages]


@pytest.mark.parametrize(("data", "code", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(data, code, words):
    transcript = read(codec, HELLO + data, trailing=HELLO)
    assert transcript.told[0] == MessageReceived("Hello")
    assert transcript.told[-1] == Refused(code)
    assert words in transcript.words


def test_nothing_is_reported_after_the_close():
    transcript = read(codec, close(1000, "tschüß".encode()), trailing=HELLO + frame(PING))
    assert transcript == Transcript([CloseReceived(1000, "tschüß")], b"")


def test_nothing_is_reported_after_an_error():
    server = codec()
    server.receive(frame(3) + HELLO)
    with pytest.raises(WebSocketError):
        server.next_event()
    server.receive(HELLO)
    assert server.next_event() is None


def feed(server, chunks):
    for chunk in chunks:
        server.receive(chunk)
        while server.next_event() is not None:
            pass


def first_error(*chunks, deflate=None, **limits):
    """The error that ends a connection which is sent ``chunks``; its reason must fit a Close frame."""
    server = codec(deflate, **limits)
    with pytest.raises(WebSocketError) as caught:
        feed(server, chunks)
    assert server.state == REMOTE_CLOSING
    assert server.encode_close(caught.value.code, caught.value.reason)[2:4] == caught.value.code.to_bytes(2, "big")
    return caught.value


class TestBounds:
    def test_websocket_76_length_2_62_and_no_data(self):
        error = first_error(header(BINARY, 1 << 62))
        assert (error.code, error.reason) == (1009, "a message of more than 1048576 bytes")

    def test_websocket_76_the_length_is_enough_without_the_mask(self):
        assert first_error(header(BINARY, 1 << 62)[:10]).code == 1009

    def test_the_largest_message_that_fits(self):
        server = codec(max_message_size=1000)
        server.receive(frame(BINARY, bytes(1000)))
        assert server.next_event() == MessageReceived(bytes(1000))
        server.receive(frame(TEXT, b"x" * 600, fin=False) + frame(CONTINUATION, b"x" * 400))
        assert server.next_event() == MessageReceived("x" * 1000)

    def test_one_byte_more(self):
        assert first_error(header(BINARY, 1001), max_message_size=1000).code == 1009
        error = first_error(frame(TEXT, b"x" * 600, fin=False) + header(CONTINUATION, 401), max_message_size=1000)
        assert error.code == 1009

    def test_frame_limit(self):
        error = first_error(header(BINARY, 101), max_frame_size=100)
        assert (error.code, error.reason) == (1009, "a frame of more than 100 bytes")
        server = codec(max_frame_size=100)
        server.receive(frame(BINARY, bytes(100), fin=False) + frame(CONTINUATION, bytes(100)))
        assert server.next_event() == MessageReceived(bytes(200))

    @pytest.mark.parametrize("payload", [b"", b"x"])
    def test_websocket_77_endless_empty_or_one_byte_fragments(self, payload):
        burst = frame(CONTINUATION, payload, fin=False) * 100
        endless = iter(lambda: burst, None)
        error = first_error(frame(TEXT, payload, fin=False), *zip_to(endless, 1000), max_message_size=10000)
        assert error.code == 1009
        assert str(max_fragments(10000)) in error.reason

    def test_websocket_77_one_byte_fragments_of_a_message_that_fits(self):
        server = codec()
        server.receive(frame(TEXT, b"", fin=False) + frame(CONTINUATION, b"x", fin=False) * 2000 + frame(CONTINUATION))
        assert server.next_event() == MessageReceived("x" * 2000)

    def test_websocket_77_two_byte_pieces_of_a_frame_are_not_kept_one_by_one(self):
        payload = bytes(65536)
        server = codec()
        tracemalloc.start()
        try:
            server.receive(header(BINARY, len(payload), mask=bytes(4)))
            for index in range(0, len(payload), 2):
                server.receive(payload[index : index + 2])
                event = server.next_event()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert event == MessageReceived(payload)
        assert peak < 4 * len(payload)  # a list of them would take 28 times as much

    def test_a_long_message_in_many_fragments_is_held_once(self):
        fragment = zero_frame(CONTINUATION, bytes(1024), fin=False)
        server = codec(max_message_size=8 * MIB)
        tracemalloc.start()
        try:
            server.receive(frame(BINARY, b"", fin=False))
            for _ in range(128):
                server.receive(fragment * 32)
                assert server.next_event() is None
            server.receive(frame(CONTINUATION))
            event = server.next_event()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert event == MessageReceived(bytes(4 * MIB))
        assert peak < 6 * MIB

    def test_what_was_gathered_is_dropped_with_an_error(self):
        server = codec()
        tracemalloc.start()
        try:
            server.receive(zero_frame(BINARY, bytes(MIB - 10), fin=False))
            assert server.next_event() is None
            server.receive(header(CONTINUATION, 100))
            with pytest.raises(WebSocketError):
                server.next_event()
            assert tracemalloc.get_traced_memory()[0] < 65536
        finally:
            tracemalloc.stop()
        assert server.next_event() is None


def zip_to(endless, count):
    return [chunk for chunk, _ in zip(endless, range(count), strict=False)]


def deflated(data, window=15):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -window)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class TestDeflateBomb:
    """Case 78. The limits are those of the requirement: the message limit and 16 MiB."""

    @staticmethod
    def peak_of(chunks, limit):
        server = codec(DEFLATE, max_message_size=limit)
        tracemalloc.start()
        try:
            with pytest.raises(WebSocketError) as caught:
                feed(server, chunks)
            return caught.value, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("opcode", [TEXT, BINARY])
    @pytest.mark.parametrize("limit", [1000, MIB, 16 * MIB])
    def test_websocket_78_deflate_bomb_in_one_frame(self, limit, opcode):
        bomb = zero_frame(opcode, deflated(bytes(60 * MIB)), rsv=4)
        assert len(bomb) < 65536
        error, peak = self.peak_of([bomb] if limit > 100000 else pieces(bomb, range(0, 65536, 999)), limit)
        assert error.code == 1009
        assert peak < limit + 16 * MIB

    @pytest.mark.parametrize("limit", [MIB, 16 * MIB])
    def test_websocket_78_deflate_bomb_in_many_frames(self, limit):
        payload = deflated(bytes(60 * MIB))
        cut = [payload[index : index + 100] for index in range(0, len(payload), 100)]
        frames = [zero_frame(BINARY, cut[0], fin=False, rsv=4)]
        frames += [zero_frame(CONTINUATION, piece, fin=False) for piece in cut[1:]]
        error, peak = self.peak_of([b"".join(frames)], limit)
        assert error.code == 1009
        assert peak < limit + 16 * MIB

    def test_websocket_78_many_small_bombs_in_one_read_are_inflated_one_by_one(self):
        """Each is within the limit; together they are 200 times the limit."""
        message = bytes(MIB)
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        wire = (compressor.compress(message) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
        server = codec(DeflateParams(client_no_context_takeover=True))
        tracemalloc.start()
        try:
            server.receive(zero_frame(BINARY, wire, rsv=4) * 200)
            count = 0
            while (event := server.next_event()) is not None:
                assert event == MessageReceived(message)
                count += 1
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert count == 200
        assert peak < MIB + 16 * MIB

    def test_websocket_78_empty_blocks_without_end(self):
        """Nothing comes out of them, so what went in is counted."""
        blocks = b"\x00\x00\x00\xff\xff" * 10000
        frames = [frame(BINARY, b"", fin=False, rsv=4), zero_frame(CONTINUATION, blocks, fin=False) * 40]
        error, peak = self.peak_of(frames, MIB)
        assert error.code == 1009
        assert peak < 17 * MIB

    def test_websocket_78_finished_streams_without_end(self):
        error, peak = self.peak_of([zero_frame(BINARY, b"\x03\x00" * 30000, rsv=4)], MIB)
        assert error.code == 1009
        assert peak < 17 * MIB

    def test_a_compressed_message_of_just_the_limit(self):
        for data in (bytes(MIB), bytes(zlib.crc32(index.to_bytes(4, "big")) & 255 for index in range(MIB))):
            server = codec(DEFLATE)
            server.receive(zero_frame(BINARY, deflated(data), rsv=4))
            assert server.next_event() == MessageReceived(data)


class TestPings:
    def test_rfc_6455_5_7_a_ping_is_answered_with_its_payload(self):
        assert read(codec, frame(PING, b"Hello")) == Transcript([], bytes.fromhex("8a 05 48 65 6c 6c 6f"))

    def test_a_burst_is_answered_in_order(self):
        pings = b"".join(frame(PING, bytes([index])) for index in range(10))
        assert read(codec, pings).sent == b"".join(b"\x8a\x01" + bytes([index]) for index in range(10))

    def test_a_ping_between_fragments(self):
        data = frame(TEXT, b"a", fin=False) + frame(PING) + frame(CONTINUATION, b"b")
        assert read(codec, data) == Transcript([MessageReceived("ab")], b"\x8a\x00")

    def test_a_pong_is_reported(self):
        assert read(codec, frame(PONG, b"x")) == Transcript([PongReceived(b"x")], b"")

    def test_the_pong_is_there_before_the_message_is_reported_and_not_a_message_earlier(self):
        server = codec()
        server.receive(HELLO + frame(PING, b"p") + HELLO)
        assert server.next_event() == MessageReceived("Hello")
        assert not server.has_output
        assert server.next_event() == MessageReceived("Hello")
        assert server.has_output
        assert server.take_output() == b"\x8a\x01p"

    def test_the_pong_is_there_with_the_error(self):
        assert read(codec, frame(PING, b"p") + frame(3)) == Transcript([Refused(1002)], b"\x8a\x01p")

    def test_websocket_80_ping_flood_from_a_peer_that_never_reads(self):
        server = codec()
        flood = b"".join(frame(PING, index.to_bytes(125, "big")) for index in range(500))
        tracemalloc.start()
        try:
            for _ in range(20):
                server.receive(flood)
                assert server.next_event() is None
            assert tracemalloc.get_traced_memory()[0] < 65536
        finally:
            tracemalloc.stop()
        latest = [index.to_bytes(125, "big") for index in range(500 - MAX_PONGS, 500)]
        assert server.take_output() == b"".join(b"\x8a\x7d" + payload for payload in latest)
        assert server.take_output() == b""
        assert not server.has_output

    def test_no_pong_after_our_close(self):
        server = codec()
        server.receive(frame(PING, b"before"))
        assert server.next_event() is None
        server.encode_close(1000)
        server.receive(frame(PING, b"after"))
        assert server.next_event() is None
        assert not server.has_output
        assert server.take_output() == b""

    def test_the_pong_that_was_due_survives_the_peers_close(self):
        server = codec()
        server.receive(frame(PING, b"x") + close(1000))
        assert server.next_event() == CloseReceived(1000, "")
        assert server.take_output() == b"\x8a\x01x"

    def test_encode_ping(self):
        assert codec().encode_ping(b"Hello") == b"\x89\x05Hello"
        assert codec().encode_ping() == b"\x89\x00"
        with pytest.raises(ValueError, match="125 bytes, not 126"):
            codec().encode_ping(bytes(126))


class TestClose:
    @pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
    def test_websocket_81_invalid_close_code(self, code):
        error = first_error(close(code))
        assert (error.code, error.reason) == (1002, f"a Close frame with the invalid code {code}")
        with pytest.raises(ValueError, match=str(code)):
            codec().encode_close(code)

    def test_websocket_81_one_byte_close(self):
        assert first_error(frame(CLOSE, b"\x03")).code == 1002

    def test_websocket_81_bad_utf8_in_the_reason(self):
        assert first_error(close(1000, b"\xff")).code == 1007
        assert first_error(close(1000, b"cut \xc3")).code == 1007

    def test_websocket_81_long_close(self):
        assert first_error(header(CLOSE, 126)).code == 1002

    @pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, *range(1007, 1015), 3000, 3999, 4000, 4999])
    def test_valid_close_code(self, code):
        server = codec()
        server.receive(close(code, b"why"))
        assert server.next_event() == CloseReceived(code, "why")
        assert server.encode_close(code, "why") == b"\x88\x05" + code.to_bytes(2, "big") + b"why"

    def test_close_without_a_code(self):
        assert codec().encode_close(None) == b"\x88\x00"
        with pytest.raises(ValueError, match="needs a close code"):
            codec().encode_close(None, "why")

    def test_close_reason_of_123_bytes(self):
        assert codec().encode_close(1000, "ü" * 61 + "x")[1] == 125
        with pytest.raises(ValueError, match="not 124"):
            codec().encode_close(1000, "ü" * 62)

    def test_a_refused_close_leaves_the_connection_open(self):
        server = codec()
        with pytest.raises(ValueError, match="1005"):
            server.encode_close(1005)
        assert server.state == OPEN

    def test_both_orders(self):
        server = codec()
        server.receive(close(1001))
        assert server.next_event() == CloseReceived(1001, "")
        assert server.state == REMOTE_CLOSING
        server.encode_close(1001)
        assert server.state == CLOSED

        server = codec()
        server.encode_close(1012)
        assert server.state == LOCAL_CLOSING
        server.receive(frame(TEXT, b"on its way") + close(1012))
        assert server.next_event() == MessageReceived("on its way")
        assert server.next_event() == CloseReceived(1012, "")
        assert server.state == CLOSED

    def test_an_error_after_our_close_ends_the_connection(self):
        server = codec()
        server.encode_close(1000)
        server.receive(frame(3))
        with pytest.raises(WebSocketError):
            server.next_event()
        assert server.state == CLOSED

    @pytest.mark.parametrize("end", ["received", "sent", "both"])
    def test_nothing_is_sent_after_a_close(self, end):
        server = codec()
        if end != "sent":
            server.receive(close(1000))
            server.next_event()
        if end != "received":
            server.encode_close(1000)
            with pytest.raises(LocalProtocolError):
                server.encode_close(1000)
        with pytest.raises(LocalProtocolError):
            server.encode_message("late")
        with pytest.raises(LocalProtocolError):
            server.encode_ping()

    def test_every_state_is_reached_and_known(self):
        reached = {OPEN} | {state for following in TRANSITIONS.values() for state in following.values()}
        assert reached == set(TRANSITIONS)

    def test_close_codes(self):
        assert [code for code in range(70000) if is_close_code(code)] == [
            1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000),
        ]  # fmt: skip


class TestErrors:
    def test_websocket_86_unmasked_frame(self):
        assert first_error(frame(TEXT, b"Hello", mask=None)).code == 1002
        assert first_error(frame(PING, b"", mask=None)).code == 1002

    @pytest.mark.parametrize("wrong", [b"\x80", b"\xc1", b"\xe0\x9f", b"\xed\xa0", b"\xf0\x8f", b"\xf4\x90", b"\xf5"])
    def test_the_byte_that_cannot_become_a_character_is_the_last(self, wrong):
        server = codec()
        server.receive(header(TEXT, 1000, mask=bytes(4)) + b"\xf0\x9f\x98\x80" + wrong[:-1])
        assert server.next_event() is None
        server.receive(wrong[-1:])
        with pytest.raises(WebSocketError) as caught:
            server.next_event()
        assert caught.value.code == 1007

    def test_bad_utf8_is_reported_inside_the_frame(self):
        """Two bytes of a million: the rest need not arrive."""
        assert first_error(header(TEXT, 1000000, mask=bytes(4)) + b"a\xff").code == 1007

    def test_bad_utf8_in_a_later_fragment(self):
        assert first_error(frame(TEXT, b"\xce", fin=False), frame(CONTINUATION, b"x", fin=False)).code == 1007

    def test_rsv1_without_deflate_on_controls_and_on_continuations(self):
        assert first_error(frame(TEXT, b"", rsv=4)).code == 1002
        assert first_error(frame(PING, b"", rsv=4), deflate=DEFLATE).code == 1002
        opened = frame(TEXT, b"", fin=False, rsv=4)
        assert first_error(opened, frame(CONTINUATION, b"", rsv=4), deflate=DEFLATE).code == 1002

    def test_data_that_is_not_deflate(self):
        assert first_error(frame(TEXT, b"\xff\xff\xff", rsv=4), deflate=DEFLATE).code == 1007

    def test_inflated_text_that_is_not_utf8(self):
        assert first_error(frame(TEXT, deflated(b"\xff"), rsv=4), deflate=DEFLATE).code == 1007


def joined(buffers):
    return b"".join(bytes(buffer) for buffer in buffers)


class TestSending:
    @pytest.mark.parametrize(
        ("length", "start"),
        [
            (0, "82 00"),
            (125, "82 7d"),
            (126, "82 7e 00 7e"),
            (65535, "82 7e ff ff"),
            (65536, "82 7f 00 00 00 00 00 01 00 00"),
        ],
    )
    def test_header(self, length, start):
        assert joined(codec().encode_message(b"x" * length)) == bytes.fromhex(start) + b"x" * length

    def test_text(self):
        assert codec().encode_message("süß") == [b"\x81\x05" + "süß".encode()]

    def test_small_is_one_buffer_and_large_is_not_copied(self):
        small, large = bytes(MAX_JOINED), bytes(MAX_JOINED + 1)
        assert len(codec().encode_message(small)) == 1
        assert codec().encode_message(large)[1] is large

    def test_large_views_are_not_copied(self):
        data = bytearray(MAX_JOINED + 1)
        for payload in (data, memoryview(data)):
            view = codec().encode_message(payload)[1]
            assert isinstance(view, memoryview)
            assert view.obj is data

    def test_any_buffer(self):
        numbers = array.array("H", range(300))
        assert joined(codec().encode_message(memoryview(numbers))) == b"\x82\x7e\x02\x58" + numbers.tobytes()
        assert codec().encode_message(memoryview(b"abcdef")[::2]) == [b"\x82\x03ace"]
        assert codec().encode_message(bytearray()) == [b"\x82\x00"]
        assert codec().encode_message(memoryview(array.array("H"))) == [b"\x82\x00"]

    @pytest.mark.parametrize("payload", [5, None, 1.5, ["a"]])
    def test_other_objects(self, payload):
        with pytest.raises(TypeError):
            codec().encode_message(payload)

    def test_text_that_is_no_unicode(self):
        with pytest.raises(ValueError, match="surrogates"):
            codec().encode_message("\ud800")

    def test_deflate_is_for_messages_that_gain_from_it(self):
        server = codec(DEFLATE)
        assert joined(server.encode_message(b"x" * (COMPRESS_FROM - 1)))[0] == 0x82
        compressed = joined(server.encode_message(b"x" * COMPRESS_FROM))
        assert compressed[0] == 0xC2
        assert len(compressed) < 50


# The other end of the wire: wsproto's client.

PARAMS = st.builds(
    DeflateParams,
    server_no_context_takeover=st.booleans(),
    client_no_context_takeover=st.booleans(),
    server_max_window_bits=st.none() | st.integers(9, 15),
    client_max_window_bits=st.none() | st.integers(9, 15),
)
REPETITIVE = st.builds(lambda text, times: text * times, st.text(max_size=8), st.integers(0, 2000))
TEXTS = st.text(max_size=40) | REPETITIVE
BYTES = st.binary(max_size=300) | REPETITIVE.map(str.encode)
MESSAGES = st.lists(TEXTS | BYTES, max_size=6)
CUTS = st.lists(st.integers(0, 1 << 20), max_size=12)


def client_with(params):
    extensions = []
    if params is not None:
        extension = PerMessageDeflate()
        extension.finalize(params.response())
        extensions.append(extension)
    return Connection(CLIENT, extensions)


def send_fragmented(client, message, cuts, pings):
    """The wire form of one message, in frames cut at ``cuts``, with a ping between every two of them."""
    kind = TextMessage if isinstance(message, str) else BytesMessage
    parts = pieces(message, cuts)
    wire = b""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        wire += client.send(kind(data=part, message_finished=last))
        if pings and not last:
            wire += client.send(Ping(payload=b"between"))
    return wire


class TestWithWsprotoClient:
    @given(params=st.none() | PARAMS, messages=MESSAGES, frames=CUTS, reads=CUTS, pings=st.booleans())
    def test_what_the_client_sends_arrives(self, params, messages, frames, reads, pings):
        client = client_with(params)
        wire = b"".join(send_fragmented(client, message, frames, pings) for message in messages)
        wire += client.send(CloseConnection(code=3001, reason="done"))
        transcript = play(codec(params), pieces(wire, reads))
        assert transcript.told == [*map(MessageReceived, messages), CloseReceived(3001, "done")]
        assert transcript.sent.replace(b"\x8a\x07between", b"") == b""

    @given(params=st.none() | PARAMS, messages=MESSAGES, reads=CUTS)
    def test_what_the_server_sends_arrives(self, params, messages, reads):
        server, client = codec(params), client_with(params)
        wire = b"".join(joined(server.encode_message(message)) for message in messages)
        wire += server.encode_ping(b"there?") + server.encode_close(4000, "bye")
        received, partial = [], []
        for piece in pieces(wire, reads):
            client.receive_data(piece)
            for event in client.events():
                if isinstance(event, (TextMessage, BytesMessage)):
                    partial.append(event.data)
                    if event.message_finished:
                        received.append(partial[0][:0].join(partial))
                        partial = []
                else:
                    received.append(event)
        assert received[: len(messages)] == messages
        assert received[len(messages) :] == [Ping(payload=b"there?"), CloseConnection(code=4000, reason="bye")]

    def test_a_whole_conversation(self):
        server, client = codec(), client_with(None)
        server.receive(client.send(Ping(payload=b"up?")))
        assert server.next_event() is None
        client.receive_data(server.take_output())
        assert list(client.events()) == [Pong(payload=b"up?")]
        client.receive_data(server.encode_ping(b"you?"))
        (ping,) = client.events()
        server.receive(client.send(ping.response()))
        assert server.next_event() == PongReceived(b"you?")
        server.receive(client.send(CloseConnection(code=1000)))
        assert server.next_event() == CloseReceived(1000, "")
        client.receive_data(server.encode_close(1000))
        assert list(client.events()) == [CloseConnection(code=1000, reason="")]


# Any bytes at all.

FRAMES = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=20) | st.text(max_size=6).map(str.encode) | st.binary(max_size=60).map(deflated),
    fin=st.booleans(),
    rsv=st.sampled_from([0, 0, 0, 4, 2]),
    mask=st.sampled_from([b"\x01\x02\x03\x04", b"\x01\x02\x03\x04", None]),
)
STREAMS = st.lists(FRAMES | st.binary(max_size=12), max_size=8).map(b"".join)


NOT_INFLATED = ("the message inflates to more than the limit", "invalid deflate data")


class TestAnySplit:
    @given(
        data=st.data(), stream=STREAMS, deflate=st.sampled_from([None, DEFLATE]), limit=st.sampled_from([10, 100, MIB])
    )
    def test_any_bytes_in_any_split_are_the_same_events_and_the_same_error(self, data, stream, deflate, limit):
        def told(pieces):
            heard = play(codec(deflate, max_message_size=limit), pieces).told
            # zlib may see invalid data behind the byte that is too many, and then says nothing of that byte.
            return [NOT_INFLATED if getattr(it, "words", "") in NOT_INFLATED else it for it in heard]

        whole = told([stream])
        assert told(data.draw(pieces_of(stream))) == whole
        assert told([stream[index : index + 1] for index in range(len(stream))]) == whole

    @pytest.mark.parametrize("limit", [8, 9, 10, 12, 100])
    @pytest.mark.parametrize("opcode", [1, 2])
    @pytest.mark.parametrize("text", [b"0123456789\xff12", b"0123456789ab", b"\xff" * 12])
    def test_what_is_wrong_first_counts_however_deflate_is_cut(self, limit, opcode, text):
        payload = deflated(text)[:-1] + b"\x06garbage"  # a block of a type that there is not
        stream = frame(opcode, payload, rsv=4, mask=b"\x01\x02\x03\x04")

        def told(pieces):
            return play(codec(DEFLATE, max_message_size=limit), pieces).told

        whole = told([stream])
        for cut in range(1, len(stream)):
            assert told([stream[:cut], stream[cut:]]) == whole
        assert told([stream[index : index + 1] for index in range(len(stream))]) == whole
