"""HTTP/1.1 upgrades over both builds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.codecs import UpgradePair
from tests.equivalence.strategies import HTTP, LIMITS, cut, examples

CLIENTS = st.sampled_from((("127.0.0.1", 5), ("192.0.2.1", 5), b"\0x", ""))


@examples(250)
@given(limits=LIMITS, client=CLIENTS, pieces=cut(HTTP), eof=st.booleans())
def test_any_head_in_any_cut(limits, client, pieces, eof):
    pair = UpgradePair(limits, client)
    for piece in [*pieces, b""] if eof else pieces:
        pair.receive(piece)
        for event in pair.events():
            if event[0] == "rejected":
                pair.encode(0, b"words", True, event[1])
            elif event[0] == "RequestEnded":
                pair.encode(0, None, False, 101)
    pair.finish()
