"""What peers send, for hypothesis: units of each protocol's grammar, right ones and slightly wrong ones.

The wrong ones come in two ways: a strategy draws what the grammar allows and the protocol does not (a role of 9, a text
that is not UTF-8), and ``damaged`` changes a few bytes of anything.
"""

from __future__ import annotations

import os
import zlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from fuzz.seeds import GET, NGINX, POST, UPGRADE, fastcgi_request, frame, record, scgi_request, uwsgi_request
from ssgi_gateway.settings import WebSocketSettings, WireLimits
from ssgi_gateway.wire.fastcgi.records import BEGIN_BODY, encode_pair
from ssgi_gateway.wire.websocket.deflate import DeflateParams

MORE = float(os.environ.get("EQUIVALENCE", "1"))
"""How many times as many examples, or what part of them; above 1 they are different ones in each run."""


def examples(count: int, steps: int = 40) -> settings:
    """The profile of these tests: the same examples each time, and no more than fit into a minute of all of them."""
    return settings(
        max_examples=max(1, round(count * MORE)),
        stateful_step_count=steps,
        derandomize=MORE <= 1,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """Something of ``sound``, often with a few bytes changed, left out, put in or repeated."""
    data = bytearray(draw(sound))
    for _ in range(draw(st.sampled_from((0, 0, 1, 1, 2)))):
        start = draw(st.integers(0, len(data)))
        size = draw(st.sampled_from((0, 1, 1, 2, 8)))
        new = draw(st.one_of(st.binary(max_size=3), st.just(bytes(data[start : start + size]) * 2)))
        data[start : start + size] = new
    return bytes(data)


@st.composite
def cut(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> list[bytes]:
    """What arrives, read by read: of one size, or cut at a few places."""
    data = draw(whole)
    if draw(st.booleans()):
        size = max(draw(st.sampled_from((1, 2, 3, 7, 16, 1 << 20))), len(data) // MAX_READS)
        return [data[start : start + size] for start in range(0, len(data), size)]
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if start < end]


MAX_READS = 400
"""Pieces that something is cut into."""

LIMITS = st.sampled_from(
    (WireLimits(), WireLimits(max_head_size=1024, max_variables=20), WireLimits(max_head_size=130, max_variables=5))
)

# Variables

NAMES = st.one_of(
    st.sampled_from([name for name, _ in NGINX + POST]),
    st.sampled_from((
        b"PATH_INFO", b"REMOTE_PORT", b"HTTP_CONNECTION", b"HTTP_CONTENT_TYPE", b"HTTP_TRANSFER_ENCODING", b"HTTP_",
        b"HTTP_A-B", b"HTTP_a", b"HTTP_X_Y", b"REQUEST_SCHEME", b"SCRIPT_FILENAME", b"A=B", b"A\rB", b"\xe9", b"", b"H",
        b"HTTP_" + b"L" * 300, b"TTTP_HOST", b"CONTENT_LENGTI",
    )),
    st.binary(max_size=12),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from((
        b"", b"0", b"00", b"5", b"+5", b"1" * 19, b"GET", b"POST", b"HEAD", b"G T", b"/", b"/a%20b?x=1", b"http://h/p?q",
        b"*", b"/%00", b"/\xff%zz#f", b"a", b"example.org:443", b"_", b"[::1]:80", b"a b", b"99999", b"on", b"https",
        b"websocket", b"keep-alive, Upgrade", b"HTTP/1.0", b"unix:/x", b"::1", b"/app", b"proxy:fcgi://x",
    )),
    st.binary(max_size=20),
)  # fmt: skip
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=12)


def no_nul(pairs: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """``pairs`` as an SCGI head can hold them."""
    return [(name.replace(b"\0", b""), value.replace(b"\0", b"")) for name, value in pairs]


MOSTLY_RIGHT = st.one_of(PAIRS.map(lambda more: [*GET, *more]), PAIRS.map(lambda more: [*more, *POST]), PAIRS)

# SCGI

BODIES = st.one_of(st.just(b""), st.binary(max_size=12), st.just(3000).map(bytes))
SCGI = damaged(
    st.one_of(
        st.builds(lambda pairs, body: scgi_request(no_nul(pairs), body), MOSTLY_RIGHT, BODIES),
        st.builds(scgi_request, MOSTLY_RIGHT, BODIES),
        st.builds(lambda length, rest: b"%d:" % length + rest, st.integers(0, 1 << 20), st.binary(max_size=30)),
        st.binary(max_size=40),
    )
)

# uwsgi

UWSGI = damaged(
    st.one_of(
        st.builds(uwsgi_request, MOSTLY_RIGHT, BODIES),
        st.builds(
            lambda size, rest: b"\0" + size.to_bytes(2, "little") + rest, st.integers(0, 300), st.binary(max_size=300)
        ),
        st.binary(max_size=40),
    )
)

# FastCGI

IDS = st.sampled_from((1, 1, 1, 1, 2, 0, 65535))
KINDS = st.sampled_from((*range(1, 13), 255))
BEGIN = st.builds(BEGIN_BODY.pack, st.sampled_from((1, 1, 1, 2, 3, 99)), st.sampled_from((1, 1, 0, 255)))
PARAMS = damaged(st.builds(lambda pairs: b"".join(encode_pair(*pair) for pair in pairs), MOSTLY_RIGHT))
ASKED = st.lists(st.sampled_from((b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS", b"X", b"")), max_size=5)
PADDING = st.sampled_from((0, 0, 0, 1, 7, 255))
RECORDS = st.one_of(
    st.builds(record, st.just(1), BEGIN, IDS, PADDING),
    st.builds(record, st.just(4), PARAMS, IDS, PADDING),
    st.builds(record, st.just(5), BODIES, IDS, PADDING),
    st.builds(record, st.sampled_from((2, 4, 5, 8)), st.just(b""), IDS, PADDING),
    st.builds(record, st.just(9), ASKED.map(lambda names: b"".join(encode_pair(n, b"") for n in names)), st.just(0)),
    st.builds(record, KINDS, st.binary(max_size=12), IDS, PADDING),
)
FASTCGI = st.one_of(
    RECORDS,
    damaged(RECORDS),
    st.builds(fastcgi_request, MOSTLY_RIGHT, BODIES, IDS, st.sampled_from((0, 1))),
    damaged(st.builds(fastcgi_request, MOSTLY_RIGHT, BODIES, IDS, st.sampled_from((0, 1)))),
    st.just(fastcgi_request(GET)),
)

# WebSockets

BOUNDS = st.sampled_from((
    WebSocketSettings(),
    WebSocketSettings(max_message_size=100),
    WebSocketSettings(max_message_size=4000, max_frame_size=80),
    WebSocketSettings(max_message_size=1),
))  # fmt: skip
DEFLATE = st.sampled_from((
    None,
    DeflateParams(),
    DeflateParams(server_no_context_takeover=True, client_no_context_takeover=True),
    DeflateParams(server_max_window_bits=9, client_max_window_bits=10),
))  # fmt: skip
TEXTS = st.one_of(
    st.text(max_size=20).map(str.encode),
    st.sampled_from((b"\xf0\x9f", b"\x98\x80", b"\xe2\x82\xac" * 30, b"\xed\xa0\x80", b"\xff", b"a" * 20 + b"\xc3")),
    st.binary(max_size=130),
)


def deflated(payload: bytes, end: int) -> bytes:
    """A compressed message, in its usual form or finished (RFC 7692 7.2.3.4)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(end))[: -4 if end == zlib.Z_SYNC_FLUSH else None]


PAYLOADS = st.one_of(
    TEXTS,
    st.builds(deflated, TEXTS, st.sampled_from((zlib.Z_SYNC_FLUSH, zlib.Z_FINISH))),
    st.just(9000).map(lambda size: deflated(bytes(size), zlib.Z_SYNC_FLUSH)),
)
MASKS = st.sampled_from((bytes(4), b"\x37\xfa\x21\x3d", b"\xff\x00\x80\x01"))
CLOSES = st.builds(
    lambda code, reason: code.to_bytes(2, "big") + reason,
    st.sampled_from((1000, 1001, 1005, 1006, 1012, 3000, 4999, 0, 65535)),
    st.sampled_from((b"", b"bye", "\u20ac".encode(), b"\xff")),
)
FRAMES = st.one_of(
    st.builds(frame, st.sampled_from((0x81, 0x82, 0x01, 0x02, 0x00, 0x80)), PAYLOADS, MASKS),
    st.builds(frame, st.sampled_from((0x01, 0x00, 0x80)), TEXTS, MASKS),
    st.builds(frame, st.sampled_from((0xC1, 0xC2, 0x41, 0x42)), PAYLOADS, MASKS),
    st.builds(frame, st.sampled_from((0x89, 0x8A, 0x89, 0x8A, 0x88)), st.binary(max_size=6), MASKS),
    st.builds(frame, st.just(0x88), CLOSES, MASKS),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=126), MASKS),
)
RIGHT = st.one_of(
    st.builds(frame, st.sampled_from((0x89, 0x8A, 0x82)), st.binary(max_size=6), MASKS),
    st.text(max_size=40).map(lambda text: frame(0x81, text.encode())),
    st.binary(max_size=90).map(lambda data: frame(0x02, data[:40]) + frame(0x00) + frame(0x80, data[40:])),
)
WEBSOCKET = st.one_of(RIGHT, RIGHT, FRAMES, damaged(FRAMES))

# HTTP/1.1

LINES = st.sampled_from((
    b"Host: a\r\n", b"Connection: Upgrade\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5\r\n", b"Cookie: a\r\n",
    b"Transfer-Encoding: chunked\r\n", b"X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\n", b"X-Forwarded-Proto: https\r\n",
    b'Forwarded: for="[::1]:5";proto=https;host=b\r\n', b"X_Y: z\r\n", b"X-Y: z\r\n", b"bad\r\n", b"Upgrade: h2c\r\n",
))  # fmt: skip
STARTS = st.sampled_from(
    (UPGRADE, UPGRADE, UPGRADE.replace(b"1.1", b"1.0"), b"GET / HTTP/1.1\r\n", b"POST /x HTTP/1.1\r\n")
)
HTTP = damaged(
    st.builds(
        lambda start, lines, rest: b"".join((start, *lines, b"\r\n", rest)),
        STARTS,
        st.lists(LINES, max_size=4),
        st.binary(max_size=10),
    )
)
