"""Says goodbye when the server begins to drain."""

from __future__ import annotations


async def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    if type == "http":
        res.send("")
        return
    await res.accept()
    res.extensions["on_drain"](goodbye, res)
    res.send("hello")
    res.on_receive(lambda ws, message: None)


async def goodbye(ws):
    await ws.send("goodbye")
