"""The observer that writes the shared table: one worker's numbers, each with one store.

The compiled build has its own class of this name, which writes through a pointer: some 30 ns for a request beside the
two looks at the clock.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.observe import table as layout

from .observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.exchange import Exchange

__all__ = ["Recorder"]

PROTOCOL: Final = {name: index for index, name in enumerate(layout.PROTOCOLS)}
CLOSE: Final = {code: index for index, code in enumerate(layout.CLOSE_CODES)}
CLASS_499: Final = len(layout.CLASSES) - 1
BILLION: Final = 1_000_000_000


class Recorder(Observer):
    """Writes the seat of this process.

    Args:
        seat: an ``observe.table.Seat``.
        interval: seconds between two ticks.
        samplers: each is called at each tick, with the words of the seat.
    """

    def __init__(self, seat: Any, interval: float, samplers: Sequence[Callable[[Any], object]] = ()) -> None:
        self._seat = seat
        self._words = seat.words
        self._page = seat.page
        self._interval = interval
        self._samplers = tuple(samplers)
        self._ticked = 0.0

    def connection_opened(self, protocol: str) -> None:
        index = PROTOCOL[protocol]
        self._words[layout.CONNECTIONS + index] += 1
        self._words[layout.ACCEPTED + index] += 1

    def connection_closed(self, protocol: str) -> None:
        self._words[layout.CONNECTIONS + PROTOCOL[protocol]] -= 1

    def connection_refused(self, protocol: str) -> None:
        self._words[layout.REFUSED] += 1

    def connection_handed_over(self, protocol: str) -> None:
        self._words[layout.HANDED_OVER] += 1

    def connection_adopted(self, protocol: str) -> None:
        self._words[layout.ADOPTED] += 1

    def protocol_error(self, protocol: str) -> None:
        self._words[layout.PROTOCOL_ERRORS + PROTOCOL[protocol]] += 1

    def application_failed(self, exchange: Exchange) -> None:
        self._words[layout.APPLICATION_ERRORS] += 1

    def request_started(self, exchange: Exchange) -> None:
        words = self._words
        words[layout.IN_PROGRESS + PROTOCOL[exchange.protocol]] += 1
        words[layout.CALL_NUMBER] += 1
        request = exchange.request
        text = f"{request.method} {request.raw_path}".encode("latin-1", "replace")[: layout.CALL_SIZE]
        self._page[layout.TEXT :] = text.ljust(layout.CALL_SIZE, b"\0")
        words[layout.CALL_SINCE] = int(exchange.began * BILLION)

    def request_called(self, exchange: Exchange) -> None:
        self._words[layout.CALL_SINCE] = 0

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        words = self._words
        protocol = PROTOCOL[exchange.protocol]
        words[layout.IN_PROGRESS + protocol] -= 1
        which = CLASS_499 if status == 499 else min(max(status // 100, 1), 5) - 1
        words[layout.REQUESTS + protocol * len(layout.CLASSES) + which] += 1
        words[layout.BYTES_IN] += exchange.received()
        words[layout.BYTES_OUT] += exchange.sent
        start = layout.DURATIONS + protocol * layout.DURATION_SIZE
        words[start + bucket(layout.BOUNDS, seconds)] += 1
        words[start + len(layout.BOUNDS) + 1] += int(seconds * BILLION)

    def websocket_opened(self, exchange: Exchange) -> None:
        self._words[layout.WEBSOCKETS] += 1

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        self._words[layout.WEBSOCKETS] -= 1
        self._words[layout.CLOSES + CLOSE.get(code, len(CLOSE))] += 1

    def message_received(self, exchange: Exchange, message: str | bytes) -> None:
        self._words[layout.MESSAGES_IN] += 1

    def message_sent(self, exchange: Exchange) -> None:
        self._words[layout.MESSAGES_OUT] += 1

    def tick(self, now: float) -> None:
        words = self._words
        words[layout.BEAT] = time.monotonic_ns()
        if self._ticked:
            lag = max(0.0, now - self._ticked - self._interval)
            words[layout.LAG + bucket(layout.LAG_BOUNDS, lag)] += 1
            words[layout.LAG + len(layout.LAG_BOUNDS) + 1] += int(lag * BILLION)
        self._ticked = now
        self._sample()

    def clock_started(self, now: float) -> None:
        self._words[layout.BEAT] = time.monotonic_ns()
        self._ticked = now

    def clock_stopped(self) -> None:
        self._words[layout.BEAT] = 0
        self._sample()

    def _sample(self) -> None:
        for sampler in self._samplers:
            sampler(self._words)

    def close(self) -> None:
        self._sample()
        self._seat.leave()


def bucket(bounds: tuple[float, ...], value: float) -> int:
    """The bucket of a histogram that ``value`` is counted in."""
    for index, bound in enumerate(bounds):
        if value <= bound:
            return index
    return len(bounds)
