"""HTTP/1.1 on a connection: one exchange after the other, and a body that may wait for a 100."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.wire.client.events import AnswerReceived, InformationalReceived
from ssgi_gateway.wire.client.http1 import Http1Client
from ssgi_gateway.wire.client.http1_parsers import parser_factory

from .one_at_a_time import OneAtATime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .exchange import Exchange
    from .place import Place
    from .pool import Pool

__all__ = ["Http1Carrier"]

CONTINUE_WAIT: Final = 1.0
"""Seconds that a body waits for a 100 (RFC 9110 10.1.1: not for ever)."""


class Http1Carrier(OneAtATime):
    """HTTP/1.1."""

    __slots__ = ("_continue", "_held", "_timer")

    http_version = "h11"

    def __init__(self, pool: Pool, place: Place, stream: Any) -> None:
        super().__init__(pool, place, stream, Http1Client(parser_factory(pool.parser)))
        self._held: list[tuple[Sequence[Any], bool]] | None = None  # the body, while it waits for a 100
        self._continue: Any = None
        self._timer: Any = None

    def _open(self, exchange: Exchange) -> list[Any]:
        request = exchange.request
        target, further = self.place.origin.request_target(request)
        head = self._codec.begin(request, target, further)
        if request.expect and request.has_body:
            self._held = [((request.body,) if request.body else (), request.more)]
            self._continue = self.pool.reactor.loop.create_future()
            self._timer = self.pool.reactor.loop.call_later(CONTINUE_WAIT, self._go_on)
            return [head]
        return [head, *self._codec.encode(request.body, request.more)]

    def send(self, exchange: Exchange, pieces: Sequence[Any], more: bool) -> Any:
        if self._held is not None and self._exchange is exchange:
            self._held.append((pieces, more))
            return self._continue
        return super().send(exchange, pieces, more)

    def _go_on(self) -> None:
        """A 100 came, or did not for a second: send the body."""
        held, exchange = self._held, self._exchange
        self._stop_waiting()
        if held is not None and exchange is not None:
            for pieces, more in held:
                super().send(exchange, pieces, more)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            if not self._continue.done():
                self._continue.set_result(None)
        self._held = self._timer = self._continue = None

    def _deliver(self, exchange: Exchange, events: Sequence[Any]) -> None:
        if self._held is not None:
            for event in events:
                if type(event) is InformationalReceived and event.status == 100:
                    self._go_on()
                elif type(event) is AnswerReceived:
                    self._codec.keep = False  # the body is not sent
                    self._stop_waiting()
                    break
        super()._deliver(exchange, events)

    def _is_reusable(self, exchange: Exchange) -> bool:
        # What was not sent of the request would be taken for the next one.
        return bool(self._codec.reusable and exchange.uploaded and not self.stream.out_size)

    def close(self) -> None:
        self._stop_waiting()
        super().close()
