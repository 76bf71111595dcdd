"""python-socketio over ASGI."""

import socketio

server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
app = socketio.ASGIApp(server)


@server.on("echo")
async def echo(sid, data):
    return data
