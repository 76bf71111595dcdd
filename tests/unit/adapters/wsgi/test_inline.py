"""WSGI on the loop's own thread."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from ssgi_gateway.settings import Settings
from tests.unit.adapters.wsgi_serving import TEXT, ask, rest, run, served


def test_inline_the_application_sees_no_loop():
    def app(environ, start_response):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        start_response("200 OK", TEXT)
        yield asyncio.run(later(b"one"))
        yield asyncio.run(later(b"two"))

    async def later(value):
        await asyncio.sleep(0)
        return value

    assert ask(app, Settings(threads=0)).body == b"onetwo"
    assert ask(app, Settings(threads=0), "POST", body=b"x" * 100_000).body == b"onetwo"


def test_inline_each_request_has_its_own_context():
    variable = contextvars.ContextVar("variable", default=b"nothing")

    def app(environ, start_response):
        found = variable.get()
        token = variable.set(environ["QUERY_STRING"].encode())
        start_response("200 OK", TEXT)

        def body():
            yield b"x" * 20_000_000  # more than the peer takes at once: others run between this and the rest
            yield found + b" " + variable.get()
            variable.reset(token)

        return body() if environ["PATH_INFO"] == "/slow" else [found + b" " + variable.get()]

    async def test():
        async with served(app, Settings(threads=0)) as server:
            slow = await server.open("GET", "/slow?one")
            await slow.read_head()
            assert (await server.request("GET", "/?two")).body == b"nothing two"
            assert (await rest(slow)).endswith(b"nothing one")
            await slow.leave()
            assert (await server.request("GET", "/?three")).body == b"nothing three"

    run(test())
