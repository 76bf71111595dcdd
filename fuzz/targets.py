"""From bytes to a conversation: what a fuzzer made up, played to both builds.

An input is two bytes of stage directions, then what the peer says. The directions choose how it is cut into reads, the
limits, and what the server does meanwhile; so a fuzzer varies these too, and a corpus file is still bytes off a wire
with two before them:

* the lowest three bits of the first byte: the size of a read, of ``READS``
* the next bit: whether the peer closes its side at the end
* the other four: the server's part, see each target
* the second byte: the limits and what else a target offers
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from fuzz.codecs import (
    CodecPair,
    FastcgiPair,
    RequestPair,
    ResponsePair,
    ScgiPair,
    UpgradePair,
    UwsgiPair,
    WebSocketPair,
)
from fuzz.compare import Pair
from ssgi_gateway.settings import WebSocketSettings, WireLimits
from ssgi_gateway.wire.websocket.deflate import DeflateParams

__all__ = ["TARGETS", "directions"]

READS: Final = (1 << 20, 1, 2, 3, 7, 16, 100, 1000)
"""Bytes of a read."""

MAX_READS: Final = 2000
"""An input is cut into at most so many reads, for a run to be short."""

LIMITS: Final = (
    WireLimits(),
    WireLimits(max_head_size=1024, max_variables=20),
    WireLimits(max_head_size=120, max_variables=4),
    WireLimits(max_head_size=1 << 30, max_variables=1 << 40),
)
BOUNDS: Final = (
    WebSocketSettings(),
    WebSocketSettings(max_message_size=100),
    WebSocketSettings(max_message_size=3000, max_frame_size=70),
    WebSocketSettings(max_message_size=1 << 59, max_frame_size=1 << 60),
)
DEFLATES: Final = (
    None,
    DeflateParams(),
    DeflateParams(server_no_context_takeover=True, client_no_context_takeover=True),
    DeflateParams(server_max_window_bits=9, client_max_window_bits=9),
)
HEAD: Final = 0
"""The plainest head of an answer, as ``RequestPair.encode`` has it."""


def directions(read: int = 0, part: int = 0, choice: int = 0, *, eof: bool = False) -> bytes:
    """The stage directions, for those who write corpus files."""
    return bytes((READS.index(read or READS[0]) | eof << 3 | part << 4, choice))


def reads(data: bytes) -> Iterator[bytes]:
    """What arrives, as it is cut."""
    wire = data[2:]
    size = max(READS[data[0] & 7], len(wire) // MAX_READS)
    for start in range(0, len(wire), size):
        yield wire[start : start + size]
    if data[0] & 8:
        yield b""


def converse(pair: CodecPair, data: bytes, react: Callable[[Any], None]) -> Pair:
    """Let all of it arrive; ``react`` is the server's part. Nobody hangs up after an error: it may be told again."""
    for piece in reads(data):
        pair.receive(piece)
        for event in pair.events():
            react(event)
        pair.take_output()
    react(None)
    return pair


def answer_request(pair: RequestPair, part: int, event: Any) -> None:
    """A server's part in a request.

    Args:
        pair: the codecs.
        part: bit 0, it answers as soon as there is a head; bit 1, it answers when the request has ended, was aborted or
            refused; bit 2, in several pieces, and it says more than it may; bit 3, it gives up what was aborted.
        event: what it was told.
    """
    name = "error" if isinstance(event, list) else event[0] if event else ""
    if part & 8 and name == "RequestAborted":
        pair.finish()
    elif (part & 1 and name == "HeadReceived") or (
        part & 2 and (name in ("RequestEnded", "RequestAborted") or (name == "error" and event[0] == "rejected"))
    ):
        if part & 4:
            pair.encode(None, b"too early", False)
            pair.encode(HEAD, None, False)
            pair.encode(None, memoryview(b"abc" * 20_000), False)
            pair.encode(HEAD, b"", False)
            pair.encode(None, bytearray(b"xyz"), True)
            pair.encode(None, None, True)
        else:
            pair.encode(HEAD, b"hello", True)
        pair.finish()
        for _ in pair.events():
            pass


def scgi(data: bytes) -> Pair:
    """The SCGI codec."""
    pair = ScgiPair(LIMITS[data[1] & 3])
    return converse(pair, data, lambda event: answer_request(pair, data[0] >> 4, event))


def uwsgi(data: bytes) -> Pair:
    """The uwsgi codec."""
    pair = UwsgiPair(LIMITS[data[1] & 3])
    return converse(pair, data, lambda event: answer_request(pair, data[0] >> 4, event))


def fastcgi(data: bytes) -> Pair:
    """The FastCGI codec."""
    pair = FastcgiPair(LIMITS[data[1] & 3])
    return converse(pair, data, lambda event: answer_request(pair, data[0] >> 4, event))


def upgrade(data: bytes) -> Pair:
    """The direct port's codec; bit 7 of the choice: the peer is not trusted."""
    pair = UpgradePair(LIMITS[data[1] & 3], ("192.0.2.1", 5) if data[1] & 0x80 else ("127.0.0.1", 5))
    return converse(pair, data, lambda event: answer_request(pair, data[0] >> 4, event))


def websocket(data: bytes) -> Pair:
    """The WebSocket codec.

    The server's part: bit 0, it sends messages back; bit 1, it pings; bit 2, it closes after a message; bit 3, it
    answers Close frames and errors. The choice: two bits for the bounds, two for permessage-deflate.
    """
    pair = WebSocketPair(BOUNDS[data[1] & 3], DEFLATES[data[1] >> 2 & 3])
    part = data[0] >> 4

    def react(event: Any) -> None:
        if isinstance(event, list) or event is None or event[0] == "CloseReceived":
            if part & 8:
                pair.encode_close(event[1] if isinstance(event, list) else 1000, "bye")
        elif event[0] == "MessageReceived":
            (message,) = event[1]
            if part & 1:
                pair.encode_message(message)
            if part & 2:
                pair.encode_ping(b"ping")
            if part & 4:
                pair.encode_close(None if message else 4999, "")
                pair.encode_message(b"too late")

    return converse(pair, data, react)


def response(data: bytes) -> Pair:
    """The head of an answer, line by line: a letter for what is said, then what.

    ``S`` a status as text, ``N`` as a number; ``H`` name and value as text, ``B`` as bytes, several with tabs between
    them; ``L`` a length; ``U`` the 101.
    """
    pair = ResponsePair(front_files=not data[1] & 1)
    for line in data[2:].split(b"\x1e")[:200]:
        said = line[1:]
        text = said.decode("utf-8", "surrogateescape")
        fields = [field.partition(":")[::2] for field in text.split("\t")]
        match line[:1]:
            case b"S":
                pair.say("set_status", text)
            case b"N":
                pair.say("set_status", int.from_bytes(said[:3], "big", signed=True))
            case b"H":
                pair.say("add", fields)
            case b"B":
                pair.say("add", dict(field.partition(b":")[::2] for field in said.split(b"\t")))
            case b"L":
                pair.say("set_content_length", int.from_bytes(said[:7], "big"))
            case b"U":
                pair.say("switch_protocols", fields)
    return pair


TARGETS: Final[dict[str, Callable[[bytes], Pair]]] = {
    target.__name__: target for target in (scgi, uwsgi, fastcgi, websocket, upgrade, response)
}
"""What can be fuzzed: functions of any bytes, at least two, that raise ``Disagreement`` or return what was asked."""
