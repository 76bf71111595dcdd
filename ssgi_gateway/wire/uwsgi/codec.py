# cython: boundscheck=False, wraparound=False
"""uwsgi: one request and one answer a connection, the variables in a packet. One source for both builds.

A request is a header of four bytes, the variables, and the body of CONTENT_LENGTH bytes (uwsgi-docs, Protocol)::

    modifier1 (1)   size of the variables (2, little-endian)   modifier2 (1)
    then each variable: size (2), name, size (2), value

* modifier1 and modifier2 are 0, as nginx, Apache and Cherokee send for WSGI; a request with another is none for us, and
  the message names the directive.
* The size has 16 bits, so a head of more than 65,535 bytes cannot be sent: nginx answers 500 by itself and logs
  "uwsgi request is too big". Over SCGI and FastCGI it can.
* A variable that would end behind the packet, and a name of no bytes, end the connection. Too many are 431.
* CONTENT_LENGTH missing or empty is no body, unless the client declared one in chunks: then the web server
  has not collected it (``uwsgi_request_buffering off``), its end is not known, and it is 411.
* The answer is one of HTTP, as uWSGI gives it. nginx and lighttpd would take a CGI block as well; Apache's
  mod_proxy_uwsgi answers 502 to one, and uWSGI's own routers hand it to the client as it is. Of a 101 nginx makes a
  tunnel, so WebSockets go in-band.
* Bytes behind the body are ignored. The end of what the web server sends is a client that disconnected, before and
  after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.wire import buffers
from ssgi_gateway.wire.hints import hint

from ..cgi import read_content_length
from ..codec import Codec
from ..events import BodyReceived, Event, HeadReceived, RequestAborted, RequestEnded
from . import packet
from .packet import head_end, speaks_of_body, variables_of_packet

if TYPE_CHECKING:
    from ssgi_gateway.settings import WireLimits

    from ..response_head import ResponseHead

__all__ = ["TRANSITIONS", "UwsgiCodec"]

# States of a connection.
IDLE: Final = 0  # nothing has arrived
HEAD: Final = 1  # a part of the head has
BODY: Final = 2  # the head was delivered, the body is arriving
COMPLETE: Final = 3  # the whole request was delivered
CLOSED: Final = 4  # nothing is read any more

TRANSITIONS: Final = {
    # state: {what happens: the next state}
    IDLE: {"bytes": HEAD, "eof": CLOSED, "finished": CLOSED},
    HEAD: {"bytes": HEAD, "head read": BODY, "refused": CLOSED, "eof": CLOSED, "finished": CLOSED},
    BODY: {"bytes": BODY, "body read": COMPLETE, "eof": CLOSED, "finished": CLOSED},
    COMPLETE: {"bytes": COMPLETE, "eof": CLOSED, "finished": CLOSED},
    CLOSED: {"bytes": CLOSED, "eof": CLOSED, "finished": CLOSED},
}
"""For readers and tests; each assignment below is one of these."""

# How far the answer is.
NOTHING_SENT: Final = 0
HEAD_SENT: Final = 1
ALL_SENT: Final = 2

ENDED: Final = RequestEnded()

HEADER_SIZE: Final = packet.HEADER_SIZE

MAX_JOINED: Final = buffers.MAX_JOINED
"""A payload up to here is copied behind the head: one buffer to send costs less than two."""


class UwsgiCodec(Codec):
    """The application's side of one uwsgi connection.

    Args:
        limits: bounds on the head.
    """

    __slots__ = (
        "_answer",
        "_buffer",
        "_delivered",
        "_error",
        "_events",
        "_left",
        "_max_head",
        "_max_variables",
        "_state",
    )

    def __init__(self, limits: WireLimits) -> None:
        self.init(limits.max_head_size, limits.max_variables)

    def init(self, max_head: int, max_variables: int) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self._init_base("uwsgi", True, True, False)
        self._max_head = max_head
        self._max_variables = max_variables
        self._state = IDLE
        self._answer = NOTHING_SENT
        self._buffer = b""  # a head that is not complete yet
        self._left = 0  # bytes of the body that have not come
        self._events: list[Event] = []  # what arrived, of which the first _delivered were delivered
        self._delivered = 0
        self._error: RemoteProtocolError | None = None

    def for_connection(self, _: int) -> UwsgiCodec:
        """A codec with the same bounds, for another connection."""
        codec = UwsgiCodec.__new__(UwsgiCodec)
        codec.init(self._max_head, self._max_variables)
        return codec

    # -- reading -------------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> None:
        """Take what arrived; ``b""`` is the end of what the web server sends."""
        if not data:
            self._receive_eof()
            return
        try:
            if self._state == BODY:
                self._read_body(data, 0)
            elif self._state <= HEAD:
                self._state = HEAD
                self._read_head(self._buffer + data if self._buffer else data)
        except RemoteProtocolError as error:
            self._error = error
            self._state = CLOSED
            self._buffer = b""

    def next_event(self) -> Any:
        """The next thing that arrived, or ``None``.

        Raises:
            RequestRejected: a request that is to be answered with this status, then closed.
            RemoteProtocolError: no uwsgi; to be closed.
        """
        delivered, events = self._delivered, self._events
        if delivered < len(events):
            event = events[delivered]
            self._delivered = delivered + 1
            if self._delivered == len(events):
                self._delivered = 0
                events.clear()
            return event
        if self._error is not None:
            raise self._error
        return None

    def incomplete(self) -> bool:
        """Whether something was begun and not finished: a head, a request or its answer."""
        return self._state != IDLE and self._state != CLOSED

    def _receive_eof(self) -> None:
        state = self._state
        self._state = CLOSED
        if state == HEAD:
            size = len(self._buffer)
            self._error = RemoteProtocolError(
                f"the connection ended {size} bytes into a head{hint(self._buffer[:32], 'uwsgi')}"
            )
        elif state in (BODY, COMPLETE):
            self._events.append(RequestAborted())

    def _read_head(self, data: bytes) -> None:
        """Keep ``data`` until the head is complete, then deliver it and what follows."""
        end = head_end(data)
        if end - HEADER_SIZE > self._max_head:
            raise RequestRejected(431, f"the request variables exceed {self._max_head} bytes")
        if not end or len(data) < end:
            self._buffer = data
            return
        self._buffer = b""
        variables = variables_of_packet(data, HEADER_SIZE, end, self._max_variables)
        text = variables.get("CONTENT_LENGTH")
        if text is None or not text:
            self._left = body_unannounced(data, end, self._max_variables)
        elif text != "0":
            self._left = read_content_length(text)
        head = HeadReceived.__new__(HeadReceived)
        head.variables = variables
        head.body_length = self._left
        self._events.append(head)
        self.busy = True
        self._state = BODY
        self._read_body(data, end)

    def _read_body(self, data: bytes, at: int) -> None:
        """The body's bytes from ``at``; what is behind them is ignored."""
        size = len(data) - at
        if size > self._left:
            size = self._left
        if size > 0:
            self._left -= size
            self._events.append(BodyReceived(data if size == len(data) else data[at : at + size]))
        if not self._left:
            self._state = COMPLETE
            self._events.append(ENDED)

    # -- writing -------------------------------------------------------------------------------------------------

    def encode(self, head: ResponseHead | None, data: Any, end: bool) -> list[Any]:
        """What to write for a piece of the answer; see ``ScgiCodec.encode``.

        Raises:
            LocalProtocolError: a payload before the head, a second head, anything after the end.
        """
        size = 0
        if data is not None:
            if type(data) is not bytes:
                data = buffers.kept(data)
            size = len(data)
        if head is not None:
            self._step(NOTHING_SENT, HEAD_SENT)
        if size:
            self._step(HEAD_SENT, HEAD_SENT)
        if end and self._answer != NOTHING_SENT:
            self._step(HEAD_SENT, ALL_SENT)
        if head is None:
            return [data] if size else []
        block = head.encode_http()
        self.head_size = len(block)
        if not size:
            return [block]
        if size > MAX_JOINED:
            return [block, data]
        payload: bytes = data
        return [block + payload]

    def _step(self, wanted: int, following: int) -> None:
        if self._answer != wanted:
            expected = ("the head", "a payload or the end", "nothing more")[self._answer]
            raise LocalProtocolError(f"this piece does not belong here: {expected} was expected")
        self._answer = following

    def finish(self) -> bool:
        """The answer is complete; returns False, for a uwsgi connection carries no second request."""
        self._state = CLOSED
        self.busy = False
        return False


def body_unannounced(data: bytes, end: int, limit: int) -> int:
    """The length of a body without CONTENT_LENGTH: 0. The variables are ``data`` up to ``end``.

    Raises:
        RequestRejected: 411, the client sends one in chunks, or declared another length.
    """
    if not speaks_of_body(data, end):
        return 0
    for name, value in packet.read_pairs(data, HEADER_SIZE, end, limit):
        if name in (b"HTTP_TRANSFER_ENCODING", b"HTTP_CONTENT_LENGTH") and value not in (b"", b"0"):
            raise RequestRejected(
                411,
                "the length of the body is not known: set uwsgi_request_buffering on and uwsgi_param CONTENT_LENGTH "
                "$content_length, or use FastCGI",
            )
    return 0
