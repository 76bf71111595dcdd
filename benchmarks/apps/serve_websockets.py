"""The websockets library's own server, as its documentation shows it, on uvloop. Usage: serve_websockets.py PORT"""

import asyncio
import sys

import uvloop
from websockets.asyncio.server import serve


async def echo(websocket):
    async for message in websocket:
        await websocket.send(message)


async def main():
    async with serve(echo, "127.0.0.1", int(sys.argv[1])):
        await asyncio.get_running_loop().create_future()


uvloop.run(main())
