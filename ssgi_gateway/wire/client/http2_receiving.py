"""What an HTTP/2 client receives of answers: heads, bodies, trailers, within the windows that it has opened.

``Receiving`` is to answers what ``Sending`` is to requests. WINDOW_UPDATE follows what applications have taken; what
comes for streams that are over is bounded by what could still be on its way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError

from . import http2_frames as frames
from .events import AnswerEnded, BodyArrived
from .http2_compression import BlockReader
from .http2_frames import Fault, unpadded
from .http2_stream import WINDOW

if TYPE_CHECKING:
    from .events import Headers
    from .http2_sending import Sending
    from .http2_stream import Http2Stream

__all__ = ["CONNECTION_WINDOW", "OUR_FRAME", "Receiving"]

CONNECTION_WINDOW: Final = 1 << 24
OUR_FRAME: Final = 16384
"""The largest frame we take: the default, as no server sends larger ones."""
MAX_FIELDS: Final = 256
MAX_EMPTY: Final = 1000
"""DATA frames without data, one after the other."""
MAX_HEADS: Final = 102
"""Of one answer: the interim ones, the final one, trailers."""


class Receiving:
    """The incoming half of a connection, as far as it concerns answers.

    Args:
        streams: those that are open, by id; the connection's own dict.
        sending: the outgoing half.
        decoder: of header blocks.

    Attributes:
        blocks: header blocks, which may be cut in several frames.
        opened: the highest id of a stream that was opened.
    """

    __slots__ = (
        "_empty",
        "_pieces",
        "_sending",
        "_stray",
        "_stray_heads",
        "_streams",
        "_taken",
        "_window",
        "blocks",
        "opened",
    )

    def __init__(self, streams: dict[int, Http2Stream], sending: Sending, decoder: Any) -> None:
        self.blocks = BlockReader(decoder)
        self.opened = 0
        self._streams = streams
        self._sending = sending
        self._window = CONNECTION_WINDOW
        self._taken = self._empty = 0
        self._stray = 0  # bytes that may still come for streams that were cancelled
        self._stray_heads = 0  # likewise, heads and trailers
        self._pieces: list[tuple[BodyArrived, list[Any]]] = []

    def known(self, number: int) -> Http2Stream | None:
        """The stream, ``None`` for one that is over.

        Raises:
            RemoteProtocolError: it was never opened (RFC 9113 5.1).
        """
        stream = self._streams.get(number)
        if stream is None and (number == 0 or number % 2 == 0 or number > self.opened):
            raise Fault(frames.PROTOCOL_ERROR, f"a frame of stream {number}, which is not open")
        return stream

    def run(self, view: memoryview, start: int, number: int, events: list[tuple[int, Any]]) -> int:
        """DATA frames of one stream that follow each other, without padding or end: what a download consists of.

        Gives where the first frame lies that is anything else, or breaks a rule: the caller judges it.
        """
        stream = self._streams.get(number)
        if stream is None or not stream.answered or stream.ended or self.blocks.stream:
            return start
        first = left = min(self._window, stream.body_room)
        size = len(view)
        pieces = []
        unpack = frames.HEADER.unpack_from
        while size - start >= 9:
            high, low, kind, other = unpack(view, start)
            length = high << 8 | low
            end = start + 9 + length
            if kind or other != number or not 0 < length <= OUR_FRAME or length > left or end > size:
                break
            left -= length
            pieces.append(view[start + 9 : end])
            start = end
        if pieces:
            self._window -= first - left
            stream.receive_window -= first - left
            stream.body(first - left, end=False)
            self._empty = 0
            self._body(number, pieces, events)
        return start

    def data(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        """A DATA frame (6.1)."""
        whole = len(payload)
        if flags & frames.PADDED:
            payload = unpadded(payload)
        self._window -= whole
        if self._window < 0:
            raise Fault(frames.FLOW_CONTROL_ERROR, "more data than the connection's window")
        end = bool(flags & frames.END_STREAM)
        self._empty = 0 if payload or end else self._empty + 1
        if self._empty > MAX_EMPTY:
            raise Fault(frames.ENHANCE_YOUR_CALM, f"{MAX_EMPTY} DATA frames without data")
        stream = self.known(number)
        if stream is None or stream.ended:
            self._stray -= whole
            if self._stray < 0:  # no window allows it
                raise Fault(frames.STREAM_CLOSED, f"DATA of stream {number}, which has ended")
            self.taken(None, whole)
            return
        stream.receive_window -= whole
        if stream.receive_window < 0:
            self.malformed(stream, "more data than the stream's window", events, frames.FLOW_CONTROL_ERROR)
            return
        try:
            if not stream.answered:
                raise RemoteProtocolError("a body before its head")
            stream.body(len(payload), end)
        except RemoteProtocolError as error:
            self.malformed(stream, str(error), events)
            return
        if whole > len(payload):
            self.taken(stream, whole - len(payload))  # padding is taken by no application
        if payload:
            self._body(number, [payload], events)
        if end:
            self._over(stream)
            events.append((number, AnswerEnded()))

    def _body(self, number: int, pieces: list[Any], events: list[tuple[int, Any]]) -> None:
        """What comes for a stream with one read is one event: a turn of the application costs more than a copy."""
        if events and events[-1][0] == number and type(events[-1][1]) is BodyArrived:
            self._pieces[-1][1].extend(pieces)
        else:
            body = BodyArrived(b"")
            self._pieces.append((body, pieces))
            events.append((number, body))

    def join(self) -> None:
        """The pieces of each body become the data of its event."""
        for body, pieces in self._pieces:
            body.data = b"".join(pieces)
        self._pieces.clear()

    def headers(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        """A HEADERS frame (6.2)."""
        if flags & frames.PADDED:
            payload = unpadded(payload)
        self.known(number)
        fields = self.blocks.begin(number, flags, payload)
        if fields is not None:
            self._on_fields(number, flags, fields, events)

    def continuation(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        """A CONTINUATION frame (6.10) of the block that is being read."""
        whole = self.blocks.go_on(flags, payload)
        if whole is not None:
            first, fields = whole
            self._on_fields(number, first, fields, events)

    def _on_fields(self, number: int, flags: int, headers: Headers, events: list[tuple[int, Any]]) -> None:
        stream = self._streams.get(number)
        if stream is None or stream.ended:
            self._stray_heads -= 1
            if self._stray_heads < 0:
                raise Fault(frames.STREAM_CLOSED, f"HEADERS of stream {number}, which has ended")
            return
        if len(headers) > MAX_FIELDS + 1:
            self.malformed(stream, f"more than {MAX_FIELDS} fields", events)
            return
        end = bool(flags & frames.END_STREAM)
        try:
            if stream.answered:
                events.append((number, AnswerEnded(stream.trailers(headers, end))))
            else:
                events.append((number, stream.head(headers, end)))
        except RemoteProtocolError as error:
            self.malformed(stream, str(error), events)
            return
        if end:
            self._over(stream)

    def _over(self, stream: Http2Stream) -> None:
        """The answer is complete; the request may not be."""
        stream.ended = True
        if stream.sent_end:
            self._streams.pop(stream.number, None)

    def malformed(
        self,
        stream: Http2Stream,
        message: str,
        events: list[tuple[int, Any]],
        code: int = frames.PROTOCOL_ERROR,
    ) -> None:
        """A stream error (RFC 9113 5.4.2)."""
        self.cancel(stream, code)
        stream.ended = True
        events.append((stream.number, RemoteProtocolError(message)))

    def cancel(self, stream: Http2Stream, code: int = frames.CANCEL) -> None:
        """RST_STREAM; what of it was not taken is credited to the connection at once."""
        if self._streams.pop(stream.number, None) is not None:
            stream.drop()
            self._stray += max(0, stream.receive_window)
            self._stray_heads += MAX_HEADS
            self._sending.frames.append(frames.encode_reset(stream.number, code))

    def taken(self, stream: Http2Stream | None, size: int) -> None:
        """The application has taken so much of a stream's body (RFC 9113 6.9)."""
        self._taken += size
        if self._taken * 2 >= CONNECTION_WINDOW:
            self._window += self._taken
            self._sending.frames.append(frames.encode_window_update(0, self._taken))
            self._taken = 0
        if stream is not None and not stream.ended:
            stream.taken += size
            if stream.taken * 2 >= WINDOW and stream.number in self._streams:
                stream.receive_window += stream.taken
                self._sending.frames.append(frames.encode_window_update(stream.number, stream.taken))
                stream.taken = 0
