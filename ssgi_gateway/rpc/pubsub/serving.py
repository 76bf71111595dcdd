"""``swill.subscribe``: checks, the position as leading metadata, then messages until the client ends them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import Error, ErrorCode
from .subscription import Direct, Queued

if TYPE_CHECKING:
    from ..app import Swill
    from ..request import Request, Response

__all__ = ["serve_subscription"]


async def serve_subscription(app: Swill, request: Request[Any], response: Response) -> AsyncIterator[Any]:
    """Serve one subscription; yields what cannot go into the connection directly.

    Raises:
        Error: 404, 403, 429, or what ended it.
    """
    name, since = request.data.topic, request.data.since
    topic = app.find_topic(name)
    if topic is None or app.pubsub is None:
        raise Error(code=ErrorCode.NOT_FOUND, message=f"there is no topic {name!r}")
    connection = request.connection
    if not await topic.allows(connection, name):
        raise Error(code=ErrorCode.FORBIDDEN, message=f"subscribing to {name!r} is not allowed")
    if connection.subscriptions >= app.settings.max_subscriptions:
        raise Error(code=ErrorCode.TOO_MANY, message="too many subscriptions on this connection")
    direct = request.window is None and not request.procedure.hooks.before_response_message
    sink: Direct | Queued = Direct(request) if direct else Queued()
    connection.subscriptions += 1
    try:
        attachment = await app.pubsub.attach(name, sink, since)
        try:
            await response.set_leading_metadata({"position": attachment.position, "recovered": attachment.recovered})
            attachment.begin()
            if isinstance(sink, Direct):
                await sink.serve()
                return
            async for message in sink:
                yield {"id": message.id, "data": msgspec.Raw(message.payload)}
        finally:
            await app.pubsub.detach(name, sink)
    finally:
        connection.subscriptions -= 1
