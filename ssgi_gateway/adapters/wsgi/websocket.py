"""WebSockets of a WSGI application: the connection itself, for a library that speaks the protocol.

WSGI knows no WebSockets, and a world of applications has them all the same: Flask-Sock, Flask-SocketIO and
python-socketio find the connection's socket in ``environ["werkzeug.socket"]``, answer the handshake on it and keep the
thread. So a request to upgrade runs in a thread of its own, beside the pool, which such threads would soon fill; there
are at most ``--wsgi-websockets`` of them, and further ones are refused with 503.

An application that does not touch the socket gives an ordinary answer, which is sent as the refusal of the upgrade.
"""

from __future__ import annotations

import io
import logging
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ssgi_gateway.core.server_loop import ServerLoop
    from ssgi_gateway.core.websocket import WebSocket

__all__ = ["MAX_ANSWER", "TunnelSocket", "WebSocketThreads"]

logger = logging.getLogger("ssgi_gateway.app")

MAX_ANSWER: Final = 1048576
"""Bytes of an ordinary answer; more is no answer to a request for an upgrade."""

CLOSING_TIME: Final = 0.25
"""Seconds that a library's own thread has, once the application has returned, to send its Close frame. simple-websocket
reports the client's Close to the application before it answers that, and the answer would find the connection
closed."""

CLOSE: Final = b"\x88"
"""How a server's Close frame begins (RFC 6455 5.2)."""


class TunnelSocket(socket.socket):
    """``environ["werkzeug.socket"]``: the connection, which is taken over when it is first used.

    Args:
        fd: a descriptor of its own.
        take_over: called then; returns what the peer has sent already.
    """

    def __init__(self, fd: int, take_over: Callable[[TunnelSocket], bytes]) -> None:
        super().__init__(fileno=fd)
        self._take_over: Callable[[TunnelSocket], bytes] | None = take_over
        self._rest = b""
        self.lock = threading.Lock()
        self.has_sent_close = False

    @property
    def used(self) -> bool:
        """Whether it was taken over."""
        return self._take_over is None

    def _begin(self) -> None:
        if self._take_over is not None:
            take_over, self._take_over = self._take_over, None
            self._rest = take_over(self)
            super().settimeout(None)

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As ``socket.recv``."""
        self._begin()
        if self._rest:
            data, self._rest = self._rest[:bufsize], self._rest[bufsize:]
            return data
        return super().recv(bufsize, flags)

    def send(self, data: Any, flags: int = 0, /) -> int:
        """All of it, as libraries expect of a blocking socket."""
        self.sendall(data, flags)
        return len(data)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """As ``socket.sendall``, and nothing else is written in between."""
        self._begin()
        with self.lock:
            super().sendall(data, flags)
        self.has_sent_close = data[:1] == CLOSE

    def fileno(self) -> int:
        """As ``socket.fileno``; the caller is going to wait for it."""
        self._begin()
        return super().fileno()

    def settimeout(self, value: float | None, /) -> None:
        """As ``socket.settimeout``."""
        self._begin()
        super().settimeout(value)

    def setblocking(self, flag: bool, /) -> None:
        """As ``socket.setblocking``."""
        self._begin()
        super().setblocking(flag)


class WebSocketThreads:
    """The threads of an application's WebSockets.

    Args:
        app: called with ``environ`` and ``start_response``.
        limit: how many there may be.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], limit: int) -> None:
        self._app = app
        self._limit = limit
        self._count = 0

    def serve(self, ws: WebSocket, loop: ServerLoop, make_environ: Callable[[Any], dict[str, Any]]) -> None:
        """Call the application in a thread; on the loop."""
        if self._count >= self._limit:
            text = f"503 Service Unavailable\nAll {self._limit} threads for WebSockets are in use; try again.\n"
            ws.reject(503, text, [("Content-Type", "text/plain; charset=utf-8"), ("Retry-After", "5")])
            logger.warning("all %d threads for WebSockets are in use (--wsgi-websockets)", self._limit)
            return
        own = TunnelSocket(ws.duplicate(), lambda own: call.take_over(own))
        call = _Call(self._app, ws, loop, own, make_environ)
        thread = threading.Thread(target=self._run, args=(call, loop.fresh()), name="wsgi-websocket", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more of them
            own.close()
            raise
        # Its end comes through the loop, and so after this.
        self._count += 1
        ws.hold(call)

    def _run(self, call: _Call, context: Any) -> None:
        try:
            context.run(call.run)
        finally:
            try:
                call.loop.call_soon_threadsafe(partial(self._ended, call))
            except RuntimeError:
                pass  # the loop was closed

    def _ended(self, call: _Call) -> None:
        self._count -= 1
        call.ended()


class _Call:
    """One call; ``run`` in its thread, the rest on the loop."""

    def __init__(
        self,
        app: Callable[..., Iterable[bytes]],
        ws: WebSocket,
        loop: ServerLoop,
        own: TunnelSocket,
        make_environ: Callable[[Any], dict[str, Any]],
    ) -> None:
        self._app = app
        self._ws = ws
        self.loop = loop
        self._socket = own
        self._make_environ = make_environ
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0
        self._error: BaseException | None = None
        self._may_close = False  # there is no Close frame to wait for

    # -- in the thread -------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Call the application; never raises."""
        try:
            environ = self._make_environ(io.BytesIO())
            environ["werkzeug.socket"] = self._socket
            environ["wsgi.multithread"] = True
            result = self._app(environ, self._start_response)
            try:
                if not self._socket.used:
                    for block in result:
                        self._write(block)
            finally:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
        except BaseException as error:  # sys.exit() as well: a request does not end the server
            self._error = error

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        self._status = status
        self._headers = headers
        return self._write

    def _write(self, block: bytes) -> None:
        self._size += len(block)
        if self._size > MAX_ANSWER:
            raise ValueError(f"the answer to a request for an upgrade has more than {MAX_ANSWER} bytes")
        self._body.append(block)

    def take_over(self, own: TunnelSocket) -> bytes:
        """The library wants the connection; returns what has arrived for it.

        Raises:
            ConnectionAbortedError: the client disconnected before.
        """
        over = threading.Event()
        outcome: list[Any] = []

        def take() -> None:
            try:
                outcome.append(self._ws.take_over(own, own.lock))
            except BaseException as error:
                outcome.append(error)
            over.set()

        self.loop.call_soon_threadsafe(take)
        over.wait()
        if isinstance(outcome[0], BaseException):
            raise outcome[0]
        return outcome[0]  # type: ignore[no-any-return]

    # -- on the loop ---------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """The client has disconnected: the library sees the end of its input."""
        self._may_close = True
        try:
            socket.socket.shutdown(self._socket, socket.SHUT_RD)
        except OSError:
            pass  # not connected any more

    def ended(self) -> None:
        """The application has returned."""
        ws = self._ws
        used, error = self._socket.used, self._error
        if used and not self._may_close and not self._socket.has_sent_close:
            self._may_close = True
            self.loop.call_later(CLOSING_TIME, self.ended)
            return
        self._socket.close()
        ws.release(self)
        if used:
            ws.give_back()
            if error is not None and not isinstance(error, OSError):
                ws.fail(error)
        elif error is not None:
            ws.fail(error)
        elif not ws.finished():
            self._refuse()

    def _refuse(self) -> None:
        """Answer as the application has, in place of the upgrade."""
        ws = self._ws
        if not self._status:
            ws.fail(RuntimeError("the application returned before it called start_response"))
            return
        try:
            length = [value for name, value in self._headers if name.lower() == "content-length"]
            headers = [(name, value) for name, value in self._headers if name.lower() != "content-length"]
            body = b"".join(self._body)
            if length and int(length[0]) != len(body):
                raise ValueError(f"the application's body has {len(body)} bytes, its Content-Length is {length[0]}")
            status = self._status[:3] if self._status[:3].isdigit() else self._status
            # 2xx would be no refusal to a client that waits for a 101, and no answer either.
            ws.reject(status, body, headers)
        except Exception as error:
            ws.fail(error)
