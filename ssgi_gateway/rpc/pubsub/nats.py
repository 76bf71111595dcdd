"""``NatsPubSub``: topics of many machines, by NATS. It needs the package ``nats-py`` (the extra ``rpc-nats``).

A topic with history is kept by JetStream: one stream for each declared topic, with a limit a subject and an age. Its
messages are received through an ordered consumer, so their positions are the stream's sequence numbers and a
reconnection has no gap. A topic without history is a plain subject, and positions count what this process publishes.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from typing import Any, Final
from urllib.parse import quote

from ..errors import PubSubUnavailable
from .broker import BEGINNING, Broker, Message, Recalled, parse_position
from .topics import PART

__all__ = ["NatsPubSub"]

logger = logging.getLogger("ssgi_gateway.rpc")

HEADER: Final = "Swill-Id"


class NatsPubSub(Broker):
    """A NATS server or cluster; topics with history need JetStream (``nats-server -js``).

    Args:
        url: ``nats://host:4222``; several, separated by commas, are a cluster.
        prefix: of subjects and streams.
        timeout: seconds that an answer may take.
    """

    def __init__(self, url: str, prefix: str = "swill", timeout: float = 5.0) -> None:
        super().__init__()
        try:
            import nats as package
        except ImportError as error:
            raise ImportError("NatsPubSub needs the package nats-py: pip install 'ssgi-gateway[rpc-nats]'") from error
        self._package: Any = package
        self._urls = url.split(",")
        self._prefix = prefix
        self._timeout = timeout
        self._nats: Any = None
        self._stream: Any = None
        self._epoch = secrets.token_hex(4)
        self._count = 0
        self._subscriptions: dict[str, Any] = {}
        self._epochs: dict[str, str] = {}
        self._rejoining: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect; while NATS is unavailable, go on trying."""
        self._nats = self._package.NATS() if hasattr(self._package, "NATS") else self._package.aio.client.Client()
        await self._nats.connect(
            servers=self._urls,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            connect_timeout=self._timeout,
            allow_reconnect=True,
            error_cb=self._failed,
            disconnected_cb=self._away,
            reconnected_cb=self._back,
        )
        self._stream = self._nats.jetstream(timeout=self._timeout)
        for topic in self._topics:
            if topic.history:
                await self._make_stream(topic)

    async def close(self) -> None:
        """Disconnect."""
        if self._rejoining is not None:
            self._rejoining.cancel()
            await asyncio.wait([self._rejoining])
            self._rejoining = None
        if self._nats is not None:
            await self._nats.close()

    async def publish(self, topic: str, payload: bytes, history: int, ttl: float) -> str:
        """Publish; returns the position.

        Raises:
            PubSubUnavailable: NATS cannot be reached.
        """
        if not self._nats.is_connected:
            raise PubSubUnavailable("NATS cannot be reached")
        if history:
            acknowledged = await self._do(self._stream.publish(self._subject(topic), payload, timeout=self._timeout))
            return f"{await self._epoch_of(topic)}:{acknowledged.seq}"
        self._count += 1
        position = f"{self._epoch}:{self._count}"
        await self._do(self._nats.publish(self._subject(topic), payload, headers={HEADER: position}))
        return position

    async def join(self, topic: str) -> None:
        """Listen to a topic."""
        old = self._subscriptions.pop(topic, None)
        if old is not None:
            await self._drop(old)
        if not self.remembers(topic):
            subscription = await self._do(self._nats.subscribe(self._subject(topic), cb=self._hearing(topic)))
            await self._do(self._nats.flush(timeout=self._timeout))
        else:
            epoch = await self._epoch_of(topic)
            from nats.js.api import DeliverPolicy

            async def received(message: Any) -> None:
                self._heard(topic, Message(epoch, message.metadata.sequence.stream, message.data))

            subscription = await self._do(
                self._stream.subscribe(
                    self._subject(topic), cb=received, ordered_consumer=True, deliver_policy=DeliverPolicy.NEW
                )
            )
        self._subscriptions[topic] = subscription

    async def leave(self, topic: str) -> None:
        """Stop to listen to it."""
        subscription = self._subscriptions.pop(topic, None)
        if subscription is not None:
            await self._drop(subscription)

    async def recall(self, topic: str, since: str | None) -> Recalled:
        """What was published after a position."""
        if not self.remembers(topic):
            return Recalled(self._epoch, self._count, since is None, [])
        name, subject = self._stream_name(topic), self._subject(topic)
        info = await self._do(self._stream.stream_info(name, subjects_filter=subject))
        epoch = str(info.created)
        self._epochs[name] = epoch = short(epoch)
        newest = info.state.last_seq
        if since is None:
            return Recalled(epoch, newest, True, [])
        known, offset = (epoch, 0) if since == BEGINNING else parse_position(since)
        if known != epoch or offset > newest:
            return Recalled(epoch, newest, False, [])
        missed = await self._fetch(name, subject, epoch, offset, newest)
        # A position is another subject's message, or one of this subject: where it is still kept, nothing after it is
        # lost.
        whole = since == BEGINNING or offset == newest or await self._has_all_since(name, subject, offset, len(missed))
        return Recalled(epoch, newest, whole, missed if whole else [])

    # -- inside --------------------------------------------------------------------------------------------------

    async def _fetch(self, name: str, subject: str, epoch: str, offset: int, newest: int) -> list[Message]:
        """The messages of a subject behind an offset, one request each: they are few, and mostly none."""
        from nats.js.errors import NotFoundError

        missed: list[Message] = []
        at = offset + 1
        while at <= newest:
            try:
                raw = await self._stream.get_msg(name, seq=at, subject=subject, next=True)
            except NotFoundError:
                break
            except self._failures() as error:
                raise PubSubUnavailable(f"NATS cannot be reached: {error}") from error
            missed.append(Message(epoch, raw.seq, raw.data or b""))
            at = raw.seq + 1
        return missed

    async def _has_all_since(self, name: str, subject: str, offset: int, missed: int) -> bool:
        """Whether the message of a position is still kept: then all that follow are."""
        from nats.js.errors import NotFoundError

        try:
            raw = await self._stream.get_msg(name, seq=offset)
        except NotFoundError:
            return False
        except self._failures() as error:
            raise PubSubUnavailable(f"NATS cannot be reached: {error}") from error
        return bool(raw.subject == subject) or missed == 0

    async def _make_stream(self, topic: Any) -> None:
        from nats.js.api import DiscardPolicy, StorageType, StreamConfig
        from nats.js.errors import BadRequestError

        config = StreamConfig(
            name=self._name_of(topic.pattern),
            subjects=[self._prefix + "." + PART.sub("*", topic.pattern)],
            max_msgs_per_subject=topic.history + 1,  # one more, to know that the position itself is still there
            max_age=topic.ttl,
            storage=StorageType.FILE,
            discard=DiscardPolicy.OLD,
            allow_direct=True,
        )
        try:
            try:
                await self._stream.add_stream(config)
            except BadRequestError:  # it exists with another history or age
                await self._stream.update_stream(config)
        except self._failures() as error:
            raise PubSubUnavailable(f"JetStream cannot keep {topic.pattern!r}: {error}") from error

    def _name_of(self, pattern: str) -> str:
        return f"{self._prefix}-{hashlib.sha256(pattern.encode()).hexdigest()[:16]}"

    def _stream_name(self, topic: str) -> str:
        found = next(known for known in self._topics if known.match(topic) is not None)
        return self._name_of(found.pattern)

    async def _epoch_of(self, topic: str) -> str:
        name = self._stream_name(topic)
        if name not in self._epochs:
            info = await self._do(self._stream.stream_info(name))
            self._epochs[name] = short(str(info.created))
        return self._epochs[name]

    def _subject(self, topic: str) -> str:
        return ".".join([self._prefix, *(quote(part, safe="") for part in topic.split("."))])

    def _hearing(self, topic: str) -> Any:
        async def received(message: Any) -> None:
            epoch, offset = parse_position((message.headers or {}).get(HEADER))
            self.deliver(topic, Message(epoch, offset, message.data))

        return received

    def _heard(self, topic: str, message: Message) -> None:
        last = self._last.get(topic)
        if last is None or last.epoch != message.epoch or message.offset > last.offset:
            self.deliver(topic, message)

    def _failures(self) -> tuple[Any, ...]:
        return (self._package.errors.Error, OSError, asyncio.TimeoutError)

    async def _do(self, command: Any) -> Any:
        try:
            return await command
        except self._failures() as error:
            raise PubSubUnavailable(f"NATS cannot be reached: {error}") from error

    async def _drop(self, subscription: Any) -> None:
        try:
            await subscription.unsubscribe()
        except self._failures():
            pass  # it ended with the connection

    async def _failed(self, error: Exception) -> None:
        logger.debug("NATS: %s", error)

    async def _away(self) -> None:
        logger.warning("NATS is unavailable; publishing fails until it is back")

    async def _back(self) -> None:
        logger.warning("NATS is back")
        self._epochs.clear()
        if self._rejoining is not None:
            self._rejoining.cancel()
        self._rejoining = asyncio.create_task(self._rejoin(), name="swill nats: back")

    async def _rejoin(self) -> None:
        try:
            for topic in self._topics:
                if topic.history:
                    await self._make_stream(topic)
            await self.rejoin()
        except PubSubUnavailable as error:
            logger.warning("NATS is unavailable again: %s", error)


def short(created: str) -> str:
    """An epoch: when the stream was made, as few letters."""
    return hashlib.sha256(created.encode()).hexdigest()[:8]
