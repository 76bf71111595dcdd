"""A peer, a network and a server that do as they like, with both builds in their middle.

The peer writes units of its grammar, the network delivers them in any pieces, and the server asks for one event or for
all of them, sends what is to be sent, and answers when it feels like it, also where it may not. Each step is asked of
both builds, which must say the same.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from fuzz.codecs import CodecPair, RequestPair

SIZES = st.sampled_from((0, 5, 16_384, 16_385, 70_000))
HEADS = st.one_of(st.none(), SIZES)
PAYLOADS = st.one_of(st.none(), SIZES.map(bytes), SIZES.map(bytearray), SIZES.map(lambda size: memoryview(bytes(size))))


class Machine(RuleBasedStateMachine):
    """What is common to all protocols."""

    pair: CodecPair

    def __init__(self) -> None:
        super().__init__()
        self.wire = b""

    @precondition(lambda self: self.wire)
    @rule(size=st.one_of(st.just(1 << 20), st.integers(1, 40)))
    def something_arrives(self, size: int) -> None:
        piece, self.wire = self.wire[:size], self.wire[size:]
        self.pair.receive(piece)

    @rule()
    def the_server_asks_for_an_event(self) -> None:
        self.pair.next_event()

    @rule()
    def the_server_asks_for_all_events(self) -> None:
        self.pair.events()

    @rule()
    def the_server_sends_what_is_due(self) -> None:
        self.pair.take_output()

    def teardown(self) -> None:
        if self.wire:
            self.pair.receive(self.wire)
        self.pair.events()
        self.pair.take_output()


class RequestMachine(Machine):
    """With requests and answers."""

    pair: RequestPair

    @rule(odds=st.integers(0, 4))
    def the_peer_hangs_up(self, odds: int) -> None:
        if not odds:
            self.pair.receive(b"")

    @rule(head=HEADS, data=PAYLOADS, end=st.booleans())
    def the_server_answers(self, head: int | None, data: Any, end: bool) -> None:
        self.pair.encode(head, data, end)

    @rule()
    def the_server_answers_at_once(self) -> None:
        self.pair.encode(0, None, True)
        self.pair.finish()

    @rule()
    def the_server_has_finished(self) -> None:
        self.pair.finish()
