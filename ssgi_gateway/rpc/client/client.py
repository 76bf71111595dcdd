"""``Client``: calls over a connection that comes back.

::

    async with Client("ws://localhost/ws") as client:
        print(await client.call("add", [1, 2], type=int, timeout=5))
        async with client.stream("count", 3, type=int) as numbers:
            async for number in numbers:
                print(number)

It reconnects after 1001, 1006, 1011 to 1013 and failed attempts; not after what shows that it would be useless. Calls
that were open fail with ``DisconnectedError``; those that are ``idempotent`` are sent again, once. Calls made
meanwhile wait.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl as tls
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar, overload

import msgspec

from ssgi_gateway import __version__

from ..current import current_request
from ..errors import DisconnectedError, RpcError
from ..frames import MESSAGE
from .calls import NOTHING, Call, Stream
from .link import Link
from .subscription import Subscription
from .transport import RefusedError, connect

__all__ = ["Client"]

logger = logging.getLogger("ssgi_gateway.rpc.client")

T = TypeVar("T")

AGAIN: Final = (1001, 1006, 1011, 1012, 1013)
"""Close codes after which a client comes back."""

FINAL_STATUS: Final = (401, 403, 404, 406)
"""Answers to the handshake after which it does not."""

MAX_DELAY: Final = 30.0
MAX_WAITING: Final = 1000


class Client:
    """A client of one server.

    Args:
        url: ``ws://host/ws``, ``wss://host/ws`` or ``ws+unix:///path/of/socket:/ws``.
        connect_timeout: seconds that a call waits for a connection.
        reconnect: whether to come back.
        window: items of a stream that may be under way.
        headers: more headers of the handshake.
        ssl: for ``wss``; the default verifies the server's certificate.
        session: of an earlier client, to have its session.
        name: sent to the server.
        on_state: called with ``"connecting"``, ``"open"``, ``"reconnecting"`` or ``"closed"``.
    """

    def __init__(
        self,
        url: str,
        *,
        connect_timeout: float = 30.0,
        reconnect: bool = True,
        window: int = 64,
        headers: Iterable[tuple[str, str]] = (),
        ssl: tls.SSLContext | None = None,
        session: str | None = None,
        name: str = f"ssgi-gateway-python/{__version__}",
        on_state: Callable[[str], object] | None = None,
    ) -> None:
        self.url = url
        self.state = "new"
        self.session = session
        self.given_up: DisconnectedError | None = None
        """Why there will be no other connection."""
        self._connect_timeout = connect_timeout
        self._reconnect = reconnect
        self._window = window
        self._headers = tuple(headers)
        self._ssl = ssl
        self._name = name
        self._on_state = on_state
        self._subprotocol = "swill.1"
        self._link: Link | None = None
        self._leaving: set[Link] = set()
        self._keeper: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Future[Link]] = set()
        self._wanted = asyncio.Event()

    # -- its life --------------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect; returns when there is a connection.

        Raises:
            DisconnectedError: there is none within ``connect_timeout`` seconds, or there will never be.
        """
        await self.ready()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close; what is open fails."""
        self._give_up(DisconnectedError("the client was closed", code, reason))
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            await asyncio.wait([keeper])
        for link in (self._link, *self._leaving):
            if link is not None:
                await link.close(code, reason)
        self._link = None

    async def __aenter__(self) -> Self:
        try:
            await self.connect()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # -- calls -----------------------------------------------------------------------------------------------------

    @overload
    async def call(
        self,
        rpc: str,
        data: Any = None,
        *,
        type: type[T],
        timeout: float | None = None,  # noqa: ASYNC109
        metadata: dict[str, Any] | None = None,
        idempotent: bool = False,
    ) -> T: ...

    @overload
    async def call(
        self,
        rpc: str,
        data: Any = None,
        *,
        type: Any = Any,
        timeout: float | None = None,  # noqa: ASYNC109
        metadata: dict[str, Any] | None = None,
        idempotent: bool = False,
    ) -> Any: ...

    async def call(
        self,
        rpc: str,
        data: Any = None,
        *,
        type: Any = Any,
        timeout: float | None = None,  # noqa: ASYNC109 - sent to the server, too
        metadata: dict[str, Any] | None = None,
        idempotent: bool = False,
    ) -> Any:
        """Call a procedure with one item; returns the one it answers.

        Args:
            rpc: its name.
            data: the item.
            type: of the answer, by which it is decoded and checked.
            timeout: seconds. Within a handler, what is left of its own deadline is the most.
            metadata: a map with text keys.
            idempotent: send it once more if the connection goes away before the answer is here.

        Raises:
            RpcError: the answer is an ERROR, or the deadline has passed (504).
            DisconnectedError: the connection went away, or there is none.
            msgspec.ValidationError: the answer is not of the type.
        """
        deadline = deadline_of(timeout)
        again = idempotent
        while True:
            call = Call(self, rpc, metadata, deadline)
            call.link = await self.ready(deadline, rpc)
            call.link.begin(call, data, MESSAGE, self.metadata_of(call))
            try:
                frame = await call.next_frame()
            except DisconnectedError:
                if again and self.given_up is None:
                    again = False
                    continue
                raise
            if frame is None:
                raise RpcError(500, "the answer was an empty stream", None, rpc)
            return msgspec.msgpack.decode(frame.data, type=type)

    def stream(
        self,
        rpc: str,
        data: Any = NOTHING,
        *,
        type: Any = Any,
        timeout: float | None = None,
        metadata: dict[str, Any] | None = None,
        window: int | None = None,
    ) -> Stream[Any]:
        """Call a procedure that streams, as a context manager; leaving it cancels what is not over.

        Args:
            rpc: its name.
            data: the item of a request that has one; without it items are sent by ``send``.
            type: of the items of the answer.
            timeout: seconds for all of it.
            metadata: a map with text keys.
            window: items that may be under way, 1 to 65,536.
        """
        return Stream(self, rpc, data, type, metadata, deadline_of(timeout), window or self._window)

    def subscribe(self, topic: str, since: str | None = None, *, type: Any = Any) -> Subscription[Any]:
        """The messages of a topic, as a context manager; it resumes after each reconnection.

        Args:
            topic: its name.
            since: a position; what was published after it comes first. ``""`` is before all that is kept.
            type: of the messages.
        """
        return Subscription(self, "swill.subscribe", {"topic": topic}, type, since, None)

    def follow(
        self, rpc: str, data: Any = None, *, since: str | None = None, type: Any = Any, metadata: Any = None
    ) -> Subscription[Any]:
        """A stream of ``tracked`` items of a procedure of your own, which resumes likewise."""
        return Subscription(self, rpc, data, type, since, metadata)

    # -- for calls -------------------------------------------------------------------------------------------------

    async def ready(self, deadline: float | None = None, rpc: str = "") -> Link:
        """A connection; waits for one.

        Raises:
            DisconnectedError: there is none in time.
            RpcError: the deadline has passed (504).
        """
        if self._link is not None:
            return self._link
        if self.given_up is not None:
            raise self.given_up
        if len(self._waiting) >= MAX_WAITING:
            raise DisconnectedError(f"{MAX_WAITING} calls wait for a connection already")
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep(), name="swill client: connection")
        loop = asyncio.get_running_loop()
        end = loop.time() + self._connect_timeout
        future: asyncio.Future[Link] = loop.create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout_at(end if deadline is None else min(end, deadline)):
                return await future
        except TimeoutError:
            if deadline is not None and deadline <= end:
                raise RpcError(504, "the deadline has passed", None, rpc) from None
            raise DisconnectedError(f"no connection to {self.url} in {self._connect_timeout} s") from None
        finally:
            self._waiting.discard(future)

    def metadata_of(self, call: Call) -> dict[str, Any] | None:
        """What is sent beside a call: its own, and the time that is left."""
        if call.deadline is None:
            return call.metadata
        left = call.deadline - asyncio.get_running_loop().time()
        return {**(call.metadata or {}), "swill.timeout": max(1, int(left * 1000))}

    @staticmethod
    def delay(attempt: int) -> float:
        """Seconds before the next attempt to connect."""
        return min(MAX_DELAY, 0.5 * 2.0 ** min(attempt, 16)) * random.uniform(0.5, 1.5)

    # -- the connection --------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Stay connected, until that is useless or not wanted any more."""
        attempt = 0
        self._set_state("connecting")
        while self.given_up is None:
            try:
                async with asyncio.timeout(self._connect_timeout):
                    link = await self._open()
            except RefusedError as error:
                if error.status in FINAL_STATUS:
                    self._give_up(DisconnectedError(str(error), error.status, error.body))
                    return
                logger.info("%s: %s", self.url, error)
            except (OSError, TimeoutError) as error:
                logger.info("%s cannot be reached: %s", self.url, error or "it does not answer")
            except ValueError as error:
                self._give_up(DisconnectedError(str(error)))
                return
            else:
                attempt = 0
                await self._stay(link)
                if self.given_up is not None:
                    return
                self._set_state("reconnecting")
            await asyncio.sleep(self.delay(attempt))
            attempt += 1

    async def _open(self) -> Link:
        """One attempt; a server that refuses ``swill.1`` is tried once more with the original's name."""
        headers = [*self._headers]
        if self.session is not None:
            headers.append(("Cookie", f"swill_session={self.session}"))
        try:
            transport, answer = await connect(self.url, [self._subprotocol], headers, self._ssl)
        except RefusedError as error:
            if self._subprotocol != "swill.1" or error.status not in (400, 403, 406, 500):
                raise
            try:
                transport, answer = await connect(self.url, ["swill/1"], headers, self._ssl)
            except RefusedError:
                raise error from None
            self._subprotocol = "swill/1"
        for name, value in answer:
            if name == "set-cookie" and value.startswith("swill_session="):
                self.session = value.partition("=")[2].partition(";")[0]
        return Link(transport, self._name, self._goaway, self._lost)

    async def _stay(self, link: Link) -> None:
        """Hand the connection out, and wait until another one is wanted."""
        self._link = link
        self._wanted.clear()
        self._set_state("open")
        for future in tuple(self._waiting):
            if not future.done():
                future.set_result(link)
        await self._wanted.wait()

    def _goaway(self, link: Link) -> None:
        """The server is about to restart: what is open is finished there, what is new goes to the next connection."""
        if self._link is link:
            self._leaving.add(link)
            self._link = None
            self._wanted.set()

    def _lost(self, link: Link) -> None:
        self._leaving.discard(link)
        self.session = link.session or self.session
        if self._link is not link:
            return
        self._link = None
        if not self._reconnect or link.transport.code not in AGAIN:
            self._give_up(link.error())
        self._wanted.set()

    def _give_up(self, error: DisconnectedError) -> None:
        if self.given_up is None:
            self.given_up = error
            self._set_state("closed")
            for future in tuple(self._waiting):
                if not future.done():
                    future.set_exception(error)

    def _set_state(self, state: str) -> None:
        if state != self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)


def deadline_of(timeout: float | None) -> float | None:
    """On the loop's clock; within a handler not behind its own."""
    request = current_request.get(None)
    outer = None if request is None else request.deadline
    if timeout is None:
        return outer
    if timeout <= 0:
        raise ValueError(f"timeout is a number of seconds above 0, not {timeout!r}")
    own = asyncio.get_running_loop().time() + timeout
    return own if outer is None else min(own, outer)
