"""HTTP/2 as a client: many streams on one connection (RFC 9113). Bytes and times in, events and bytes out.

Events come as pairs of a stream's id and one of ``events``, an exception that ended it, or ``None`` when the
peer stopped reading the request (RST_STREAM NO_ERROR behind a complete answer). WINDOW_UPDATE follows what
applications have taken, so a stream that is not read stops only itself. No sockets, no clock, no logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import GoAway, StreamReset

from . import http2_frames as frames
from .http2_compression import MAX_HEAD, field_section, make_coders
from .http2_frames import Fault
from .http2_receiving import CONNECTION_WINDOW, OUR_FRAME, Receiving
from .http2_sending import DEFAULT_WINDOW, Sending
from .http2_stream import WINDOW, Http2Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .request import Request

__all__ = ["Http2Client"]

MAX_WINDOW: Final = (1 << 31) - 1
MAX_ACKS: Final = 100
"""PING and SETTINGS whose answers the peer has not read yet."""
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
        "_buffer",
        "_encoder",
        "_next",
        "_pings",
        "_receiving",
        "_reset_count",
        "_reset_second",
        "_sending",
        "going",
        "max_streams",
        "ready",
        "streams",
    )

    def __init__(self) -> None:
        self._encoder, decoder = make_coders()
        self._buffer = b""
        self._next = 1
        self._acks = self._reset_count = self._pings = 0
        self._reset_second = -1.0
        self.streams: dict[int, Http2Stream] = {}
        self.max_streams = 100  # RFC 9113 6.5.2 recommends no less; until the peer's SETTINGS
        self.ready = self.going = False
        self._sending = Sending(self.streams)
        self._receiving = Receiving(self.streams, self._sending, decoder)
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
        number = self._receiving.opened = self._next
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
        self._receiving.cancel(stream, code)

    def taken(self, stream: Http2Stream | None, size: int) -> None:
        """The application has taken so much of a stream's body (RFC 9113 6.9)."""
        self._receiving.taken(stream, size)

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
            self._receiving.join()
            fault.events = events
            self._sending.frames.append(frames.encode_goaway(0, fault.code, str(fault)))
            raise
        if start < len(view):
            self._buffer = bytes(view[start:])
        self._receiving.join()
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
                after = self._receiving.run(view, start, number, events)
                if after > start:
                    start = after
                    continue
            payload = bytes(view[start + 9 : end])
            self._frame(kind >> 8, kind & 0xFF, number & 0x7FFFFFFF, payload, events, now)
            start = end
        return start

    def _frame(
        self, kind: int, flags: int, number: int, payload: bytes, events: list[tuple[int, Any]], now: float
    ) -> None:
        block = self._receiving.blocks.stream
        if block and (kind != frames.CONTINUATION or number != block):
            raise Fault(frames.PROTOCOL_ERROR, "a header block that was interrupted")
        if not self.ready and kind != frames.SETTINGS:
            raise Fault(frames.PROTOCOL_ERROR, "the first frame is not SETTINGS (RFC 9113 3.4)")
        if kind == frames.DATA:
            self._receiving.data(flags, number, payload, events)
        elif kind == frames.HEADERS:
            self._receiving.headers(flags, number, payload, events)
        elif kind == frames.CONTINUATION:
            self._receiving.continuation(flags, number, payload, events)
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

    def _on_reset(self, number: int, payload: bytes, events: list[tuple[int, Any]], now: float) -> None:
        if len(payload) != 4:
            raise Fault(frames.FRAME_SIZE_ERROR, "an RST_STREAM of the wrong size")
        stream = self._receiving.known(number)
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
        stream = self._receiving.known(number)
        if stream is not None:
            stream.send_window += increment
            if not increment or stream.send_window > MAX_WINDOW:
                self._receiving.malformed(
                    stream, "a WINDOW_UPDATE by nothing, or by too much", events, frames.FLOW_CONTROL_ERROR
                )

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
