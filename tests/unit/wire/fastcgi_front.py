"""A web server's end of a FastCGI connection, to hold against the codec: builds records, drives, writes down.

``Front`` calls the codec as the server does: every event there is, then ``take_output()``. What it is told is kept
as short tuples, pieces of the body joined, so that two runs over the same bytes in different splits compare equal.
"""

from __future__ import annotations

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestAborted, RequestEnded, RequestsInterleaved
from ssgi_gateway.wire.fastcgi.codec import FastcgiCodec
from ssgi_gateway.wire.fastcgi.records import (
    BEGIN_BODY,
    BEGIN_REQUEST,
    END_REQUEST,
    HEADER,
    KEEP_CONN,
    PARAMS,
    REQUEST_COMPLETE,
    RESPONDER,
    STDIN,
    STDOUT,
    encode_pair,
    encode_record,
)
from tests.unit.wire.blocks import Block
from tests.unit.wire.transcript import cuts

HEAD = b"Status: 200 OK\r\n\r\n"
ENDED, ABORTED, INTERLEAVED = ("ended",), ("aborted",), ("interleaved",)


def record(kind, request_id=1, content=b"", padding=0):
    return HEADER.pack(1, kind, request_id, len(content), padding) + content + b"\xaa" * padding


def begin(request_id=1, role=RESPONDER, flags=KEEP_CONN):
    return encode_record(BEGIN_REQUEST, request_id, BEGIN_BODY.pack(role, flags))


def pairs(variables):
    items = variables.items() if isinstance(variables, dict) else variables
    return b"".join(encode_pair(name, value) for name, value in items)


def params(variables, request_id=1):
    return record(PARAMS, request_id, pairs(variables)) + record(PARAMS, request_id)


def stdin(*pieces, request_id=1):
    return b"".join(record(STDIN, request_id, piece) for piece in (*pieces, b""))


GET = {b"REQUEST_METHOD": b"GET", b"REQUEST_URI": b"/"}
GET_TOLD = [("head", {"REQUEST_METHOD": "GET", "REQUEST_URI": "/"}, -1), ENDED]


def post(length):
    return {b"REQUEST_METHOD": b"POST", b"CONTENT_LENGTH": length}


def get(request_id=1, flags=KEEP_CONN):
    """A whole request without a body."""
    return begin(request_id, flags=flags) + params(GET, request_id) + stdin(request_id=request_id)


def end_request(request_id=1, protocol_status=REQUEST_COMPLETE):
    """END_REQUEST as ``flup_records`` shows it."""
    return (END_REQUEST, request_id, bytes((0, 0, 0, 0, protocol_status, 0, 0, 0)))


def answered(request_id=1, content=HEAD + b"ok"):
    """What ``Front.answer`` writes, as ``flup_records`` shows it."""
    return [(STDOUT, request_id, content), (STDOUT, request_id, b""), end_request(request_id)]


class Front:
    """Feeds a codec and answers what it tells.

    Args:
        limits: the codec's.
        answering: answer every request as soon as it has ended, was rejected or was aborted.
        early: answer as soon as the head is there.
    """

    def __init__(self, limits=None, answering=True, early=False):
        self.codec = FastcgiCodec(limits or WireLimits())
        self.told = []
        self.output = b""  # the automatic answers
        self.answers = b""
        self._answering = answering
        self._early = early

    def send(self, data):
        if INTERLEAVED in self.told:
            return self  # from here on a demultiplexer has to stand between
        self.codec.receive(data)
        while True:
            try:
                event = self.codec.next_event()
            except RequestRejected as error:
                self._tell(("rejected", error.status))
            except RemoteProtocolError as error:
                self._tell(("broken", str(error)))
                break
            else:
                if event is None:
                    break
                self._tell(summary(event))
        self.output += self.codec.take_output()
        return self

    def eof(self):
        return self.send(b"")

    def answer(self, body=b"ok", head=HEAD):
        self.answers += b"".join(self.codec.encode(Block(head), body, True))
        return self.codec.finish()

    def give_up(self):
        """What the server does for an application whose client has disconnected."""
        self.answers += b"".join(self.codec.encode(None, None, True))
        return self.codec.finish()

    def outcome(self):
        return self.told, self.output, self.answers, self.codec.closing, self.codec.busy, self.codec.incomplete()

    def _tell(self, told):
        if told[0] == "body" and self.told and self.told[-1][0] == "body":
            told = ("body", self.told.pop()[1] + told[1])
        self.told.append(told)
        due = (
            self._early
            if told[0] == "head"
            else self._answering and (told in (ENDED, ABORTED) or told[0] == "rejected")
        )
        if due and self.codec.busy:
            self.give_up() if told == ABORTED else self.answer()


def summary(event):
    if isinstance(event, HeadReceived):
        return ("head", dict(event.variables.items()), event.body_length)
    if isinstance(event, BodyReceived):
        assert event.data
        return ("body", event.data)
    return {RequestEnded: ENDED, RequestAborted: ABORTED, RequestsInterleaved: INTERLEAVED}[type(event)]


def converse(wire, *, eof=False, limits=None, answering=True, early=False):
    """Play ``wire`` whole and cut in every way of ``cuts``; all must come to the same, which is returned."""

    def run(pieces):
        front = Front(limits, answering, early)
        for piece in pieces:
            front.send(piece)
        return front.eof() if eof else front

    whole = run([wire])
    for pieces in cuts(wire):
        assert run(pieces).outcome() == whole.outcome(), f"cut after {len(pieces[0])} of {len(wire)} bytes"
    return whole
