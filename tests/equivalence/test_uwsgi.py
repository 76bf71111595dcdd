"""uwsgi over both builds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import UwsgiPair
from tests.equivalence.machine import RequestMachine
from tests.equivalence.strategies import LIMITS, UWSGI, cut, examples


@examples(400)
@given(limits=LIMITS, pieces=cut(UWSGI), eof=st.booleans())
def test_any_request_in_any_cut(limits, pieces, eof):
    pair = UwsgiPair(limits)
    for piece in [*pieces, b""] if eof else pieces:
        pair.receive(piece)
        pair.events()


class Uwsgi(RequestMachine):
    @initialize(limits=LIMITS)
    def connect(self, limits):
        self.pair = UwsgiPair(limits)

    @rule(request=UWSGI)
    def the_peer_writes(self, request):
        self.wire += request


Uwsgi.TestCase.settings = examples(60)
TestUwsgi = Uwsgi.TestCase
