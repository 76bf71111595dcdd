"""HTTP/2's pure codec: what a peer may not do, each bound, and flow control. Frames are made by hyperframe."""

from __future__ import annotations

import hpack
import hyperframe.frame as hf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import GoAway, RemoteProtocolError, StreamReset
from ssgi_gateway.wire.client import http2, http2_sending
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.http2 import Http2Client
from ssgi_gateway.wire.client.http2_stream import WINDOW
from ssgi_gateway.wire.client.request import Request

CALM, PROTOCOL, FLOW, COMPRESSION, SIZE, STREAM_CLOSED = 11, 1, 3, 9, 6, 5


def settings(**values):
    return hf.SettingsFrame(0, settings={getattr(hf.SettingsFrame, key): value for key, value in values.items()})


def headers(stream, fields, flags=("END_HEADERS",), encoder=None):
    block = (encoder or hpack.Encoder()).encode(fields)
    return hf.HeadersFrame(stream, data=block, flags=list(flags))


def data(stream, content=b"", end=False):
    return hf.DataFrame(stream, data=content, flags=["END_STREAM"] if end else [])


OK = [(":status", "200")]


class Peer:
    """The codec, and what it wrote."""

    def __init__(self, **values):
        self.codec = Http2Client()
        self.frames = []
        self.flush(preface=True)
        self.send(settings(**values))

    def send(self, *frames, now=0.0):
        events = self.codec.receive(b"".join(frame.serialize() for frame in frames), now)
        self.flush()
        return events

    def flush(self, preface=False):
        out = b"".join(map(bytes, self.codec.take_output()))
        self.codec.output_written()
        out = out.removeprefix(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") if preface else out
        self.frames += parse(out)

    def drain(self):
        """Take all that windows allow."""
        before = -1
        while len(self.frames) > before:
            before = len(self.frames)
            self.flush()

    def request(self, method="GET", body=b"", more=False, path="/"):
        request = Request(method, f"http://example.org{path}", [], body, more)
        stream = self.codec.begin(request)
        if body:
            self.codec.send(stream, [body], more)
        self.flush()
        return stream

    def fails(self, code, *frames, now=0.0):
        """The connection ends with GOAWAY of that code."""
        self.frames.clear()
        with pytest.raises(RemoteProtocolError):
            self.send(*frames, now=now)
        self.flush()
        assert [frame.error_code for frame in self.frames if isinstance(frame, hf.GoAwayFrame)] == [code]

    def of(self, kind):
        return [frame for frame in self.frames if isinstance(frame, kind)]


def parse(out):
    frames = []
    while out:
        frame, length = hf.Frame.parse_frame_header(memoryview(out[:9]))
        frame.parse_body(memoryview(out[9 : 9 + length]))
        frames.append(frame)
        out = out[9 + length :]
    return frames


def kinds(events):
    return [(stream, type(event)) for stream, event in events]


def test_a_request_and_its_answer_however_it_is_cut():
    frames = b"".join(
        frame.serialize()
        for frame in (headers(1, [(":status", "103")]), headers(1, OK), data(1, b"ab"), data(1, b"c", end=True))
    )
    for size in (1, 7, len(frames)):
        peer = Peer()
        peer.request()
        events = []
        for start in range(0, len(frames), size):
            events += peer.codec.receive(frames[start : start + size], 0)
        told = [type(event) for _, event in events]
        # What comes with one read is one piece.
        wanted = [InformationalReceived, AnswerReceived, *[BodyArrived] * told.count(BodyArrived), AnswerEnded]
        assert told == wanted
        assert b"".join(event.data for _, event in events if type(event) is BodyArrived) == b"abc"
        assert not peer.codec.streams


def test_downloads_of_two_streams_however_they_are_cut():
    """Frames that follow each other are taken together; they must not be when something else lies between them."""
    pieces = [(1, b"a" * 300), (1, b"b" * 200), (3, b"x" * 100), (1, b"c"), (1, b"d"), (3, b"y"), (3, b"z" * 50)]
    frames = b"".join(
        frame.serialize()
        for frame in (
            *(
                headers(number, [(":status", "200"), ("content-length", str(size))])
                for number, size in ((1, 502), (3, 151))
            ),
            *(data(number, content) for number, content in pieces),
            hf.DataFrame(1, data=b"", flags=["END_STREAM"]),
            hf.DataFrame(3, data=b"", flags=["END_STREAM"]),
        )
    )
    for size in (1, 8, 9, 10, 100, 317, len(frames)):
        peer = Peer()
        peer.request()
        peer.request()
        got = {1: b"", 3: b""}
        for start in range(0, len(frames), size):
            view = memoryview(bytearray(frames[start : start + size]))
            for number, event in peer.codec.receive(view, 0):
                if type(event) is BodyArrived:
                    got[number] += event.data
                    peer.codec.taken(peer.codec.streams.get(number), len(event.data))
            view.obj[:] = bytes(len(view))  # a view is the next read's: nothing of it may be kept
        assert got == {number: b"".join(piece for other, piece in pieces if other == number) for number in (1, 3)}
        assert not peer.codec.streams


def test_the_preface_has_what_we_take():
    peer = Peer()
    first = peer.frames[0]
    assert first.settings == {2: 0, 4: 1 << 20, 6: 65536}
    assert [(frame.stream_id, frame.window_increment) for frame in peer.of(hf.WindowUpdateFrame)] == [
        (0, (1 << 24) - 65535)
    ]


# -- abuse, each with its bound ----------------------------------------------------------------------------------------


def test_rapid_reset():
    peer = Peer(MAX_CONCURRENT_STREAMS=1000)
    streams = [peer.request() for _ in range(202)]
    for stream in streams[:200]:
        [(_, event)] = peer.send(hf.RstStreamFrame(stream.number, error_code=8), now=10.0)
        assert isinstance(event, StreamReset)
    peer.send(hf.RstStreamFrame(streams[200].number, error_code=8), now=11.5)  # another second
    for _ in range(199):
        peer.send(hf.RstStreamFrame(1, error_code=8), now=11.6)
    peer.fails(CALM, hf.RstStreamFrame(streams[201].number, error_code=8), now=11.7)


def test_a_flood_of_continuations():
    peer = Peer()
    peer.request()
    peer.send(hf.HeadersFrame(1, data=b"\x82", flags=[]))
    for _ in range(16):
        peer.send(hf.ContinuationFrame(1, data=b"", flags=[]))
    peer.fails(CALM, hf.ContinuationFrame(1, data=b"", flags=[]))


def test_a_header_block_that_is_too_large():
    peer = Peer()
    peer.request()
    peer.send(hf.HeadersFrame(1, data=b"x" * 16000, flags=[]))
    for _ in range(3):
        peer.send(hf.ContinuationFrame(1, data=b"x" * 16000, flags=[]))
    peer.fails(CALM, hf.ContinuationFrame(1, data=b"x" * 16000, flags=[]))


def test_an_hpack_bomb():
    """A small block that refers to one large field thousands of times."""
    peer = Peer()
    peer.request()
    encoder = hpack.Encoder()
    first = encoder.encode([(":status", "200"), ("x-large", "v" * 3000)])
    peer.fails(CALM, hf.HeadersFrame(1, data=first + b"\xbe" * 200, flags=["END_HEADERS"]))


def test_header_compression_that_is_broken():
    peer = Peer()
    peer.request()
    peer.fails(COMPRESSION, hf.HeadersFrame(1, data=b"\xff\xff\xff\xff\xff\xff", flags=["END_HEADERS"]))


@pytest.mark.parametrize("frame", [hf.PingFrame(0, opaque_data=b"12345678"), settings()], ids=["ping", "settings"])
def test_a_peer_that_does_not_read_our_answers(frame):
    peer = Peer()
    for _ in range(99):
        peer.codec.receive(frame.serialize(), 0)
    with pytest.raises(RemoteProtocolError):
        peer.codec.receive(frame.serialize() * 3, 0)


def test_one_that_reads_them_may_go_on():
    peer = Peer()
    for _ in range(1000):
        peer.send(hf.PingFrame(0, opaque_data=b"12345678"))
    assert len(peer.of(hf.PingFrame)) == 1000


def test_empty_data_for_ever():
    peer = Peer()
    peer.request()
    peer.send(headers(1, OK))
    for _ in range(1000):
        peer.send(data(1))
    peer.fails(CALM, data(1))


@pytest.mark.parametrize(
    ("code", "frame"),
    [
        (PROTOCOL, hf.PushPromiseFrame(1, promised_stream_id=2, data=b"", flags=["END_HEADERS"])),
        (PROTOCOL, data(3, b"x")),
        (PROTOCOL, data(2, b"x")),
        (PROTOCOL, headers(5, OK)),
        (PROTOCOL, hf.ContinuationFrame(1, data=b"", flags=["END_HEADERS"])),
        (FLOW, hf.WindowUpdateFrame(0, window_increment=(1 << 31) - 1)),
        (FLOW, settings(INITIAL_WINDOW_SIZE=1 << 31)),
        (PROTOCOL, settings(MAX_FRAME_SIZE=100)),
        (PROTOCOL, settings(ENABLE_PUSH=1)),
    ],
    ids=["push", "data-3", "data-2", "headers-5", "continuation", "window", "initial-window", "frame-size", "push-on"],
)
def test_what_ends_a_connection(code, frame):
    peer = Peer()
    peer.request()
    peer.fails(code, frame)


def test_a_frame_that_is_larger_than_we_take():
    peer = Peer()
    with pytest.raises(RemoteProtocolError):
        peer.codec.receive((16385).to_bytes(3, "big") + b"\0\0\0\0\0\1", 0)


def test_another_frame_inside_of_a_header_block():
    peer = Peer()
    peer.request()
    peer.send(hf.HeadersFrame(1, data=b"\x88", flags=[]))
    peer.fails(PROTOCOL, hf.PingFrame(0, opaque_data=b"12345678"))


def test_more_data_than_a_window():
    peer = Peer()
    peer.request()
    peer.send(headers(1, OK))
    full = [data(1, b"d" * 16384) for _ in range(WINDOW // 16384)]
    peer.send(*full)
    [(_, error)] = peer.send(data(1, b"d"))
    assert isinstance(error, RemoteProtocolError)
    assert [frame.error_code for frame in peer.of(hf.RstStreamFrame)] == [FLOW]


def test_more_data_than_the_connections_window():
    peer = Peer(MAX_CONCURRENT_STREAMS=100)
    frames = []
    encoder = hpack.Encoder()
    for stream in [peer.request() for _ in range(17)]:
        frames.append(headers(stream.number, OK, encoder=encoder))
        frames += [data(stream.number, b"d" * 16384) for _ in range(WINDOW // 16384)]
    peer.fails(FLOW, *frames)


@pytest.mark.parametrize(
    "fields",
    [
        [("x", "1")],
        [(":status", "200"), (":status", "200")],
        [("x", "1"), (":status", "200")],
        [(":status", "20")],
        [(":status", "101")],
        [(":path", "/"), (":status", "200")],
        [(":status", "200"), ("X", "1")],
        [(":status", "200"), ("connection", "close")],
        [(":status", "200"), ("x", "a\nb")],
        [(":status", "200"), ("content-length", "1"), ("content-length", "2")],
        [(":status", "200"), *[("x", "1")] * 257],
    ],
)
def test_a_malformed_head_ends_its_stream_and_no_other(fields):
    peer = Peer()
    peer.request()
    peer.request()
    encoder = hpack.Encoder()
    [(stream, error)] = peer.send(headers(1, fields, encoder=encoder))
    assert (stream, type(error)) == (1, RemoteProtocolError)
    assert [(frame.stream_id, frame.error_code) for frame in peer.of(hf.RstStreamFrame)] == [(1, PROTOCOL)]
    assert kinds(peer.send(headers(3, OK, ("END_HEADERS", "END_STREAM"), encoder))) == [(3, AnswerReceived)]


@pytest.mark.parametrize("sent", [3, 5])
def test_a_body_that_does_not_fit_its_length(sent):
    peer = Peer()
    peer.request()
    peer.send(headers(1, [*OK, ("content-length", "4")]))
    events = peer.send(data(1, b"d" * sent, end=True))
    assert kinds(events) == [(1, RemoteProtocolError)]


def test_a_run_of_frames_ends_where_the_length_does():
    peer = Peer()
    peer.request()
    peer.send(headers(1, [(":status", "200"), ("content-length", "5")]))
    body, end = peer.send(data(1, b"abc"), data(1, b"de"), data(1, b"f"))
    assert body[1].data == b"abcde"
    assert type(end[1]) is RemoteProtocolError


def test_a_length_without_a_body():
    """HEAD, 204 and 304 say another answer's length (RFC 9110 8.6)."""
    peer = Peer()
    encoder = hpack.Encoder()
    for method, status in (("HEAD", "200"), ("GET", "304")):
        stream = peer.request(method)
        fields = [(":status", status), ("content-length", "500")]
        [(_, event)] = peer.send(headers(stream.number, fields, ("END_HEADERS", "END_STREAM"), encoder))
        assert not event.more


# -- flow control ------------------------------------------------------------------------------------------------------


def test_windows_open_as_the_application_takes():
    peer = Peer()
    stream = peer.request()
    peer.send(headers(1, OK))
    peer.frames.clear()
    peer.send(*[data(1, b"d" * 16384) for _ in range(WINDOW // 16384)])
    assert peer.frames == []
    peer.codec.taken(stream, WINDOW // 2)
    peer.flush()
    assert [(frame.stream_id, frame.window_increment) for frame in peer.of(hf.WindowUpdateFrame)] == [(1, WINDOW // 2)]


def test_what_comes_for_a_stream_that_was_left_opens_the_connections_window():
    peer = Peer()
    encoder = hpack.Encoder()
    for _ in range(9):
        stream = peer.request()
        peer.send(headers(stream.number, OK, encoder=encoder))
        peer.codec.cancel(stream)
        peer.flush()
        assert peer.send(*[data(stream.number, b"d" * 16384)] * (WINDOW // 16384)) == []
    [update] = peer.of(hf.WindowUpdateFrame)[1:]
    assert (update.stream_id, update.window_increment) == (0, 1 << 23)


def test_more_than_the_window_of_a_stream_that_was_left():
    """What was on its way when it was reset may still come, and nothing more."""
    peer = Peer()
    stream = peer.request()
    peer.send(headers(1, OK), data(1, b"d" * 16384))
    peer.codec.cancel(stream)
    peer.send(*[data(1, b"d" * 16384)] * (WINDOW // 16384 - 1))
    peer.fails(STREAM_CLOSED, data(1, b"d"))


def test_heads_of_streams_that_have_ended():
    peer = Peer()
    encoder = hpack.Encoder()
    stream = peer.request()
    peer.codec.cancel(stream)
    for _ in range(102):
        assert peer.send(headers(1, OK, encoder=encoder)) == []
    peer.fails(STREAM_CLOSED, headers(1, OK, encoder=encoder))


def test_data_behind_the_end_of_a_stream():
    peer = Peer()
    peer.request()
    peer.send(headers(1, OK), data(1, b"d", end=True))
    peer.fails(STREAM_CLOSED, data(1, b"d"))


def test_padding_is_credited():
    peer = Peer()
    stream = peer.request()
    peer.send(headers(1, OK))
    padded = hf.DataFrame(1, data=b"d", pad_length=200, flags=["PADDED"])
    [(_, event)] = peer.send(padded)
    assert event.data == b"d"
    assert stream.taken == 201


def test_sending_obeys_both_windows_and_goes_round():
    peer = Peer(MAX_CONCURRENT_STREAMS=10, INITIAL_WINDOW_SIZE=1 << 20)
    one = peer.request("POST", b"1" * 100_000)
    two = peer.request("POST", b"2" * 100_000)
    assert sum(len(frame.data) for frame in peer.of(hf.DataFrame)) == 65535
    peer.frames.clear()
    peer.send(hf.WindowUpdateFrame(0, window_increment=100_000))
    order = [frame.stream_id for frame in peer.of(hf.DataFrame)]
    assert set(order) == {one.number, two.number}
    peer.send(
        hf.WindowUpdateFrame(0, window_increment=1_000_000),
        hf.WindowUpdateFrame(1, window_increment=1_000_000),
        hf.WindowUpdateFrame(3, window_increment=1_000_000),
    )
    ends = [frame.stream_id for frame in peer.of(hf.DataFrame) if "END_STREAM" in frame.flags]
    assert sorted(ends) == [1, 3]


def test_an_initial_window_that_shrinks_may_become_negative():
    peer = Peer()
    stream = peer.request("POST", b"1" * 60_000, more=True)
    peer.send(settings(INITIAL_WINDOW_SIZE=1000))
    assert stream.send_window == 1000 - 60_000
    peer.codec.send(stream, [b"x"], False)
    peer.frames.clear()
    peer.send(hf.WindowUpdateFrame(1, window_increment=59_000))
    assert peer.of(hf.DataFrame) == []
    peer.send(hf.WindowUpdateFrame(1, window_increment=1))
    assert [frame.data for frame in peer.of(hf.DataFrame)] == [b"x"]


def test_the_peers_largest_frame_is_obeyed():
    peer = Peer(MAX_FRAME_SIZE=20_000)
    peer.request("POST", b"1" * 50_000)
    assert [len(frame.data) for frame in peer.of(hf.DataFrame)] == [20_000, 20_000, 10_000]


def test_a_stream_that_sends_alone_has_large_frames_and_several_streams_go_round():
    peer = Peer(MAX_FRAME_SIZE=(1 << 24) - 1, INITIAL_WINDOW_SIZE=1 << 24)
    peer.send(hf.WindowUpdateFrame(0, window_increment=1 << 24))
    one = peer.request("POST", b"", more=True)
    peer.codec.send(one, [b"1" * 300_000, b"2" * 100_000, b"3"], True)
    peer.flush()
    assert [frame.data for frame in peer.of(hf.DataFrame)] == [b"1" * 300_000 + b"2" * 100_000 + b"3"]
    peer.frames.clear()
    two = peer.request("POST", b"", more=True)
    peer.codec.send(one, [b"1" * 200_000], True)
    peer.codec.send(two, [b"2" * 200_000], True)
    peer.drain()
    sizes = [(frame.stream_id, len(frame.data)) for frame in peer.of(hf.DataFrame)]
    assert sizes[:6] == [(1, 65536), (3, 65536)] * 3
    assert sum(size for _, size in sizes) == 400_000


@given(
    st.lists(st.lists(st.integers(1, 70_000), max_size=5), max_size=6),
    st.integers(16_384, 40_000) | st.integers(40_000, 1_000_000),
    st.lists(st.integers(1, 300_000), max_size=8),
    st.booleans(),
)
def test_a_body_in_any_pieces_and_windows(sent, largest, windows, empty_end):
    """Its bytes arrive in their order, no frame is too large or empty, no window is passed, and one frame ends it."""
    peer = Peer(MAX_FRAME_SIZE=largest, INITIAL_WINDOW_SIZE=10_000)
    allowed, number, body = 10_000, 0, bytearray()
    stream = peer.request("POST", b"", more=True)
    for index, sizes in enumerate(sent):
        last = index == len(sent) - 1 and not empty_end
        pieces = [bytes([(number := number + 1) % 251]) * size for size in sizes]
        body += b"".join(pieces)
        peer.codec.send(stream, pieces, not last)
        peer.drain()
    if empty_end or not sent:
        peer.codec.send(stream, [], False)
        peer.drain()
    for window in [*windows, 3_000_000]:
        got = sum(len(frame.data) for frame in peer.of(hf.DataFrame))
        assert got == min(allowed, len(body))
        allowed += window
        peer.send(hf.WindowUpdateFrame(0, window_increment=window), hf.WindowUpdateFrame(1, window_increment=window))
        peer.drain()
    found = peer.of(hf.DataFrame)
    assert b"".join(frame.data for frame in found) == body
    assert all(0 < len(frame.data) <= largest for frame in found[:-1])
    assert len(found[-1].data) <= largest
    assert ["END_STREAM" in frame.flags for frame in found] == [False] * (len(found) - 1) + [True]


def test_a_piece_that_is_a_buffer_may_change_while_it_waits():
    peer = Peer()
    stream = peer.request("POST", b"", more=True)
    buffer, owner = bytearray(b"2" * 40_000), bytearray(b"3" * 40_000)
    peer.codec.send(stream, [b"1" * 40_000, buffer, memoryview(owner)], False)
    buffer[:], owner[:] = b"x" * 40_000, b"y" * 40_000
    peer.drain()
    peer.send(hf.WindowUpdateFrame(0, window_increment=100_000), hf.WindowUpdateFrame(1, window_increment=100_000))
    peer.drain()
    assert b"".join(frame.data for frame in peer.of(hf.DataFrame)) == b"1" * 40_000 + b"2" * 40_000 + b"3" * 40_000


def test_thousands_of_small_pieces_are_written_in_few_buffers_at_once():
    peer = Peer()
    stream = peer.request("POST", b"", more=True)
    peer.codec.send(stream, [b"%d," % number for number in range(3000)], False)
    out = []
    while taken := peer.codec.take_output():
        assert len(taken) <= http2_sending.MAX_BUFFERS
        out += taken
    frames = parse(b"".join(out))
    assert b"".join(frame.data for frame in frames) == b"".join(b"%d," % number for number in range(3000))


def test_a_large_head_goes_out_in_continuations():
    peer = Peer()
    request = Request("GET", "http://example.org/", [(b"x", b"v" * 40_000)])
    peer.codec.begin(request)
    peer.flush()
    [head] = peer.of(hf.HeadersFrame)
    pieces = [head.data, *[frame.data for frame in peer.of(hf.ContinuationFrame)]]
    decoder = hpack.Decoder()
    decoder.max_header_list_size = 100_000
    assert ("x", "v" * 40_000) in decoder.decode(b"".join(pieces))


# -- the end -----------------------------------------------------------------------------------------------------------


def test_goaway_ends_those_above_and_lets_the_others_go_on():
    peer = Peer()
    for _ in range(3):
        peer.request()
    events = peer.send(hf.GoAwayFrame(0, last_stream_id=1, error_code=0))
    assert [(stream, type(event), event.retryable) for stream, event in events] == [
        (3, GoAway, True),
        (5, GoAway, True),
    ]
    assert peer.codec.room == 0
    assert kinds(peer.send(headers(1, OK), data(1, b"on", end=True))) == [
        (1, AnswerReceived),
        (1, BodyArrived),
        (1, AnswerEnded),
    ]


def test_an_early_answer_with_a_reset_is_complete():
    """RFC 9113 8.1: RST_STREAM NO_ERROR behind a complete answer says: stop sending."""
    peer = Peer()
    stream = peer.request("POST", b"1" * 200_000)
    peer.send(headers(1, [(":status", "413")], ("END_HEADERS", "END_STREAM")))
    assert peer.send(hf.RstStreamFrame(1, error_code=0)) == [(1, None)]
    assert not stream.queue


def test_refused_is_retryable():
    peer = Peer()
    peer.request()
    [(_, error)] = peer.send(hf.RstStreamFrame(1, error_code=7))
    assert error.retryable


def test_ids_are_used_up():
    peer = Peer()
    peer.codec._next = http2.LAST_STREAM
    peer.request()
    assert peer.codec.room == 0


def test_a_ping_that_is_not_answered():
    peer = Peer()
    assert peer.codec.ping()
    assert not peer.codec.ping()
    peer.send(hf.PingFrame(0, opaque_data=b"ssgi-gw?", flags=["ACK"]))
    assert peer.codec.ping()


def test_cookies_host_and_hop_by_hop():
    peer = Peer()
    request = Request(
        "GET",
        "https://example.org:8443/a?b",
        [(b"connection", b"close"), (b"upgrade", b"x"), (b"te", b"gzip"), (b"x-a", b" 1\t")],
    )
    peer.codec.begin(request)
    peer.flush()
    [head] = peer.of(hf.HeadersFrame)
    assert hpack.Decoder().decode(head.data) == [
        (":method", "GET"),
        (":authority", "example.org:8443"),
        (":scheme", "https"),
        (":path", "/a?b"),
        ("x-a", "1"),
    ]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("HEAD", [*OK, ("content-length", "5")]),
        ("GET", [(":status", "204")]),
        ("GET", [(":status", "304"), ("content-length", "5")]),
        ("GET", [*OK, ("content-length", "0")]),
    ],
)
def test_an_answer_that_can_have_no_body_is_complete_with_its_head(method, fields):
    """Some servers end its stream by an empty DATA frame, or by trailers."""
    for rest in (data(1, end=True), headers(1, [("x", "1")], ("END_HEADERS", "END_STREAM"))):
        peer = Peer()
        peer.request(method)
        [(_, head)] = peer.send(headers(1, fields))
        assert (type(head), head.more) == (AnswerReceived, False)
        peer.send(rest)
        assert not peer.codec.streams


def test_what_was_read_before_an_error_is_reported():
    """An answer that is complete stays one, whatever the peer does next, and what there is of others is not lost."""
    peer = Peer()
    peer.request()
    peer.request()
    peer.frames.clear()
    sent = (headers(1, OK), data(1, b"whole", end=True), headers(3, OK), data(3, b"ha"), data(3, b"lf"))
    with pytest.raises(RemoteProtocolError) as raised:
        peer.send(*sent, data(99, b"x"))
    assert kinds(raised.value.events) == [
        (1, AnswerReceived),
        (1, BodyArrived),
        (1, AnswerEnded),
        (3, AnswerReceived),
        (3, BodyArrived),
    ]
    assert [event.data for _, event in raised.value.events if type(event) is BodyArrived] == [b"whole", b"half"]
