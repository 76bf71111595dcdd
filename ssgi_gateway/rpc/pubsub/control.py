"""What workers send each other, through the pub/sub backend: a session that has ended or has another id."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..errors import Error, PubSubUnavailable
from .broker import Broker, Message, Sink

if TYPE_CHECKING:
    from ..app import Swill

__all__ = ["announce", "listen"]

logger = logging.getLogger("ssgi_gateway.rpc")

TOPIC: Final = "swill.control"


class ControlSink(Sink):
    """Does what other workers request.

    Args:
        app: whose connections are meant.
    """

    def __init__(self, app: Swill) -> None:
        self._app = app

    def put(self, message: Message) -> None:
        """Close the connections of a session, or send them its new id."""
        try:
            order = msgspec.msgpack.decode(message.payload, type=dict[str, str])
        except msgspec.MsgspecError:
            logger.warning("a control message of another version was ignored")
            return
        if "close_session" in order:
            self._app.close_session_here(order["close_session"], order.get("reason", ""))
        if "rotate" in order:
            for connection in tuple(self._app.connections.values()):
                if connection.has_session and connection.session.is_called(order["rotate"]):
                    connection.session.renamed(order["to"])

    def fail(self, error: Error) -> None:
        """A gap: sessions may have ended meanwhile; their next reading finds out."""
        logger.warning("control messages were lost: %s", error.message)


async def listen(broker: Broker, app: Swill) -> None:
    """Receive what other workers publish."""
    sink = ControlSink(app)
    try:
        attachment = await broker.attach(TOPIC, sink, None)
    except PubSubUnavailable as error:
        logger.warning("starting without publish/subscribe: %s", error)
        broker.enter(TOPIC, sink)
    else:
        attachment.begin()


async def announce(broker: Broker, what: dict[str, Any]) -> None:
    """Tell all workers, this one included.

    Raises:
        PubSubUnavailable: they cannot be reached.
    """
    await broker.publish(TOPIC, msgspec.msgpack.encode(what), 0, 60)
