"""A WebSocket's frames on a connection: messages to the application, pings and closes as RFC 6455 has them.

The clock is the server's: one deadline, which means the next ping, the answer to a ping, or the answer to a Close,
by the state. What moves in either direction is a sign of life, and the time for an answer begins when the question
has left this machine, however much lay before it::

    OPEN --our Close--> CLOSING --the peer's Close, or the deadline--> the connection ends
                        (messages are delivered meanwhile where the server closes, and not where the application does)
    OPEN --the peer's Close--> echoed, the connection ends
    OPEN --protocol error--> our Close with its code, the connection ends
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.errors import WebSocketError
from ssgi_gateway.server import connection_states, peer_errors
from ssgi_gateway.wire.websocket import close_codes

from ..core.channel import WebSocketChannel
from ..core.websocket import SHARE
from ..wire.events import CloseReceived, MessageReceived
from ..wire.websocket.codec import WebSocketCodec
from .system import clock, unsent

if TYPE_CHECKING:
    import asyncio

    from ssgi_gateway.wire.websocket.deflate import DeflateParams

    from ..core.channel import SharedMessage
    from ..core.exchange import Exchange
    from ..core.websocket import WebSocket
    from ..wire.events import Event
    from .connection import Connection
    from .gateway import Gateway

OPEN: Final = connection_states.OPEN
NEVER: Final = connection_states.NEVER

RUNNING: Final = 0
CLOSING: Final = 1  # our Close is out
OVER: Final = 2

NO_STATUS: Final = close_codes.NO_STATUS
BROKEN: Final = close_codes.BROKEN
INTERNAL_ERROR: Final = close_codes.INTERNAL_ERROR
SERVICE_RESTART: Final = close_codes.SERVICE_RESTART

PORTION: Final = 64
"""Messages of one connection in one turn of the loop, one of 16 KiB counting as two, of 1 MiB as 65; or ``SHARE``
seconds of them. Then all others have their turn."""


class WebSocketProtocol(WebSocketChannel):
    """One accepted WebSocket."""

    __slots__ = (
        "_asked",
        "_described",
        "_full",
        "_last_received",
        "_pinged",
        "_resting",
        "_state",
        "_unsent",
        "codec",
        "connection",
        "gateway",
        "websocket",
    )

    def __init__(
        self,
        connection: Connection,
        gateway: Gateway,
        websocket: WebSocket,
        deflate: DeflateParams | None,
        described: dict[str, Any],
    ) -> None:
        self.scope = gateway.scope
        self.connection = connection
        self.gateway = gateway
        connection.protocol = self
        self.codec = WebSocketCodec(gateway.settings.websockets, deflate)
        self.websocket = websocket
        self._described = described
        self._state = RUNNING
        self._full = False  # the application cannot take more messages now
        self._resting = False  # more has arrived than one turn of the loop is given
        self._last_received = gateway.now
        self._pinged = False
        self._asked = 0.0  # when our last ping or Close was written
        self._unsent = 0  # and how much lay before it in the kernel

    def begin(self, trailing: bytes) -> None:
        """The upgrade was answered: wait for frames; ``trailing`` came right behind the request."""
        connection = self.connection
        if connection.state != OPEN:
            self._over(BROKEN, "")  # the connection was lost when the answer was written
            return
        self._schedule_ping()
        connection.start_reading()
        if trailing:
            self.gateway.loop.call_soon(partial(self._late, trailing))
        if self.gateway.draining:
            self.gateway.loop.call_soon(self.shut_down)

    def _late(self, trailing: bytes) -> None:
        if self.connection.state == OPEN:
            self.data_received(trailing)

    # -- events of the connection --------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._last_received = self.gateway.now
        self.codec.receive(data)
        self._process_events()

    def eof_received(self) -> None:
        self.connection.lost()

    def connection_lost(self) -> None:
        self._over(BROKEN, "")

    def deadline_passed(self) -> None:
        settings = self.gateway.settings.websockets
        if self.connection.out_size:
            # A ping now waits behind this, and so would its answer. Whether the peer takes anything is for the
            # write deadline to decide.
            timeout = settings.ping_timeout if self._state == RUNNING else settings.close_timeout
            self.connection.deadline = self.gateway.now + timeout
        elif self._state == CLOSING:
            if not self._moved(settings.close_timeout):
                self.connection.lost()  # RFC 6455 7.1.1: either side may give up waiting
        elif self._full or self._resting:
            # The answer is not awaited now, but the web server must not take the silence for an idle tunnel.
            self.connection.write(self.codec.encode_ping(b""))
            self._schedule_ping()
        elif not self._pinged:
            self._ping(settings.ping_timeout)
        elif self._last_received >= self._asked:
            self._ping(settings.ping_timeout)  # it is alive, whatever has become of the Pong
        elif not self._moved(settings.ping_timeout):
            self.gateway.log_peer_error(
                peer_errors.SILENT_WEBSOCKET,
                f"websocket{self.connection.peer_label()}: no answer to a ping for {settings.ping_timeout:g} s",
            )
            # One that is gone never sees it; one that is there and answers no pings learns why.
            self.connection.write(self.codec.encode_close(INTERNAL_ERROR, "no answer to a ping"))
            self.connection.lost()

    def _ping(self, timeout: float) -> None:
        self._pinged = True
        self.connection.write(self.codec.encode_ping(b""))
        self._ask(timeout)

    def _ask(self, timeout: float) -> None:
        """An answer is due from now on."""
        self._asked = self.gateway.now
        self._unsent = unsent(self.connection.fd)
        self.connection.deadline = self._asked + timeout

    def _moved(self, timeout: float) -> bool:
        """Whether the peer has taken anything since the ping; then it has the same time again.

        What it took before it could see the question lay in this process, or in the kernel.
        """
        connection = self.connection
        if connection.moved < self._asked and unsent(connection.fd) >= self._unsent:
            return False
        self._ask(timeout)
        return True

    def shut_down(self) -> None:
        if self._state == RUNNING:
            self.websocket.leave(SERVICE_RESTART, "the server is restarting")

    # -- events of the codec -------------------------------------------------------------------------------------

    def _process_events(self) -> None:
        """Deliver what has arrived, for as long as the application takes it and this connection's share lasts."""
        if self._resting:
            return
        codec = self.codec
        connection = self.connection
        high_water = self.gateway.high_water
        left = PORTION
        until = 0.0
        try:
            while not self._full and connection.out_size <= high_water:
                if left != PORTION:  # a read mostly holds one message, and then no clock is looked at
                    if left <= 0 or (until and clock() > until):
                        self._rest()
                        break
                    if not until:
                        until = clock() + SHARE
                event = codec.next_event()
                if event is None:
                    break
                left -= self._take(event)
                if self._state == OVER:
                    return
            self._flush()
        except WebSocketError as error:
            self._protocol_error(error)
            return
        if self._full:
            connection.stop_reading()
        elif connection.out_size > high_water:
            self._stall()

    def _take(self, event: Event) -> int:
        """One event; returns what it counts of a portion."""
        if type(event) is MessageReceived:
            received: MessageReceived = event
            message = received.message
            if self.gateway.observer is not None:
                self.gateway.observer.message_received(self.websocket, message)
            self._flush()  # automatic answers go out before the application is called
            # RFC 6455 5.5.1 has the peer answer our Close, and what it sends before that it does not know to be late.
            # A server that restarts still takes it; an application that closes takes no more.
            if (self._state == RUNNING or self.websocket.leaving) and not self.websocket.deliver(message):
                self._full = True
            return 1 + len(message) // 16384
        if type(event) is CloseReceived:
            self._close_received(event.code, event.reason)
        else:
            self._pong_received()
        return 1

    def _rest(self) -> None:
        """Go on in the next turn of the loop, after all others."""
        self._resting = True
        self.connection.rest()
        self.gateway.loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        connection = self.connection
        connection.resume()
        if connection.state == OPEN and self._state != OVER:
            self._last_received = self.gateway.now
            self._process_events()

    def _stall(self) -> None:
        """The peer sends and does not read: it is not read either until it has taken what waits for it."""
        self._full = True
        self.connection.stop_reading()
        self.gateway.loop.when_done(self.connection.when_writable(), self._unstall)

    def _unstall(self, _: asyncio.Future[bool]) -> None:
        if not self.websocket.busy():
            self.receive_more()

    def _flush(self) -> None:
        output = self.codec.take_output()
        if output:
            self.connection.write(output)

    def _pong_received(self) -> None:
        self._pinged = False
        if self._state == RUNNING:
            self._schedule_ping()

    def _schedule_ping(self) -> None:
        interval = self.gateway.settings.websockets.ping_interval
        self.connection.deadline = self.gateway.now + interval if interval else NEVER

    def _close_received(self, code: int, reason: str) -> None:
        answer = b""
        if self._state == RUNNING:
            # RFC 6455 5.5.1: the answer carries the code that was received.
            answer = self.codec.encode_close(None if code == NO_STATUS else code, "")
        self._finish(answer, code, reason, False)

    def _protocol_error(self, error: WebSocketError) -> None:
        self.gateway.log_peer_error(
            peer_errors.WEBSOCKET_ERROR, f"websocket{self.connection.peer_label()}: {error.code} {error.reason}"
        )
        answer = self.codec.encode_close(error.code, error.reason) if self._state == RUNNING else b""
        self._finish(answer, BROKEN, error.reason, True)

    def _finish(self, answer: bytes, code: int, reason: str, unread: bool) -> None:
        """Send our Close, end the connection, notify the application; one that is lost by then changes no code."""
        connection = self.connection
        self._state = OVER
        if answer:
            connection.write(answer)
        connection.finish(unread)
        self._ended(code, reason)

    def _over(self, code: int, reason: str) -> None:
        if self._state != OVER:
            self._state = OVER
            self._ended(code, reason)

    def _ended(self, code: int, reason: str) -> None:
        if self.gateway.drain_handlers:
            self.gateway.drain_handlers.pop(self.websocket, None)
        if self.gateway.observer is not None:
            self.gateway.observer.websocket_closed(self.websocket, code)
        self.websocket.ended(code, reason)

    # -- calls of the application --------------------------------------------------------------------------------

    def when_writable(self) -> asyncio.Future[bool]:
        return self.connection.when_writable()

    def application_failed(self, exchange: Exchange) -> None:
        if self.gateway.observer is not None:
            self.gateway.observer.application_failed(exchange)

    def send_message(self, message: Any) -> bool:
        if self.gateway.observer is not None:
            self.gateway.observer.message_sent(self.websocket)
        return self.connection.write_many(self.codec.encode_message(message))

    def send_shared(self, message: SharedMessage) -> bool:
        if not self.codec.is_plain(len(message.payload)):
            return self.send_message(message.payload)
        if self.gateway.observer is not None:
            self.gateway.observer.message_sent(self.websocket)
        if message.frame is None:
            message.frame = b"".join(self.codec.encode_message(message.payload))
        return self.connection.write(message.frame)

    def send_close(self, code: int, reason: str) -> None:
        frame = self.codec.encode_close(code, reason)
        if self._state != RUNNING:
            return
        self._state = CLOSING
        self.connection.write(frame)
        self._ask(self.gateway.settings.websockets.close_timeout)
        if self._full:
            self.receive_more()

    def receive_more(self) -> None:
        if self._full and self.connection.state == OPEN:
            self._full = False
            self._last_received = self.gateway.now
            self._process_events()
            if not self._full:
                self.connection.start_reading()

    def describe(self) -> dict[str, Any]:
        return self._described
