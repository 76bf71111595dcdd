"""FastCGI as a client: a responder is asked, one request at a time, over a connection that is kept.

The records are those of ``wire.fastcgi.records``. Unknown record types and records of other requests are dropped, as
the specification allows (4.2). No sockets, no clock.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, Overloaded, RemoteProtocolError
from ssgi_gateway.wire.fastcgi.records import (
    ABORT_REQUEST,
    BEGIN_BODY,
    BEGIN_REQUEST,
    END_REQUEST,
    GET_VALUES,
    GET_VALUES_RESULT,
    HEADER,
    HEADER_SIZE,
    KEEP_CONN,
    PARAMS,
    RESPONDER,
    STDERR,
    STDIN,
    STDOUT,
    VERSION,
    decode_pairs,
    encode_end_request,
    encode_pair,
    encode_record,
    encode_stream,
)
from ssgi_gateway.wire.hints import answer_hint

from .cgi_answer import CgiAnswer
from .cgi_request import cgi_variables, key_of, usual_variables
from .events import AnswerEnded, AnswerReceived

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .request import Request

__all__ = ["NO_BODY", "FastcgiClient"]

REQUEST_ID: Final = 1
MAX_VALUES: Final = 64
"""Name-value pairs of one FCGI_GET_VALUES_RESULT."""
MAX_STDERR: Final = 65536
"""Bytes of STDERR that are kept; what is more is dropped."""

NO_BODY: Final = encode_record(STDIN, REQUEST_ID)
"""The end of STDIN."""
_STDOUT: Final = HEADER.pack(VERSION, STDOUT, REQUEST_ID, 0, 0)[:4]
_NO_STDOUT: Final = encode_record(STDOUT, REQUEST_ID)
_ENDED: Final = encode_end_request(REQUEST_ID)
"""How most answers begin and end."""

_STATUS: Final = struct.Struct(">IB3x")
_BEGIN: Final = encode_record(BEGIN_REQUEST, REQUEST_ID, BEGIN_BODY.pack(RESPONDER, KEEP_CONN))
_REFUSALS: Final = {
    1: "it cannot multiplex (FCGI_CANT_MPX_CONN)",
    3: "it is no responder (FCGI_UNKNOWN_ROLE)",
}


def _begun(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """BEGIN_REQUEST, and PARAMS to their end."""
    content = b"".join([encode_pair(name, value) for name, value in pairs])
    records = encode_stream(PARAMS, REQUEST_ID, b"", content)
    return b"".join([_BEGIN, *records, encode_record(PARAMS, REQUEST_ID)])


@lru_cache(maxsize=64)
def _usual(*key: Any) -> bytes:
    """A client of one page sends the same each time."""
    return _begun(usual_variables(*key))


class FastcgiClient:
    """One connection.

    Attributes:
        answer: the answer so far.
        stderr: what the application wrote to STDERR in this request.
        surplus: an answer came without a request; the next request would be taken for its.
        trace: called for each record with its direction, type and content, for those who want to watch.
    """

    __slots__ = (
        "_aborted",
        "_buffer",
        "_busy",
        "_held",
        "_left",
        "_silent",
        "_values",
        "answer",
        "stderr",
        "surplus",
        "trace",
    )

    def __init__(self, trace: Callable[[str, int, bytes], None] | None = None) -> None:
        self._buffer = b""
        self.answer = CgiAnswer("")
        self._busy = False
        self._aborted = False
        self._silent = False  # nothing of the answer has come
        self._held: AnswerReceived | None = None
        self._left = 0  # of a STDOUT record that is being read
        self._values: tuple[list[tuple[bytes, bytes]], bool] | None = None
        self.stderr = b""
        self.surplus = False
        self.trace = trace

    @property
    def done(self) -> bool:
        """Whether END_REQUEST has come."""
        return not self._busy

    @property
    def reusable(self) -> bool:
        """Whether another request may follow on this connection."""
        return not (self._busy or self.surplus)

    def begin(self, request: Request, length: int, pairs: list[tuple[bytes, bytes]] | None = None) -> bytes:
        """BEGIN_REQUEST and PARAMS; a ``length`` of -1 leaves CONTENT_LENGTH out.

        ``pairs`` are variables in place of those that follow from the request.
        """
        self.answer = CgiAnswer(request.method)
        self._busy = True
        self._aborted = False
        self._silent = not self._buffer and self.trace is None
        self._held = None
        self.stderr = b""
        if pairs is None and not request.cgi:
            return _usual(*key_of(request, length, False))
        return _begun(cgi_variables(request, length, scgi=False) if pairs is None else pairs)

    def encode(self, data: Any, more: bool) -> list[Any]:
        """STDIN records; the empty one ends the body."""
        return self.encode_many((data,) if data else (), more)

    def encode_many(self, pieces: Sequence[Any], more: bool) -> list[Any]:
        """Likewise for several pieces, none of them empty."""
        out: list[Any] = []
        for piece in pieces:
            out += encode_stream(STDIN, REQUEST_ID, b"", piece)
        if not more:
            out.append(NO_BODY)
        return out

    def abort(self) -> bytes:
        """ABORT_REQUEST; what the application still sends is dropped until its END_REQUEST."""
        self._aborted = True
        self._silent = False
        return encode_record(ABORT_REQUEST, REQUEST_ID)

    def ask_values(self, names: list[bytes]) -> bytes:
        """A GET_VALUES record (4.1)."""
        return encode_record(GET_VALUES, 0, b"".join([encode_pair(name, b"") for name in names]))

    def take_values(self) -> list[tuple[bytes, bytes]] | None:
        """The values of GET_VALUES_RESULT, once it has come.

        Raises:
            RemoteProtocolError: its name-value pairs are broken.
        """
        result, self._values = self._values, None
        if result is None:
            return None
        values, whole = result
        if not whole:
            raise RemoteProtocolError("the name-value pairs of its FCGI_GET_VALUES_RESULT are broken (FastCGI 3.4)")
        return values

    def receive(self, data: bytes) -> list[Any]:
        """Take bytes, ``b""`` for the end of the stream; gives the events they make.

        Raises:
            RemoteProtocolError: the framing is broken, or the answer is not whole; close.
            Overloaded: the application takes no more requests.
        """
        if not data:
            hint = answer_hint(bytes(self._buffer[:9]), "FastCGI")
            raise RemoteProtocolError(f"the application closed the connection without END_REQUEST{hint}")
        events: list[Any] = []
        try:
            if not (self._silent and self._take_whole(data, events)):
                self._take_records(data, events)
        except ClientError as error:
            self.surplus = True
            error.events = [*events, *error.events]
            raise
        return events

    def _take_records(self, data: bytes, events: list[Any]) -> None:
        view = self._buffer + data if self._buffer else data
        start = self._go_on(view, events) if self._left else 0
        while len(view) - start >= HEADER_SIZE:
            version, kind, request_id, size, padding = HEADER.unpack_from(view, start)
            if version != VERSION:
                begin = bytes(view[start : start + 9])
                raise RemoteProtocolError(f"a FastCGI record of version {version}{answer_hint(begin, 'FastCGI')}")
            end = start + HEADER_SIZE + size
            if end + padding > len(view):
                if kind == STDOUT and request_id == REQUEST_ID and self._busy and not padding and self.trace is None:
                    # What there is of a large record need not wait for the rest of it.
                    self._left = size
                    start = self._go_on(view, events, start + HEADER_SIZE)
                break
            content = view[start + HEADER_SIZE : end]
            start = end + padding
            if self.trace is not None:
                self.trace("<", kind, content)
            if kind == STDOUT and request_id == REQUEST_ID and self._busy:
                if content and not self._aborted:  # an empty one ends the stream, which END_REQUEST does, too
                    self._stdout(content, events)
            else:
                self._record(kind, request_id, content, events)
        self._buffer = view[start:]

    def _take_whole(self, data: bytes, events: list[Any]) -> bool:
        """All of an answer, where it came at once and in one record, as small ones do; gives whether it did."""
        self._silent = False
        if not (data.startswith(_STDOUT) and data.endswith(_ENDED)):
            return False
        end = HEADER_SIZE + (data[4] << 8 | data[5])
        rest = len(data) - end - data[6]  # behind the padding
        if rest != 16 and (rest != 24 or data[-24:-16] != _NO_STDOUT):
            return False
        events += self.answer.receive_whole(data[HEADER_SIZE:end])
        self._busy = False
        return True

    def _go_on(self, view: bytes, events: list[Any], start: int = 0) -> int:
        """The content of a STDOUT record as far as it is there; gives where the next one begins."""
        content = view[start : start + self._left]
        self._left -= len(content)
        start += len(content)
        if content and not self._aborted:
            self._stdout(content, events)
        return start

    def _record(self, kind: int, request_id: int, content: bytes, events: list[Any]) -> None:
        if kind == GET_VALUES_RESULT and request_id == 0:
            self._values = decode_pairs(content, MAX_VALUES)
        elif request_id != REQUEST_ID:
            return
        elif not self._busy:
            self.surplus = self.surplus or kind in (STDOUT, STDERR, END_REQUEST)
        elif kind == STDERR:
            self.stderr += content[: MAX_STDERR - len(self.stderr)]
        elif kind == END_REQUEST:
            self._end(content, events)

    def _stdout(self, content: bytes, events: list[Any]) -> None:
        for event in self.answer.receive(content):
            # An answer without a body is reported with END_REQUEST: it may have STDERR, or a status of its own.
            if type(event) is AnswerReceived and not event.more:
                self._held = event
            else:
                events.append(event)

    def _end(self, content: bytes, events: list[Any]) -> None:
        if len(content) < 8:
            raise RemoteProtocolError("an END_REQUEST record that is too short")
        app_status, protocol_status = _STATUS.unpack_from(content)
        self._busy = False
        if self._aborted:
            return
        if protocol_status == 2:
            raise Overloaded("the FastCGI application takes no more requests (FCGI_OVERLOADED)")
        if protocol_status:
            why = _REFUSALS.get(protocol_status, f"protocol status {protocol_status}")
            raise RemoteProtocolError(f"the FastCGI application refused the request: {why}")
        ended = self.answer.end()
        head = self._held
        if head is not None:
            head.more = bool(self.stderr or app_status)
            events.append(head)
            ended = [AnswerEnded()] if head.more else []
        for event in ended:
            event.stderr = self.stderr
            event.app_status = app_status
            events.append(event)
