"""An event stream by sse-starlette, which says goodbye when its server is about to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route


async def endpoint(request: Request) -> EventSourceResponse:
    """Events for as long as there is somebody, and a last one at the server's end."""
    over = anyio.Event()

    async def events() -> AsyncIterator[dict[str, str]]:
        while not over.is_set():
            yield {"data": "x" * 40}
            await asyncio.sleep(0.05)
        yield {"data": "goodbye"}

    return EventSourceResponse(events(), shutdown_event=over, shutdown_grace_period=5)


app = Starlette(routes=[Route("/", endpoint)])
