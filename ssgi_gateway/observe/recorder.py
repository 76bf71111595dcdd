"""The observer that writes the shared table: one worker's numbers, each with one store (``cells.py``)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.observe import table as layout

from .cells import Cells
from .observer import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..core.exchange import Exchange

__all__ = ["Recorder"]

# The layout, in the compiled build as C numbers.
CONNECTIONS: Final = layout.CONNECTIONS
IN_PROGRESS: Final = layout.IN_PROGRESS
CALL_NUMBER: Final = layout.CALL_NUMBER
CALL_SINCE: Final = layout.CALL_SINCE
BEAT: Final = layout.BEAT
WEBSOCKETS: Final = layout.WEBSOCKETS
ACCEPTED: Final = layout.ACCEPTED
REFUSED: Final = layout.REFUSED
HANDED_OVER: Final = layout.HANDED_OVER
ADOPTED: Final = layout.ADOPTED
PROTOCOL_ERRORS: Final = layout.PROTOCOL_ERRORS
APPLICATION_ERRORS: Final = layout.APPLICATION_ERRORS
REQUESTS: Final = layout.REQUESTS
CLASSES: Final = len(layout.CLASSES)
BYTES_IN: Final = layout.BYTES_IN
BYTES_OUT: Final = layout.BYTES_OUT
DURATIONS: Final = layout.DURATIONS
DURATION_SIZE: Final = layout.DURATION_SIZE
DURATION_SUM: Final = len(layout.BOUNDS) + 1
LAG: Final = layout.LAG
LAG_SUM: Final = len(layout.LAG_BOUNDS) + 1
CLOSES: Final = layout.CLOSES
MESSAGES_IN: Final = layout.MESSAGES_IN
MESSAGES_OUT: Final = layout.MESSAGES_OUT
BOUNDS: Final = layout.BOUNDS
LAG_BOUNDS: Final = layout.LAG_BOUNDS
PROTOCOL: Final = {name: index for index, name in enumerate(layout.PROTOCOLS)}
CLOSE: Final = {code: index for index, code in enumerate(layout.CLOSE_CODES)}


class Recorder(Observer):
    """Writes the seat of this process.

    Args:
        seat: an ``observe.table.Seat``.
        interval: seconds between two ticks.
        samplers: each is called at each tick, with the words of the seat.
    """

    def __init__(self, seat: Any, interval: float, samplers: Sequence[Callable[[Any], object]] = ()) -> None:
        self._seat = seat
        self._cells = Cells(seat)
        self._interval = interval
        self._samplers = tuple(samplers)
        self._ticked = 0.0
        self._protocol = ""  # of the last request
        self._index = 0  # and its place

    def _index_of(self, protocol: str) -> int:
        """The place of a protocol; mostly it is the same string as the last time."""
        if protocol is not self._protocol:
            self._index = PROTOCOL[protocol]
            self._protocol = protocol
        return self._index

    def connection_opened(self, protocol: str) -> None:
        index = self._index_of(protocol)
        self._cells.add(CONNECTIONS + index, 1)
        self._cells.add(ACCEPTED + index, 1)

    def connection_closed(self, protocol: str) -> None:
        index = self._index_of(protocol)
        self._cells.add(CONNECTIONS + index, -1)

    def connection_refused(self, protocol: str) -> None:
        self._cells.add(REFUSED, 1)

    def connection_handed_over(self, protocol: str) -> None:
        self._cells.add(HANDED_OVER, 1)

    def connection_adopted(self, protocol: str) -> None:
        self._cells.add(ADOPTED, 1)

    def protocol_error(self, protocol: str) -> None:
        index = self._index_of(protocol)
        self._cells.add(PROTOCOL_ERRORS + index, 1)

    def application_failed(self, exchange: Exchange) -> None:
        self._cells.add(APPLICATION_ERRORS, 1)

    def request_started(self, exchange: Exchange) -> None:
        cells = self._cells
        request = exchange.request
        index = self._index_of(exchange.protocol)
        cells.add(IN_PROGRESS + index, 1)
        cells.add(CALL_NUMBER, 1)
        cells.name_call(request.method, request.raw_path)
        cells.put_time(CALL_SINCE, exchange.began)

    def request_called(self, exchange: Exchange) -> None:
        self._cells.put(CALL_SINCE, 0)

    def request_ended(self, exchange: Exchange, status: int, seconds: float) -> None:
        cells = self._cells
        index = self._index_of(exchange.protocol)
        durations = DURATIONS + index * DURATION_SIZE
        which = CLASSES - 1 if status == 499 else min(max(status // 100, 1), 5) - 1
        cells.add(IN_PROGRESS + index, -1)
        cells.add(REQUESTS + index * CLASSES + which, 1)
        cells.add(BYTES_IN, exchange.received())
        cells.add(BYTES_OUT, exchange.sent)
        cells.add(durations + bucket(BOUNDS, seconds), 1)
        cells.add_time(durations + DURATION_SUM, seconds)

    def websocket_opened(self, exchange: Exchange) -> None:
        self._cells.add(WEBSOCKETS, 1)

    def websocket_closed(self, exchange: Exchange, code: int) -> None:
        index = CLOSE.get(code, len(CLOSE))
        self._cells.add(WEBSOCKETS, -1)
        self._cells.add(CLOSES + index, 1)

    def message_received(self, exchange: Exchange, message: str | bytes) -> None:
        self._cells.add(MESSAGES_IN, 1)

    def message_sent(self, exchange: Exchange) -> None:
        self._cells.add(MESSAGES_OUT, 1)

    def tick(self, now: float) -> None:
        cells = self._cells
        cells.put(BEAT, time.monotonic_ns())
        if self._ticked:
            lag = max(0.0, now - self._ticked - self._interval)
            cells.add(LAG + bucket(LAG_BOUNDS, lag), 1)
            cells.add_time(LAG + LAG_SUM, lag)
        self._ticked = now
        self._sample()

    def clock_started(self, now: float) -> None:
        self._cells.put(BEAT, time.monotonic_ns())
        self._ticked = now

    def clock_stopped(self) -> None:
        self._cells.put(BEAT, 0)
        self._sample()

    def _sample(self) -> None:
        for sampler in self._samplers:
            sampler(self._seat.words)

    def close(self) -> None:
        self._sample()
        self._seat.leave()


def bucket(bounds: tuple[float, ...], value: float) -> int:
    """The bucket of a histogram that ``value`` is counted in."""
    index = 0
    for bound in bounds:
        if value <= bound:
            break
        index += 1
    return index
