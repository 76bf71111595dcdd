"""WebSockets of ASGI applications: every order of events, and the outcome it has (the table in ``adapter``)."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ssgi_gateway.adapters.asgi.adapter import AsgiApplication, adapt
from tests.unit.adapters.serving import in_loop, serving, wait_for

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
DENY = {"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-a", b"1")]}
DENIAL = {"type": "websocket.http.response.body", "body": b"who are you?"}


def text(data):
    return {"type": "websocket.send", "text": data}


def saying(*messages):
    """An application that sends these, and notes the exception that one of them raised and the events behind it."""

    async def app(scope, receive, send):
        app.events.append(await receive())
        for message in messages:
            try:
                await send(message)
            except Exception as error:
                app.raised.append(error)
                raise
        app.events.append(await receive())

    app.raised = []
    app.events = []
    return app


async def echo(scope, receive, send):
    await receive()
    await send(ACCEPT)
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def denied(app, **kwargs):
    """The answer in place of the upgrade."""
    async with serving(adapt(app)) as served:
        client = await served.upgrade(**kwargs)
        answer = await client.answer()
        await client.leave()
        return answer


# -- the handshake -------------------------------------------------------------------------------------------------


@in_loop
async def test_connect_comes_first_and_accept_opens():
    app = saying({**ACCEPT, "headers": [(b"x-a", b"1")]})
    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert "x-a: 1\r\n" in ws.head
        assert "sec-websocket-protocol" not in ws.head.lower()
        ws.close(1000)
        await ws.receive()
        await ws.client.leave()
    assert app.events == [
        {"type": "websocket.connect"},
        {"type": "websocket.disconnect", "code": 1000, "reason": ""},
    ]


@pytest.mark.parametrize("chosen", ["b", None, ""])
@in_loop
async def test_a_subprotocol_is_the_applications_choice(chosen):
    app = saying({**ACCEPT, "subprotocol": chosen})
    async with serving(adapt(app)) as served:
        ws = await served.websocket(subprotocols="a, b")
        assert ("Sec-WebSocket-Protocol: b\r\n" in ws.head) == (chosen == "b")
        assert ("Sec-WebSocket-Protocol" in ws.head) == (chosen == "b")
        await ws.client.leave()


@in_loop
async def test_close_in_place_of_accept_is_a_403():
    app = saying(CLOSE)
    assert (await denied(app)).status == 403
    assert app.events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@in_loop
async def test_a_denial_is_a_whole_response():
    app = saying(DENY, {**DENIAL, "more_body": True}, DENIAL)
    answer = await denied(app)
    assert (answer.status, answer.header("x-a"), answer.body) == (401, "1", b"who are you?" * 2)
    assert answer.complete
    assert app.events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@in_loop
async def test_a_denial_may_be_empty():
    answer = await denied(
        saying({"type": "websocket.http.response.start", "status": 404}, {"type": "websocket.http.response.body"})
    )
    assert (answer.status, answer.body) == (404, b"")


@in_loop
async def test_an_application_may_accept_before_it_receives_the_connect():
    async def app(scope, receive, send):
        await send(ACCEPT)
        await send(text(str([await receive(), await receive()])))

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        ws.send("hello")
        assert await ws.receive() == str(
            [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
        )
        await ws.client.leave()


# -- messages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["grüße", "", b"\x00\xff", b"", "x" * 100_000, b"x" * 100_000])
@in_loop
async def test_messages_go_both_ways(message):
    async with serving(adapt(echo)) as served:
        ws = await served.websocket()
        for _ in range(2):
            ws.send(message)
            assert await ws.receive() == message
        await ws.client.leave()


@in_loop
async def test_both_keys_may_be_there_when_one_is_none():
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "a", "bytes": None})
        await send({"type": "websocket.send", "text": None, "bytes": b"b"})
        await send({"type": "websocket.send", "bytes": bytearray(b"c")})

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert [await ws.receive() for _ in range(3)] == ["a", b"b", b"c"]
        await ws.client.leave()


@in_loop
async def test_messages_that_are_not_taken_make_the_peer_wait():
    go_on, got = asyncio.Event(), []
    count, size = 400, 65536

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        for _ in range(count):
            got.append(len((await receive())["bytes"]))
        await send(text("all"))

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        sent = 0
        try:
            async with asyncio.timeout(0.5):
                while sent < count:
                    ws.send(bytes(size))
                    sent += 1
                    await ws.client.writer.drain()
        except TimeoutError:
            pass
        assert 0 < sent < count, "everything was taken though nobody read"
        go_on.set()
        for _ in range(count - sent):
            ws.send(bytes(size))
        assert await ws.receive() == "all"
        assert got == [size] * count
        await ws.client.leave()


@in_loop
async def test_a_slow_reader_makes_send_wait():
    sent = 0

    async def app(scope, receive, send):
        nonlocal sent
        await receive()
        await send(ACCEPT)
        for _ in range(64):
            await send({"type": "websocket.send", "bytes": bytes(1 << 19)})
            sent += 1

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        await asyncio.sleep(0.3)
        assert sent < 32
        for _ in range(64):
            assert len(await ws.receive()) == 1 << 19
        assert await ws.receive() == (1000, "")
        await ws.client.leave()


@in_loop
async def test_a_receive_that_is_cancelled_loses_nothing():
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        waiting = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.cancel()
        await send(text("ready"))
        await send(text((await receive())["text"]))

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert await ws.receive() == "ready"
        ws.send("kept")
        assert await ws.receive() == "kept"
        await ws.client.leave()


@in_loop
async def test_two_tasks_may_wait_for_messages():
    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        events = await asyncio.gather(receive(), receive())
        await send(text(" ".join(sorted(event["text"] for event in events))))

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        ws.send("a")
        ws.send("b")
        assert await ws.receive() == "a b"
        await ws.client.leave()


# -- the end -------------------------------------------------------------------------------------------------------


@in_loop
async def test_the_clients_close_comes_with_code_and_reason_after_its_messages():
    events = []
    accepted, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        accepted.set()
        await go_on.wait()
        events.extend([await receive() for _ in range(4)])

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        await accepted.wait()
        ws.send("one")
        ws.send("two")
        ws.close(4001, "bye")
        assert await ws.receive() == (4001, "")
        go_on.set()
        await wait_for(lambda: len(events) == 4, "the events")
        await ws.client.leave()
    assert events == [
        {"type": "websocket.receive", "text": "one"},
        {"type": "websocket.receive", "text": "two"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "bye"},
        {"type": "websocket.disconnect", "code": 4001, "reason": "bye"},
    ]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (CLOSE, (1000, "")),
        ({**CLOSE, "code": 4002, "reason": "enough"}, (4002, "enough")),
        ({**CLOSE, "code": None, "reason": None}, (1000, "")),
    ],
)
@in_loop
async def test_the_applications_close(message, told):
    app = saying(ACCEPT, message)
    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert await ws.receive() == told
        await wait_for(lambda: len(app.events) == 2, "the disconnect")
        await ws.client.leave()
    assert app.events[1]["type"] == "websocket.disconnect"
    assert app.events[1]["code"] == told[0]


@in_loop
async def test_a_connection_that_breaks_is_a_1006():
    app = saying(ACCEPT)
    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        await ws.client.leave()
        await wait_for(lambda: len(app.events) == 2, "the disconnect")
    assert app.events[1] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


@pytest.mark.parametrize(
    ("who", "message"),
    [*itertools.product(["client", "application", "nobody"], [text("late"), ACCEPT]), ("application", CLOSE)],
)
@in_loop
async def test_send_after_the_end_raises_an_os_error(who, message):
    raised = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        if who == "application":
            await send(CLOSE)
        else:
            assert (await receive())["type"] == "websocket.disconnect"
        try:
            await send(message)
        except OSError as error:
            raised.append(error)

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        if who == "client":
            ws.close(1000)
        elif who == "nobody":
            await ws.client.leave()
        await wait_for(lambda: raised, "the error")
        await ws.client.leave()
    assert isinstance(raised[0], ConnectionAbortedError)


@in_loop
@pytest.mark.parametrize("how", ["closes", "leaves", "leaves before the accept"])
async def test_closing_what_the_client_has_closed_is_quiet(how):
    """As in a ``finally`` around the whole conversation; behind that it is the application that has closed."""
    told = []

    async def app(scope, receive, send):
        await receive()
        if how != "leaves before the accept":
            await send(ACCEPT)
        told.append(await receive())
        await send(CLOSE)
        for message in (CLOSE, text("late")):
            with pytest.raises(ConnectionAbortedError):
                await send(message)
        told.append(await receive())

    async with serving(adapt(app)) as served:
        if how == "leaves before the accept":
            await (await served.upgrade()).leave()
        else:
            ws = await served.websocket()
            if how == "closes":
                ws.close(1001)
            await ws.client.leave()
        await wait_for(lambda: len(told) == 2, "the end")
    assert told[0] == told[1]
    assert told[0]["code"] == (1001 if how == "closes" else 1006)


@in_loop
async def test_a_send_that_waits_is_notified_of_a_client_that_disconnected():
    raised, full = [], asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            while True:
                asyncio.get_running_loop().call_later(0.1, full.set)
                await send({"type": "websocket.send", "bytes": bytes(1 << 20)})
        except OSError as error:
            raised.append(error)

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        await full.wait()
        await ws.client.leave()
        await wait_for(lambda: raised, "the error")


@in_loop
async def test_a_client_that_disconnects_before_the_accept():
    outcome = []
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        asked.set()
        await go_on.wait()
        outcome.append(await receive())
        try:
            await send(ACCEPT)
        except OSError as error:
            outcome.append(error)

    async with serving(adapt(app)) as served:
        client = await served.upgrade()
        await asked.wait()
        await client.leave()
        go_on.set()
        await wait_for(lambda: len(outcome) == 2, "the outcome")
    assert outcome[0] == {"type": "websocket.disconnect", "code": 1006, "reason": ""}
    assert isinstance(outcome[1], ConnectionAbortedError)


@in_loop
async def test_who_does_not_listen_is_cancelled_after_a_while():
    ended = []

    async def app(scope, receive, send):
        await receive()
        await send(ACCEPT)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append(True)
            raise

    async with serving(AsgiApplication(app, grace=0.05)) as served:
        ws = await served.websocket()
        ws.close(1000)
        await wait_for(lambda: ended, "the cancellation")
        await ws.client.leave()


# -- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "error", "said"),
    [
        ([text("early")], RuntimeError, "'websocket.send' was sent where 'websocket.accept'"),
        ([{"type": "http.response.start", "status": 200}], RuntimeError, "'http.response.start' was sent"),
        ([DENIAL], RuntimeError, "'websocket.http.response.body' was sent where 'websocket.accept'"),
        ([DENY, ACCEPT], RuntimeError, "'websocket.accept' was sent where 'websocket.http.response.body' is due"),
        ([DENY, CLOSE], RuntimeError, "where 'websocket.http.response.body' is due"),
        ([{**ACCEPT, "subprotocol": "c"}], ValueError, "'c' was not offered"),
        ([{**ACCEPT, "headers": [(b"x-a", b"\r\n")]}], ValueError, "x-a"),
        ([{**DENY, "status": 99}, DENIAL], ValueError, "99"),
        ([DENY, {**DENIAL, "body": "text"}], TypeError, "is str"),
        ([{}], KeyError, "type"),
    ],
)
@in_loop
async def test_what_is_refused_before_the_accept_gives_a_500(messages, error, said, caplog):
    app = saying(*messages)
    answer = await denied(app, subprotocols="a, b")
    (raised,) = app.raised
    assert isinstance(raised, error)
    assert said in str(raised)
    assert answer.status == 500
    assert "the application raised" in caplog.text


@pytest.mark.parametrize(
    ("message", "error", "said"),
    [
        (ACCEPT, RuntimeError, "'websocket.accept' was sent where 'websocket.send' or 'websocket.close' is due"),
        (DENY, RuntimeError, "where 'websocket.send'"),
        ({"type": "websocket.send"}, ValueError, "neither 'text' nor 'bytes'"),
        ({"type": "websocket.send", "text": None, "bytes": None}, ValueError, "neither"),
        (text(b"bytes"), TypeError, "'text' of 'websocket.send' is bytes"),
        ({"type": "websocket.send", "bytes": "text"}, TypeError, "'bytes' of 'websocket.send' is str"),
        ({**CLOSE, "code": 1005}, ValueError, "1005"),
        ({**CLOSE, "code": 99}, ValueError, "99"),
        ({**CLOSE, "reason": "x" * 124}, ValueError, "123"),
    ],
)
@in_loop
async def test_what_is_refused_after_the_accept_closes_with_1011(message, error, said, caplog):
    app = saying(ACCEPT, message)
    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert await ws.receive() == (1011, "")
        await ws.client.leave()
    (raised,) = app.raised
    assert isinstance(raised, error)
    assert said in str(raised)
    assert "the application raised" in caplog.text


@in_loop
async def test_returning_without_a_decision_is_a_403(caplog):
    async def app(scope, receive, send):
        pass

    assert (await denied(app)).status == 403
    assert "neither accepted nor rejected" in caplog.text


@in_loop
async def test_returning_in_the_middle_of_a_denial_is_what_there_is_of_it(caplog):
    async def app(scope, receive, send):
        await send(DENY)

    assert (await denied(app)).status == 401
    assert "without the last 'websocket.http.response.body'" in caplog.text


@in_loop
@pytest.mark.parametrize("wrong", [{"status": 1000}, {"status": "x"}, {"headers": [(b"a b", b"1")]}])
async def test_a_denial_with_a_wrong_head_is_an_error_at_once_and_a_500(wrong):
    raised = []

    async def app(scope, receive, send):
        try:
            await send(DENY | wrong)
        except (ValueError, TypeError) as error:
            raised.append(error)
            raise

    assert (await denied(app)).status == 500
    assert len(raised) == 1


@in_loop
async def test_returning_later_closes_with_1000():
    async def app(scope, receive, send):
        await send(ACCEPT)

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert await ws.receive() == (1000, "")
        await ws.client.leave()


@in_loop
async def test_raising_before_the_accept_is_a_500(caplog):
    async def app(scope, receive, send):
        raise LookupError("what went wrong")

    assert (await denied(app)).status == 500
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_raising_later_closes_with_1011(caplog):
    async def app(scope, receive, send):
        await send(ACCEPT)
        raise LookupError("what went wrong")

    async with serving(adapt(app)) as served:
        ws = await served.websocket()
        assert await ws.receive() == (1011, "")
        await ws.client.leave()
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_dropped_clients_leave_no_task_behind():
    async with serving(AsgiApplication(echo, grace=0.1)) as served:
        before = len(asyncio.all_tasks())
        for _ in range(10):
            clients = [await served.websocket() for _ in range(10)]
            for ws in clients:
                ws.send("x" * 1000)
                await ws.client.leave()
        await wait_for(lambda: len(asyncio.all_tasks()) == before, "all tasks to be gone")
