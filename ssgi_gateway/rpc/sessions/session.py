"""``connection.session``, and what all stores share: ids, cookies, hello, how many connections one session may have.

A session is a hash that is read and written field by field, so that two connections of one session do not overwrite
each other. Nothing is created before the first write. An unknown id, stolen or old, is a new session and never an
error. While the store is unavailable reads and writes raise ``SessionUnavailable`` (503), and connections live on.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ssgi_gateway.errors import ConfigurationError

from ..errors import PubSubUnavailable, SessionUnavailable

if TYPE_CHECKING:
    from ..connection import Connection

__all__ = ["COOKIE", "DAYS_14", "ROTATION", "Session", "Sessions"]

logger = logging.getLogger("ssgi_gateway.rpc")

COOKIE: Final = "swill_session"
DAYS_14: Final = 14 * 86400.0
ROTATION: Final = 60.0
"""Seconds that an old id stays valid: as long as the cookie of the new one may be on its way."""

ID: Final = re.compile(r"[A-Za-z0-9_-]{43}")

encode = msgspec.msgpack.encode
decode = msgspec.msgpack.decode


def new_id() -> str:
    """32 random bytes, as text."""
    return secrets.token_urlsafe(32)


class Session:
    """One session, seen from one connection.

    Attributes:
        id: secret: the id is all that it takes to use the session.
        is_new: whether the client did not bring it.
    """

    __slots__ = ("_lock", "_sessions", "_verified", "connection", "counted", "id", "is_new", "keeps_id")

    def __init__(self, sessions: Sessions, connection: Connection, id: str, *, is_new: bool, verified: bool) -> None:
        self._sessions = sessions
        self._verified = verified
        self._lock: asyncio.Lock | None = None
        self.connection = connection
        self.id = id
        self.is_new = is_new
        self.keeps_id = False
        """Whether the client keeps the id itself, and has to be sent another one."""
        self.counted: str | None = None

    def is_called(self, id: str) -> bool:
        """Whether this is its id."""
        return secrets.compare_digest(self.id, id)

    async def get(self, key: str, default: Any = None) -> Any:
        """The value of a field.

        Raises:
            SessionUnavailable: the store is unavailable.
        """
        value = await self._sessions.read(await self._own_id(), key)
        return default if value is None else decode(value)

    async def set(self, key: str, value: Any) -> None:
        """Write a field: any value of msgpack."""
        await self._sessions.write(await self._own_id(), key, encode(value))

    async def delete(self, key: str) -> None:
        """Remove a field, if it is there."""
        await self._sessions.remove(await self._own_id(), key)

    async def clear(self) -> None:
        """Remove all of them; the id stays."""
        await self._sessions.remove_all(await self._own_id())

    async def items(self) -> dict[str, Any]:
        """All fields."""
        return {key: decode(value) for key, value in (await self._sessions.read_all(await self._own_id())).items()}

    async def rotate(self) -> str:
        """Give the session another id, after a login; the old one stays valid for a minute. Returns the new one.

        A browser gets it as a cookie with the answer of a call over HTTP, or with its next connection; a client that
        keeps its id itself is notified at once.
        """
        old, new = await self._own_id(), new_id()
        await self._sessions.rename(old, new)
        app = self.connection.app
        for connection in tuple(app.connections.values()):
            if connection.has_session and connection.session.is_called(old):
                connection.session.renamed(new)
        self.renamed(new)
        self._sessions.add_cookie(self.connection, new)
        if app.pubsub is not None:
            from ..pubsub.control import announce

            try:
                await announce(app.pubsub, {"rotate": old, "to": new})
            except PubSubUnavailable:
                logger.warning("other workers could not be notified of a session's new id")
        return new

    def renamed(self, new: str) -> None:
        """It has another id from now on."""
        if self.id != new:
            self.id = new
            if self.keeps_id:
                self.connection.send_control({"session": new})

    async def _own_id(self) -> str:
        """The id, once it is known to be one: if the store was away when the connection was made, it is read now."""
        if not self._verified:
            if self._lock is None:
                self._lock = asyncio.Lock()
            async with self._lock:
                if not self._verified:
                    known = await self._sessions.resolve(self.id)
                    self.id = known or new_id()
                    self._verified = True
        return self.id

    def __repr__(self) -> str:
        return f"<Session {self.id[:6]}...>"


class Sessions:
    """A store. Subclasses read and write fields.

    Args:
        ttl: seconds after its last use that a session is forgotten.
    """

    single_process = False

    def __init__(self, ttl: float = DAYS_14) -> None:
        if ttl <= 0:
            raise ValueError(f"ttl is a number of seconds above 0, not {ttl!r}")
        self.ttl = ttl
        self._connections: Counter[str] = Counter()

    def check(self, workers: int) -> None:
        """Refuse to start where a client would lose its session with each connection.

        Raises:
            ConfigurationError: what to write instead.
        """
        if self.single_process and workers > 1:
            raise ConfigurationError(
                f"{type(self).__name__} keeps sessions in one process, and there are {workers} workers; use "
                "sessions=swill.RedisSessions(url)"
            )

    async def start(self) -> None:
        """Connect."""

    async def close(self) -> None:
        """Disconnect."""

    async def resolve(self, id: str) -> str | None:
        """The id that a session has now; ``None`` for what is unknown. Counts as a use.

        Raises:
            SessionUnavailable: the store is unavailable.
        """
        raise NotImplementedError

    async def read(self, id: str, key: str) -> bytes | None:
        """A field."""
        raise NotImplementedError

    async def read_all(self, id: str) -> dict[str, bytes]:
        """All fields."""
        raise NotImplementedError

    async def write(self, id: str, key: str, value: bytes) -> None:
        """Write a field."""
        raise NotImplementedError

    async def remove(self, id: str, key: str) -> None:
        """Remove a field."""
        raise NotImplementedError

    async def remove_all(self, id: str) -> None:
        """Remove all fields."""
        raise NotImplementedError

    async def rename(self, old: str, new: str) -> None:
        """Give a session another id; the old one leads to it for ``ROTATION`` seconds."""
        raise NotImplementedError

    # -- connections -----------------------------------------------------------------------------------------------

    async def open(self, connection: Connection) -> None:
        """Give a connection its session: the one its cookie names, or a new one with a cookie."""
        offered = connection.data.cookies.get(COOKIE, "")
        session = await self._session(connection, offered)
        connection.session = session
        if session.id != offered:
            self.add_cookie(connection, session.id)

    async def hello(self, connection: Connection, offered: str | None) -> str | None:
        """The id for a client that keeps it itself; ``None`` for a browser, which has the cookie.

        A page's scripts never get the id of the cookie: that is what ``HttpOnly`` is for.
        """
        browser = connection.data.header("origin") is not None
        if offered is None and browser:
            return None
        if offered is not None:
            session = await self._session(connection, offered)
            self.release(connection)
            connection.session = session
            self.count(connection)
        connection.session.keeps_id = True
        return str(connection.session.id)

    async def _session(self, connection: Connection, offered: str) -> Session:
        if not ID.fullmatch(offered):
            return Session(self, connection, new_id(), is_new=True, verified=True)
        try:
            known = await self.resolve(offered)
        except SessionUnavailable:
            logger.warning("%s: the session store is unavailable; its session is checked later", connection)
            return Session(self, connection, offered, is_new=False, verified=False)
        return Session(self, connection, known or new_id(), is_new=known is None, verified=True)

    def add_cookie(self, connection: Connection, id: str) -> None:
        """Let the answer set the cookie."""
        data = connection.data
        secure = "; Secure" if data.scheme == "https" else ""
        value = f"{COOKIE}={id}; Path={data.root_path or '/'}; Max-Age={int(self.ttl)}; HttpOnly; SameSite=Lax{secure}"
        others = [pair for pair in data.response_headers if not pair[1].startswith(f"{COOKIE}=")]
        data.response_headers[:] = [*others, ("Set-Cookie", value)]

    def count(self, connection: Connection) -> bool:
        """Count a connection of its session; returns whether it may be."""
        session = connection.session
        session.counted = session.id
        self._connections[session.id] += 1
        return self._connections[session.id] <= connection.app.settings.max_session_connections

    def release(self, connection: Connection) -> None:
        """A connection has closed."""
        session = connection.session
        if session.counted is not None:
            self._connections[session.counted] -= 1
            if self._connections[session.counted] <= 0:
                del self._connections[session.counted]
            session.counted = None
