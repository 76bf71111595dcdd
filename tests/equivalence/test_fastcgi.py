"""FastCGI over both builds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import FastcgiPair
from fuzz.seeds import KEPT, record
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.fastcgi.codec import MAX_FUTILE
from tests.equivalence.machine import RequestMachine
from tests.equivalence.strategies import FASTCGI, LIMITS, cut, examples


@examples(300)
@given(limits=LIMITS, pieces=cut(st.lists(FASTCGI, max_size=6).map(b"".join)), eof=st.booleans())
def test_any_records_in_any_cut(limits, pieces, eof):
    pair = FastcgiPair(limits)
    for piece in [*pieces, b""] if eof else pieces:
        pair.receive(piece)
        for event in pair.events():
            if event in (("RequestEnded", ()), ("RequestAborted", ())) or event[0] == "rejected":
                pair.encode(0, b"hello", True)
                pair.finish()
        pair.take_output()


FUTILE = {
    "of another request": record(8, request_id=9),
    "that nobody asked for": record(42, request_id=0),
    "that answer nothing": record(11, bytes(8), 0),
}


@pytest.mark.parametrize("kind", FUTILE)
@pytest.mark.parametrize("busy", [False, True])
def test_the_count_of_futile_records(kind, busy):
    """Up to the last that is let through, and from the beginning after a request."""
    pair = FastcgiPair(WireLimits())
    for index, number in enumerate((600, 600, MAX_FUTILE - 1, 1, 1, 1)):
        if index < (1 if busy else 3):
            pair.receive(KEPT)
            pair.events()
            if not busy:
                pair.encode(0, None, True)
                pair.finish()
        pair.receive(FUTILE[kind] * number)
        pair.events()
        pair.take_output()


class Fastcgi(RequestMachine):
    @initialize(limits=LIMITS)
    def connect(self, limits):
        self.pair = FastcgiPair(limits)

    @rule(records=FASTCGI)
    def the_peer_writes(self, records):
        self.wire += records


Fastcgi.TestCase.settings = examples(120, 60)
TestFastcgi = Fastcgi.TestCase
