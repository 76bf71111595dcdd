"""Fixtures of the WSGI tests: each rule holds inline and in threads."""

from __future__ import annotations

import threading

import pytest

from ssgi_gateway.settings import Settings


@pytest.fixture(params=[0, 1, 4], ids=["inline", "one-thread", "threads"])
def settings(request):
    return Settings(threads=request.param)


@pytest.fixture(params=[1, 4], ids=["one-thread", "threads"])
def threaded(request):
    return Settings(threads=request.param)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Whatever a test does to the threads, they end with their server."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("wsgi-")]
