"""Requests of ASGI applications: every order of events, and the outcome it has (the table in ``adapter``)."""

from __future__ import annotations

import asyncio
import contextlib
import http
import logging
import threading
import types

import pytest

from ssgi_gateway.adapters.asgi.adapter import AsgiApplication, adapt
from ssgi_gateway.server.http import HttpProtocol
from ssgi_gateway.settings import Settings
from tests.unit.adapters.serving import in_loop, serving, wait_for

START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"body"}
PIECE = {"type": "http.response.body", "body": b"piece", "more_body": True}
END = {"type": "http.response.body"}

# A header Content-Type whose value the test does not care about.
TEXT = (b"content-type", b"text/plain")


def saying(*messages):
    """An application that sends these, and notes the exception that one of them raised."""

    async def app(scope, receive, send):
        for message in messages:
            try:
                await send(message)
            except Exception as error:
                app.raised.append(error)
                raise

    app.raised = []
    return app


async def answer_to(app, *args, **kwargs):
    async with serving(adapt(app)) as served:
        return await served.request(*args, **kwargs)


def start(**changes):
    return {**START, **changes}


# -- what is right -------------------------------------------------------------------------------------------------


@in_loop
async def test_start_and_body_are_one_answer():
    answer = await answer_to(saying(start(status=201, headers=[(b"x-a", b"1")]), BODY))
    assert answer.raw == b"x-a: 1\r\nContent-Length: 4\r\nStatus: 201 Created\r\n\r\nbody"


@pytest.mark.portable  # it replaces a method
@in_loop
async def test_start_and_body_are_one_write(monkeypatch):
    writes = []
    write = HttpProtocol.write

    def noting(self, head, data, end):
        writes.append((head.encode_cgi(), data, end))
        return write(self, head, data, end)

    monkeypatch.setattr(HttpProtocol, "write", noting)
    await answer_to(saying(START, BODY))
    assert writes == [(b"Content-Length: 4\r\nStatus: 200 OK\r\n\r\n", b"body", True)]


async def as_a_task(awaitable):
    await asyncio.create_task(awaitable)


async def gathered(awaitable):
    await asyncio.gather(awaitable)


async def shielded(awaitable):
    await asyncio.shield(awaitable)


async def with_a_timeout(awaitable):
    await asyncio.wait_for(awaitable, 5)


async def delegated(awaitable):
    @types.coroutine
    def generator():
        yield from awaitable

    await generator()


@pytest.mark.parametrize("how", [as_a_task, gathered, shielded, with_a_timeout, delegated])
@in_loop
async def test_what_send_returns_is_a_coroutine_like_any_other(how):
    async def app(scope, receive, send):
        await how(send(start(headers=[TEXT])))
        await how(send(PIECE))
        await how(send({**PIECE, "body": bytes(1 << 20)}))  # has to wait for the peer
        await how(send(END))

    async with serving(adapt(app)) as served:
        client = await served.open()
        await asyncio.sleep(0.01)
        assert len((await client.answer()).body) == 5 + (1 << 20)
        await client.leave()


@in_loop
async def test_what_send_returns_may_be_given_to_anyio():
    anyio = pytest.importorskip("anyio")

    async def app(scope, receive, send):
        async with anyio.create_task_group() as group:
            group.start_soon(send, START)
        async with anyio.create_task_group() as group:
            group.start_soon(send, BODY)

    assert (await answer_to(app)).body == b"body"


@in_loop
async def test_nothing_is_sent_before_the_first_body():
    # HTTP, Response Start: the server must not start sending until it has received a Response Body event.
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        begun.set()
        await go_on.wait()
        await send(BODY)

    async with serving(adapt(app)) as served:
        client = await served.open()
        await begun.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await client.read_some()
        go_on.set()
        assert (await client.answer()).body == b"body"
        await client.leave()


@in_loop
async def test_pieces_go_out_as_they_are_sent():
    steps = asyncio.Queue()

    async def app(scope, receive, send):
        await send(start(headers=[TEXT]))
        await send(PIECE)
        await steps.get()
        await send(PIECE)
        await steps.get()
        await send(END)

    async with serving(adapt(app)) as served:
        client = await served.open()
        assert b"content-type" in await client.read_head()
        assert await client.read_some() == b"piece"
        steps.put_nowait(None)
        assert await client.read_some() == b"piece"
        steps.put_nowait(None)
        assert await client.read_some() == b""
        await client.leave()


@in_loop
async def test_an_empty_piece_sends_the_head():
    steps = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send({"type": "http.response.body", "more_body": True})
        await steps.wait()
        await send(BODY)

    async with serving(adapt(app)) as served:
        client = await served.open()
        assert await client.read_head() == b"Status: 200 OK\r\n\r\n"
        steps.set()
        assert await client.read_some() == b"body"
        await client.leave()


@pytest.mark.parametrize(
    "headers",
    [
        [(b"x-a", b"1"), (b"x-b", b"2")],
        [[b"x-a", b"1"], [b"x-b", b"2"]],
        ((b"x-a", b"1"), (b"x-b", b"2")),
        [(b"X-A", b"1"), (b"X-B", b"2")],
        [("x-a", "1"), ("x-b", "2")],
        [(bytearray(b"x-a"), memoryview(b"1")), (b"x-b", b"2")],
    ],
    ids=["tuples", "lists", "a-tuple-of-tuples", "capitals", "str", "buffers"],
)
@in_loop
async def test_headers_are_taken_in_any_shape(headers):
    answer = await answer_to(saying(start(headers=headers), BODY))
    assert [pair for pair in answer.headers if pair[0] != "content-length"] == [("x-a", "1"), ("x-b", "2")]


@in_loop
async def test_headers_may_be_an_iterator():
    answer = await answer_to(saying(start(headers=iter([(b"x-a", b"1")])), BODY))
    assert answer.header("x-a") == "1"


@pytest.mark.parametrize("message", [{"type": "http.response.start", "status": 200}, start(headers=None)])
@in_loop
async def test_headers_may_be_missing(message):
    assert (await answer_to(saying(message, BODY))).raw == b"Content-Length: 4\r\nStatus: 200 OK\r\n\r\nbody"


@in_loop
async def test_a_header_may_be_repeated():
    answer = await answer_to(saying(start(headers=[(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]), BODY))
    assert [value for name, value in answer.headers if name == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("body", [bytearray(b"body"), memoryview(b"body")])
@in_loop
async def test_a_body_may_be_any_buffer(body):
    assert (await answer_to(saying(START, {**BODY, "body": body}))).body == b"body"


@in_loop
async def test_a_status_may_be_an_enum():
    assert (await answer_to(saying(start(status=http.HTTPStatus.NOT_FOUND), BODY))).status == 404


@pytest.mark.parametrize("method", ["HEAD"])
@in_loop
async def test_head_has_no_body(method):
    answer = await answer_to(saying(start(headers=[(b"content-length", b"4")]), BODY), method)
    assert answer.raw == b"Content-Length: 4\r\nStatus: 200 OK\r\n\r\n"


@in_loop
async def test_work_after_the_response_is_done():
    done = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(BODY)
        await asyncio.sleep(0.01)
        done.set()

    async with serving(adapt(app)) as served:
        assert (await served.request()).body == b"body"
        await done.wait()


# -- the request's body --------------------------------------------------------------------------------------------


def reading(events):
    """An application that reads the whole request, notes the events, and sends the body back."""

    async def app(scope, receive, send):
        pieces = []
        while True:
            event = await receive()
            events.append(event)
            pieces.append(event.get("body", b""))
            if not event.get("more_body"):
                break
        await send(START)
        await send({**BODY, "body": b"".join(pieces)})

    return app


@in_loop
async def test_no_body_is_one_empty_event():
    events = []
    await answer_to(reading(events), "GET")
    assert events == [{"type": "http.request", "body": b"", "more_body": False}]


@in_loop
async def test_a_small_body_is_one_event():
    events = []
    await answer_to(reading(events), "POST", body=b"small")
    assert events == [{"type": "http.request", "body": b"small", "more_body": False}]


@in_loop
async def test_a_body_is_read_as_it_arrives():
    events = []
    async with serving(adapt(reading(events))) as served:
        client = await served.open("POST", body=b"one", length=6)
        await wait_for(lambda: events, "the first piece")
        assert events == [{"type": "http.request", "body": b"one", "more_body": True}]
        client.write(b"two")
        assert (await client.answer()).body == b"onetwo"
        assert events[1:] == [{"type": "http.request", "body": b"two", "more_body": False}]
        await client.leave()


@in_loop
async def test_a_body_that_is_not_read_makes_the_peer_wait():
    go_on = asyncio.Event()
    size = 8 << 20

    async def app(scope, receive, send):
        await go_on.wait()
        await reading([])(scope, receive, send)

    async with serving(adapt(app)) as served:
        client = await served.open("POST", length=size)
        writer = client.writer
        sent = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while sent < size:
                    writer.write(bytes(65536))
                    sent += 65536
                    await writer.drain()
        assert sent < size, "everything was taken though nobody read"
        go_on.set()
        writer.write(bytes(size - sent))
        assert len((await client.answer()).body) == size
        await client.leave()


@in_loop
async def test_receive_after_the_whole_request_waits_for_the_end():
    events, asked = [], asyncio.Event()

    async def app(scope, receive, send):
        await receive()

        async def listen():
            asked.set()
            events.append(await receive())
            events.append(await receive())

        listening = asyncio.ensure_future(listen())
        await asked.wait()
        await asyncio.sleep(0)
        assert events == []
        await send(START)
        await send(BODY)
        await listening

    assert (await answer_to(app)).body == b"body"
    assert events == [{"type": "http.disconnect"}] * 2


@in_loop
async def test_receive_can_be_polled():
    # How Starlette's is_disconnected() asks: again and again, cancelled each time.
    async def app(scope, receive, send):
        await receive()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await receive()
        await send(START)
        await send(BODY)

    assert (await answer_to(app)).status == 200


@in_loop
async def test_a_reader_of_the_body_is_notified_when_the_response_has_ended():
    events = []

    async def app(scope, receive, send):
        async def listen():
            events.append(await receive())

        listening = asyncio.ensure_future(listen())
        await asyncio.sleep(0)
        await send(START)
        await send(BODY)
        await listening

    async with serving(adapt(app)) as served:
        client = await served.open("POST", length=100)
        assert (await client.answer()).body == b"body"
        await client.leave()
    assert events == [{"type": "http.disconnect"}]


# -- what is wrong: an exception out of send -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "error", "said"),
    [
        ([BODY], RuntimeError, "'http.response.body' was sent where 'http.response.start' is due"),
        ([PIECE], RuntimeError, "where 'http.response.start' is due"),
        ([START, START], RuntimeError, "'http.response.start' was sent where 'http.response.body' is due"),
        ([{"type": "http.response.pathsend", "path": "/"}], RuntimeError, "where 'http.response.start' is due"),
        ([START, {"type": "http.response.trailers"}], RuntimeError, "'http.response.trailers'"),
        ([{"type": "http.response.early_hint", "links": []}], RuntimeError, "'http.response.early_hint'"),
        ([{"type": "http.response.push", "path": "/"}], RuntimeError, "'http.response.push'"),
        ([{"type": "http.response.debug", "info": {}}], RuntimeError, "'http.response.debug'"),
        ([{"type": "websocket.accept"}], RuntimeError, "'websocket.accept'"),
        ([{"type": None}], RuntimeError, "None was sent"),
        ([{}], KeyError, "type"),
        ([{"type": "http.response.start"}], KeyError, "status"),
        ([start(status=99)], ValueError, "99"),
        ([start(status=1000)], ValueError, "1000"),
        ([start(status=103)], ValueError, "103"),
        ([start(status=101)], ValueError, "101"),
        ([start(status=None)], TypeError, ""),
        ([start(headers=[(b"x-a", b"1\r\nx-b: 2")])], ValueError, "x-a"),
        ([start(headers=[(b"x-a\r\nx-b", b"2")])], ValueError, "x-a"),
        ([start(headers=[(b"x-a", b"\0")])], ValueError, "x-a"),
        ([start(headers=[(b"", b"1")])], ValueError, "header ''"),
        ([start(headers=[(b"x-a", 1)])], TypeError, "x-a"),
        ([start(headers=[(b"content-length", b"ten")])], ValueError, "Content-Length"),
        ([START, {**BODY, "body": "text"}], TypeError, "'body' of 'http.response.body' is str"),
        ([START, {**BODY, "body": 5}], TypeError, "is int"),
        ([start(headers=[(b"content-length", b"3")]), BODY], ValueError, "Content-Length is 3"),
        ([start(headers=[(b"content-length", b"5")]), BODY], ValueError, "Content-Length is 5"),
    ],
)
@in_loop
async def test_what_is_refused_before_the_head_is_out_gives_a_500(messages, error, said, caplog):
    app = saying(*messages)
    answer = await answer_to(app)
    (raised,) = app.raised
    assert isinstance(raised, error)
    assert said in str(raised)
    assert answer.status == 500
    assert answer.complete
    assert "the application raised" in caplog.text


@pytest.mark.parametrize(
    ("messages", "error", "said"),
    [
        ([START, PIECE, START], RuntimeError, "'http.response.start' was sent in the middle of the response's body"),
        ([START, PIECE, {**PIECE, "body": "text"}], TypeError, "is str"),
        ([START, PIECE, {"type": "http.response.pathsend", "path": "/"}], RuntimeError, "in the middle"),
        ([start(headers=[(b"content-length", b"7")]), PIECE, PIECE], ValueError, "3 bytes more"),
        ([start(headers=[(b"content-length", b"7")]), PIECE, END], ValueError, "2 bytes fewer"),
    ],
)
@in_loop
async def test_what_is_refused_after_the_head_breaks_the_connection(messages, error, said, caplog):
    app = saying(*messages)
    answer = await answer_to(app)
    (raised,) = app.raised
    assert isinstance(raised, error)
    assert said in str(raised)
    assert answer.status == 200
    assert not answer.complete
    assert "the application raised" in caplog.text


@pytest.mark.parametrize("late", [START, BODY, PIECE, END, {"type": "http.response.trailers", "headers": []}])
@in_loop
async def test_what_is_sent_after_the_end_is_ignored(late, caplog):
    app = saying(START, BODY, late)
    answer = await answer_to(app)
    assert answer.body == b"body"
    assert answer.complete
    assert app.raised == []
    assert f"{late['type']!r} was sent after the response had ended" in caplog.text


@in_loop
async def test_an_application_may_try_again_after_a_refused_start():
    async def app(scope, receive, send):
        with pytest.raises(ValueError, match="x-bad"):
            await send(start(status=404, headers=[(b"x-good", b"1"), (b"x-bad", b"\n")]))
        await send(start(status=400, headers=[(b"x-b", b"2")]))
        await send(BODY)

    answer = await answer_to(app)
    assert (answer.status, answer.header("x-good"), answer.header("x-b")) == (400, None, "2")


# -- what is wrong: the application itself -------------------------------------------------------------------------


def ending(*messages, how):
    """An application that sends these and then ends in some way."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        await how()

    return app


async def returns():
    pass


async def raises():
    raise LookupError("what went wrong")


async def cancels():
    raise asyncio.CancelledError


async def is_cancelled():
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


@pytest.mark.parametrize("how", [returns, raises, cancels, is_cancelled])
@pytest.mark.parametrize("said", [[], [START]], ids=["nothing", "start"])
@in_loop
async def test_an_end_before_the_head_is_out_gives_a_500(how, said, caplog):
    answer = await answer_to(ending(*said, how=how))
    assert answer.status == 500
    assert answer.body == b"Internal Server Error\n"
    assert answer.complete
    logged = "LookupError: what went wrong" if how is raises else "returned without answering"
    assert logged in caplog.text


@pytest.mark.parametrize("how", [returns, raises, cancels, is_cancelled])
@in_loop
async def test_an_end_in_the_middle_breaks_the_connection(how, caplog):
    answer = await answer_to(ending(start(headers=[(b"content-length", b"10")]), PIECE, how=how))
    assert answer.status == 200
    assert answer.body == b"piece"
    logged = "LookupError: what went wrong" if how is raises else "returned without answering"
    assert logged in caplog.text


@in_loop
async def test_an_exception_after_the_end_is_in_the_log(caplog):
    answer = await answer_to(ending(START, BODY, how=raises))
    assert (answer.status, answer.body) == (200, b"body")
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_an_exception_while_a_coroutine_is_made_gives_a_500(caplog):
    def app(scope, receive, send):
        raise LookupError("what went wrong")

    assert (await answer_to(app)).status == 500
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_sync_code_in_place_of_a_coroutine_function_gives_a_500(caplog):
    def app(scope, receive, send):
        return None

    assert (await answer_to(app)).status == 500
    assert "returned without answering" in caplog.text


# -- the client disconnects --------------------------------------------------------------------------------------------


async def leave_after_started(app, started, method="GET", **kwargs):
    """Ask, wait until the application has begun, and leave."""
    async with serving(AsgiApplication(app, **kwargs)) as served:
        client = await served.open(method)
        await started.wait()
        await client.leave()
        await wait_for(lambda: app.ended is not None, "the application's end")
    return app.ended


@in_loop
async def test_receive_reports_a_client_that_disconnected():
    started = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        started.set()
        app.ended = [await receive(), await receive()]

    app.ended = None
    assert await leave_after_started(app, started) == [{"type": "http.disconnect"}] * 2


@in_loop
async def test_send_raises_an_os_error_for_a_client_that_disconnected():
    started = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(PIECE)
        started.set()
        await receive()
        await receive()
        try:
            await send(PIECE)
        except OSError as error:
            app.ended = error

    app.ended = None
    assert isinstance(await leave_after_started(app, started), ConnectionAbortedError)


@in_loop
async def test_a_send_that_waits_is_notified_of_a_client_that_disconnected():
    started = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        try:
            while True:
                asyncio.get_running_loop().call_later(0.1, started.set)
                await send({**PIECE, "body": bytes(1 << 20)})
        except OSError as error:
            app.ended = error

    app.ended = None
    assert isinstance(await leave_after_started(app, started), ConnectionAbortedError)


@in_loop
async def test_who_lets_the_os_error_pass_fills_no_log(caplog):
    started = asyncio.Event()
    caplog.set_level(logging.INFO)

    async def app(scope, receive, send):
        await receive()
        started.set()
        await receive()
        app.ended = True
        await send(START)

    app.ended = None
    await leave_after_started(app, started)
    assert "ConnectionAbortedError" not in caplog.text


@in_loop
async def test_a_client_that_disconnects_in_the_middle_of_its_body_is_a_disconnect():
    events = []

    async def app(scope, receive, send):
        events.append(await receive())
        events.append(await receive())
        app.ended = True

    app.ended = None
    async with serving(adapt(app)) as served:
        client = await served.open("POST", body=b"half", length=8)
        await wait_for(lambda: events, "the first half")
        await client.leave()
        await wait_for(lambda: app.ended, "the disconnect")
    assert events == [{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}]


@in_loop
async def test_who_does_not_listen_in_the_middle_of_an_answer_is_cancelled_after_a_while():
    started = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(PIECE)
        started.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError as error:
            app.ended = error
            raise

    app.ended = None
    assert isinstance(await leave_after_started(app, started, grace=0.05), asyncio.CancelledError)


@in_loop
async def test_work_goes_on_for_a_client_that_disconnected_before_an_answer_was_begun():
    started = asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await asyncio.sleep(0.3)
        await send(START)
        await send(BODY)
        app.ended = "the background task"

    app.ended = None
    assert await leave_after_started(app, started, grace=0.02) == "the background task"


@in_loop
async def test_the_end_of_an_answer_nobody_reads_is_quiet():
    started = asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(PIECE)
        started.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        app.ended = "quiet"

    app.ended = None
    assert await leave_after_started(app, started) == "quiet"


@in_loop
async def test_files_are_offered_where_a_setting_enables_them(caplog):
    offered = []

    async def app(scope, receive, send):
        offered.append("http.response.pathsend" in scope["extensions"])
        # As a middleware does that does not know it: nothing is passed on.

    for settings in (Settings(), Settings(asgi_pathsend=True), Settings(file_header="X-Sendfile")):
        caplog.clear()
        async with serving(adapt(app, settings)) as served:
            assert (await served.request()).status == 500
        assert ("a middleware may have swallowed http.response.pathsend" in caplog.text) == offered[-1]
    assert offered == [False, True, True]


@in_loop
async def test_a_file_that_was_not_offered_is_not_known():
    async def app(scope, receive, send):
        await send(START)
        with pytest.raises(RuntimeError, match="pathsend"):
            await send({"type": "http.response.pathsend", "path": __file__})
        await send(BODY)

    async with serving(adapt(app, Settings())) as served:
        assert (await served.request()).status == 200


@in_loop
async def test_who_does_not_listen_may_finish_what_it_does():
    started = asyncio.Event()

    async def app(scope, receive, send):
        started.set()
        await asyncio.sleep(0.1)
        app.ended = "finished"

    app.ended = None
    assert await leave_after_started(app, started) == "finished"


@in_loop
async def test_work_after_the_response_outlives_its_client():
    left, done = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await send(START)
        await send(BODY)
        await left.wait()
        await asyncio.sleep(0.05)
        done.set()

    async with serving(AsgiApplication(app, grace=0)) as served:
        await served.request()
        left.set()
        await done.wait()


@in_loop
async def test_send_waits_for_a_slow_client():
    sent = 0

    async def app(scope, receive, send):
        nonlocal sent
        await send(START)
        for _ in range(64):
            await send({**PIECE, "body": bytes(1 << 20)})
            sent += 1
        await send(END)

    async with serving(adapt(app)) as served:
        client = await served.open()
        await asyncio.sleep(0.3)
        # What is in flight: the high-water mark, one piece, and the kernel's buffers.
        assert sent < 32
        assert len((await client.answer()).body) == 64 << 20
        await client.leave()


@pytest.mark.slow
@in_loop
async def test_a_thousand_dropped_clients_leave_nothing_behind():
    import gc
    import os

    began = finished = 0
    gate = asyncio.Event()

    async def app(scope, receive, send):
        nonlocal began, finished
        began += 1
        if scope["path"] == "/listen":
            await receive()
            assert (await receive())["type"] == "http.disconnect"
        elif scope["path"] == "/stream":
            await send(START)
            while True:
                await send({**PIECE, "body": bytes(65536)})
                await asyncio.sleep(0)
        elif scope["path"] == "/sleep":  # In the middle of its answer: it is cancelled.
            await send(START)
            await asyncio.sleep(3600)
        elif scope["path"] == "/work":  # It has not begun to answer: it may finish.
            await gate.wait()
            await send(START)
            await send(BODY)
            finished += 1
        else:
            while (await receive())["type"] != "http.disconnect":
                pass

    async with serving(AsgiApplication(app, grace=0.1)) as served:
        assert (await served.request("POST", "/none", length=1, body=b"1", variables=[("REQUEST_METHOD", "")])).status
        await asyncio.sleep(0)
        gc.collect()  # What tests before this one left, it may not count.
        before = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), threading.active_count()
        for round_ in range(20):
            clients = [
                await served.open("POST", path, body=b"half", length=100 if path == "/upload" else 4)
                for path in ("/listen", "/stream", "/sleep", "/work", "/upload")
                for _ in range(10)
            ]
            await wait_for(lambda: began == 50 * (round_ + 1), "all to have begun")  # noqa: B023
            for client in clients:
                await client.leave()
        gate.set()
        after = None

        def settled():
            nonlocal after
            after = len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), threading.active_count()
            return after == before

        try:
            await wait_for(settled, "everything to be gone")
        except AssertionError:
            pytest.fail(f"descriptors, tasks, threads: {before} before, {after} after")
    assert (began, finished) == (1000, 200)


# -- extensions ----------------------------------------------------------------------------------------------------


@in_loop
async def test_debug_is_not_offered():
    """ASGI's extension "Debug" is for test clients, which add it themselves."""
    offered = []

    async def app(scope, receive, send):
        offered.append("http.response.debug" in scope["extensions"])
        await send(START)
        await send(BODY)

    assert (await answer_to(app)).body == b"body"
    assert offered == [False]
