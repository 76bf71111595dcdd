"""What the tests of WSGI share: an application in the real server, inline or in threads."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from ssgi_gateway.adapters.wsgi.adapter import adapt
from tests.unit.adapters.serving import DEADLINE, serving

TEXT = [("Content-Type", "text/plain")]

BIG = bytes(range(256)) * 4096
"""A megabyte."""


@contextlib.asynccontextmanager
async def served(app, settings):
    adapted = adapt(app, settings)
    try:
        async with serving(adapted, settings) as server:
            yield server
    finally:
        if settings.threads:
            await adapted.shutdown()


def run(test, deadline=DEADLINE):
    """Run a test's coroutine."""

    async def bounded():
        async with asyncio.timeout(deadline):
            return await test

    return asyncio.run(bounded())


def ask(app, settings, *args, **kwargs):
    """One request to ``app`` and its answer."""

    async def test():
        async with served(app, settings) as server:
            return await server.request(*args, **kwargs)

    return run(test())


async def rest(client):
    """What is left of an answer."""
    pieces = []
    while piece := await client.read_some():
        pieces.append(piece)
    return b"".join(pieces)


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"Hello, world!\n"]


class Iterable:
    """A body that notes what is done to it."""

    def __init__(self, *blocks):
        self.blocks = iter(blocks)
        self.closed = []

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        if isinstance(block, Exception):
            raise block
        return block() if callable(block) else block

    def close(self):
        self.closed.append(threading.current_thread().name)
