"""One connection of a client: its calls by seq, hello, pings, and the server's messages about the connection itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import DisconnectedError
from ..frames import ERROR, MAX_SEQ, MESSAGE, METADATA, decode_answer, decode_any, encode_request
from .transport import Transport

if TYPE_CHECKING:
    from .calls import Call

__all__ = ["FEATURES", "Link"]

logger = logging.getLogger("ssgi_gateway.rpc.client")

FEATURES: Final = ("credit", "control")
SILENCE: Final = 25.0
PATIENCE: Final = 10.0
"""After ``SILENCE`` seconds without a word a ping is sent; ``PATIENCE`` seconds later the connection is given up."""


class Link:
    """An open connection.

    Args:
        transport: its WebSocket.
        name: the client's name in hello.
        on_goaway: called when the server is about to restart.
        on_lost: called with the link, once, when it is over.
    """

    def __init__(
        self, transport: Transport, name: str, on_goaway: Callable[[Link], None], on_lost: Callable[[Link], None]
    ) -> None:
        self.transport = transport
        self.calls: dict[int, Call] = {}
        self.features: frozenset[str] | None = None
        """What the server offers; ``None`` until hello is answered, empty if it does not know it."""
        self.limits: dict[str, int] = {}
        self.session: str | None = None
        self.lost = False
        self._name = name
        self._seq = 0
        self._high = MAX_SEQ
        self._said_hello = False
        self._on_goaway = on_goaway
        self._on_lost = on_lost
        self._hello: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reader = asyncio.create_task(self._read(), name="swill client")
        self._watch: asyncio.Task[None] = asyncio.create_task(self._watch_silence(), name="swill client: silence")

    # -- calls ---------------------------------------------------------------------------------------------------

    def begin(self, call: Call, data: Any, kind: int, metadata: dict[str, Any] | None) -> None:
        """Send a call's opening frame."""
        self.hello()
        self._seq += 1
        call.seq = self._seq
        self.calls[call.seq] = call
        self.send(encode_request(call.seq, data, call.rpc, kind, metadata))

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self.transport.send(frame)

    def forget(self, call: Call) -> None:
        """What comes for a call that is over is dropped."""
        if self.calls.get(call.seq) is call:
            del self.calls[call.seq]

    def hello(self, session: str | None = None) -> None:
        """Send hello, as the connection's first frame. Its seq is from the other end, so calls count up from 1."""
        if self._said_hello:
            return
        self._said_hello = True
        greeting: dict[str, Any] = {"client": self._name, "features": list(FEATURES)}
        if session is not None:
            greeting["session"] = session
        self.send(encode_request(self._high, greeting, "swill.hello"))

    async def known(self) -> frozenset[str]:
        """What the server offers, once that is known.

        Raises:
            DisconnectedError: the connection is over before.
        """
        self.hello()
        await asyncio.shield(self._hello)
        assert self.features is not None
        return self.features

    # -- the end ---------------------------------------------------------------------------------------------------

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the server to do so."""
        self.transport.close(code, reason)
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([self._reader])
        except TimeoutError:
            self.transport.abort()
            await asyncio.wait([self._reader])

    async def _read(self) -> None:
        try:
            while True:
                messages = await self.transport.receive()
                if not messages:
                    break
                for message in messages:
                    self._heard(message)
        except OSError as error:
            logger.debug("the connection broke: %s", error)
        finally:
            self.lost = True
            self._watch.cancel()
            ended = self.error()
            if not self._hello.done():
                self._hello.set_exception(ended)
                self._hello.exception()
            calls, self.calls = list(self.calls.values()), {}
            for call in calls:
                call.disconnected(ended)
            self._on_lost(self)
            await self.transport.wait_closed()

    def error(self) -> DisconnectedError:
        """How it ended."""
        code, reason = self.transport.code, self.transport.reason
        words = f"the connection was closed ({code}{': ' + reason if reason else ''})"
        return DisconnectedError("the connection broke" if code == 1006 else words, code, reason)

    async def _watch_silence(self) -> None:
        while True:
            self.transport.alive = False
            await asyncio.sleep(SILENCE)
            if not self.transport.alive:
                self.transport.ping()
                await asyncio.sleep(PATIENCE)
                if not self.transport.alive:
                    self.transport.abort()
                    return

    def _heard(self, message: bytes) -> None:
        try:
            frame = decode_answer(message)
        except (msgspec.MsgspecError, ValueError):
            logger.warning("the server sent what is no frame; it is ignored")
            return
        if frame.seq == self._high:
            self._greeted(frame)
        elif frame.seq == 0:
            self._told(frame)
        else:
            call = self.calls.get(frame.seq)
            if call is not None:
                call.frame_received(frame)

    def _greeted(self, frame: Any) -> None:
        """The answer to hello; a server that does not know it answers 404."""
        self.features = frozenset()
        if frame.type == MESSAGE:
            answer = decode_any(frame.data)
            self.features = frozenset(answer.get("features", ()))
            self.limits = answer.get("limits", {})
            self.session = answer.get("session")
        if not self._hello.done():
            self._hello.set_result(None)

    def _told(self, frame: Any) -> None:
        """Something about the connection itself."""
        if frame.type == METADATA and frame.leading:
            self.session = frame.leading.get("session", self.session)
            if "goaway" in frame.leading:
                self._on_goaway(self)
        elif frame.type == ERROR:
            logger.warning("the server could not read a frame: %r", decode_any(frame.data))


def with_headers(headers: Iterable[tuple[str, str]], session: str | None) -> list[tuple[str, str]]:
    """The headers of a handshake."""
    found = list(headers)
    if session is not None:
        found.append(("Cookie", f"swill_session={session}"))
    return found
