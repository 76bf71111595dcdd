"""The procedures that every application has: ``swill.hello``, ``swill.ping``, introspection, subscriptions.

They are procedures like any other, except that hello and ping come before all hooks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ssgi_gateway import __version__

from .errors import Error, ErrorCode
from .flow import MAX_WINDOW
from .introspect import IntrospectedRpc, introspect
from .procedures import Procedure
from .request import RESERVED, Request, Response
from .schema import schema_of

if TYPE_CHECKING:
    from .app import Swill
    from .connection import Connection

__all__ = ["FEATURES", "HOOKLESS", "procedures"]

HOOKLESS: Final = ("swill.hello", "swill.ping")

FEATURES: Final = ("credit", "control")
"""What a client may enable in hello."""


class Hello(msgspec.Struct):
    """What a client sends about itself."""

    client: str
    features: list[str] = []
    session: str | None = None


class Subscribe(msgspec.Struct):
    """The argument of ``swill.subscribe``."""

    topic: str
    since: str | None = None


def procedures(app: Swill) -> dict[str, Procedure]:
    """All of them, for an application."""

    async def hello(request: Request[Hello]) -> dict[str, Any]:
        """Find out what the server can do; a connection's first frame."""
        connection = request.connection
        if connection.greeted:
            raise Error(code=ErrorCode.BAD_REQUEST, message="hello was sent already")
        connection.greeted = True
        greeting = request.data
        answer: dict[str, Any] = {"server": f"ssgi-gateway/{__version__}", "features": list(features(app))}
        if connection.has_session:
            session = await app.sessions.hello(connection, greeting.session)
            if session is not None:
                answer["session"] = session
        answer["limits"] = {
            "message": app.settings.max_message,
            "requests": app.settings.max_requests,
            "window": MAX_WINDOW,
        }
        return answer

    def ping(request: Request[Any]) -> None:
        """Answer nil."""

    async def introspect_all(request: Request[Any]) -> AsyncIterator[IntrospectedRpc]:
        """Every procedure, with the names of its types."""
        for name, procedure in app.own.items():
            if not name.startswith(RESERVED):
                yield introspect(procedure)

    async def schema(request: Request[Any]) -> dict[str, Any]:
        """Every procedure and topic, in JSON Schema."""
        return schema_of(app)

    async def subscribe(request: Request[Subscribe], response: Response) -> AsyncIterator[Any]:
        """The messages of a topic, as they are published: {id, data}."""
        from .pubsub.serving import serve_subscription

        async for item in serve_subscription(app, request, response):
            yield item

    return named(app, hello, ping, introspect_all, schema, subscribe)


def named(app: Swill, hello: Any, ping: Any, introspect_all: Any, schema: Any, subscribe: Any) -> dict[str, Procedure]:
    """Those that an application has, by name."""
    found = [
        Procedure("swill.hello", hello),
        Procedure("swill.ping", ping, inline=True, idempotent=True),
        Procedure("swill.subscribe", subscribe),
    ]
    if app.settings.introspection:
        found += [
            Procedure("swill.introspect", introspect_all, idempotent=True),
            Procedure("swill.schema", schema, idempotent=True),
        ]
    found[0].prepare = note_features
    return {procedure.name: procedure for procedure in found}


def note_features(connection: Connection, item: Any) -> None:
    """What is pipelined behind hello may use what the client enabled, whenever the answer comes."""
    if connection.features is None:
        try:
            greeting = msgspec.msgpack.decode(item, type=Hello)
        except msgspec.MsgspecError:
            return  # the answer reports it
        connection.features = frozenset(greeting.features) & frozenset(FEATURES)


def features(app: Swill) -> tuple[str, ...]:
    """What this server offers, beyond what the client may enable."""
    more = ["deadline", "ping"]
    if app.pubsub is not None:
        more.append("subscribe")
    if app.sessions is not None:
        more.append("session")
    if app.settings.introspection:
        more.append("schema")
    return (*FEATURES, *more)
