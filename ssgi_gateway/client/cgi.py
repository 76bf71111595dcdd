"""SCGI and FastCGI on a connection: one exchange after the other; an application's stderr is logged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import ClientError, RemoteProtocolError
from ssgi_gateway.wire.client.fastcgi import NO_BODY, FastcgiClient
from ssgi_gateway.wire.client.scgi import ScgiClient

from ..server.connection import NEVER
from .one_at_a_time import OneAtATime

if TYPE_CHECKING:
    from .exchange import Exchange
    from .place import Place
    from .pool import Pool

__all__ = ["FastcgiCarrier", "ScgiCarrier"]

logger = logging.getLogger("ssgi_gateway.client")

MAX_JOINED: Final = 16384
"""Bodies up to this leave with the records around them in one buffer."""
ABORT_WAIT: Final = 1.0
"""Seconds that an aborted FastCGI request has to end."""


class _CgiCarrier(OneAtATime):
    """What both have in common."""

    __slots__ = ()

    def _log_surplus(self, exchange: Exchange) -> None:
        """The body was longer than its Content-Length."""
        surplus = self._codec.answer.surplus
        where, target = self.place.origin, exchange.request.target
        logger.warning("%s: the body of %s is %d bytes longer than its Content-Length", where, target, surplus)


class ScgiCarrier(_CgiCarrier):
    """SCGI: a connection is one request."""

    __slots__ = ()

    http_version = "scgi"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, ScgiClient())

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        length = request.length if request.length >= 0 else len(request.body)
        head = self._codec.begin(request, length)
        return [head, request.body] if request.body else [head]

    def _enter_tunnel(self, exchange: Exchange) -> None:
        self.connection.deadline = NEVER

    def _release(self, exchange: Exchange) -> None:
        if self._codec.answer.surplus:
            self._log_surplus(exchange)
        super()._release(exchange)

    def _is_reusable(self, exchange: Exchange) -> bool:
        return False


class FastcgiCarrier(_CgiCarrier):
    """FastCGI, over a connection that is kept."""

    __slots__ = ("_aborting",)

    http_version = "fcgi"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, FastcgiClient())
        self._aborting = False

    @property
    def room(self) -> int:
        return 0 if self._aborting or self._exchange is not None or self.closed else 1

    def _stream_id(self) -> int:
        return 1

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        if not (request.more or request.body):
            return [self._codec.begin(request, 0) + NO_BODY]
        length = request.length if request.length >= 0 else -1 if request.more else len(request.body)
        head = self._codec.begin(request, length)
        pieces = [head, *self._codec.encode(request.body, request.more)]
        # One write(2) of a small request costs less than the writev(2) of its records.
        return pieces if len(request.body or b"") > MAX_JOINED else [b"".join(pieces)]

    def _enter_tunnel(self, exchange: Exchange) -> None:
        self._fail(RemoteProtocolError("101 over FastCGI, which has no tunnels"))

    def _release(self, exchange: Exchange) -> None:
        codec = self._codec
        if codec.stderr:
            self._log_stderr()
        if codec.answer.surplus:
            self._log_surplus(exchange)
        super()._release(exchange)

    def _fail(self, error: BaseException | None, stale: bool = False) -> None:
        if self._exchange is not None and self._codec.stderr:
            self._log_stderr()  # it may say why
        super()._fail(error, stale)

    def _log_stderr(self) -> None:
        words = self._codec.stderr.decode("utf-8", "replace").rstrip()
        logger.warning("STDERR of %s: %s", self.place.origin, words)

    def _is_reusable(self, exchange: Exchange) -> bool:
        return bool(self._codec.reusable and exchange.uploaded and not self.stream.out_size)

    def abandon(self, exchange: Exchange) -> None:
        if self._exchange is not exchange:
            return
        self._exchange = None
        if self._paused:
            self._paused = False
            self.stream.start_reading()
        self.stream.write(self._codec.abort())
        if not self.closed:
            self._aborting = True
            self.connection.deadline = self.pool.reactor.loop.time() + ABORT_WAIT

    def _unasked(self, data: bytes) -> None:
        if not self._aborting:
            self.close()
            return
        try:
            self._codec.receive(data)
        except ClientError:
            self.close()
            return
        if self._codec.surplus:
            self.close()
        elif self._codec.done:
            self._aborting = False
            self.pool.release(self)
