"""What all backends share: messages with positions, the subscriptions of this process, and how one joins without a gap.

A position is ``epoch:offset``: offsets count up by one within an epoch, and another epoch means that what was kept is
lost. A subscriber is entered first, and what is published meanwhile waits at its ``Gate``; then what was missed
is recalled; then the gate opens. So nothing is lost and nothing comes twice, in order.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any, Final, NamedTuple

from ssgi_gateway.errors import ConfigurationError

from ..errors import Error, ErrorCode
from ..frames import encode
from .audience import Audience

__all__ = [
    "BEGINNING",
    "MAX_BYTES",
    "MAX_MESSAGES",
    "Attachment",
    "Broker",
    "Message",
    "Recalled",
    "Sink",
    "parse_position",
]

logger = logging.getLogger("ssgi_gateway.rpc")

MAX_MESSAGES: Final = 256
MAX_BYTES: Final = 1048576
"""What may wait for one subscriber; then its subscription ends, and the client resumes from its position."""


BEGINNING: Final = ""
"""The position before all that is kept."""


class Message:
    """One published message; its frame is encoded once for all subscribers of this process."""

    __slots__ = ("_tail", "epoch", "offset", "payload")

    def __init__(self, epoch: str, offset: int, payload: bytes) -> None:
        self.epoch = epoch
        self.offset = offset
        self.payload = payload
        self._tail: bytes | None = None

    @property
    def id(self) -> str:
        """Its position."""
        return f"{self.epoch}:{self.offset}"

    @property
    def tail(self) -> bytes:
        """A MESSAGE frame with ``{id, data}`` in it, from behind the seq on."""
        if self._tail is None:
            self._tail = b"\x82\xa2id" + encode(self.id) + b"\xa4data" + self.payload + b"\x00\xc0\xc0"
        return self._tail


class Recalled(NamedTuple):
    """What a backend remembers of a topic.

    Args:
        epoch, offset: of the last message that was published.
        recovered: whether ``missed`` is all that came after the given position.
        missed: those messages, in order.
    """

    epoch: str
    offset: int
    recovered: bool
    missed: list[Message]


class Sink:
    """What takes messages: a subscription."""

    def put(self, message: Message) -> None:
        """Take one; never waits and never raises."""
        raise NotImplementedError

    def fail(self, error: Error) -> None:
        """No more will come."""
        raise NotImplementedError

    def settle(self, audience: Audience) -> None:
        """Nothing is missing any more: take what comes, from now on and in one way or another."""
        audience.add(self, self)

    def leave(self) -> None:
        """It was taken out of its audience."""


class Gate(Sink):
    """Keeps what is published until what came before has been recalled."""

    __slots__ = ("open", "sink", "waiting")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.open = False
        self.waiting: deque[Message] = deque()

    def put(self, message: Message) -> None:
        """Pass it on, or keep it."""
        if self.open:
            self.sink.put(message)
        elif len(self.waiting) < MAX_MESSAGES:
            self.waiting.append(message)
        else:
            self.fail(too_slow())

    def fail(self, error: Error) -> None:
        """Pass it on."""
        self.sink.fail(error)


class Attachment:
    """A subscription that has been entered.

    Attributes:
        position: where it begins.
        recovered: whether nothing since the given position is missing.
    """

    def __init__(self, audience: Audience | None, gate: Gate, since: str | None, recalled: Recalled) -> None:
        self._audience = audience
        self.recovered = recalled.recovered
        resumed = since is not None and recalled.recovered
        self.position = since if resumed else f"{recalled.epoch}:{recalled.offset}"
        self._gate = gate
        self._recalled = recalled

    def begin(self) -> None:
        """Hand out what was missed and what has come meanwhile, and from now on what comes."""
        gate, recalled = self._gate, self._recalled
        for message in recalled.missed:
            gate.sink.put(message)
        gate.open = True
        while gate.waiting:
            message = gate.waiting.popleft()
            if message.epoch != recalled.epoch or message.offset > recalled.offset:
                gate.sink.put(message)
        if self._audience is not None and self._audience.members.get(gate.sink) is gate:
            gate.sink.settle(self._audience)  # from now on without a detour


class Broker:
    """A backend. Subclasses define how messages are published, received and recalled."""

    single_process = False
    """Whether other workers would not receive what is published here."""

    def __init__(self) -> None:
        self._audiences: dict[str, Audience] = {}
        self._last: dict[str, Message] = {}
        self._joining: dict[str, asyncio.Lock] = {}
        self._held: dict[str, list[Message]] = {}
        """What comes of a topic while a gap before it is being closed."""
        self._topics: list[Any] = []

    def check(self, workers: int) -> None:
        """Refuse to start where subscribers would miss messages.

        Raises:
            ConfigurationError: what to write instead.
        """
        if self.single_process and workers > 1:
            raise ConfigurationError(
                f"{type(self).__name__} reaches the subscribers of one process, and there are {workers} workers; use "
                "pubsub=swill.LocalPubSub() on one machine, swill.RedisPubSub(url) or swill.NatsPubSub(url) on many"
            )

    async def start(self) -> None:
        """Connect; called once, on the loop."""

    async def close(self) -> None:
        """Disconnect."""

    def declare(self, topic: Any) -> None:
        """A topic of the application; before ``start``."""
        self._topics.append(topic)

    async def publish(self, topic: str, payload: bytes, history: int, ttl: float) -> str:
        """Publish; returns the position.

        Raises:
            PubSubUnavailable: the backend is unavailable.
        """
        raise NotImplementedError

    async def join(self, topic: str) -> None:
        """Begin to receive a topic: its first subscriber has come."""

    async def leave(self, topic: str) -> None:
        """Stop receiving it: its last subscriber has left."""

    async def recall(self, topic: str, since: str | None) -> Recalled:
        """What was published after a position."""
        raise NotImplementedError

    # -- subscribers of this process -------------------------------------------------------------------------------

    async def attach(self, topic: str, sink: Sink, since: str | None) -> Attachment:
        """Enter a subscriber; it gets nothing before ``begin`` of what is returned.

        Raises:
            PubSubUnavailable: the backend is unavailable.
        """
        gate = Gate(sink)
        async with self._joining.setdefault(topic, asyncio.Lock()):
            first = topic not in self._audiences
            self._audiences.setdefault(topic, Audience()).add(sink, gate)
            try:
                if first:
                    await self.join(topic)
                recalled = await self.recall(topic, since)
            except BaseException:
                await self._remove(topic, sink)
                raise
        return Attachment(self._audiences.get(topic), gate, since, recalled)

    async def detach(self, topic: str, sink: Sink) -> None:
        """Take a subscriber out."""
        async with self._joining.setdefault(topic, asyncio.Lock()):
            await self._remove(topic, sink)
        if topic not in self._audiences:
            self._joining.pop(topic, None)

    async def _remove(self, topic: str, sink: Sink) -> None:
        audience = self._audiences.get(topic)
        if audience is None:
            return
        audience.remove(sink)
        if not audience.members and self._audiences.pop(topic, None) is not None:
            self._last.pop(topic, None)
            await self.leave(topic)

    def deliver(self, topic: str, message: Message) -> None:
        """Hand a message to every subscriber of this process."""
        audience = self._audiences.get(topic)
        if audience is None:
            return
        if topic in self._held:
            self._held[topic].append(message)
            return
        self._last[topic] = message
        audience.deliver(message)

    def enter(self, topic: str, sink: Sink) -> None:
        """Enter a subscriber while the backend is unavailable: it receives what comes after ``rejoin``."""
        self._audiences.setdefault(topic, Audience()).add(sink, sink)

    async def rejoin(self) -> None:
        """After a time in which nothing was received: close the gap of each topic, or end its subscriptions.

        Raises:
            PubSubUnavailable: the backend is unavailable again.
        """
        for topic in tuple(self._audiences):
            self._held.setdefault(topic, [])
        for topic in tuple(self._held):
            try:
                await self.join(topic)
                last = self._last.get(topic)
                recalled = None if last is None else await self.recall(topic, last.id)
            except Error:
                self._held.clear()
                raise
            held = self._held.pop(topic, [])
            if recalled is not None and not recalled.recovered and self.remembers(topic):
                self._last.pop(topic, None)
                lost = Error(code=ErrorCode.UNAVAILABLE, message="messages were lost; subscribe again")
                for taker in tuple(self._audiences.get(topic, Audience()).members.values()):
                    taker.fail(lost)
                continue
            for message in [*(recalled.missed if recalled is not None else ()), *held]:
                newest = self._last.get(topic)
                if newest is None or message.epoch != newest.epoch or message.offset > newest.offset:
                    self.deliver(topic, message)

    def remembers(self, topic: str) -> bool:
        """Whether a topic has a history, so that its subscribers have to be notified of a gap."""
        return any(known.history and known.match(topic) is not None for known in self._topics)


def too_slow() -> Error:
    """What ends a subscription that does not keep up."""
    return Error(code=ErrorCode.TOO_MANY, message="the subscriber is too slow; subscribe again from the last position")


def parse_position(position: str | None) -> tuple[str, int]:
    """Epoch and offset; ``("", 0)`` for what is no position."""
    epoch, _, offset = (position or "").rpartition(":")
    return (epoch, int(offset)) if offset.isdecimal() and len(offset) < 20 else ("", 0)
