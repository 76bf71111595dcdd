"""SCGI over both builds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import ScgiPair
from tests.equivalence.machine import RequestMachine
from tests.equivalence.strategies import LIMITS, SCGI, cut, examples


@examples(400)
@given(limits=LIMITS, pieces=cut(SCGI), eof=st.booleans())
def test_any_request_in_any_cut(limits, pieces, eof):
    pair = ScgiPair(limits)
    for piece in [*pieces, b""] if eof else pieces:
        pair.receive(piece)
        pair.events()


class Scgi(RequestMachine):
    @initialize(limits=LIMITS)
    def connect(self, limits):
        self.pair = ScgiPair(limits)

    @rule(request=SCGI)
    def the_peer_writes(self, request):
        self.wire += request


Scgi.TestCase.settings = examples(60)
TestScgi = Scgi.TestCase
