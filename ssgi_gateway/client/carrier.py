"""What carries exchanges on one connection: the base of them.

A carrier is the protocol of its connection. It knows the codec and the deadlines; the pool, which exchange is next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from ssgi_gateway.errors import ClientError, RemoteProtocolError

from ..server.system import addresses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .exchange import Exchange
    from .place import Place
    from .pool import Pool

__all__ = ["Carrier"]


class Carrier:
    """The base.

    Attributes:
        pool, place: where it belongs.
        stream: the connection, or TLS on it.
        connection: the connection.
        born: when it was opened, in the loop's time.
        served: requests so far.
        closed: nothing can be done with it any more.
    """

    __slots__ = ("born", "closed", "connection", "place", "pool", "served", "stream")

    http_version: ClassVar[str] = ""

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        self.pool = pool
        self.place = place
        self.stream = stream
        self.connection = getattr(stream, "connection", stream)
        self.born = pool.reactor.loop.time()
        self.served = 0
        self.closed = False
        stream.protocol = self

    @property
    def room(self) -> int:
        """Exchanges that can be begun now."""
        raise NotImplementedError

    @property
    def settled(self) -> bool:
        """Whether its ``room`` is known."""
        return True

    def begin(self, exchange: Exchange) -> None:
        """Write the head, and the first piece of the body."""
        raise NotImplementedError

    def send(self, exchange: Exchange, pieces: Sequence[Any], more: bool) -> Any:
        """Further pieces of the body; returns what to wait for, or ``None``."""
        raise NotImplementedError

    def send_tunnel(self, exchange: Exchange, data: Any, more: bool) -> Any:
        """Bytes of a tunnel."""
        raise NotImplementedError

    def taken(self, exchange: Exchange, size: int) -> None:
        """The asking side has read so much."""
        raise NotImplementedError

    def abandon(self, exchange: Exchange) -> None:
        """The requesting side has given up."""
        raise NotImplementedError

    def rest(self) -> None:
        """It is not needed now."""
        limits = self.pool.limits
        self.connection.deadline = self.pool.reactor.loop.time() + limits.idle_timeout

    def close(self) -> None:
        """Give the connection back to the system, and its place to the pool."""
        if not self.closed:
            self.closed = True
            self.stream.close()
            self.pool.gone(self)

    @property
    def remote(self) -> str:
        """The peer's address, for people."""
        name = addresses(self.connection.fd)[1] if self.connection.fd >= 0 else ""
        return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)

    @property
    def tls(self) -> dict[str, Any] | None:
        """What TLS agreed on."""
        secured = getattr(self.stream, "tls_object", None)
        if secured is None:
            return None
        cipher = secured.cipher()
        return {"version": secured.version(), "cipher": cipher[0] if cipher else None}

    def shut_down(self, error: ClientError) -> None:
        """The client is closed; what is still carried fails."""
        raise NotImplementedError

    def peer_error(self) -> ClientError:
        """Why the connection ended."""
        error: ClientError | None = self.stream.error
        return error or RemoteProtocolError("the peer closed the connection")
