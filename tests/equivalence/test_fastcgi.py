"""FastCGI over both builds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from fuzz.codecs import FastcgiPair
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
                pair.encode(b"Status: 200 OK\r\n\r\n", b"hello", True)
                pair.finish()
        pair.take_output()


class Fastcgi(RequestMachine):
    @initialize(limits=LIMITS)
    def connect(self, limits):
        self.pair = FastcgiPair(limits)

    @rule(records=FASTCGI)
    def the_peer_writes(self, records):
        self.wire += records

    @rule(text=st.sampled_from(("", "log", "l\u20acg\udc80", "x" * 70_000)))
    def the_server_logs(self, text):
        self.pair.encode_stderr(text)


Fastcgi.TestCase.settings = examples(120, 60)
TestFastcgi = Fastcgi.TestCase
