"""``--ws`` and ``--rpc``: a WebSocket from the command line, frames by wsproto.

Over SCGI in-band, over HTTP/1.1 (a URL, or the direct port) as browsers do. Lines of standard input become text
messages, messages become lines; the end of standard input closes with 1000.
"""

from __future__ import annotations

import base64
import json
import os
import select
import sys
from typing import TYPE_CHECKING, Any

import wsproto.connection
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage
from wsproto.utilities import RemoteProtocolError as WsprotoError
from wsproto.utilities import generate_accept_token

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.wire.client.events import AnswerReceived, BodyArrived

from .connecting import Clock
from .conversation import Conversation
from .failure import RECEIVE, STATUS, URL, CallFailed, failed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ssgi_gateway.wire.client.request import Request

    from .report import Report

__all__ = ["converse"]

READ = 65536
MAX_MESSAGE = 64 * 1024 * 1024
QUIET = 0.5
"""Seconds of silence after the end of standard input, before the WebSocket is closed: answers may be on their way."""
SUBPROTOCOL = "swill.1"


def converse(
    conversation: Conversation, request: Request, pairs: list[tuple[bytes, bytes]] | None, given: Any, report: Report
) -> int:
    """Open the WebSocket and talk; returns the exit status."""
    clock = Clock(given.max_time)
    socket = _Socket(conversation, clock, report)
    socket.open(request, pairs, SUBPROTOCOL if given.rpc else None)
    try:
        return _call_procedure(socket, given.rpc) if given.rpc else _pass_lines(socket)
    except CallFailed:
        raise
    except WsprotoError as error:
        raise CallFailed(RECEIVE, f"the peer broke the WebSocket protocol: {error}") from None
    except Exception as error:
        raise failed(error, answered=True, started=True) from None


class _Socket:
    """A WebSocket over the conversation's connection."""

    def __init__(self, conversation: Conversation, clock: Clock, report: Report) -> None:
        self._conversation = conversation
        self._clock = clock
        self._report = report
        self._frames = wsproto.connection.Connection(wsproto.connection.ConnectionType.CLIENT)
        self._pieces: list[Any] = []
        self._size = 0
        self.code: int | None = None
        self.reason = ""

    def fileno(self) -> int:
        """For select."""
        number: int = self._conversation.socket.fileno()
        return number

    def open(self, request: Request, pairs: Any, subprotocol: str | None) -> None:
        """The opening handshake (RFC 6455 4.1)."""
        key = base64.b64encode(os.urandom(16))
        wanted = [
            (b"upgrade", b"websocket"),
            (b"connection", b"Upgrade"),
            (b"sec-websocket-version", b"13"),
            (b"sec-websocket-key", key),
        ]
        if subprotocol:
            wanted.append((b"sec-websocket-protocol", subprotocol.encode()))
        request.headers += wanted
        request.upgrade = True
        if pairs is not None:
            pairs += [(b"HTTP_" + name.upper().replace(b"-", b"_"), value) for name, value in wanted]
        self._conversation.connect(self._clock)
        self._report.asked(request, pairs, "HTTP/1.1")
        body = []
        status = 0
        for event in self._conversation.exchange(request, 0, pairs, iter(()), self._clock):
            if isinstance(event, AnswerReceived):
                status = event.status
                accept = dict(event.headers).get(b"sec-websocket-accept")
                self._report.head(event, final=True)
                if status == 101 and accept != generate_accept_token(key):
                    raise CallFailed(RECEIVE, "the 101 does not answer this handshake (Sec-WebSocket-Accept)")
            elif isinstance(event, BodyArrived):
                body.append(event.data)
        if status != 101:
            words = b"".join(body)[:200].decode("utf-8", "replace").strip()
            raise CallFailed(STATUS, f"the WebSocket was refused with {status}{': ' if words else ''}{words}")
        codec = self._conversation.codec
        rest = codec.take_tunnel() if hasattr(codec, "take_tunnel") else b"".join(body)
        if rest:
            self._frames.receive_data(rest)

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        self._write(event)

    def close(self) -> None:
        """Begin the closing handshake."""
        if self._frames.state is wsproto.connection.ConnectionState.OPEN:
            self._write(CloseConnection(1000))

    def _write(self, event: Any) -> None:
        socket = self._conversation.socket
        socket.settimeout(self._clock.left())
        socket.sendall(self._frames.send(event))

    def read(self) -> Iterator[str | bytes]:
        """Read once; the messages that are complete."""
        socket = self._conversation.socket
        socket.settimeout(self._clock.left())
        data = socket.recv(READ)
        if not data:
            if self.code is None:
                raise CallFailed(RECEIVE, "the connection ended without a Close frame")
            return
        self._frames.receive_data(data)
        yield from self.messages()

    def messages(self) -> Iterator[str | bytes]:
        """Those that have arrived already."""
        for event in self._frames.events():
            if isinstance(event, TextMessage | BytesMessage):
                self._size += len(event.data)
                if self._size > MAX_MESSAGE:
                    raise CallFailed(RECEIVE, f"a message of more than {MAX_MESSAGE} bytes")
                if event.data:
                    self._pieces.append(event.data)
                if event.message_finished:
                    empty: Any = "" if isinstance(event, TextMessage) else b""
                    message = empty.join(self._pieces)
                    self._pieces, self._size = [], 0
                    yield message
            elif isinstance(event, Ping):
                self._report.note("ping")
                self._write(event.response())
            elif isinstance(event, CloseConnection):
                self.code, self.reason = int(event.code), event.reason or ""
                self._report.note(f"closed with {self.code} {self.reason}")
                if self._frames.state is wsproto.connection.ConnectionState.REMOTE_CLOSING:
                    self._write(event.response())

    def left(self, at_most: float | None) -> float | None:
        """Seconds for a wait."""
        return self._clock.left(at_most)


def _pass_lines(socket: _Socket) -> int:
    for message in socket.messages():
        _print(message)
    incoming: Any = sys.stdin.buffer
    listening = [socket, incoming]
    rest = b""
    while socket.code is None:
        readable, _, _ = select.select(listening, [], [], socket.left(None if incoming in listening else QUIET))
        if not readable and incoming not in listening:
            socket.close()
        if socket in readable:
            for message in socket.read():
                _print(message)
        if incoming in readable:
            data = os.read(incoming.fileno(), READ)
            *lines, rest = (rest + data).split(b"\n")
            if not data and rest:
                lines, rest = [rest], b""
            for line in lines:
                socket.send(line.decode("utf-8", "replace"))
            if not data:
                listening = [socket]
    if socket.code not in (1000, 1001, 1005):
        raise CallFailed(RECEIVE, f"the WebSocket was closed with {socket.code} {socket.reason}")
    return 0


def _print(message: str | bytes) -> None:
    sys.stdout.buffer.write((message.encode() if isinstance(message, str) else message) + b"\n")
    sys.stdout.buffer.flush()


def _call_procedure(socket: _Socket, words: list[str]) -> int:
    """One Swill request; each item of the answer is a line of JSON."""
    try:
        import msgspec
    except ImportError:
        raise ConfigurationError("call: --rpc needs msgspec: pip install 'ssgi-gateway[rpc]'") from None
    name, *rest = words
    try:
        data = json.loads(" ".join(rest)) if rest else None
    except ValueError as error:
        raise CallFailed(URL, f"--rpc {name}: {' '.join(rest)!r} is no JSON ({error})") from None
    conversation = _Conversation(socket, msgspec)
    streams_in, streams_out = conversation.shape(name)
    conversation.send(2, data, name, 0)
    if streams_in:
        conversation.send(2, None, name, 1)
    for kind, item in conversation.answer(2):
        if kind == ERROR:
            text = f"the procedure answered with error {item.get('code')}: {item.get('message')}"
            more = msgspec.json.encode(item["data"]).decode() if item.get("data") is not None else ""
            socket.close()
            raise CallFailed(STATUS, f"{text} {more}".strip())
        if kind == MESSAGE:
            sys.stdout.buffer.write(msgspec.json.encode(item) + b"\n")
            sys.stdout.buffer.flush()
        if kind == END_OF_STREAM or (kind == MESSAGE and not streams_out):
            break
    socket.close()
    return 0


MESSAGE, END_OF_STREAM, ERROR = 0, 1, 3


class _Conversation:
    """Swill's frames over a WebSocket."""

    def __init__(self, socket: _Socket, msgspec: Any) -> None:
        self._socket = socket
        self._encode, self._decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def send(self, seq: int, data: Any, rpc: str, kind: int) -> None:
        """Send a frame."""
        self._socket.send(self._encode([seq, data, rpc, kind]))

    def answer(self, seq: int) -> Iterator[tuple[int, Any]]:
        """Type and data of the frames of an answer, as they are taken."""
        while True:
            for message in list(self._socket.messages()) or self._socket.read():
                frame = self._frame(message)
                if frame[0] in (0, seq):
                    yield frame[2], frame[1]
            if self._socket.code is not None:
                raise CallFailed(RECEIVE, f"the WebSocket was closed with {self._socket.code} {self._socket.reason}")

    def _frame(self, message: str | bytes) -> list[Any]:
        """A message taken apart.

        Raises:
            CallFailed: it is no frame, and none that follows will be one.
        """
        try:
            frame = self._decode(message) if isinstance(message, bytes) else None
        except ValueError:
            frame = None
        if isinstance(frame, list) and len(frame) == 5:
            return frame
        raise CallFailed(RECEIVE, f"{message[:80]!r} is no frame of Swill: is this a path that serves it?")

    def shape(self, name: str) -> tuple[bool, bool]:
        """Whether the procedure's request and its answer are streams, which no frame of an answer shows.

        Where the server does not describe them, they are taken for single: the first item is shown.
        """
        shape = (False, False)
        self.send(1, None, "swill.introspect", 0)
        for kind, item in self.answer(1):
            if kind in (END_OF_STREAM, ERROR):
                break
            if kind == MESSAGE and item.get("name") == name:
                shape = (bool(item["request"]["streams"]), bool(item["response"]["streams"]))
        return shape
