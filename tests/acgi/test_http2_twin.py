"""Our HTTP/2 frames and the h2 library: the same bytes of a server mean the same to both, in any cut.

The scripts are made by hypothesis: several streams at once, interim answers, padding, trailers, resets, pings and
settings between them, header blocks in CONTINUATION frames, and some that break the rules.
"""

from __future__ import annotations

import hpack
import hyperframe.frame as hf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError, StreamReset
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.http2 import Http2Client
from ssgi_gateway.wire.client.request import Request

from .twin_h2 import TwinClient

pytest.importorskip("h2")

STREAMS = 3


class Script:
    """A server's frames; header compression has a state, so they are made in order."""

    def __init__(self):
        self.encoder = hpack.Encoder()
        self.frames = [hf.SettingsFrame(0, settings={hf.SettingsFrame.MAX_CONCURRENT_STREAMS: 100}).serialize()]

    def head(self, stream, fields, end=False, pieces=1):
        block = self.encoder.encode(fields)
        size = max(1, -(-len(block) // pieces))
        parts = [block[start : start + size] for start in range(0, len(block), size)]
        flags = ["END_STREAM"] if end else []
        frame = hf.HeadersFrame(stream, data=parts[0], flags=flags)
        more = [hf.ContinuationFrame(stream, data=part) for part in parts[1:]]
        [frame, *more][-1].flags.add("END_HEADERS")
        self.frames += [each.serialize() for each in (frame, *more)]

    def data(self, stream, content, end=False, padding=None):
        frame = hf.DataFrame(stream, data=content, flags=["END_STREAM"] if end else [])
        if padding is not None:
            frame.flags.add("PADDED")
            frame.pad_length = padding
        self.frames.append(frame.serialize())

    def add(self, frame):
        self.frames.append(frame.serialize())


names = st.sampled_from(["content-type", "x-mine", "set-cookie", "cache-control"])
values = st.text("abc ;=", max_size=20).map(str.strip)
fields = st.lists(st.tuples(names, values), max_size=5)
content = st.binary(max_size=300)
padding = st.one_of(st.none(), st.integers(0, 20))
part = st.one_of(
    st.tuples(st.just("data"), content, padding),
    st.tuples(st.just("ping"), st.binary(min_size=8, max_size=8)),
    st.tuples(st.just("settings"), st.sampled_from([(4, 70000), (5, 20000), (1, 2048), (1, 4096), (0x99, 7)])),
    st.tuples(st.just("window"), st.integers(1, 1000)),
    st.tuples(st.just("priority")),
)
ending = st.one_of(
    st.tuples(st.just("end"), content),
    st.tuples(st.just("empty")),
    st.tuples(st.just("trailers"), st.lists(st.tuples(names, values), min_size=1, max_size=3)),
    st.tuples(st.just("reset"), st.integers(0, 13)),
    st.tuples(st.just("nothing")),
)
answer = st.tuples(
    st.lists(st.sampled_from(["100", "103"]), max_size=2),
    st.sampled_from(["200", "204", "302", "404", "500"]),
    fields,
    st.integers(1, 4),
    st.lists(part, max_size=5),
    ending,
)


def steps(stream, script, told):
    """What a server does on one stream, a frame at a time."""
    interim, status, named, pieces, parts, end = told
    for code in interim:
        script.head(stream, [(":status", code)])
        yield
    script.head(stream, [(":status", status), *named], pieces=pieces)
    yield
    for kind, *words in parts:
        if kind == "data":
            script.data(stream, words[0], padding=words[1])
        elif kind == "ping":
            script.add(hf.PingFrame(0, opaque_data=words[0]))
        elif kind == "settings":
            script.add(hf.SettingsFrame(0, settings=dict([words[0]])))
        elif kind == "window":
            script.add(hf.WindowUpdateFrame(stream, window_increment=words[0]))
        else:
            script.add(hf.PriorityFrame(stream, depends_on=0, stream_weight=7))
        yield
    if end[0] == "end":
        script.data(stream, end[1], end=True)
    elif end[0] == "empty":
        script.data(stream, b"", end=True)
    elif end[0] == "trailers":
        script.head(stream, end[1], end=True)
    elif end[0] == "reset":
        script.add(hf.RstStreamFrame(stream, error_code=end[1]))


def heard(codec, data, cuts):
    """What each stream was told, and whether the connection failed; pieces of bodies are joined."""
    streams = [codec.begin(Request("GET", "http://example.org/", [], b"")) for _ in range(STREAMS)]
    codec.take_output()
    codec.output_written()
    found = {getattr(stream, "number", stream): [] for stream in streams}
    failed = False
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        try:
            events = codec.receive(data[at:cut], 0.0)
        except RemoteProtocolError:
            failed = True
            break
        at = cut
        codec.take_output()
        codec.output_written()
        for number, event in events:
            note(found[number], event)
    return found, failed


def note(told, event):
    if isinstance(event, BodyArrived):
        if told and isinstance(told[-1], bytes):
            told[-1] += event.data
        elif event.data:
            told.append(event.data)
    elif isinstance(event, InformationalReceived):
        told.append(("interim", event.status))
    elif isinstance(event, AnswerReceived):
        told.append(("head", event.status, event.headers))
    elif isinstance(event, AnswerEnded):
        told.append(("end", event.trailers or []))
    elif isinstance(event, StreamReset):
        told.append(("reset", event.code))
    elif event is not None:
        told.append("malformed")


def play(answers, order):
    """The bytes of a server that answers so, its streams by turns."""
    script = Script()
    running = {number: steps(2 * number + 1, script, told) for number, told in enumerate(answers)}
    for choice in order:
        if not running:
            break
        number = sorted(running)[choice % len(running)]
        if next(running[number], "over") == "over":
            del running[number]
    for rest in running.values():
        for _ in rest:
            pass
    return b"".join(script.frames)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(answer, min_size=STREAMS, max_size=STREAMS),
    st.lists(st.integers(0, 2), max_size=40),
    st.lists(st.integers(0, 2000), max_size=6),
)
def test_both_hear_the_same(answers, order, cuts):
    data = play(answers, order)
    cuts = [cut for cut in cuts if cut < len(data)]
    ours, failed = heard(Http2Client(), data, cuts)
    theirs, they_failed = heard(TwinClient(), data, cuts)
    assert (failed, they_failed) == (False, False)
    assert ours == theirs


BROKEN = {
    "a frame of stream 0": lambda script: script.frames.append(b"\0\0\x01\0\0\0\0\0\0x"),
    "an idle stream": lambda script: script.data(99, b"x"),
    "a window that overflows": lambda script: script.add(hf.WindowUpdateFrame(0, window_increment=2**31 - 1)),
    "a push": lambda script: script.add(hf.PushPromiseFrame(1, promised_stream_id=2, data=b"", flags=["END_HEADERS"])),
    "a CONTINUATION of nothing": lambda script: script.add(hf.ContinuationFrame(1, data=b"", flags=["END_HEADERS"])),
    "a frame between header and CONTINUATION": lambda script: (
        script.add(hf.HeadersFrame(1, data=b"\x88")),
        script.add(hf.PingFrame(0, opaque_data=b"12345678")),
    ),
    "header compression that is none": lambda script: script.add(
        hf.HeadersFrame(1, data=b"\xff\xff\xff\xff\xff", flags=["END_HEADERS"])
    ),
    "a setting that cannot be": lambda script: script.add(hf.SettingsFrame(0, settings={5: 1})),
    "a PING of seven bytes": lambda script: script.frames.append(b"\0\0\x07\x06\0\0\0\0\0" + bytes(7)),
    "a frame that is too large": lambda script: script.frames.append(b"\0\x80\0\0\0\0\0\0\x01" + bytes(32768)),
}


@pytest.mark.parametrize("what", BROKEN)
def test_both_refuse_the_same(what):
    script = Script()
    BROKEN[what](script)
    data = b"".join(script.frames)
    for codec in (Http2Client(), TwinClient()):
        assert heard(codec, data, [])[1], type(codec)
        assert b"".join(map(bytes, codec.take_output())), "a GOAWAY says why"
