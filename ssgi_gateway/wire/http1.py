"""HTTP/1.1 as far as a WebSocket needs it: the direct port's codec. Heads are read by h11.

The rules of this module:

* One request a connection, and it is an upgrade: every other one is refused with a status and words that say what is
  served here. Bytes of another protocol are refused under its name.
* The head is turned into the CGI variables a web server would have sent, so that nothing behind this module knows the
  difference. Field names with an underscore are left out, as nginx does: as variables ``X_Forwarded_For`` and
  ``X-Forwarded-For`` are the same.
* ``X-Forwarded-*`` and ``Forwarded`` are taken from trusted peers only, and before the request is used.
* Answers leave as HTTP/1.1. All but 101 end with the connection.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import h11

from ssgi_gateway.errors import RemoteProtocolError, RequestRejected
from ssgi_gateway.wire.forwarded import TrustedPeers, forwarded_variables, trusted_peers
from ssgi_gateway.wire.hints import hint
from ssgi_gateway.wire.websocket.handshake import require_connection, require_upgrade

from .codec import Codec
from .events import Event, HeadReceived, RequestAborted, RequestEnded
from .variables import Variables

if TYPE_CHECKING:
    from ssgi_gateway.settings import WireLimits

    from .response_head import ResponseHead

__all__ = ["MAX_TRAILING", "UpgradeCodec", "address_variables"]

MAX_TRAILING: Final = 262144
"""Bytes kept for the WebSocket while the application makes up its mind. A client has nothing to send before it has seen
101 (RFC 6455 4.1); one that does gets as far as a single read of the server's."""

NEEDED_TO_NAME: Final = 16
"""So many bytes are enough to name any protocol that is mistaken for HTTP."""

# No method has a colon (RFC 9110 5.6.2), so h11 would wait for the end of a head that never comes.
_scgi = re.compile(rb"[0-9]+:")

_NO_UPGRADE: Final = b"Connection: close\r\n"
_UPGRADE_REQUIRED: Final = b"Upgrade: websocket\r\nConnection: Upgrade, close\r\n"


class UpgradeCodec(Codec):
    """One connection to the direct port, until it is a WebSocket.

    Args:
        limits: bounds of the head.
        server: this side's address: ``(host, port, ...)``, or a path.
        client: the peer's.
        trusted: the peers whose ``X-Forwarded-*`` and ``Forwarded`` are believed.
    """

    __slots__ = (
        "_client",
        "_ended",
        "_events",
        "_http",
        "_limits",
        "_received",
        "_server",
        "_start",
        "_trailing",
        "_trusted",
    )

    def __init__(self, limits: WireLimits, server: Any = "", client: Any = "", trusted: tuple[str, ...] = ()) -> None:
        super().__init__("websocket", serves_http=False, supports_upgrade=True)
        self.shows_connection = True
        self._limits = limits
        self._server = server
        self._client = client
        self._trusted = trusted_peers(trusted)
        # There is one for as long as the head is being read.
        self._http: h11.Connection | None = h11.Connection(h11.SERVER, limits.max_head_size)
        self._start = b""
        self._received = 0
        self._ended = False
        self._trailing = b""
        self._events: deque[Event] = deque()

    # Receiving

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come."""
        if not data:
            self._ended = True
            if self.busy:
                self._events.append(RequestAborted())
        elif self._http is not None:
            if len(self._start) < NEEDED_TO_NAME:
                self._start += data[: NEEDED_TO_NAME - len(self._start)]
            self._received += len(data)
            self._http.receive_data(data)
        elif self.busy:
            self._trailing += data

    def next_event(self) -> Event | None:
        """``HeadReceived`` and ``RequestEnded`` for an upgrade; ``RequestAborted`` after an early disconnect.

        Raises:
            RequestRejected: anything else has arrived: 400, 405, 426 or 431.
            RemoteProtocolError: the head broke off, or too many bytes came before the upgrade was answered.
        """
        if self._http is not None and self._start:
            self._read_head(self._http)
        if len(self._trailing) > MAX_TRAILING:
            raise RemoteProtocolError("too much data before the WebSocket handshake was answered")
        if self._ended and self._http is not None and self._start:
            self._http = None
            raise RemoteProtocolError("the connection ended inside the head of an HTTP request")
        return self._events.popleft() if self._events else None

    def _read_head(self, http: h11.Connection) -> None:
        try:
            if _scgi.match(self._start):
                raise self._invalid("no method has a colon")
            request = http.next_event()
            if isinstance(request, h11.Request):
                self._head_complete(request, http.trailing_data[0])
        except h11.RemoteProtocolError as error:
            self._http = None
            raise self._rejected(error) from None
        except RequestRejected:
            self._http = None
            raise

    def _rejected(self, error: h11.RemoteProtocolError) -> RequestRejected:
        if error.error_status_hint == 431:
            return self._head_too_large()
        return self._invalid(str(error)[:200])

    def _invalid(self, words: str) -> RequestRejected:
        return RequestRejected(400, f"no valid HTTP/1.1 request: {words}{hint(self._start, 'HTTP')}")

    def _head_too_large(self) -> RequestRejected:
        limits = self._limits
        words = f"the request's head has more than {limits.max_head_size} bytes or {limits.max_variables} fields"
        return RequestRejected(431, words)

    def _head_complete(self, request: h11.Request, trailing: bytes) -> None:
        # h11 bounds heads that are incomplete; one that came whole is measured here.
        if (
            self._received - len(trailing) > self._limits.max_head_size
            or len(request.headers) > self._limits.max_variables
        ):
            raise self._head_too_large()
        if request.http_version not in (b"1.0", b"1.1"):
            raise self._invalid("another version")
        variables = self._variables(request)
        require_upgrade(variables)
        require_connection(variables)
        if variables.get("CONTENT_LENGTH", "").strip("0") or any(n == b"transfer-encoding" for n, _ in request.headers):
            raise RequestRejected(400, "a WebSocket handshake has no body")
        self._http = None
        self._trailing = trailing
        self.busy = True
        self._events.extend((HeadReceived(variables, 0), RequestEnded()))

    def _variables(self, request: h11.Request) -> Variables:
        pairs = [*request_variables(request), *address_variables("SERVER", self._server)]
        pairs += address_variables("REMOTE", self._client)
        variables = Variables(pairs)
        if not is_trusted(self._client, self._trusted):
            return variables
        # As an attribute of a typed object it would be, compiled, a C function.
        header = getattr(variables, "header")  # noqa: B009
        changes = {
            name.encode(): value.encode("latin-1") for name, value in forwarded_variables(header, self._trusted).items()
        }
        if not changes:
            return variables
        return Variables([*((name, value) for name, value in pairs if name not in changes), *changes.items()])

    def incomplete(self) -> bool:
        """Whether a head has begun, or an upgrade waits for its answer."""
        return self.busy or (self._http is not None and bool(self._start))

    def trailing_data(self) -> bytes:
        """What came behind the handshake: the WebSocket's first bytes."""
        return self._trailing

    # Sending

    def encode(self, head: ResponseHead | None, data: Any, end: bool) -> list[Any]:
        """A piece of the answer: its head, then the body until the connection's end."""
        pieces: list[Any] = []
        if head is not None:
            pieces.append(encode_head(head))
            self.head_size = len(pieces[0])
        if data is not None and len(data):
            pieces.append(data)
        return pieces

    def finish(self) -> bool:
        """The answer is complete, and with it the connection."""
        self.busy = False
        return False


def encode_head(head: ResponseHead) -> bytes:
    """The head as HTTP/1.1 has it (RFC 9112 4), with the connection's own headers."""
    fields = b"" if head.status == 101 else _UPGRADE_REQUIRED if head.status == 426 else _NO_UPGRADE
    line = f"HTTP/1.1 {head.status} {head.reason}\r\n".encode("latin-1")
    return b"".join((line, fields, head.encode_fields(), b"\r\n"))


def request_variables(request: h11.Request) -> list[tuple[bytes, bytes]]:
    """The CGI variables of an HTTP/1.1 head (RFC 3875 4.1), repeats and all."""
    target = request.target
    pairs = [
        (b"REQUEST_METHOD", request.method),
        (b"REQUEST_URI", target),
        (b"QUERY_STRING", target.partition(b"?")[2]),
        (b"SERVER_PROTOCOL", b"HTTP/" + request.http_version),
        (b"REQUEST_SCHEME", b"http"),
    ]
    for name, value in request.headers:
        if b"_" in name:
            continue
        name = name.upper().replace(b"-", b"_")
        pairs.append((name if name in (b"CONTENT_LENGTH", b"CONTENT_TYPE") else b"HTTP_" + name, value))
    return pairs


def is_trusted(address: Any, trusted: TrustedPeers) -> bool:
    """Whether the peer at a socket's address is trusted; one that has left already has no address, and is not."""
    if isinstance(address, tuple):
        return address[0] != "" and address[0] in trusted
    return "" in trusted


def address_variables(prefix: str, address: Any) -> list[tuple[bytes, bytes]]:
    """SERVER_ADDR and SERVER_PORT, or REMOTE_ADDR and REMOTE_PORT, for a socket address.

    A unix socket is its path without a port; one without a name is left out.
    """
    if isinstance(address, tuple):
        if not address[0]:
            return []
        host, port = address[0].partition("%")[0], str(address[1])
        return [(f"{prefix}_ADDR".encode(), host.encode()), (f"{prefix}_PORT".encode(), port.encode())]
    path = address if isinstance(address, bytes) else address.encode("utf-8", "surrogateescape")
    return [(f"{prefix}_ADDR".encode(), path)] if path else []
