"""Codecs are tested by transcripts: what went in, cut in every way, and what the codec told.

A transcript must not depend on how the bytes were cut, and bytes that follow must not change what was told before
them. ``read`` tries this for every example: whole, byte by byte, cut in two at every place if it is small, and with
other bytes behind it. Works for whatever has ``receive``, ``next_event`` and ``take_output``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected, WebSocketError
from ssgi_gateway.wire.events import BodyReceived, Event

SMALL = 700
"""Bytes up to which an example is cut in two at every place."""

EOF = b""
"""A piece of this says that the peer has closed its side."""


@dataclass(frozen=True)
class Refused:
    """The error that ends a transcript; the words are for people and may depend on how much had arrived."""

    status: int
    """The HTTP status or the WebSocket close code; 0 where the connection is closed without a word."""
    words: str = field(default="", compare=False)


CLOSED = Refused(0)


@dataclass(frozen=True)
class Transcript:
    """What a codec told, and what it sent by itself."""

    told: list[Event | Refused]
    sent: bytes = b""

    @property
    def words(self) -> str:
        """Those of the error at the end."""
        last = self.told[-1]
        assert isinstance(last, Refused)
        return last.words

    @property
    def body(self) -> bytes:
        """All of the body."""
        return b"".join(event.data for event in self.told if isinstance(event, BodyReceived))


def play(codec: Any, pieces: Iterable[bytes], react: Callable[[Any, Event], None] | None = None) -> Transcript:
    """Give ``pieces`` to ``codec``, one after the other, until it refuses.

    Args:
        codec: the codec.
        pieces: what arrives; ``EOF`` for the end.
        react: called with the codec and each event, as a server would that answers.

    Returns:
        The events, those of the body that follow each other made one, and the automatic answers.
    """
    told: list[Event | Refused] = []
    sent = b""
    for piece in pieces:
        codec.receive(piece)
        try:
            while (event := codec.next_event()) is not None:
                if isinstance(event, BodyReceived):
                    assert event.data, "an empty piece of the body was told"
                    if told and isinstance(told[-1], BodyReceived):
                        event = BodyReceived(told.pop().data + event.data)
                told.append(event)
                if react is not None:
                    react(codec, event)
        except RequestRejected as error:
            told.append(Refused(error.status, error.message))
        except WebSocketError as error:
            told.append(Refused(error.code, error.reason))
        except RemoteProtocolError as error:
            told.append(Refused(0, str(error)))
        sent += codec.take_output()
        if told and isinstance(told[-1], Refused):
            break
    return Transcript(told, sent)


def cuts(data: bytes) -> Iterator[list[bytes]]:
    """``data`` byte by byte, and cut in two at every place if it is small."""
    yield [data[i : i + 1] for i in range(len(data))]
    if len(data) <= SMALL:
        for place in range(1, len(data)):
            yield [data[:place], data[place:]]


def read(
    make: Callable[[], Any],
    data: bytes,
    *,
    eof: bool = False,
    trailing: bytes = b"",
    react: Callable[[Any, Event], None] | None = None,
) -> Transcript:
    """The transcript of ``data``, which is the same however it is cut.

    Args:
        make: makes a codec.
        data: the example.
        eof: whether the peer then closes its side.
        trailing: other bytes that may follow; they do not change what was told before them.
        react: see ``play``.
    """
    ending = [EOF] if eof else []
    whole = play(make(), [data, *ending], react)
    for pieces in cuts(data):
        assert play(make(), [*pieces, *ending], react) == whole, f"cut after {len(pieces[0])} of {len(data)} bytes"
    if trailing:
        for pieces in ([data + trailing], [data, trailing], [data[i : i + 1] for i in range(len(data))] + [trailing]):
            longer = play(make(), pieces, react)
            before = play(make(), [data], react)
            assert longer.told[: len(before.told)] == before.told, "what follows changed what was told"
            assert longer.sent[: len(before.sent)] == before.sent
    return whole


@st.composite
def pieces_of(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """``data`` cut at arbitrary places."""
    places = draw(st.lists(st.integers(1, max(1, len(data) - 1)), max_size=8)) if data else []
    bounds = [0, *sorted(set(places)), len(data)]
    return [piece for start, end in itertools.pairwise(bounds) if (piece := data[start:end])]
