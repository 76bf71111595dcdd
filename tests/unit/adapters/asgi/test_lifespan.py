"""ASGI's lifespan: each way an application may take part in it, or not."""

from __future__ import annotations

import asyncio

import pytest

from ssgi_gateway.adapters.asgi.lifespan import Lifespan
from ssgi_gateway.errors import ConfigurationError
from tests.unit.adapters.serving import in_loop


def answering(startup, shutdown, events=None):
    """An application that answers the two events with these messages."""

    async def app(scope, receive, send):
        for answer in (startup, shutdown):
            event = await receive()
            if events is not None:
                events.append(event)
            await send(answer)

    return app


STARTED = {"type": "lifespan.startup.complete"}
STOPPED = {"type": "lifespan.shutdown.complete"}


@in_loop
async def test_the_whole_conversation():
    events, scopes = [], []

    async def app(scope, receive, send):
        scopes.append(scope)
        scope["state"]["db"] = "open"
        await answering(STARTED, STOPPED, events)(scope, receive, send)

    state = {}
    lifespan = Lifespan(app)
    await lifespan.startup(state)
    assert state == {"db": "open"}
    assert events == [{"type": "lifespan.startup"}]
    await lifespan.shutdown()
    assert events == [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    assert scopes == [{"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": state}]
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    ("message", "said"),
    [({"message": "no database"}, "the application failed to start: no database"), ({}, "it gave no reason")],
)
@pytest.mark.parametrize("then", ["returns", "raises", "waits"])
@in_loop
async def test_startup_failed_is_an_error_with_its_message(message, said, then):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", **message})
        if then == "raises":
            raise LookupError("the reason")
        if then == "waits":
            await receive()

    with pytest.raises(ConfigurationError, match=said):
        await Lifespan(app).startup({})
    assert len(asyncio.all_tasks()) == 1


async def knows_only_http(scope, receive, send):
    assert scope["type"] == "http"


async def returns_at_once(scope, receive, send):
    pass


def is_not_async(scope, receive, send):
    pass


@pytest.mark.parametrize("app", [knows_only_http, returns_at_once, is_not_async])
@in_loop
async def test_an_application_without_lifespan_is_served(app, caplog):
    caplog.set_level("INFO")
    lifespan = Lifespan(app)
    await lifespan.startup({})
    await lifespan.shutdown()
    assert "the application has no lifespan" in caplog.text
    assert "Traceback" not in caplog.text


@in_loop
async def test_an_application_that_raises_in_its_startup_shows_its_traceback(caplog):
    async def app(scope, receive, send):
        await receive()
        raise LookupError("what went wrong")

    lifespan = Lifespan(app)
    await lifespan.startup({})
    await lifespan.shutdown()
    assert "it is served without lifespan" in caplog.text
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_an_application_that_raises_while_it_is_served(caplog):
    async def app(scope, receive, send):
        await receive()
        await send(STARTED)
        raise LookupError("what went wrong")

    lifespan = Lifespan(app)
    await lifespan.startup({})
    await asyncio.sleep(0)
    await lifespan.shutdown()
    assert "ended without an answer to the shutdown" in caplog.text
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_an_application_that_raises_in_its_shutdown(caplog):
    async def app(scope, receive, send):
        await receive()
        await send(STARTED)
        await receive()
        raise LookupError("what went wrong")

    lifespan = Lifespan(app)
    await lifespan.startup({})
    await lifespan.shutdown()
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_shutdown_failed_is_in_the_log(caplog):
    lifespan = Lifespan(answering(STARTED, {"type": "lifespan.shutdown.failed", "message": "still busy"}))
    await lifespan.startup({})
    await lifespan.shutdown()
    assert "failed to shut down: still busy" in caplog.text


@in_loop
async def test_who_goes_on_after_the_shutdown_is_cancelled():
    cancelled = []

    async def app(scope, receive, send):
        await answering(STARTED, STOPPED)(scope, receive, send)
        try:
            await receive()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    lifespan = Lifespan(app)
    await lifespan.startup({})
    await lifespan.shutdown()
    assert cancelled == [True]
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize(
    "message", [STOPPED, {"type": "lifespan.shutdown.failed"}, {"type": "http.response.start"}, {"type": None}]
)
@in_loop
async def test_an_answer_that_is_not_due_is_an_error_in_the_application(message):
    raised = []

    async def app(scope, receive, send):
        await receive()
        try:
            await send(message)
        except RuntimeError as error:
            raised.append(str(error))
        await send(STARTED)
        try:
            await send(STARTED)
        except RuntimeError as error:
            raised.append(str(error))
        await receive()
        await send(STOPPED)

    lifespan = Lifespan(app)
    await lifespan.startup({})
    await lifespan.shutdown()
    assert raised == [
        f"ASGI: {message['type']!r} was sent where 'lifespan.startup.complete' or 'lifespan.startup.failed' is due",
        "ASGI: 'lifespan.startup.complete' was sent where nothing is due",
    ]


@in_loop
async def test_a_startup_that_is_interrupted_takes_the_application_along():
    ended = []

    async def app(scope, receive, send):
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    starting = asyncio.ensure_future(Lifespan(app).startup({}))
    await asyncio.sleep(0.01)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert ended == [True]


@in_loop
async def test_a_shutdown_without_a_startup_is_nothing():
    await Lifespan(answering(STARTED, STOPPED)).shutdown()
