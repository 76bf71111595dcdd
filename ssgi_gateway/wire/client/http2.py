"""HTTP/2 as a client: many streams on one connection (RFC 9113). Bytes and times in, events and bytes out.

Events come as pairs of a stream's id and one of ``events``, an exception that ended it, or ``None`` when the
peer stopped reading the request (RST_STREAM NO_ERROR behind a complete answer). WINDOW_UPDATE follows what
applications have taken, so a stream that is not read stops only itself. No sockets, no clock, no logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import GoAway, RemoteProtocolError, StreamReset

from . import http2_frames as frames
from .events import AnswerEnded, BodyArrived
from .http2_compression import MAX_HEAD, BlockReader, field_section, make_coders
from .http2_frames import Fault, unpadded
from .http2_sending import DEFAULT_WINDOW, Sending
from .http2_stream import WINDOW, Http2Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .events import Headers
    from .request import Request

__all__ = ["Http2Client"]

CONNECTION_WINDOW: Final = 1 << 24
MAX_WINDOW: Final = (1 << 31) - 1
OUR_FRAME: Final = 16384
"""The largest frame we take: the default, as no server sends larger ones."""
MAX_FIELDS: Final = 256
MAX_ACKS: Final = 100
"""PING and SETTINGS whose answers the peer has not read yet."""
MAX_EMPTY: Final = 1000
"""DATA frames without data, one after the other."""
MAX_HEADS: Final = 102
"""Of one answer: the interim ones, the final one, trailers."""
MAX_RESETS: Final = 200
"""Streams the peer resets in a second."""
LAST_STREAM: Final = (1 << 31) - 1


class Http2Client:
    """One connection.

    Attributes:
        streams: those that are open, by id.
        ready: the peer's SETTINGS have come.
        going: GOAWAY has come, or ids are used up: no new streams.
    """

    __slots__ = (
        "_acks",
        "_blocks",
        "_buffer",
        "_empty",
        "_encoder",
        "_next",
        "_pieces",
        "_pings",
        "_receive_window",
        "_reset_count",
        "_reset_second",
        "_sending",
        "_stray",
        "_stray_heads",
        "_taken",
        "going",
        "max_streams",
        "ready",
        "streams",
    )

    def __init__(self) -> None:
        self._encoder, decoder = make_coders()
        self._blocks = BlockReader(decoder)
        self._buffer = b""
        self._next = 1
        self._receive_window = CONNECTION_WINDOW
        self._taken = 0
        self._stray = 0  # bytes that may still come for streams that were cancelled
        self._stray_heads = 0  # likewise, heads and trailers
        self._acks = self._empty = self._reset_count = self._pings = 0
        self._reset_second = -1.0
        self._pieces: list[tuple[BodyArrived, list[Any]]] = []
        self.streams: dict[int, Http2Stream] = {}
        self.max_streams = 100  # RFC 9113 6.5.2 recommends no less; until the peer's SETTINGS
        self.ready = self.going = False
        self._sending = Sending(self.streams)
        self._sending.frames += [
            frames.PREFACE,
            frames.encode_settings(
                {
                    frames.ENABLE_PUSH: 0,
                    frames.INITIAL_WINDOW_SIZE: WINDOW,
                    frames.MAX_HEADER_LIST_SIZE: MAX_HEAD,
                }
            ),
            frames.encode_window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW),
        ]

    # -- calls of the transport ------------------------------------------------------------------------------------

    @property
    def room(self) -> int:
        """How many further streams may be opened now."""
        return 0 if self.going else self.max_streams - len(self.streams)

    def take_output(self) -> list[Any]:
        """The buffers to write."""
        return self._sending.take()

    @property
    def pending(self) -> bool:
        """Whether there may be output to take."""
        return self._sending.pending

    def output_written(self) -> None:
        """All that was taken has left: the peer reads what we answer."""
        self._acks = 0

    def ping(self) -> bool:
        """Send a PING; False when the peer has not answered the last one."""
        if self._pings:
            return False
        self._pings = 1
        self._sending.frames.append(frames.encode_frame(frames.PING, 0, 0, b"ssgi-gw?"))
        return True

    # -- requests --------------------------------------------------------------------------------------------------

    def begin(self, request: Request) -> Http2Stream:
        """HEADERS of a new stream; there must be ``room``."""
        number = self._next
        self._next += 2
        if self._next > LAST_STREAM:
            self.going = True
        stream = self.streams[number] = Http2Stream(number, request.method, self._sending.initial_window)
        end = not request.has_body
        self._sending.add_headers(number, self._encoder.encode(field_section(request)), end)
        stream.sent_end = end
        return stream

    def send(self, stream: Http2Stream, pieces: Sequence[Any], more: bool) -> None:
        """Queue pieces of a request's body, none of them empty; they leave as windows allow."""
        if not stream.sent_end and stream.number in self.streams:
            self._sending.add_data(stream, pieces, more)

    def cancel(self, stream: Http2Stream, code: int = frames.CANCEL) -> None:
        """RST_STREAM; what of it was not taken is credited to the connection at once."""
        if self.streams.pop(stream.number, None) is not None:
            stream.drop()
            self._stray += max(0, stream.receive_window)
            self._stray_heads += MAX_HEADS
            self._sending.frames.append(frames.encode_reset(stream.number, code))

    def taken(self, stream: Http2Stream | None, size: int) -> None:
        """The application has taken so much of a stream's body (RFC 9113 6.9)."""
        self._taken += size
        if self._taken * 2 >= CONNECTION_WINDOW:
            self._receive_window += self._taken
            self._sending.frames.append(frames.encode_window_update(0, self._taken))
            self._taken = 0
        if stream is not None and not stream.ended:
            stream.taken += size
            if stream.taken * 2 >= WINDOW and stream.number in self.streams:
                stream.receive_window += stream.taken
                self._sending.frames.append(frames.encode_window_update(stream.number, stream.taken))
                stream.taken = 0

    # -- answers ---------------------------------------------------------------------------------------------------

    def receive(self, data: bytes | memoryview, now: float) -> list[tuple[int, Any]]:
        """Take bytes; gives what they mean for each stream.

        Args:
            data: from the peer; nothing of it is kept.
            now: seconds, for what is bounded by the second.

        Raises:
            RemoteProtocolError: the connection is to be closed, once ``take_output`` has been sent (a GOAWAY).
        """
        events: list[tuple[int, Any]] = []
        view = memoryview(data)
        try:
            start = self._complete(view, events, now) if self._buffer else 0
            start = self._frames(view, start, events, now)
        except Fault as fault:
            self.going = True
            self._join()
            fault.events = events
            self._sending.frames.append(frames.encode_goaway(0, fault.code, str(fault)))
            raise
        if start < len(view):
            self._buffer = bytes(view[start:])
        self._join()
        return events

    def _complete(self, view: memoryview, events: list[tuple[int, Any]], now: float) -> int:
        """Read on in the frame that was cut; gives where the next one begins."""
        start = max(0, frames.HEADER_SIZE - len(self._buffer))
        buffer = self._buffer + view[:start]
        if len(buffer) >= frames.HEADER_SIZE:
            missing = frames.HEADER_SIZE + int.from_bytes(buffer[:3], "big") - len(buffer)
            buffer += view[start : start + missing]
            start += missing
        self._buffer = buffer
        if self._frames(memoryview(buffer), 0, events, now):
            self._buffer = b""
        return min(start, len(view))

    def _frames(self, view: memoryview, start: int, events: list[tuple[int, Any]], now: float) -> int:
        """Take the frames that are whole; gives where the first one lies that is not."""
        size = len(view)
        while size - start >= 9:
            high, low, kind, number = frames.HEADER.unpack_from(view, start)
            length = high << 8 | low
            if length > OUR_FRAME:
                raise Fault(frames.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            end = start + 9 + length
            if end > size:
                break
            if not kind:
                after = self._run(view, start, number, events)
                if after > start:
                    start = after
                    continue
            payload = bytes(view[start + 9 : end])
            self._frame(kind >> 8, kind & 0xFF, number & 0x7FFFFFFF, payload, events, now)
            start = end
        return start

    def _run(self, view: memoryview, start: int, number: int, events: list[tuple[int, Any]]) -> int:
        """DATA frames of one stream that follow each other, without padding or end: what a download consists of.

        Gives where the first frame lies that is anything else, or breaks a rule: ``_frame`` judges it.
        """
        stream = self.streams.get(number)
        if stream is None or not stream.answered or stream.ended or self._blocks.stream:
            return start
        first = left = min(self._receive_window, stream.body_room)
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
            self._receive_window -= first - left
            stream.receive_window -= first - left
            stream.body(first - left, end=False)
            self._empty = 0
            self._body(number, pieces, events)
        return start

    def _frame(
        self, kind: int, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]], now: float
    ) -> None:
        if self._blocks.stream and (kind != frames.CONTINUATION or number != self._blocks.stream):
            raise Fault(frames.PROTOCOL_ERROR, "a header block that was interrupted")
        if not self.ready and kind != frames.SETTINGS:
            raise Fault(frames.PROTOCOL_ERROR, "the first frame is not SETTINGS (RFC 9113 3.4)")
        if kind == frames.DATA:
            self._on_data(flags, number, payload, events)
        elif kind == frames.HEADERS:
            self._on_headers(flags, number, payload, events)
        elif kind == frames.CONTINUATION:
            self._on_continuation(flags, number, payload, events)
        elif kind == frames.WINDOW_UPDATE:
            self._on_window_update(number, payload, events)
        elif kind == frames.RST_STREAM:
            self._on_reset(number, payload, events, now)
        elif kind == frames.SETTINGS:
            self._on_settings(flags, number, payload, events)
        elif kind == frames.PING:
            self._on_ping(flags, number, payload)
        elif kind == frames.GOAWAY:
            self._on_goaway(number, payload, events)
        elif kind == frames.PUSH_PROMISE:
            raise Fault(frames.PROTOCOL_ERROR, "a push, which was switched off")
        # PRIORITY and unknown types are passed over (RFC 9113 5.5)

    def _known(self, number: int) -> Http2Stream | None:
        """The stream, ``None`` for one that is over.

        Raises:
            RemoteProtocolError: it was never opened (RFC 9113 5.1).
        """
        stream = self.streams.get(number)
        if stream is None and (number == 0 or number % 2 == 0 or number >= self._next):
            raise Fault(frames.PROTOCOL_ERROR, f"a frame of stream {number}, which is not open")
        return stream

    def _on_data(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        whole = len(payload)
        if flags & frames.PADDED:
            payload = unpadded(payload)
        self._receive_window -= whole
        if self._receive_window < 0:
            raise Fault(frames.FLOW_CONTROL_ERROR, "more data than the connection's window")
        end = bool(flags & frames.END_STREAM)
        self._empty = 0 if payload or end else self._empty + 1
        if self._empty > MAX_EMPTY:
            raise Fault(frames.ENHANCE_YOUR_CALM, f"{MAX_EMPTY} DATA frames without data")
        stream = self._known(number)
        if stream is None or stream.ended:
            self._stray -= whole
            if self._stray < 0:  # no window allows it
                raise Fault(frames.STREAM_CLOSED, f"DATA of stream {number}, which has ended")
            self.taken(None, whole)
            return
        stream.receive_window -= whole
        if stream.receive_window < 0:
            self._malformed(stream, "more data than the stream's window", events, frames.FLOW_CONTROL_ERROR)
            return
        try:
            if not stream.answered:
                raise RemoteProtocolError("a body before its head")
            stream.body(len(payload), end)
        except RemoteProtocolError as error:
            self._malformed(stream, str(error), events)
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

    def _join(self) -> None:
        for body, pieces in self._pieces:
            body.data = b"".join(pieces)
        self._pieces.clear()

    def _on_headers(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        if flags & frames.PADDED:
            payload = unpadded(payload)
        self._known(number)
        fields = self._blocks.begin(number, flags, payload)
        if fields is not None:
            self._on_fields(number, flags, fields, events)

    def _on_continuation(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        whole = self._blocks.go_on(flags, payload)
        if whole is not None:
            first, fields = whole
            self._on_fields(number, first, fields, events)

    def _on_fields(self, number: int, flags: int, headers: Headers, events: list[tuple[int, Any]]) -> None:
        stream = self.streams.get(number)
        if stream is None or stream.ended:
            self._stray_heads -= 1
            if self._stray_heads < 0:
                raise Fault(frames.STREAM_CLOSED, f"HEADERS of stream {number}, which has ended")
            return
        if len(headers) > MAX_FIELDS + 1:
            self._malformed(stream, f"more than {MAX_FIELDS} fields", events)
            return
        end = bool(flags & frames.END_STREAM)
        try:
            if stream.answered:
                events.append((number, AnswerEnded(stream.trailers(headers, end))))
            else:
                events.append((number, stream.head(headers, end)))
        except RemoteProtocolError as error:
            self._malformed(stream, str(error), events)
            return
        if end:
            self._over(stream)

    def _over(self, stream: Http2Stream) -> None:
        """The answer is complete; the request may not be."""
        stream.ended = True
        if stream.sent_end:
            self.streams.pop(stream.number, None)

    def _malformed(
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

    def _on_reset(self, number: int, payload: bytes, events: list[tuple[int, Any]], now: float) -> None:
        if len(payload) != 4:
            raise Fault(frames.FRAME_SIZE_ERROR, "an RST_STREAM of the wrong size")
        stream = self._known(number)
        if now - self._reset_second >= 1:
            self._reset_second, self._reset_count = now, 0
        self._reset_count += 1
        if self._reset_count > MAX_RESETS:
            raise Fault(frames.ENHANCE_YOUR_CALM, f"more than {MAX_RESETS} resets in a second")
        if stream is None:
            return
        del self.streams[number]
        stream.drop()
        code = int.from_bytes(payload, "big")
        if stream.ended:
            events.append((number, None))  # RFC 9113 8.1: the answer was complete, stop sending
        else:
            stream.ended = True
            events.append((number, StreamReset(code)))

    def _on_window_update(self, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        if len(payload) != 4:
            raise Fault(frames.FRAME_SIZE_ERROR, "a WINDOW_UPDATE of the wrong size")
        increment = int.from_bytes(payload, "big") & 0x7FFFFFFF
        if number == 0:
            self._sending.window += increment
            if not increment or self._sending.window > MAX_WINDOW:
                raise Fault(frames.FLOW_CONTROL_ERROR, "a WINDOW_UPDATE by nothing, or by too much")
            return
        stream = self._known(number)
        if stream is not None:
            stream.send_window += increment
            if not increment or stream.send_window > MAX_WINDOW:
                self._malformed(stream, "a WINDOW_UPDATE by nothing, or by too much", events, frames.FLOW_CONTROL_ERROR)

    def _on_settings(self, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        if number or len(payload) % 6 or (flags & frames.ACK and payload):
            raise Fault(frames.FRAME_SIZE_ERROR, "a SETTINGS frame of the wrong size, or on a stream")
        if flags & frames.ACK:
            return
        for key, value in frames.decode_settings(payload):
            if key == frames.MAX_CONCURRENT_STREAMS:
                self.max_streams = value
            elif key == frames.INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise Fault(frames.FLOW_CONTROL_ERROR, "an initial window that is too large")
                self._sending.change_initial_window(value)
            elif key == frames.MAX_FRAME_SIZE:
                if not 16384 <= value <= 16777215:
                    raise Fault(frames.PROTOCOL_ERROR, f"a MAX_FRAME_SIZE of {value}")
                self._sending.max_frame = value
            elif key == frames.HEADER_TABLE_SIZE:
                self._encoder.header_table_size = min(value, 65536)
            elif key == frames.ENABLE_PUSH and value:
                raise Fault(frames.PROTOCOL_ERROR, "a server that enables push")
        self.ready = True
        self._answer(frames.encode_frame(frames.SETTINGS, frames.ACK, 0))

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        if number or len(payload) != 8:
            raise Fault(frames.FRAME_SIZE_ERROR, "a PING of the wrong size, or on a stream")
        if flags & frames.ACK:
            self._pings = 0
        else:
            self._answer(frames.encode_frame(frames.PING, frames.ACK, 0, payload))

    def _answer(self, frame: bytes) -> None:
        """What the peer can make us write, however little it reads."""
        self._acks += 1
        if self._acks > MAX_ACKS:
            raise Fault(frames.ENHANCE_YOUR_CALM, f"more than {MAX_ACKS} PING or SETTINGS at once")
        self._sending.frames.append(frame)

    def _on_goaway(self, number: int, payload: bytes, events: list[tuple[int, Any]]) -> None:
        if number or len(payload) < 8:
            raise Fault(frames.FRAME_SIZE_ERROR, "a GOAWAY of the wrong size, or on a stream")
        self.going = True
        last = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
        code = int.from_bytes(payload[4:8], "big")
        for other in [other for other in self.streams if other > last]:
            stream = self.streams.pop(other)
            stream.drop()
            stream.ended = True
            events.append((other, GoAway(code)))
