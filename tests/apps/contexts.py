"""Applications that set a context variable for whoever gives ``?user=``, in every interface and every way to answer.

Each answers with what the variable was when the request began: a request of somebody else must not be found in it. The
path says how: ``/at-once``, ``/waits``, ``/streams`` (in pieces, the last after a pause), ``/large`` (a body that the
connection has to wait for), ``/body`` (reads the whole request body first), ``/run-async``, ``/aborted`` (sets it in a
handler, once the client has disconnected). WebSockets answer each message with what the variable was when the handler
began.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from urllib.parse import parse_qs

NOBODY = "nobody"
USER: ContextVar[str] = ContextVar("USER", default=NOBODY)
PIECE = b"." * 65536
LARGE = 40  # pieces

# The routes of one gateway share what is noted here: how many requests wait for their client to leave, and how many
# have seen it.
begun: list[str] = []
gone: list[str] = []


def noted():
    return f"{len(begun)} {len(gone)}"


def begin(query):
    """What the variable was; then it is the user's."""
    began = USER.get()
    user = parse_qs(query if isinstance(query, str) else query.decode()).get("user", [""])[0]
    if user:
        USER.set(user)
    return began.encode()


# -- SSGI ------------------------------------------------------------------------------------------------------------


def ssgi(type, server_address, remote_address, method, path, query_string, get_header, res):
    began = begin(query_string)
    if type == "websocket":
        res.on_receive(said)
        res.on_close(closed)
        res.accept()
        return None
    if path == "/at-once":
        res.send(began)
        return None
    if path == "/run-async":
        res.run_async(later, res, began)
        return None
    if path == "/aborted":
        waiting = asyncio.get_running_loop().create_future()
        res.on_aborted(left, query_string, waiting)
        res.run_async(waiting)
        begun.append(path)
        return None
    if path == "/gone":
        res.send(noted())
        return None
    return ssgi_later(path, res, began)


async def ssgi_later(path, res, began):
    if path == "/body":
        await res.get_data()
    elif path != "/large":
        await asyncio.sleep(0.01)
    res.send(began, path in ("/streams", "/large"))
    if path == "/large":
        for _ in range(LARGE):
            await res.send(PIECE, True)
    if path in ("/streams", "/large"):
        await asyncio.sleep(0.01)
        res.send(b"")


async def later(res, began):
    await asyncio.sleep(0.01)
    inner = USER.get()
    USER.set(f"{inner} later")
    res.send(began)


def left(query, waiting):
    begin(query)
    gone.append(query)
    waiting.set_result(None)


def said(ws, message):
    began = USER.get()
    USER.set(message)
    if message == "async":
        return said_later(ws, began)
    return ws.send(began)


async def said_later(ws, began):
    await asyncio.sleep(0.01)
    await ws.send(began)


def closed(ws, code, reason):
    USER.set("closed")


# -- ASGI ------------------------------------------------------------------------------------------------------------


async def asgi(scope, receive, send):  # noqa: C901 - a way to answer for each path
    if scope["type"] == "lifespan":
        USER.set("lifespan")
        while True:
            event = await receive()
            await send({"type": f"{event['type']}.complete"})
            if event["type"].endswith("shutdown"):
                return
    began = begin(scope["query_string"])
    if scope["type"] == "websocket":
        await asgi_websocket(receive, send)
        return
    path = scope["path"]
    if path == "/body":
        while (await receive()).get("more_body"):
            pass
    elif path == "/aborted":
        begun.append(path)
        while (await receive())["type"] != "http.disconnect":
            pass
        gone.append("")
        return
    elif path not in ("/at-once", "/large", "/gone"):
        await asyncio.sleep(0.01)
    if path == "/gone":
        began = noted().encode()
    await send({"type": "http.response.start", "status": 200})
    if path not in ("/streams", "/large"):
        await send({"type": "http.response.body", "body": began})
        return
    await send({"type": "http.response.body", "body": began, "more_body": True})
    if path == "/large":
        for _ in range(LARGE):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await asyncio.sleep(0.01)
    await send({"type": "http.response.body", "body": b""})


async def asgi_websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": USER.get()})
        USER.set(event["text"])


# -- RSGI ------------------------------------------------------------------------------------------------------------


async def rsgi(scope, protocol):
    began = begin(scope.query_string)
    if scope.proto == "ws":
        transport = await protocol.accept()
        while (message := await transport.receive()).kind != 0:
            await transport.send_str(USER.get())
            USER.set(message.data)
        return
    path = scope.path
    if path == "/gone":
        protocol.response_str(200, [], noted())
        return
    if path == "/body":
        await protocol()
    elif path == "/aborted":
        begun.append(path)
        await protocol.client_disconnect()
        gone.append("")
        return
    elif path not in ("/at-once", "/large"):
        await asyncio.sleep(0.01)
    if path not in ("/streams", "/large"):
        protocol.response_bytes(200, [], began)
        return
    transport = protocol.response_stream(200, [])
    await transport.send_bytes(began)
    if path == "/large":
        for _ in range(LARGE):
            await transport.send_bytes(PIECE)
    await asyncio.sleep(0.01)


# -- WSGI ------------------------------------------------------------------------------------------------------------


def wsgi(environ, start_response):
    began = begin(environ["QUERY_STRING"])
    path = environ["PATH_INFO"]
    if path == "/body":
        environ["wsgi.input"].read()
    start_response("200 OK", [])
    if path == "/streams":
        return wsgi_stream([began, b"", b""])
    if path == "/large":
        return wsgi_stream([began, *[PIECE] * LARGE])
    return [began]


def wsgi_stream(blocks):
    for block in blocks:
        yield block
        USER.set(f"{USER.get()} in a stream")
