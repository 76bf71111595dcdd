"""python-socketio as an ASGI application; a call is an event with an acknowledgement."""

import socketio

server = socketio.AsyncServer(async_mode="asgi")
app = socketio.ASGIApp(server)


@server.event
async def add(sid, one, two):
    return one + two
