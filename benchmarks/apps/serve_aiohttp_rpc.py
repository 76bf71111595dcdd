"""aiohttp-rpc over WebSockets. Usage: serve_aiohttp_rpc.py PORT"""

import asyncio
import sys

import aiohttp_rpc
import uvloop
from aiohttp import web


async def add(one, two):
    return one + two


server = aiohttp_rpc.WSJSONRPCServer()
server.add_method(add)
app = web.Application()
app.router.add_route("GET", "/rpc", server.handle_http_request)
asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None)
