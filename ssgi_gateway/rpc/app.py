"""``Swill``: the application, an SSGI callable like any other: servers of SSGI and, by ``as_asgi``, of ASGI run it.

It answers handshakes at its path, calls over HTTP below it, and whatever else was added (static files, the page); it
keeps the connections, the procedures with what was compiled of their hooks, and the backends.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from . import builtin, http, upgrade
from .config import Config, root_folder
from .connection import Connection
from .errors import PubSubUnavailable
from .hooks import HOOKS, RequestHooks
from .module import Module
from .procedures import Checker
from .runtime import Runtime
from .settings import RpcSettings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from .procedures import Procedure
    from .pubsub.topics import Topic

__all__ = ["SUBPROTOCOLS", "Swill"]

logger = logging.getLogger("ssgi_gateway.rpc")

SUBPROTOCOLS = ("swill.1", "swill/1")
"""Two names for one wire. The second is the original's: no token of RFC 6455 4.1, so browsers refuse to send it."""


class Swill(Module):
    """An application.

    Args:
        import_name: the module's ``__name__``, for logs and to find configuration files.
        path: where connections are made, below the root path.
        root_path: the folder that configuration files are looked for in; the module's own, if not given.
        sessions: ``MemorySessions()``, ``RedisSessions(url)``.
        pubsub: ``MemoryPubSub()``, ``LocalPubSub()``, ``RedisPubSub(url)``, ``NatsPubSub(url)``.
        settings: see ``RpcSettings``: ``debug``, ``threads``, ``max_requests``, ``origins`` ...

    Raises:
        TypeError: a setting that does not exist.
        ValueError: a setting out of its bounds.
    """

    HOOK_NAMES = HOOKS

    def __init__(
        self,
        import_name: str,
        path: str = "/ws",
        *,
        root_path: str | None = None,
        sessions: Any = None,
        pubsub: Any = None,
        **settings: Any,
    ) -> None:
        super().__init__(import_name)
        if not path.startswith("/") or path.endswith("/"):
            raise ValueError(f"path begins with a slash and does not end with one, as in '/ws'; not {path!r}")
        self.path = path
        self.config = Config(root_path or root_folder(import_name), {"swill": {}})
        self._given = {name: value for name, value in settings.items() if value is not None}
        RpcSettings.of(self._given, {})
        self.sessions = sessions
        self.pubsub = pubsub
        self.connections: dict[str, Connection] = {}
        """Open connections by id."""
        self.draining = False
        self.procedures: dict[str, Procedure] = {}
        """Ready to be called: the built-in ones, too."""
        self.extras: list[Any] = []
        """What answers other requests: static files."""
        self._closed_listeners: list[Callable[[Connection, int], object]] = []
        self._settings: RpcSettings | None = None
        self._connection_hooks: dict[str, tuple[Any, ...]] = {}
        self._runtime: Runtime | None = None

    # -- for applications ----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The import name; the file's for a script."""
        if self.import_name == "__main__":
            file = getattr(sys.modules["__main__"], "__file__", None)
            return os.path.splitext(os.path.basename(file))[0] if file else "__main__"
        return self.import_name

    @property
    def logger(self) -> logging.Logger:
        """The application's logger."""
        return logging.getLogger(self.name)

    @property
    def settings(self) -> RpcSettings:
        """The settings that apply: arguments, overridden by the configuration."""
        if self._settings is None:
            section = self.config.get("swill", {})
            self._settings = RpcSettings.of(self._given, section if isinstance(section, dict) else {})
        return self._settings

    @property
    def debug(self) -> bool:
        """Whether this is development."""
        return self.settings.debug

    def use(self, plugin: Any) -> None:
        """Add a plugin, such as ``AccessLog``: calls its ``register(app)``."""
        plugin.register(self)

    def static(self, prefix: str, folder: str | os.PathLike[str], **options: Any) -> None:
        """Serve the files of a folder below ``prefix``; see ``StaticFiles``. A relative one is below ``root_path``."""
        from .static import StaticFiles

        self.extras.append(StaticFiles(prefix, os.path.join(self.config.root_path, folder), **options))

    async def publish(self, topic: str, message: Any) -> str:
        """Publish to a topic; returns its position, opaque.

        Raises:
            ValueError: no such topic.
            TypeError: the message is not of the topic's type.
            PubSubUnavailable: the backend cannot be reached.
        """
        declared = self.find_topic(topic)
        if declared is None:
            raise ValueError(f"no topic {topic!r} is declared; use @app.topic(...)")
        payload = declared.encode(message)
        position: str = await self._broker().publish(topic, payload, declared.history, declared.ttl)
        return position

    def subscribe(self, topic: str, since: str | None = None) -> AbstractAsyncContextManager[AsyncIterator[Any]]:
        """The messages of a topic, for handlers: ``async with app.subscribe(topic) as messages``.

        Args:
            topic: its name.
            since: a position; what was published after it comes first. ``""`` is before all that is kept.
        """
        declared = self.find_topic(topic)
        if declared is None:
            raise ValueError(f"no topic {topic!r} is declared; use @app.topic(...)")
        from .pubsub.subscription import messages_of

        return messages_of(self._broker(), declared, topic, since)

    async def close_session(self, session_id: str, reason: str = "the session has ended") -> None:
        """Close every connection of a session, in all workers: 1008.

        Raises:
            PubSubUnavailable: others cannot be reached; this worker's connections are closed.
        """
        self.close_session_here(session_id, reason)
        if self.pubsub is not None:
            from .pubsub.control import announce

            await announce(self.pubsub, {"close_session": session_id, "reason": reason})

    def close_session_here(self, session_id: str, reason: str) -> None:
        """The same for this process' connections."""
        for connection in tuple(self.connections.values()):
            if connection.has_session and connection.session.is_called(session_id):
                connection.close(1008, reason)

    # -- SSGI ----------------------------------------------------------------------------------------------------

    def __call__(
        self,
        type: str,
        server_address: str,
        remote_address: str,
        method: str,
        path: str,
        query_string: str,
        get_header: Any,
        res: Any,
    ) -> Any:
        """One request: a WebSocket's handshake, or one over HTTP."""
        if type == "websocket":
            return upgrade.open_connection(self, remote_address, path, query_string, get_header, res)
        return http.answer(self, remote_address, method, path, query_string, get_header, res)

    def workers_known(self, count: int) -> None:
        """How many processes serve; refuses backends that they cannot share.

        Raises:
            ConfigurationError: what to write instead.
        """
        for part in (self.sessions, self.pubsub):
            if part is not None:
                part.check(count)

    async def startup(self, state: dict[str, Any]) -> None:
        """Before the first request."""
        self.draining = False
        await self._start_backends()

    async def _start_backends(self) -> None:
        if self.pubsub is not None:
            from .pubsub.control import listen

            for topic in self.topics:
                self.pubsub.declare(topic)
            await self.pubsub.start()
            await listen(self.pubsub, self)
        if self.sessions is not None:
            await self.sessions.start()

    async def shutdown(self) -> None:
        """After the last request."""
        for connection in tuple(self.connections.values()):
            connection.close(1012, "the server restarts")
        if self._runtime is not None:
            await self._runtime.close()
            self._runtime = None
        for part in (self.pubsub, self.sessions):
            if part is not None:
                await part.close()

    # -- inside --------------------------------------------------------------------------------------------------

    async def drain_connection(self, connection: Connection) -> None:
        """The server drains: what is open on a connection is finished, then it is closed."""
        self.draining = True
        connection.send_control({"goaway": "restart"})
        await connection.idle()
        connection.close(1012, "the server restarts")

    def runtime_for(self, res: Any) -> Runtime:
        """What this process' connections share; made with the first one."""
        runtime = self._runtime
        if runtime is None or runtime.loop.is_closed():
            runtime = self._runtime = Runtime(asyncio.get_running_loop(), res, self.settings)
        if not self.procedures:
            self.compile()
        return runtime

    def compile(self) -> None:
        """Make of everything registered what requests need."""
        settings = self.settings
        self._connection_hooks = {name: self.hook_lists.of(name) for name in HOOKS}
        table: dict[str, Procedure] = {}
        for name, procedure in (*builtin.procedures(self).items(), *self.own.items()):
            hookless = name in builtin.HOOKLESS
            procedure.hooks = RequestHooks(() if hookless else self.hook_chain(name))
            if settings.debug and not procedure.check.strict:
                procedure.check = Checker(procedure.check.type, strict=True)
                procedure.check.exact = None
            procedure.direct = procedure.inline and not procedure.hooks.any
            table[name] = procedure
        self.procedures = table

    def changed(self) -> None:
        """What was compiled is compiled again for the next connection."""
        super().changed()
        if self.procedures:
            self.compile()

    def connection_hooks(self, name: str) -> tuple[Any, ...]:
        """The hooks of a connection."""
        return self._connection_hooks.get(name, ())

    def add_closed_listener(self, listener: Callable[[Connection, int], object]) -> None:
        """Call ``listener(connection, close code)`` after every connection; for logs."""
        self._closed_listeners.append(listener)

    def tell_closed(self, connection: Connection, code: int) -> None:
        """A connection is over."""
        for listener in self._closed_listeners:
            listener(connection, code)

    def forget(self, connection: Connection) -> None:
        """Unregister a connection."""
        self.connections.pop(connection.id, None)
        if connection.has_session:
            self.sessions.release(connection)

    def find_topic(self, name: str) -> Topic | None:
        """The topic that a name belongs to."""
        for topic in self.topics:
            if topic.match(name) is not None:
                return topic  # type: ignore[no-any-return]
        return None

    def _broker(self) -> Any:
        if self.pubsub is None:
            raise PubSubUnavailable("this application has no pubsub; make it with Swill(..., pubsub=...)")
        return self.pubsub
