"""A connection's beginning: path, subprotocol, Origin, the hooks around the 101, the session.

In this order: a wrong path is 404, neither name of the subprotocol 406 (a request without an upgrade, 426, comes over
HTTP), a foreign Origin 403; then ``before_connection``, the session, ``before_accept``, the 101, ``after_accept``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from ssgi_gateway.wire.websocket.handshake import normal_origin

from .connection import Connection, cut
from .connection_data import ConnectionData
from .current import INNERMOST
from .errors import CloseConnection, Error
from .hooks import run
from .runtime import drain_hook, request_facts

if TYPE_CHECKING:
    from .app import Swill

__all__ = ["NO_SUBPROTOCOL", "check_origin", "open_connection"]

logger = logging.getLogger("ssgi_gateway.rpc")

NO_SUBPROTOCOL = "offer the subprotocol swill.1 (or swill/1) in Sec-WebSocket-Protocol\n"
TEXT = (("Content-Type", "text/plain; charset=utf-8"),)


def open_connection(app: Swill, client: str, path: str, query_string: str, get_header: Any, res: Any) -> Any:
    """Answer a handshake; a coroutine where hooks or a session have to be waited for."""
    scheme, root_path = request_facts(res)
    if path != root_path + app.path:
        return res.reject(404, f"nothing is here; connections are made at {app.path}\n", TEXT)
    chosen = choose_subprotocol(get_header("sec-websocket-protocol"))
    if chosen is None:
        return res.reject(406, NO_SUBPROTOCOL, TEXT)
    if not check_origin(app, get_header, scheme):
        return res.reject(403, "connections may not be made from this Origin\n", TEXT)
    if app.draining:
        return res.reject(503, "the server is about to restart\n", (*TEXT, ("Retry-After", "1")))
    runtime = app.runtime_for(res)
    data = ConnectionData(client, path, query_string, get_header, scheme, root_path)
    data.subprotocol = chosen
    connection = Connection(app, runtime, res, data)
    if app.sessions is not None or any(app.connection_hooks(name) for name in BEFORE):
        return _begin_by_hooks(connection)
    _accept(connection)
    return None


BEFORE = ("before_connection", "before_accept", "after_accept")


def choose_subprotocol(offered: str | None) -> str | None:
    """The first offer that is known."""
    for name in (offered or "").split(","):
        if name.strip(" \t") in ("swill.1", "swill/1"):
            return name.strip(" \t")
    return None


def check_origin(app: Swill, get_header: Any, scheme: str) -> bool:
    """Whether this Origin may connect. A request without one comes from no browser and passes."""
    origins = app.settings.origins
    if origins is None:
        if app.sessions is None:
            return True
        origins = ("same",)
    origin = get_header("origin")
    if origin is None or "*" in origins:
        return True
    host = get_header("host")
    own = normal_origin(f"{scheme}://{host}") if host else None
    return normal_origin(origin) in {own if entry == "same" else normal_origin(entry) for entry in origins}


async def _begin_by_hooks(connection: Connection) -> None:
    app, ws, data = connection.app, connection.ws, connection.data
    token = INNERMOST.set(connection)
    try:
        await run(app.connection_hooks("before_connection"), data)
        if app.sessions is not None:
            await app.sessions.open(connection)
        await run(app.connection_hooks("before_accept"), connection)
    except CloseConnection as closing:
        ws.reject(closing.http_status, closing.reason, TEXT)
        return
    except Error as error:
        status = error.code if 400 <= error.code < 600 else 500
        ws.reject(status, error.message, TEXT)
        return
    except Exception:
        logger.exception("%s: a hook failed before the connection was accepted", connection)
        ws.reject(500, "Internal Server Error\n", TEXT)
        return
    finally:
        INNERMOST.reset(token)
    if _accept(connection, wait=bool(app.connection_hooks("after_accept"))):
        await _after_accept(connection)


def _accept(connection: Connection, wait: bool = False) -> bool:
    """Answer with 101; returns whether hooks have to run before messages are read."""
    ws, data, app = connection.ws, connection.data, connection.app
    ws.on_close(connection.closed)
    on_drain = drain_hook(ws)
    if on_drain is not None:
        on_drain(app.drain_connection, connection)
    if data.response_headers:
        ws.accept(data.subprotocol, data.response_headers)
    else:
        ws.accept(data.subprotocol)
    if int(ws.status) != 3:
        return False  # the client has disconnected
    connection.accepted = True
    app.connections[connection.id] = connection
    if connection.has_session and not app.sessions.count(connection):
        connection.close(1013, "too many connections of this session")
        return False
    if not wait:
        ws.on_receive(connection.on_message)
    return wait


async def _after_accept(connection: Connection) -> None:
    token = INNERMOST.set(connection)
    try:
        await run(connection.app.connection_hooks("after_accept"), connection)
    except CloseConnection as closing:
        connection.close(closing.close_code, closing.reason)
        return
    except Exception as error:
        logger.exception("%s: an after_accept hook failed", connection)
        connection.close(1011, cut(error.message) if isinstance(error, Error) else "")
        return
    finally:
        INNERMOST.reset(token)
    connection.ws.on_receive(connection.on_message)
