"""The client's end of a connection: a ``Connection`` that knows why it ended, and TLS on top of one.

Both offer carriers the same: ``write``, ``write_many``, ``when_writable``, ``out_size``, ``start_reading``,
``stop_reading``, ``shutdown``, ``close``, ``error``; and call their ``protocol`` (``data_received``, ``eof_received``,
``connection_lost``, ``deadline_passed``).
"""

from __future__ import annotations

import logging
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, ConnectError, ConnectionReset, RemoteProtocolError

from ..server.connection import OPEN, Connection
from ..server.system import receive, receive_view, shutdown_write

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["PeerConnection", "TlsStream"]

logger = logging.getLogger("ssgi_gateway.client")

READ: Final = 262144
OTHER_NAMES: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH: it is another host's."""
SEND_BUFFER: Final = 1 << 20
"""Bytes; the kernel gives what net.core.wmem_max allows."""


class PeerConnection(Connection):
    """A connection that this side opened.

    Attributes:
        error: why it ended.
        copies: whether its protocol gets bytes; otherwise a view that it must not keep.
        on_flushed: called once, when nothing waits any more: in the same turn of the loop, as no future's callback is.
    """

    __slots__ = ("_deaf", "_narrow", "copies", "error", "on_flushed")

    def __init__(self, reactor: Any, fd: int, local: bool = False) -> None:
        super().__init__(reactor, fd)
        self.error: ClientError | None = None
        self.copies = True
        self.on_flushed: Callable[[], None] | None = None
        self._deaf = False
        self._narrow = local
        reactor.wake()

    def _read(self) -> bool:
        """Read once and pass it on; returns whether there was anything."""
        return self.read_once() is not None

    def read_once(self) -> bytes | memoryview | None:
        """Read, and pass it on; ``None`` where there was nothing, empty at the end."""
        self.was_read = True
        try:
            data = receive(self.fd) if self.copies else receive_view(self.fd)
        except OSError as error:
            self.error = ConnectionReset(f"the peer reset the connection ({error})")
            super().lost()
            return b""
        if data is not None:
            self.pass_on(data)
        return data

    def pass_on(self, data: bytes | memoryview) -> None:
        """Give what was read to the protocol."""
        protocol: Any = self.protocol
        try:
            if data:
                protocol.data_received(data)
            else:
                protocol.eof_received()
        except Exception as error:
            logger.exception("internal error in the client; the connection was closed")
            self.error = RemoteProtocolError(f"internal error: {error!r}")
            super().lost()

    def lost(self) -> None:
        """A write failed. What the peer sent before it closed, a 413 mostly, is still to be read."""
        if not self._deaf and self.state == OPEN:
            self._deaf = True
            self.reactor.loop.call_soon(self._read_the_rest)

    def write(self, data: Any) -> bool:
        """As ``Connection.write``; nothing is tried after a failure."""
        if self._deaf:
            return True
        welcome = super().write(data)
        if self._narrow and self.out_size:
            self._widen()
        return welcome

    def write_many(self, buffers: list[Any]) -> bool:
        """As ``Connection.write_many``; nothing is tried after a failure."""
        if self._deaf:
            return True
        welcome = super().write_many(buffers)
        if self._narrow and self.out_size:
            self._widen()
        return welcome

    def on_writable(self) -> None:
        """The kernel takes more."""
        super().on_writable()
        flushed = self.on_flushed
        if flushed is not None and not self.out_size and self.state == OPEN:
            self.on_flushed = None
            flushed()

    def close(self) -> None:
        """See ``Connection.close``."""
        super().close()
        self.on_flushed = None  # a cycle less for the collector

    def _widen(self) -> None:
        """What is sent over a unix socket is large: half as many turns of the loop, for the kernel's buffer is small.

        TCP's grows by itself.
        """
        self._narrow = False
        connection = socket.socket(fileno=self.fd)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        finally:
            connection.detach()

    def _read_the_rest(self) -> None:
        while self.state == OPEN:
            try:
                data = receive(self.fd)
            except OSError as error:
                self.error = ConnectionReset(f"the peer reset the connection ({error})")
                break
            if data is None:
                self.error = ConnectionReset("the peer closed the connection while the request was being sent")
                break
            self.pass_on(data)
            if not data:
                break
        super().lost()

    def shutdown(self) -> None:
        """Half-close."""
        if self.state == OPEN:
            shutdown_write(self.fd)


class TlsStream:
    """TLS over a connection, by ``ssl.SSLObject``.

    Attributes:
        connection: what carries it.
        protocol: who gets the plain bytes; set once the handshake is over.
        error: why it ended.
    """

    __slots__ = ("_handshake", "_incoming", "_object", "_outgoing", "connection", "error", "protocol")

    def __init__(self, connection: PeerConnection, context: Any, host: str) -> None:
        self.connection = connection
        self.protocol: Any = None
        self.error: ClientError | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._handshake: asyncio.Future[None] = connection.reactor.loop.create_future()
        connection.protocol = self  # type: ignore[assignment]
        connection.copies = False

    async def handshake(self) -> str | None:
        """Agree; returns what ALPN chose.

        Raises:
            ConnectError: TLS did not come to be.
        """
        self.connection.start_reading()
        self._step()
        await self._handshake
        chosen: str | None = self._object.selected_alpn_protocol()
        return chosen

    @property
    def out_size(self) -> int:
        """Bytes that wait for the kernel."""
        return self.connection.out_size

    @property
    def tls_object(self) -> Any:
        """The ``ssl.SSLObject``."""
        return self._object

    def write(self, data: Any) -> bool:
        """Encrypt and write; returns whether more is welcome."""
        self._encrypt(data)
        return self._flush()

    def write_many(self, buffers: list[Any]) -> bool:
        """As ``write``; small pieces share a record."""
        if sum(map(len, buffers)) <= 16384:
            self._encrypt(b"".join(buffers))
        else:
            for buffer in buffers:
                self._encrypt(buffer)
        return self._flush()

    def when_writable(self) -> Any:
        """See ``Connection.when_writable``."""
        return self.connection.when_writable()

    def start_reading(self) -> None:
        """See ``Connection.start_reading``."""
        self.connection.start_reading()

    def stop_reading(self) -> None:
        """See ``Connection.stop_reading``."""
        self.connection.stop_reading()

    def shutdown(self) -> None:
        """TLS has no half-close that peers agree on: close_notify, and go on reading."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            pass
        self._flush()

    def close(self) -> None:
        """Send close_notify if the kernel takes it, and close."""
        if self._handshake.done():
            self.shutdown()
        self.connection.close()

    def _encrypt(self, data: Any) -> None:
        view = memoryview(data)
        start = 0
        while start < len(view):
            try:
                start += self._object.write(view[start:])
            except ssl.SSLError as error:
                self.error = RemoteProtocolError(f"TLS: {error}")
                self.connection.lost()
                return

    def _flush(self) -> bool:
        data = self._outgoing.read()
        return self.connection.write(data) if data else True

    def _step(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLCertVerificationError as error:
            words = f"TLS: the certificate is not trusted: {error.verify_message}"
            if error.verify_code not in OTHER_NAMES:
                words += "; tls=TLS(ca=FILE) trusts its issuer"
            self._refuse(ConnectError(words, "certificate"))
        except (ssl.SSLError, OSError) as error:
            plain = getattr(error, "reason", "") in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
            hint = "; the peer speaks no TLS here, is it http:// and not https://?" if plain else ""
            self._refuse(ConnectError(f"TLS: {error}{hint}", "tls"))
        else:
            self._flush()
            if not self._handshake.done():
                self._handshake.set_result(None)

    def _refuse(self, error: ConnectError) -> None:
        self._flush()  # an alert has the reason
        if not self._handshake.done():
            self._handshake.set_exception(error)
        self.connection.close()

    def data_received(self, data: bytes | memoryview) -> None:
        """Bytes of TLS."""
        self._incoming.write(data)
        if not self._handshake.done():
            self._step()
            if not self._handshake.done() or self.protocol is None:
                return
        self.pump()

    def pump(self) -> None:
        """Hand out what can be decrypted."""
        connection = self.connection
        protocol = self.protocol
        while connection.state == OPEN and protocol is not None:
            try:
                data = self._object.read(READ)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                protocol.eof_received()
                return
            except ssl.SSLError as error:
                self.error = RemoteProtocolError(f"TLS: {error}")
                connection.lost()
                return
            if not data:
                protocol.eof_received()
                return
            protocol.data_received(data)
        if self._outgoing.pending:
            self._flush()

    def eof_received(self) -> None:
        """The end without close_notify: it cannot be distinguished from a cut (RFC 9112 9.8)."""
        if self._handshake.done():
            self.error = RemoteProtocolError("the peer closed the connection without a close_notify of TLS")
            self.protocol.connection_lost()
            self.connection.close()
        else:
            self._refuse(ConnectError("TLS: the peer closed the connection during the handshake", "tls"))

    def connection_lost(self) -> None:
        """The connection is lost."""
        self.error = self.error or self.connection.error
        if not self._handshake.done():
            self._handshake.set_exception(ConnectError(f"TLS: {self.error or 'the connection was closed'}", "tls"))
        elif self.protocol is not None:
            self.protocol.connection_lost()

    def deadline_passed(self) -> None:
        """See ``Protocol.deadline_passed``."""
        if self.protocol is not None:
            self.protocol.deadline_passed()
