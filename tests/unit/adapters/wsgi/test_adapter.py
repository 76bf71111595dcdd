"""WSGI: whole applications."""

from __future__ import annotations

from wsgiref.validate import validator

import pytest

from ssgi_gateway.adapters.wsgi.adapter import adapt
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings
from tests.unit.adapters.wsgi_serving import run, served


def test_what_cannot_be_called_as_wsgi():
    with pytest.raises(ConfigurationError, match="takes two arguments"):
        adapt(lambda one: None, Settings())


def test_wsgiref_validates(settings):
    @validator
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        data = stream.read(3) + stream.readline() + b"".join(stream.readlines()) + b"".join(stream)
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].flush()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
        return [data] if environ["PATH_INFO"] == "/list" else iter([data])

    async def test():
        async with served(app, settings) as server:
            for target in ("/list", "/iterator", "/%C3%BC%ff?q"):
                answer = await server.request("POST", target, body=b"one\ntwo\nthree")
                assert (answer.status, answer.body) == (200, b"one\ntwo\nthree")
            assert (await server.request("GET", "/list?x")).status == 200

    run(test())
