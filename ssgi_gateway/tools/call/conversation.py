"""One blocking connection and the exchanges on it: the codecs of ``wire/client``, driven without an event loop."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any

from ssgi_gateway.errors import ClientError, RemoteProtocolError
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived

from .connecting import open_socket, secured
from .failure import TIME, CallFailed, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ssgi_gateway.wire.client.request import Request

    from .connecting import Clock, Target

__all__ = ["Conversation"]

READ = 262144
RECORD = 16384
"""Bytes of a TLS record, which is sent as a whole."""
NOTHING_MORE = memoryview(b"")


class Conversation:
    """A connection.

    Attributes:
        connects: how many connections were made.
        begin: how the answer begins, nine bytes at most.
    """

    def __init__(self, target: Target, given: Any, note: Callable[[str], None], trace: Any) -> None:
        self.target = target
        self._given = given
        self._note = note
        self._trace = trace
        self._socket: Any = None
        self._codec: Any = None
        self.connects = 0
        self._sent = self._head_size = 0
        self._remote: Any = ""
        self.begin = b""

    # -- the connection --------------------------------------------------------------------------------------------

    def connect(self, clock: Clock) -> None:
        """Connect, if there is no connection that was kept.

        Raises:
            CallFailed: no server is there.
        """
        if self._socket is not None:
            return
        target = self.target
        self._note(f"Trying {target} ...")
        try:
            self._socket = connected = open_socket(target, self._given.connect_timeout, clock)
            self._remote = connected.getpeername()
            if target.secure:
                self._socket = secured(connected, target, self._given, clock)
                cipher = self._socket.cipher()
                self._note(f"TLS: {self._socket.version()}, {cipher[0] if cipher else 'no cipher'}")
        except TimeoutError as error:
            raise CallFailed(TIME, f"no connection to {target}: {error}") from None
        self.connects += 1
        self._codec = self.make_codec()
        self._note(f"Connected to {target} ({clock.marks.get('time_connect', 0) * 1000:.1f} ms)")

    def make_codec(self) -> Any:
        """The codec that a new connection gets."""
        if self.target.protocol == "scgi":
            from ssgi_gateway.wire.client.scgi import ScgiClient

            return ScgiClient()
        if self.target.protocol == "fastcgi":
            from ssgi_gateway.wire.client.fastcgi import FastcgiClient

            return FastcgiClient(self._trace)
        from ssgi_gateway.wire.client.http1 import Http1Client
        from ssgi_gateway.wire.client.http1_parsers import parser_factory

        return Http1Client(parser_factory())

    def close(self) -> None:
        """Close."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def facts(self) -> dict[str, Any]:
        """For ``-w``: what was sent in the last exchange, and where it went."""
        body = max(0, self._sent - self._head_size)
        ip, port = ("", "") if self.target.path else self._remote[:2]
        return {"size_request": self._sent - body, "size_upload": body, "remote_ip": ip, "remote_port": port}

    @property
    def codec(self) -> Any:
        """The codec of the connection."""
        return self._codec

    @property
    def socket(self) -> Any:
        """The socket, for tunnels."""
        return self._socket

    # -- exchanges -------------------------------------------------------------------------------------------------

    def head(self, request: Request, length: int, pairs: Any) -> bytes:
        """The bytes that begin the exchange."""
        codec = self._codec if self._codec is not None else self.make_codec()
        head: bytes = (
            codec.begin(request, request.target)
            if self.target.protocol == "http"
            else codec.begin(request, length, pairs)
        )
        self._show(head)
        return head

    def _show(self, data: bytes) -> None:
        """The records that go out, for those who want to watch."""
        if self.target.protocol != "fastcgi":
            return
        from ssgi_gateway.wire.fastcgi.records import HEADER, HEADER_SIZE

        start = 0
        while start + HEADER_SIZE <= len(data):
            _, kind, _, size, padding = HEADER.unpack_from(data, start)
            start += HEADER_SIZE
            self._trace(">", kind, data[start : start + size])
            start += size + padding

    def exchange(
        self, request: Request, length: int, pairs: Any, pieces: Iterator[tuple[bytes | memoryview, bool]], clock: Clock
    ) -> Iterator[Any]:
        """Send a request; yields the events of the answer as they come.

        Raises:
            CallFailed: there was no whole answer.
        """
        answered = started = tunnel = False
        self.begin = b""
        try:
            for data in self._talk(self.head(request, length, pairs), pieces, clock):
                if data and not started:
                    started = True
                    self.begin = data[:9]
                    clock.mark("time_starttransfer")
                for event in self._events(data):
                    answered = answered or isinstance(event, AnswerReceived)
                    yield event
                    if isinstance(event, AnswerReceived) and event.tunnel:
                        tunnel = True  # over SCGI its first bytes are the next event
                    elif isinstance(event, AnswerEnded) or (isinstance(event, AnswerReceived) and not event.more):
                        self._settle()
                        return
                if tunnel:
                    return
                if not data:
                    raise RemoteProtocolError("the peer closed the connection")
        except GeneratorExit:
            raise
        except TimeoutError:
            self.close()
            raise CallFailed(TIME, f"no {'complete ' if started else ''}answer {clock.words}") from None
        except Exception as error:
            self.close()
            raise failed(error, answered, started) from None

    def _events(self, data: bytes) -> Iterator[Any]:
        """Of these bytes; an error comes behind what was read before it."""
        try:
            yield from self._codec.receive(data)
        except ClientError as error:
            yield from error.events
            raise

    def _settle(self) -> None:
        """Keep the connection, or not."""
        kept = self.target.protocol == "fastcgi" or getattr(self._codec, "reusable", False)
        if not kept or self.target.protocol == "scgi":
            self.close()

    def _talk(self, head: bytes, pieces: Iterator[tuple[bytes | memoryview, bool]], clock: Clock) -> Iterator[bytes]:
        """Send, and meanwhile give what comes: an answer need not wait for the end of its request."""
        first, more = next(pieces, (b"", False))
        self._sent, self._head_size = 0, len(head)
        waiting = memoryview(b"".join([head, *self._encode(first, more)]))
        clock.mark("time_pretransfer")
        connection = self._socket
        while True:
            left = clock.left()
            connection.settimeout(left)
            if waiting:
                readable, writable, _ = select.select([connection], [connection], [], left)
                if not readable and not writable:
                    continue
                if writable:
                    sent = self._send(waiting)
                    self._sent += max(sent, 0)
                    waiting = waiting[sent:] if sent >= 0 else NOTHING_MORE
                    more = more and sent >= 0
                if not readable:
                    continue
            elif more:
                piece, more = next(pieces, (b"", False))
                waiting = memoryview(b"".join(self._encode(piece, more)))
                continue
            data = connection.recv(READ)
            yield data
            if not data:
                return

    def _send(self, data: memoryview) -> int:
        """How many bytes went, without waiting; -1 when the peer takes no more: it may have answered already."""
        try:
            sent: int = (
                self._socket.send(data[:RECORD]) if self.target.secure else self._socket.send(data, socket.MSG_DONTWAIT)
            )
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            return -1
        return sent

    def _encode(self, data: bytes | memoryview, more: bool) -> list[Any]:
        pieces: list[Any] = self._codec.encode(data, more)
        if self.target.protocol == "fastcgi":
            self._show(b"".join(pieces))
        return pieces
