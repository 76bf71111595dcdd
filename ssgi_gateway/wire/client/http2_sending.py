"""What an HTTP/2 client sends: frames in their order, and DATA as both windows allow (RFC 9113 5.2, 6.9)."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from . import http2_frames as frames
from .http2_stream import Http2Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DEFAULT_WINDOW", "Sending"]

DEFAULT_WINDOW: Final = 65535
MAX_SENT: Final = 65536
"""Bytes of a frame of ours at most, whatever the peer takes: streams go round."""
MAX_ALONE: Final = 1 << 21
"""Likewise, of a stream that sends alone."""
MAX_BUFFERS: Final = 64
"""Of one ``take``: what one writev(2) writes."""


class Sending:
    """The outgoing half of a connection.

    Attributes:
        streams: those that are open, by id; the connection's own dict.
        frames: what is to be written next.
        window: bytes that the peer takes of all streams together.
        initial_window: what a new stream begins with.
        max_frame: the largest frame that the peer takes.
    """

    __slots__ = ("_sending", "frames", "initial_window", "max_frame", "streams", "window")

    def __init__(self, streams: dict[int, Http2Stream]) -> None:
        self.streams = streams
        self.frames: list[Any] = []
        self.window = DEFAULT_WINDOW
        self.initial_window = DEFAULT_WINDOW
        self.max_frame = 16384
        self._sending: deque[Http2Stream] = deque()

    def add_headers(self, number: int, block: bytes, end: bool) -> None:
        """HEADERS, and CONTINUATION frames if the block is large."""
        self.frames.append(frames.encode_headers(number, block, end, min(self.max_frame, MAX_SENT)))

    def add_data(self, stream: Http2Stream, pieces: Sequence[Any], more: bool) -> None:
        """Queue pieces of a request's body; they leave as windows allow."""
        if not stream.queue and not stream.finishing:
            self._sending.append(stream)
        stream.push(pieces, more)

    def change_initial_window(self, size: int) -> None:
        """The peer's setting; it changes what is left of every window, which may become negative (RFC 9113 6.9.2)."""
        change, self.initial_window = size - self.initial_window, size
        for stream in self.streams.values():
            stream.send_window += change

    @property
    def pending(self) -> bool:
        """Whether there may be something to ``take``."""
        return bool(self.frames or self._sending)

    def take(self) -> list[Any]:
        """The buffers to write next; there may be more after them."""
        if self._sending:
            self._pump()
        out, self.frames = self.frames, []
        return out

    def _pump(self) -> None:
        """Round robin: a frame of each stream that has something, within both windows; one alone need not go round."""
        sending = self._sending
        if len(sending) == 1 and self._whole(sending[0]):
            sending.clear()
            return
        blocked: list[Http2Stream] = []
        while sending and len(self.frames) < MAX_BUFFERS:
            stream = sending.popleft()
            if stream.number not in self.streams or not (stream.queue or stream.finishing):
                continue
            if not stream.queue:
                self._end(stream)
                continue
            most = min(stream.send_window, self.window)
            if most <= 0:
                blocked.append(stream)
                if self.window <= 0:
                    break
                continue
            size = min(self.max_frame, MAX_SENT if sending else MAX_ALONE)
            room = (MAX_BUFFERS - len(self.frames)) // 2
            count = 1 if sending else max(1, min(MAX_ALONE // size, room))
            self._data(stream, min(most, size * count, stream.within(max(1, room - 1))), size)
            if stream.queue:
                sending.append(stream)
        sending.extendleft(reversed(blocked))

    def _whole(self, stream: Http2Stream) -> bool:
        """Of a stream that sends alone, all that it has: the next frame mostly, where the peer takes large ones."""
        size = stream.queued
        if not size or size > min(self.max_frame, MAX_ALONE, stream.send_window, self.window):
            return False
        if len(self.frames) + len(stream.queue) >= MAX_BUFFERS:
            return False
        stream.send_window -= size
        self.window -= size
        self._frame(stream, size, stream.finishing)
        return True

    def _data(self, stream: Http2Stream, left: int, size: int) -> None:
        """``left`` bytes of what the stream has, in frames of ``size``, which may hold more than one piece."""
        number = stream.number
        stream.send_window -= left
        self.window -= left
        end = stream.finishing and left == stream.queued
        header = frames.frame_header(size, frames.DATA, 0, number)
        while left > size or (left == size and not end):
            left -= stream.take_frames(header, left - 1 if end else left, size, self.frames)
        if left:
            self._frame(stream, left, end)

    def _frame(self, stream: Http2Stream, size: int, end: bool) -> None:
        self.frames.append(frames.frame_header(size, frames.DATA, frames.END_STREAM if end else 0, stream.number))
        stream.take(size, self.frames)
        if end:
            self._ended(stream)

    def _end(self, stream: Http2Stream) -> None:
        self.frames.append(frames.frame_header(0, frames.DATA, frames.END_STREAM, stream.number))
        self._ended(stream)

    def _ended(self, stream: Http2Stream) -> None:
        stream.finishing = False
        stream.sent_end = True
        if stream.ended:
            self.streams.pop(stream.number, None)
