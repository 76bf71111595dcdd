"""What the tests of this folder serve."""

from __future__ import annotations

import asyncio
from typing import Any

from ssgi_gateway.ssgi import SSGIHttpResponse, SSGIWebSocket


async def http(*call: Any) -> None:
    """Answers by the path: ``/`` at once, ``/wait`` a little later, ``/fail``, ``/loop`` never, ``/echo`` the body."""
    remote, path, get_header = call[2], call[4], call[6]
    res: SSGIHttpResponse = call[7]
    if path == "/loop":
        while True:
            pass
    if path == "/fail":
        secret = "only in development"  # noqa: F841 - the page shows it
        raise RuntimeError("on purpose")
    if path == "/forever":
        await asyncio.Event().wait()
    if path == "/wait":
        await asyncio.sleep(0.2)
    if path == "/echo":
        data = await res.get_data()
        res.send(b"" if data is None else data.getvalue())
        return
    if path == "/stream":
        for number in range(3):
            await res.send(f"{number}\n", True)
        res.send()
        return
    if path == "/remote":
        res.send(f"{remote} {get_header('host')} {res.extensions['scheme']}")
        return
    res.send_headers([("Content-Type", "text/plain")])
    res.send("hello")


def websocket(*args: Any) -> None:
    """An echo."""
    ws: SSGIWebSocket = args[7]
    ws.accept()
    ws.on_receive(lambda ws, message: ws.send(message))


def app(
    kind: str, server: str, remote: str, method: str, path: str, query_string: str, get_header: Any, exchange: Any
) -> Any:
    """Both."""
    serve = websocket if kind == "websocket" else http
    return serve(kind, server, remote, method, path, query_string, get_header, exchange)
