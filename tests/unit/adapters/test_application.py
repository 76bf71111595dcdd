"""The life of an application: which hooks are called, in which order, and what becomes of one that fails."""

from __future__ import annotations

import asyncio

import pytest

from ssgi_gateway.adapters.application import Application
from ssgi_gateway.errors import ConfigurationError


class Part:
    """An SSGI callable that notes its life, and fails where it is told to."""

    def __init__(self, name, told, fails=()):
        self.name = name
        self.told = told
        self.fails = fails

    def _note(self, what):
        self.told.append(f"{self.name} {what}")
        if what in self.fails:
            raise LookupError(f"{self.name} cannot")

    def before_loop(self, loop):
        self._note("before_loop")

    async def startup(self, state):
        self._note("startup")

    async def shutdown(self):
        self._note("shutdown")

    def after_loop(self, loop):
        self._note("after_loop")

    def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res): ...


def test_the_hooks_are_called_from_the_outside_in_and_back():
    told = []
    application = Application(Part("http", told), Part("websocket", told), Part("framework", told))
    application.before_loop(None)
    asyncio.run(application.startup({}))
    asyncio.run(application.shutdown())
    application.after_loop(None)
    inward, outward = ["framework", "http", "websocket"], ["websocket", "http", "framework"]
    assert told == [
        *(f"{name} before_loop" for name in inward),
        *(f"{name} startup" for name in inward),
        *(f"{name} shutdown" for name in outward),
        *(f"{name} after_loop" for name in outward),
    ]


def test_a_startup_that_raises_ends_those_before_it_and_is_explained():
    told = []
    application = Application(Part("http", told, ["startup"]), Part("websocket", told), Part("framework", told))
    with pytest.raises(ConfigurationError, match=r"(?s)the application failed to start:.*LookupError: http cannot"):
        asyncio.run(application.startup({}))
    assert told == ["framework startup", "http startup", "framework shutdown"]


def test_an_end_that_raises_keeps_no_other_from_its_own(caplog):
    told = []
    ends = ["shutdown", "after_loop"]
    application = Application(Part("http", told, ends), Part("websocket", told, ends), Part("framework", told))
    asyncio.run(application.shutdown())
    application.after_loop(None)
    assert told[2::3] == ["framework shutdown", "framework after_loop"]
    for name in ends:
        assert caplog.text.count(f"{name}() of ") == 2
    assert "LookupError: websocket cannot" in caplog.text


def test_a_hook_that_is_not_async_is_reported(caplog):
    class Sync:
        def startup(self, state):
            raise AssertionError("it was called")

        def __call__(self, *args): ...

    application = Application(Sync(), None)
    asyncio.run(application.startup({}))
    assert "startup() of " in caplog.text
    assert "is not async, so it is no hook" in caplog.text
