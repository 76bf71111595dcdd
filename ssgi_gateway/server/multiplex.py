"""A FastCGI connection with several requests in progress: each is served as if it had a connection for itself.

Web servers send one request after the other over a connection, and then nothing here is used. HAProxy does not (with
``option mpxs-conns``, and without when it reuses a connection whose client has disconnected without a word). When a
second id begins, a ``Multiplexer`` takes the place of the connection's protocol, and every id gets a ``Stream``: a
connection in all that ``HttpProtocol`` asks of one, with a codec, a body, an abort and flow control of its own.

* What arrives for a stream that takes none is kept up to the high-water mark; then the whole connection is not read,
  because FastCGI has no other way to make one request wait.
* What a stream writes while the connection is full is kept by the stream, and they take turns, a write each.
* Above ``max_multiplexed`` requests, or ``max_connections`` of all kinds, a request is refused as OVERLOADED (5.5).
* An answer that breaks off must not look complete, and END_REQUEST would make it look so. So that request gets none:
  the connection ends when the others have ended, or after the write deadline.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.server import connection_states, peer_errors
from ssgi_gateway.wire.fastcgi.demultiplexer import NOBODY, Demultiplexer
from ssgi_gateway.wire.fastcgi.records import OVERLOADED, encode_end_request

from ..core.channel import Protocol
from ..core.waiters import Waiters, settled
from .connection import Connection

if TYPE_CHECKING:
    import asyncio

    from ..wire.fastcgi.codec import FastcgiCodec
    from .gateway import Gateway

__all__ = ["Multiplexer", "Stream"]

logger = logging.getLogger("ssgi_gateway.server")

OPEN: Final = connection_states.OPEN
FLUSHING: Final = connection_states.FLUSHING
CLOSED: Final = connection_states.CLOSED
NEVER: Final = connection_states.NEVER


class Stream(Connection):
    """What one request has in place of a connection.

    Attributes:
        request_id: its id on the connection.
    """

    __slots__ = ("_held", "_input", "_input_size", "_multiplexer", "_queue", "_wrote", "request_id")

    _drained: Waiters
    _flushed: Waiters

    def __init__(self, multiplexer: Multiplexer, request_id: int) -> None:
        self.init(multiplexer.gateway, -1)
        self.request_id = request_id
        self._multiplexer = multiplexer
        self._held = False  # what arrives is not wanted
        self._input: list[bytes] = []
        self._input_size = 0
        self._queue: deque[tuple[list[Any], bool]] = deque()  # writes, and whether there are files in them
        self._wrote = False
        self._drained = Waiters()
        self._flushed = Waiters()

    # -- reading -------------------------------------------------------------------------------------------------

    @property
    def paused(self) -> bool:
        return False  # the connection is, if anything

    def deliver(self, data: bytes) -> None:
        """Records of this request have arrived."""
        if self.state != OPEN:
            return
        if self._held or self._input:
            self._input.append(data)
            self._input_size += len(data)
            if self._input_size > self.reactor.high_water:
                self._multiplexer.hold(self)
        else:
            self._multiplexer.guard(self.protocol, data)

    def start_reading(self) -> None:
        if self._held and self.state == OPEN:
            self._held = False
            if self._input:
                self.reactor.loop.call_soon(self._deliver_kept)

    def stop_reading(self) -> None:
        self._held = True

    def rest(self) -> None:
        self._held = True

    def resume(self) -> None:
        self.start_reading()

    def _deliver_kept(self) -> None:
        if self._held or self.state != OPEN:
            return
        data, self._input, self._input_size = b"".join(self._input), [], 0
        self._multiplexer.release(self)
        if data:
            self.deliver(data)

    # -- writing -------------------------------------------------------------------------------------------------

    def write(self, data: Any) -> bool:
        return self._write([data], False)

    def write_many(self, buffers: list[Any]) -> bool:
        return self._write(buffers, False)

    def write_files(self, pieces: list[Any]) -> bool:
        return self._write(pieces, True)

    def _write(self, pieces: list[Any], files: bool) -> bool:
        if self.state != OPEN or not pieces:
            return True
        self._wrote = True
        if self._queue or self._multiplexer.full():
            # A copy, because the application may reuse its buffer.
            kept = pieces if files else [piece if type(piece) is bytes else bytes(piece) for piece in pieces]
            self._queue.append((kept, files))
            self.out_size += sum(map(len, kept))
            self._multiplexer.enqueue(self)
        else:
            self._multiplexer.send(pieces, files)
        return self.out_size <= self.reactor.high_water

    def send_queued(self) -> bool:
        """It is this stream's turn: hand its first write over; returns whether there are more."""
        if not self._queue:
            return False
        pieces, files = self._queue.popleft()
        self.out_size -= sum(map(len, pieces))
        self._multiplexer.send(pieces, files)
        if self.state == CLOSED:
            return False
        if not self._queue:
            self._flushed.wake(True)
        if self.out_size <= self.reactor.low_water:
            self._drained.wake(True)
        if not self._queue and self.state == FLUSHING:
            self.close()
        return bool(self._queue)

    def when_writable(self) -> asyncio.Future[bool]:
        if self.state == CLOSED or self.out_size <= self.reactor.high_water:
            return settled(self.reactor.loop, not self._multiplexer.lost)
        return self._drained.wait(self.reactor.loop)

    def when_flushed(self) -> asyncio.Future[bool]:
        if self.state == CLOSED or not self._queue:
            return settled(self.reactor.loop, not self._multiplexer.lost)
        return self._flushed.wait(self.reactor.loop)

    # -- the end -------------------------------------------------------------------------------------------------

    def next_request(self, idle: float) -> None:
        """The answer is complete; the next request of this id is a new stream's."""
        self._close_when_sent()

    def finish(self, unread: bool) -> None:
        if self.state == OPEN:
            self._multiplexer.close_later(NEVER)
            self._close_when_sent()

    def break_off(self, sign: bytes, unread: bool) -> None:
        if self.state == OPEN:
            self._break(self._wrote)

    def break_down(self) -> None:
        self._multiplexer.connection.lost()

    def lost(self) -> None:
        if self.state != CLOSED:
            protocol = self.protocol
            self._break(self._wrote)
            protocol.connection_lost()

    def cut(self) -> None:
        """The connection is lost, and this with it."""
        if self.state != CLOSED:
            protocol = self.protocol
            self.close()
            protocol.connection_lost()

    def close(self) -> None:
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self._queue.clear()
        self._input = []
        self.out_size = 0
        self.protocol = None  # type: ignore[assignment]  # a cycle less for the collector
        self._drained.wake(False)
        self._flushed.wake(False)
        self.reactor.unregister(self)
        self._multiplexer.ended(self)

    def peer_label(self) -> str:
        return self._multiplexer.connection.peer_label()

    def _close_when_sent(self) -> None:
        if self._queue:
            self.state = FLUSHING
            self.deadline = NEVER
        else:
            self.close()

    def _break(self, visible: bool) -> None:
        """Give the request up; ``visible`` means that the web server has a part of the answer already."""
        self._queue.clear()
        self.out_size = 0
        if visible:
            self._multiplexer.close_later(self.reactor.now + self.reactor.write_timeout)
        else:
            self._multiplexer.send([encode_end_request(self.request_id)], False)
        self.close()


class Multiplexer(Protocol):
    """The protocol of a connection with several requests in progress.

    Args:
        connection: the real one; its protocol so far is ``first``.
        gateway: its gateway.
        first: serves the request that was in progress; it goes on, on a stream.
        codec: the codec of ``first``.
        rest: what was received behind its records.
    """

    __slots__ = (
        "_codec",
        "_first",
        "_held",
        "_queued",
        "_records",
        "_rest",
        "_streams",
        "_waiting",
        "closing",
        "connection",
        "gateway",
        "lost",
    )

    def __init__(self, connection: Connection, gateway: Gateway, first: Any, codec: FastcgiCodec, rest: bytes) -> None:
        self.connection = connection
        self.gateway = gateway
        connection.protocol = self
        self.closing = False  # no other request is to come
        self.lost = False
        self._records = Demultiplexer()
        self._codec = codec.without_request()
        self._first = first  # makes the others
        self._streams: dict[int, Stream] = {}
        self._held: set[Stream] = set()
        self._queued: deque[Stream] = deque()
        self._waiting = False
        self._rest = rest
        stream = self._adopt(codec.request_id)
        stream.protocol = first
        stream.deadline = connection.deadline
        first.connection = stream
        connection.deadline = NEVER
        connection.start_reading()
        gateway.loop.call_soon(self._begin)

    # -- events of the connection --------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Behind the turn of the loop that found out."""
        if self.connection.state == OPEN and self._rest:
            self.guard(self, b"")

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        self._records.receive(data)
        try:
            while self.connection.state == OPEN and (run := self._records.next_run()) is not None:
                owner, piece = run
                if owner == NOBODY:
                    self._receive_strays(piece)
                    continue
                stream = self._streams.get(owner) or self._new_stream(owner)
                if stream is not None:
                    stream.deliver(piece)
        except RemoteProtocolError as error:
            label = self.connection.peer_label()
            self.gateway.log_peer_error(peer_errors.PROTOCOL_ERROR, f"fastcgi{label}: {error}")
            self.connection.lost()

    def eof_received(self) -> None:
        for stream in tuple(self._streams.values()):
            if stream.state == OPEN:
                self.guard(stream.protocol, None)
        if not self._streams or not self.gateway.half_close:
            self.connection.lost()

    def connection_lost(self) -> None:
        self.lost = True
        for stream in tuple(self._streams.values()):
            stream.cut()

    def deadline_passed(self) -> None:
        if self._streams:
            self.connection.lost()  # an answer was broken off, and the others did not end
        else:
            self.connection.finish(False)

    def shut_down(self) -> None:
        self.close_later(NEVER)

    def hurry(self, urgency: int) -> None:
        for stream in tuple(self._streams.values()):
            if stream.protocol is not None:
                stream.protocol.hurry(urgency)

    # -- calls of the streams ------------------------------------------------------------------------------------

    def guard(self, protocol: Any, data: bytes | None) -> None:
        """Give a protocol its data, or its end; where it fails, this connection ends, as ``Connection`` has it."""
        # Not a bound method as an argument: of one that is typed Cython makes something that C compilers from GCC 14 on
        # refuse.
        try:
            if data is None:
                protocol.eof_received()
            else:
                protocol.data_received(data)
        except Exception:
            logger.exception("internal error while serving a connection; it was closed")
            self.connection.lost()

    def full(self) -> bool:
        """Whether what is written now would only wait."""
        return self.connection.out_size > self.gateway.high_water

    def send(self, pieces: list[Any], files: bool) -> None:
        """Write whole records."""
        if files:
            self.connection.write_files(pieces)
        else:
            self.connection.write_many(pieces)

    def enqueue(self, stream: Stream) -> None:
        """``stream`` has something to write when there is room."""
        if stream not in self._queued:
            self._queued.append(stream)
        if not self._waiting:
            self._waiting = True
            self.gateway.loop.when_done(self.connection.when_writable(), self._on_writable)

    def hold(self, stream: Stream) -> None:
        """Too much has arrived for ``stream``."""
        self._held.add(stream)
        self.connection.stop_reading()

    def release(self, stream: Stream) -> None:
        """The opposite of ``hold``."""
        if stream in self._held:
            self._held.discard(stream)
            if not self._held and self.connection.state == OPEN:
                self.connection.start_reading()

    def close_later(self, deadline: float) -> None:
        """The connection ends with the last request, or at ``deadline``."""
        self.closing = True
        self.connection.deadline = min(self.connection.deadline, deadline)
        if not self._streams:
            self.connection.finish(True)

    def ended(self, stream: Stream) -> None:
        """A stream has closed."""
        if self._streams.get(stream.request_id) is stream:
            del self._streams[stream.request_id]
            self._records.requests.discard(stream.request_id)
            self._codec.drain(stream.request_id)
        self.release(stream)
        if not self._streams and not self.lost:
            if self.closing or self.gateway.draining:
                self.connection.finish(True)
            else:
                self.connection.next_request(self.gateway.idle_timeout)

    # -- inside --------------------------------------------------------------------------------------------------

    def _adopt(self, request_id: int) -> Stream:
        stream = Stream(self, request_id)
        self._streams[request_id] = stream
        self._records.requests.add(request_id)
        stream.register()
        return stream

    def _new_stream(self, request_id: int) -> Stream | None:
        gateway = self.gateway
        # Of the connection itself and its requests only these count.
        if len(self._streams) >= self._codec.max_requests or gateway.is_full(self.connection):
            self._codec.drain(request_id)
            self.connection.write(encode_end_request(request_id, OVERLOADED))
            gateway.log_peer_error(
                peer_errors.OVERLOADED,
                f"fastcgi{self.connection.peer_label()}: more than {self._codec.max_requests} requests at once on one "
                f"connection (max_multiplexed), or {gateway.max_connections} in all (max_connections)",
            )
            return None
        stream = self._adopt(request_id)
        stream.deadline = gateway.now + gateway.head_timeout
        self._first.sibling(stream, self._codec.sibling())
        if not self.closing:
            self.connection.deadline = NEVER
        return stream

    def _receive_strays(self, data: bytes) -> None:
        """Management records, the rest of what was answered, and what belongs to no request."""
        codec = self._codec
        codec.receive(data)
        while codec.next_event() is not None:
            pass  # there are none, without a request
        output = codec.take_output()
        if output:
            self.connection.write(output)

    def _on_writable(self, future: asyncio.Future[bool]) -> None:
        self._waiting = False
        while self._queued and self.connection.state == OPEN and not self.full():
            stream = self._queued.popleft()
            if stream.send_queued():
                self._queued.append(stream)
        if self._queued and self.connection.state == OPEN:
            stream = self._queued.popleft()
            self.enqueue(stream)
