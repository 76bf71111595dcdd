"""What every request codec offers the server: bytes in, events out, pieces of the answer in, bytes out.

One object serves one connection and carries one request at a time. It is a class, and not a ``Protocol``, so that
compiled calls through it cost what a C call costs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ssgi_gateway.wire.file_slice import FileSlice

    from .response_head import ResponseHead


class Codec:
    """The base of the SCGI, FastCGI and upgrade codecs.

    Attributes:
        busy: a request is between its head and ``finish()``.
        head_size: bytes of the last head that was encoded, for who knows what the peer takes.
        kept_by_clients: the peer is a client, or may be one, and keeps connections by HTTP's rules.
        closing: nothing more will be read; once ``take_output()`` was sent the connection is to be closed.
        protocol: the name in logs and in ``extensions``.
        serves_http: ordinary requests may come this way.
        shows_connection: the peer speaks HTTP itself, so ``Connection`` is here if it was sent. The web servers behind
            the other protocols may keep it, which is hop-by-hop, for themselves.
        may_send_trailing: the peer may send something after the end of its request, which must not meet a closed
            connection.
        supports_upgrade: a 101 answer turns the connection into a two-way stream here.
    """

    __slots__ = (
        "busy",
        "head_size",
        "kept_by_clients",
        "may_send_trailing",
        "protocol",
        "serves_http",
        "shows_connection",
        "supports_upgrade",
    )

    def __init__(
        self, protocol: str, serves_http: bool, supports_upgrade: bool, may_send_trailing: bool = False
    ) -> None:
        self._init_base(protocol, serves_http, supports_upgrade, may_send_trailing)

    def _init_base(self, protocol: str, serves_http: bool, supports_upgrade: bool, may_send_trailing: bool) -> None:
        """What ``__init__`` does: see "Plain classes" in ARCHITECTURE.md."""
        self.protocol = protocol
        self.serves_http = serves_http
        self.supports_upgrade = supports_upgrade
        self.may_send_trailing = may_send_trailing
        self.kept_by_clients = False
        self.shows_connection = False
        self.busy = False
        self.head_size = 0

    @property
    def closing(self) -> bool:
        """Whether the codec has ended the connection by an automatic answer."""
        return False

    def receive(self, data: bytes) -> None:
        """Take bytes from the peer; ``b""`` means that no more will come."""
        raise NotImplementedError

    def next_event(self) -> Any:
        """The next event, or ``None`` (``NEED_DATA``).

        Raises:
            RequestRejected: the request is framed well and cannot be served: answer, then close.
            RemoteProtocolError: the framing is broken: close.
        """
        raise NotImplementedError

    def encode(self, head: ResponseHead | None, data: Any, end: bool) -> list[Any]:
        """The buffers to write for a piece of the current answer.

        Args:
            head: before the first piece, otherwise ``None``. The codec asks it for the form its protocol has.
            data: bytes-like or ``None``; large data is not copied.
            end: whether this is the last piece.
        """
        raise NotImplementedError

    def frame_file(self, file: FileSlice) -> list[Any]:
        """What to write for a part of a file; the head and the end go through ``encode``."""
        return [file]

    def abort_response(self) -> bytes:
        """What to write before closing in the middle of an answer, so that the answer does not look complete."""
        return b""

    def take_output(self) -> bytes:
        """Automatic answers that wait to be sent."""
        return b""

    def finish(self) -> bool:
        """The answer is complete; returns whether the connection can carry another request."""
        raise NotImplementedError

    def invite(self) -> bytes:
        """What makes the peer send the body, where it waits for an invitation; called when the application reads."""
        return b""

    def uninvited(self) -> bool:
        """Whether the peer waits for an invitation to send the body."""
        return False

    def waiting(self) -> bool:
        """After ``finish()``: whether something of a next request has arrived already."""
        return False

    def full(self) -> bool:
        """Whether so much waits behind the current request that no more should be read."""
        return False

    def shut_down(self) -> None:
        """The server drains: announce it with the next answer, where the protocol has words for it."""

    def incomplete(self) -> bool:
        """Whether the peer has begun something that is not complete."""
        raise NotImplementedError

    def trailing_data(self) -> bytes:
        """What came behind a request that was answered with 101: the first bytes of the stream."""
        return b""
