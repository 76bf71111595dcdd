"""Heads of answers over both builds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.codecs import ResponsePair
from tests.equivalence.strategies import examples

NAMES = st.one_of(
    st.sampled_from((
        "Content-Type", "content-length", "Connection", "Status", "X-Accel-Buffering", "X-Sendfile", "Set-Cookie",
        "A b", "", "\xe9", b"X-B", 5, None,
    )),
    st.just(b"X-C").map(bytearray),
    st.text(max_size=5),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from((
        "text/event-stream", "5", "6", "+5", "a\r\nb: c", "\0", "\u20ac", "\xe9", b"\xff", memoryview(b"x"), 5, None,
    )),
    st.text(max_size=8),
)  # fmt: skip
HEADERS = st.one_of(
    st.lists(st.tuples(NAMES, VALUES), max_size=4),
    st.dictionaries(st.text(max_size=3), VALUES, max_size=3),
    st.sampled_from(([("a",)], [("a", "b", "c")], 5, None, ["ab"])),
)
STATUSES = st.one_of(
    st.sampled_from((
        200, 204, 99, 1000, 101, -1, "404 Not Found", "200", "200\r\n", "20", "+20", "\xb200", "101 x", True, 3.9, None,
    )),
    st.integers(),
    st.text(max_size=6),
)  # fmt: skip
SAYINGS = st.one_of(
    st.tuples(st.just("set_status"), STATUSES),
    st.tuples(st.just("add"), HEADERS),
    st.tuples(st.just("set_content_length"), st.integers(0, 1 << 62)),
    st.tuples(st.just("switch_protocols"), st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3)),
)


@examples(500)
@given(front_files=st.booleans(), sayings=st.lists(SAYINGS, max_size=6))
def test_any_calls(front_files, sayings):
    pair = ResponsePair(front_files)
    for method, argument in sayings:
        pair.say(method, argument)
