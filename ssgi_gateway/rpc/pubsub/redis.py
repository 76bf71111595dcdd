"""``RedisPubSub``: topics of many machines, by Redis. It needs the package ``redis`` (the extra ``rpc-redis``).

Publishing is one script: it counts the topic's offset in a hash, appends to a stream if history is kept (``XADD MAXLEN
~``) and publishes, so that position, history and fan-out never disagree. Each worker has one connection that listens.
When it was lost, what came meanwhile is read from the stream (``XRANGE``).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, Final

from ..errors import PubSubUnavailable
from ..request import release
from .broker import BEGINNING, Broker, Message, Recalled, parse_position

__all__ = ["RedisPubSub"]

logger = logging.getLogger("ssgi_gateway.rpc")

PUBLISH: Final = """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[2]
  redis.call('HSET', KEYS[1], 'epoch', epoch)
end
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
local history = tonumber(ARGV[3])
local ttl = tonumber(ARGV[4])
if history > 0 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', history, offset .. '-0', 'd', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ttl)
end
redis.call('PEXPIRE', KEYS[1], math.max(ttl, 86400000))
redis.call('PUBLISH', KEYS[3], epoch .. ':' .. offset .. ' ' .. ARGV[1])
return {epoch, offset}
"""

RECALL: Final = """
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then
  epoch = ARGV[1]
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', 0)
  redis.call('PEXPIRE', KEYS[1], 86400000)
end
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset') or '0')
local missed = {}
if ARGV[2] == epoch or ARGV[2] == '*' then
  missed = redis.call('XRANGE', KEYS[2], '(' .. ARGV[3] .. '-0', '+')
end
return {epoch, offset, missed}
"""

RETRY_LEAST: Final = 0.1
RETRY_MOST: Final = 5.0


class RedisPubSub(Broker):
    """A Redis.

    Args:
        url: ``redis://host:6379/0``, ``rediss://...``, ``unix:///path``.
        prefix: of keys and channels.
        timeout: seconds that an answer of Redis may take.
    """

    def __init__(self, url: str, prefix: str = "swill:topic:", timeout: float = 5.0) -> None:
        super().__init__()
        try:
            import redis.asyncio as package
        except ImportError as error:
            raise ImportError("RedisPubSub needs the package redis: pip install 'ssgi-gateway[rpc-redis]'") from error
        self._package: Any = package
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._redis: Any = None
        self._channels: Any = None
        self._listener: asyncio.Task[None] | None = None
        self._listening: Any = None
        self._away = False
        self._rejoining: asyncio.Task[None] | None = None
        self._confirmed: dict[str, asyncio.Future[None]] = {}

    async def start(self) -> None:
        """Connect; while Redis is unavailable, go on trying."""
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff

        # A command that is sent again might publish twice, and a connection that is made again in silence has a gap.
        common = {"socket_connect_timeout": self._timeout, "retry": Retry(NoBackoff(), 0)}
        self._redis = self._package.from_url(self._url, socket_timeout=self._timeout, **common)
        self._publish = self._redis.register_script(PUBLISH)
        self._recall = self._redis.register_script(RECALL)
        # This one waits for messages as long as it takes; whether it still lives, pings find out.
        self._listening = self._package.from_url(self._url, socket_timeout=None, health_check_interval=15, **common)
        self._channels = self._listening.pubsub()
        self._listener = asyncio.create_task(self._listen(), name="swill redis")

    async def close(self) -> None:
        """Disconnect."""
        tasks = [task for task in (self._listener, self._rejoining) if task is not None]
        self._listener = self._rejoining = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for part in (self._channels, self._listening, self._redis):
            try:
                await part.aclose()
            except self._failures():
                logger.debug("closing a connection to Redis", exc_info=True)

    async def publish(self, topic: str, payload: bytes, history: int, ttl: float) -> str:
        """Publish; returns the position.

        Raises:
            PubSubUnavailable: Redis cannot be reached.
        """
        arguments = [payload, secrets.token_hex(4), history, int(ttl * 1000)]
        epoch, offset = await self._do(self._publish(keys=self._keys(topic), args=arguments))
        return f"{text(epoch)}:{offset}"

    async def join(self, topic: str) -> None:
        """Listen to a topic; returns when Redis has confirmed it, so that nothing is missed from then on."""
        channel = self._keys(topic)[2]
        confirmed = self._confirmed[channel] = asyncio.get_running_loop().create_future()
        await self._do(self._channels.subscribe(channel))
        try:
            await asyncio.wait_for(confirmed, self._timeout)
        except TimeoutError as error:
            raise PubSubUnavailable("Redis does not answer") from error

    async def leave(self, topic: str) -> None:
        """Stop to listen to it."""
        try:
            await self._do(self._channels.unsubscribe(self._keys(topic)[2]))
        except PubSubUnavailable:
            pass  # it is forgotten with the connection

    async def recall(self, topic: str, since: str | None) -> Recalled:
        """What was published after a position."""
        epoch, offset = ("*", 0) if since == BEGINNING else parse_position(since)
        keys = self._keys(topic)[:2]
        answer = await self._do(self._recall(keys=keys, args=[secrets.token_hex(4), epoch, offset]))
        now_epoch, now_offset = text(answer[0]), int(answer[1])
        if since is None:
            return Recalled(now_epoch, now_offset, True, [])
        missed = [Message(now_epoch, int(at.split(b"-")[0]), fields[1]) for at, fields in answer[2]]
        whole = since == BEGINNING or (
            epoch == now_epoch and offset <= now_offset and len(missed) == now_offset - offset
        )
        return Recalled(now_epoch, now_offset, whole, missed if whole else [])

    # -- inside --------------------------------------------------------------------------------------------------

    def _keys(self, topic: str) -> tuple[str, str, str]:
        name = f"{self._prefix}{{{topic}}}"  # the braces keep a topic's keys on one node of a cluster
        return f"{name}:meta", f"{name}:history", f"{name}:messages"

    def _failures(self) -> tuple[Any, ...]:
        return (self._package.RedisError, OSError, asyncio.TimeoutError)

    async def _do(self, command: Any) -> Any:
        try:
            return await command
        except self._failures() as error:
            raise PubSubUnavailable(f"Redis cannot be reached: {error}") from error

    async def _listen(self) -> None:
        """Hand on what is published; when the connection is lost, make another."""
        delay = RETRY_LEAST
        while True:
            try:
                if self._away:
                    await self._reconnect()
                    delay = RETRY_LEAST
                if not self._channels.subscribed:
                    await asyncio.sleep(0.01)  # there is no subscriber yet
                    continue
                message = await self._channels.get_message(timeout=30)
                if message is not None:
                    self._heard(message)
            except Exception as error:  # whatever the package raises: a worker must not become deaf
                self._lost(error)
                await asyncio.sleep(delay)
                delay = min(RETRY_MOST, delay * 2)

    def _lost(self, error: BaseException) -> None:
        if not self._away:
            logger.warning("Redis is unavailable (%s); publishing fails until it is back", error)
        self._away = True
        if self._rejoining is not None:
            self._rejoining.cancel()
        for waiting in self._confirmed.values():
            if not waiting.done():
                waiting.set_exception(PubSubUnavailable("Redis went away"))
                waiting.exception()
        self._confirmed.clear()

    async def _reconnect(self) -> None:
        await self._do(self._redis.ping())
        await self._channels.aclose()
        self._channels = self._listening.pubsub()
        self._away = False
        logger.warning("Redis is back")
        # In a task of its own, because what it waits for is received here.
        self._rejoining = asyncio.create_task(self._rejoin(), name="swill redis: back")

    async def _rejoin(self) -> None:
        try:
            await self.rejoin()
        except PubSubUnavailable as error:
            logger.debug("Redis is unavailable again: %s", error)

    def _heard(self, message: Any) -> None:
        channel = text(message["channel"])
        if message["type"] == "subscribe":
            release(self._confirmed.pop(channel, None))
        if message["type"] != "message":
            return
        topic = channel[len(self._prefix) + 1 : -len("}:messages")]
        position, _, payload = message["data"].partition(b" ")
        epoch, offset = parse_position(text(position))
        last = self._last.get(topic)
        if last is None or last.epoch != epoch or offset > last.offset:
            self.deliver(topic, Message(epoch, offset, payload))


def text(value: Any) -> str:
    """An answer of Redis, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
