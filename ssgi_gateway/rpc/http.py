"""Requests that are no WebSocket: calls over HTTP, the page, static files, and 426 for the path of connections.

``POST {path}/{rpc}`` calls a procedure that streams in neither direction. The body is JSON or msgpack, by
Content-Type, and the answer likewise; ``Swill-Metadata`` holds metadata as JSON. The code of an error is the status if
it is one.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from .connection_data import ConnectionData
from .current import INNERMOST
from .errors import CloseConnection, Error, ErrorCode
from .frames import MESSAGE, RequestFrame, decode_answer, decode_any
from .hooks import run
from .http_connection import HttpConnection
from .runtime import request_facts
from .upgrade import TEXT, check_origin

if TYPE_CHECKING:
    from .app import Swill

__all__ = ["answer"]

logger = logging.getLogger("ssgi_gateway.rpc")

JSON: Final = "application/json"
MSGPACK: Final = ("application/msgpack", "application/vnd.msgpack", "application/x-msgpack")
UPGRADE: Final = (("Upgrade", "websocket"), ("Connection", "Upgrade"), *TEXT)


def answer(app: Swill, client: str, method: str, path: str, query: str, get_header: Any, res: Any) -> Any:
    """Answer a request over HTTP; a coroutine where something has to be waited for."""
    scheme, root_path = request_facts(res)
    below = path.removeprefix(root_path) if path.startswith(root_path) else path
    if below == app.path:
        return send(res, 426, UPGRADE, "a connection is a WebSocket, with the subprotocol swill.1\n")
    if below.startswith(app.path + "/"):
        if method != "POST":
            return send(res, 405, (*TEXT, ("Allow", "POST")), "a procedure is called by POST\n")
        if not check_origin(app, get_header, scheme):
            return send(res, 403, TEXT, "calls may not be made from this Origin\n")
        data = ConnectionData(client, path, query, get_header, scheme, root_path)
        return call(app, below[len(app.path) + 1 :], data, get_header, res)
    if app.settings.debug and below in ("/_swill", "/_swill/"):
        from .page import page

        return send(res, 200, (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")), page(app))
    for extra in app.extras:
        answered = extra.answer(method, below, get_header, res)
        if answered is not None:
            return answered
    return send(res, 404, TEXT, "nothing is here\n")


def send(res: Any, status: int, headers: Any, body: str | bytes) -> Any:
    """A whole answer."""
    payload = body.encode() if isinstance(body, str) else body
    res.send_status(status)
    res.send_headers([*headers, ("Content-Length", str(len(payload)))])
    return res.send(payload)


async def call(app: Swill, name: str, data: ConnectionData, get_header: Any, res: Any) -> None:
    """Call a procedure, through all hooks, and answer."""
    runtime = app.runtime_for(res)
    content_type = (get_header("content-type") or JSON).partition(";")[0].strip().lower()
    binary = content_type in MSGPACK
    try:
        if not binary and content_type != JSON and not content_type.endswith("+json"):
            raise Error(code=415, message=f"the body is {JSON} or {MSGPACK[0]}, not {content_type}")
        procedure = app.procedures.get(name)
        if procedure is None:
            raise Error(code=ErrorCode.NOT_FOUND, message=f"there is no procedure {name!r}")
        if procedure.streams_in or procedure.streams_out or name == "swill.hello":
            raise Error(code=406, message=f"{name} streams, which HTTP does not; connect to {app.path}")
        body = await read_body(app, get_header, res)
        frame = RequestFrame(1, to_raw(body, binary), name, MESSAGE, read_metadata(get_header("swill-metadata")))
    except Error as error:
        send_error(res, error.code, {"code": error.code, "message": error.message}, binary, None)
        return
    connection = HttpConnection(app, runtime, res, data)
    if not await begin(connection, binary):
        return
    res.on_aborted(connection.lost)
    leading, final = await connection.call(procedure, frame)
    if final is None:
        status, reason = connection.refusal
        send(res, status, TEXT, reason)
        return
    answered = decode_answer(final)
    metadata = {}
    if leading or answered.leading:
        metadata["leading"] = leading or answered.leading
    if answered.trailing:
        metadata["trailing"] = answered.trailing
    headers = list(data.response_headers)
    if metadata:
        headers.append(("Swill-Metadata", to_json(metadata).decode("ascii")))
    if answered.type == MESSAGE:
        payload = bytes(answered.data) if binary else to_json(decode_any(answered.data))
        send(res, 200, [("Content-Type", MSGPACK[0] if binary else JSON), *headers], payload)
    else:
        failure = decode_any(answered.data)
        send_error(res, failure["code"], failure, binary, headers)


async def begin(connection: HttpConnection, binary: bool) -> bool:
    """Run the hooks of a connection that begins; returns whether there is a call to make."""
    app, res = connection.app, connection.res
    token = INNERMOST.set(connection)
    try:
        await run(app.connection_hooks("before_connection"), connection.data)
        if app.sessions is not None:
            await app.sessions.open(connection)
        await run(app.connection_hooks("before_accept"), connection)
    except CloseConnection as closing:
        send(res, closing.http_status, TEXT, closing.reason)
    except Error as error:
        send_error(res, error.code, {"code": error.code, "message": error.message}, binary, None)
    except Exception:
        logger.exception("%s: a hook failed before the call", connection)
        send(res, 500, TEXT, "Internal Server Error\n")
    else:
        return True
    finally:
        INNERMOST.reset(token)
    return False


def send_error(res: Any, code: int, error: dict[str, Any], binary: bool, headers: Any) -> None:
    """An error, with its code as the status if it is one."""
    payload = msgspec.msgpack.encode(error) if binary else to_json(error)
    status = code if 400 <= code <= 599 else 500
    send(res, status, [("Content-Type", MSGPACK[0] if binary else JSON), *(headers or ())], payload)


async def read_body(app: Swill, get_header: Any, res: Any) -> bytes:
    """The request's body, within bounds.

    Raises:
        Error: 413.
    """
    limit = app.settings.max_body
    declared = get_header("content-length")
    if declared and declared.isdigit() and int(declared) > limit:
        raise Error(code=ErrorCode.TOO_LARGE, message=f"a body has at most {limit} bytes here")
    parts: list[bytes] = []
    size = 0
    while (chunk := await res.get_chunk()) is not None:
        parts.append(chunk.getvalue())
        size += len(parts[-1])
        if size > limit:
            raise Error(code=ErrorCode.TOO_LARGE, message=f"a body has at most {limit} bytes here")
    return b"".join(parts)


def to_raw(body: bytes, binary: bool) -> msgspec.Raw:
    """The body as msgpack: what a frame would have held. Nothing is nil.

    Raises:
        Error: 400.
    """
    if not body:
        return msgspec.Raw(b"\xc0")
    try:
        if binary:
            decode_any(body)
            return msgspec.Raw(body)
        return msgspec.Raw(msgspec.msgpack.encode(json.loads(body)))
    except (ValueError, msgspec.MsgspecError, RecursionError, OverflowError) as error:
        raise Error(code=ErrorCode.BAD_REQUEST, message=f"the body cannot be decoded: {error}") from None


def read_metadata(header: str | None) -> dict[str, Any] | None:
    """``Swill-Metadata``.

    Raises:
        Error: 400.
    """
    if header is None:
        return None
    try:
        return msgspec.json.decode(header.encode("latin-1"), type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise Error(code=ErrorCode.BAD_REQUEST, message=f"Swill-Metadata is a JSON object: {error}") from None


def to_json(value: Any) -> bytes:
    """JSON in ASCII, so that it may be in a header; ``bytes`` as base64, what JSON has no word for as its text."""
    encoded = msgspec.json.encode(value, enc_hook=repr)
    return encoded if encoded.isascii() else json.dumps(json.loads(encoded)).encode("ascii")
