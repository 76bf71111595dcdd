"""One blocking connection and the exchanges on it: the codecs of ``wire/client``, driven without an event loop."""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.client.events import AnswerEnded, AnswerReceived

from .failure import CONNECT, NAME, CallFailed, failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ssgi_gateway.wire.client.request import Request

__all__ = ["Clock", "Conversation", "Target"]

READ = 262144
RECORD = 16384
"""Bytes of a TLS record, which is sent as a whole."""
NOTHING_MORE = memoryview(b"")


class Target(NamedTuple):
    """Where to connect, and how to speak there.

    ``protocol`` is ``scgi``, ``fastcgi`` or ``http``; ``path`` is a unix socket's.
    """

    protocol: str
    host: str
    port: int
    path: str = ""
    secure: bool = False

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path else f"{self.host} port {self.port}"


class Clock:
    """Seconds since the call began, and what is left of it."""

    def __init__(self, most: float | None) -> None:
        self.began = time.perf_counter()
        self._most = most
        self.marks: dict[str, float] = {}

    def mark(self, name: str) -> float:
        """Remember when something happened; gives the seconds."""
        seconds = self.marks[name] = time.perf_counter() - self.began
        return seconds

    def left(self, at_most: float | None = None) -> float | None:
        """Seconds for the next step.

        Raises:
            TimeoutError: there are none.
        """
        bounds = [] if at_most is None else [at_most]
        if self._most is not None:
            left = self._most - (time.perf_counter() - self.began)
            if left <= 0:
                raise TimeoutError(f"nothing more within {self._most:g} s")
            bounds.append(left)
        return min(bounds) if bounds else None


class Conversation:
    """A connection.

    Attributes:
        connects: how many connections were made.
        sent: bytes.
    """

    def __init__(self, target: Target, given: Any, note: Callable[[str], None], trace: Any) -> None:
        self.target = target
        self._given = given
        self._note = note
        self._trace = trace
        self._socket: Any = None
        self._codec: Any = None
        self.connects = 0
        self.sent = 0

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
        limit = self._given.connect_timeout
        try:
            if target.path:
                connected = socket.socket(socket.AF_UNIX)
                connected.settimeout(clock.left(limit))
                connected.connect(target.path)
            else:
                connected = socket.create_connection((target.host, target.port), clock.left(limit))
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            clock.mark("time_connect")
            if target.secure:
                connected = self._secure(connected)
                clock.mark("time_appconnect")
        except socket.gaierror as error:
            raise CallFailed(NAME, f"no address for {target.host}: {error.strerror}") from None
        except TimeoutError:
            raise CallFailed(28, f"no connection to {target} within {limit:g} s") from None
        except OSError as error:
            if type(error).__name__.startswith("SSL"):
                raise failed(error, answered=False, started=False) from None
            raise CallFailed(CONNECT, f"cannot connect to {target}: {_explained(error, target)}") from None
        self._socket = connected
        self.connects += 1
        self._codec = self.make_codec()
        self._note(f"Connected to {target} ({clock.marks.get('time_connect', 0) * 1000:.1f} ms)")

    def _secure(self, connected: socket.socket) -> Any:
        import ssl

        context = ssl.create_default_context(cafile=self._given.cacert)
        if self._given.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        secured = context.wrap_socket(connected, server_hostname=self.target.host)
        cipher = secured.cipher()
        self._note(f"TLS: {secured.version()}, {cipher[0] if cipher else 'no cipher'}")
        return secured

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
        """Ask; yields the events of the answer as they come.

        Raises:
            CallFailed: there was no whole answer.
        """
        answered = started = False
        try:
            for data in self._talk(self.head(request, length, pairs), pieces, clock):
                if data and not started:
                    started = True
                    clock.mark("time_starttransfer")
                for event in self._codec.receive(data):
                    answered = answered or isinstance(event, AnswerReceived)
                    yield event
                    if isinstance(event, AnswerEnded) or (isinstance(event, AnswerReceived) and not event.more):
                        self._settle(isinstance(event, AnswerReceived) and event.tunnel)
                        return
                if not data:
                    raise RemoteProtocolError("the peer closed the connection")
        except GeneratorExit:
            raise
        except Exception as error:
            self.close()
            raise failed(error, answered, started) from None

    def _settle(self, tunnel: bool) -> None:
        """Keep the connection, or not."""
        if tunnel:
            return
        kept = self.target.protocol == "fastcgi" or getattr(self._codec, "reusable", False)
        if not kept or self.target.protocol == "scgi":
            self.close()

    def _talk(self, head: bytes, pieces: Iterator[tuple[bytes | memoryview, bool]], clock: Clock) -> Iterator[bytes]:
        """Send, and meanwhile give what comes: an answer need not wait for the end of its request."""
        first, more = next(pieces, (b"", False))
        waiting = memoryview(b"".join([head, *self._encode(first, more)]))
        clock.mark("time_pretransfer")
        connection = self._socket
        while True:
            left = clock.left()
            if isinstance(left, float):
                connection.settimeout(left)
            if waiting:
                readable, writable, _ = select.select([connection], [connection], [], left)
                if not readable and not writable:
                    continue
                if writable:
                    sent = self._send(waiting)
                    self.sent += max(sent, 0)
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


def _explained(error: OSError, target: Target) -> str:
    """The system's words, and what is behind them where a socket file is."""
    words = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        return f"{words}: there is no such socket; is the gateway running?"
    if isinstance(error, PermissionError):
        return f"{words}: this user may not write to {target.path}; see --socket-mode, --socket-owner"
    if isinstance(error, ConnectionRefusedError) and target.path:
        return f"{words}: the socket exists and no process listens on it; the gateway has ended"
    return words
