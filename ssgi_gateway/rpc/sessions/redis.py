"""``RedisSessions``: a hash for each session in Redis. It needs the package ``redis`` (the extra ``rpc-redis``)."""

from __future__ import annotations

from typing import Any, Final

from ..errors import SessionUnavailable
from .session import DAYS_14, ROTATION, Sessions

__all__ = ["RedisSessions"]

RENAME: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[2])
end
redis.call('SET', KEYS[3], ARGV[1], 'EX', ARGV[2])
return 1
"""


class RedisSessions(Sessions):
    """A Redis.

    Args:
        url: ``redis://host:6379/0``, ``rediss://...``, ``unix:///path``.
        ttl: seconds after its last use that a session is forgotten.
        prefix: of keys.
        timeout: seconds that an answer of Redis may take.
    """

    def __init__(self, url: str, ttl: float = DAYS_14, prefix: str = "swill:session:", timeout: float = 5.0) -> None:
        super().__init__(ttl)
        try:
            import redis.asyncio as package
        except ImportError as error:
            raise ImportError("RedisSessions needs the package redis: pip install 'ssgi-gateway[rpc-redis]'") from error
        self._package: Any = package
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._redis: Any = None

    async def start(self) -> None:
        """Make the client; it connects when it is used."""
        self._redis = self._package.from_url(
            self._url, socket_timeout=self._timeout, socket_connect_timeout=self._timeout
        )
        self._rename = self._redis.register_script(RENAME)

    async def close(self) -> None:
        """Disconnect."""
        if self._redis is not None:
            await self._redis.aclose()

    async def resolve(self, id: str) -> str | None:
        """The id that a session has now."""
        alias = await self._do(self._client().get(self._alias(id)))
        now_called: str = alias.decode() if alias is not None else id
        return now_called if await self._do(self._client().expire(self._key(now_called), int(self.ttl))) else None

    async def read(self, id: str, key: str) -> bytes | None:
        """A field."""
        value: bytes | None = await self._do(self._client().hget(self._key(id), key))
        return value

    async def read_all(self, id: str) -> dict[str, bytes]:
        """All fields."""
        return {key.decode(): value for key, value in (await self._do(self._client().hgetall(self._key(id)))).items()}

    async def write(self, id: str, key: str, value: bytes) -> None:
        """Write a field."""
        pipeline = self._client().pipeline(transaction=True)
        pipeline.hset(self._key(id), key, value)
        pipeline.expire(self._key(id), int(self.ttl))
        await self._do(pipeline.execute())

    async def remove(self, id: str, key: str) -> None:
        """Remove a field."""
        await self._do(self._client().hdel(self._key(id), key))

    async def remove_all(self, id: str) -> None:
        """Remove all fields."""
        await self._do(self._client().delete(self._key(id)))

    async def rename(self, old: str, new: str) -> None:
        """Give a session another id."""
        keys = [self._key(old), self._key(new), self._alias(old)]
        await self._do(self._rename(keys=keys, args=[new, int(ROTATION)]))

    def _client(self) -> Any:
        if self._redis is None:
            raise SessionUnavailable("the session store was not started; the server runs startup() for that")
        return self._redis

    def _key(self, id: str) -> str:
        return f"{self._prefix}{id}"

    def _alias(self, id: str) -> str:
        return f"{self._prefix}was:{id}"

    async def _do(self, command: Any) -> Any:
        try:
            return await command
        except (TimeoutError, self._package.RedisError, OSError) as error:
            raise SessionUnavailable(f"Redis cannot be reached: {type(error).__name__}") from error
