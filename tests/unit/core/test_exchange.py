"""SSGI 1.0, "The call": the eight arguments, what may be returned, and who answers if the application does not."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import logging
import weakref

import pytest

from ssgi_gateway.core.exchange import flat
from tests.loops import settle
from tests.unit.core.talk import BROKEN, END, body_of, head, http, websocket

FAILED = head("500 Internal Server Error", "Content-Type: text/plain; charset=utf-8", "Content-Length: 22")
PAGE = b"Internal Server Error\n"
FAILURE = [FAILED, PAGE, END]
FORBIDDEN = [head("403 Forbidden", "Content-Length: 0"), END]
HELLO = [head("200 OK", "Content-Length: 5"), b"hello", END]


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


# -- the arguments -------------------------------------------------------------------------------------------------


async def test_the_call_has_eight_positional_arguments():
    calls = []
    variables = {
        "SERVER_ADDR": "::1",
        "SERVER_PORT": "443",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50007",
        "QUERY_STRING": "a=%20b",
        "HTTP_X_A": "1",
    }
    res, _ = http("PURGE", "/a%20b?a=%20b", **variables)
    res.run(lambda *args: calls.append(args), "http", False)
    ((kind, server, remote, method, path, query, get_header, given),) = calls
    assert (kind, server, remote, method, path, query) == (
        "http",
        "[::1]:443",
        "192.0.2.7:50007",
        "PURGE",
        "/a b",
        "a=%20b",
    )
    assert get_header("x-a") == "1"
    assert given is res


async def test_a_websocket_is_called_with_its_type():
    kinds = []
    ws, _ = websocket()
    ws.run(lambda kind, *_: kinds.append(kind), "websocket", False)
    assert kinds == ["websocket"]


async def test_the_application_is_called_on_the_loops_thread_at_once():
    res, channel = http()
    res.run(lambda *args: args[-1].send("hello"), "http", False)
    assert channel.said == HELLO


# -- whatever it returns, if it is awaitable it is awaited ---------------------------------------------------------


def sync(*args):
    args[-1].send("hello")


async def coroutine(*args):
    await asyncio.sleep(0)
    args[-1].send("hello")


class AsyncCall:
    async def __call__(self, *args):
        await coroutine(*args)


class Late:
    """An awaitable that is no coroutine."""

    def __init__(self, *args):
        self.args = args

    def __await__(self):
        return coroutine(*self.args).__await__()


def future(*args):
    return asyncio.ensure_future(coroutine(*args))


def with_setting(setting, *args):
    return coroutine(*args)


APPS = {
    "a function": sync,
    "a coroutine function": coroutine,
    "an object with an async __call__": AsyncCall(),
    "functools.partial": functools.partial(with_setting, "setting"),
    "a lambda that returns a coroutine": lambda *args: coroutine(*args),
    "an awaitable object": Late,
    "a future": future,
}


@pytest.mark.parametrize("app", APPS.values(), ids=list(APPS))
async def test_sync_and_async_applications_answer(app):
    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == HELLO
    assert not channel.scope.tasks


async def test_a_sync_application_that_answers_costs_no_task():
    res, channel = http()
    before = asyncio.all_tasks()
    res.run(sync, "http", False)
    assert asyncio.all_tasks() == before
    assert channel.described == 0, "extensions are not built either"


async def test_a_sync_application_may_return_what_send_returned():
    res, channel = http()
    res.run(lambda *args: args[-1].send("hello"), "http", False)
    assert channel.said == HELLO
    assert not channel.scope.tasks


async def test_what_is_returned_and_not_awaitable_is_nothing():
    res, channel = http()

    def app(*args):
        args[-1].send("hello")
        return [b"not", b"this"]

    res.run(app, "http", False)
    assert channel.said == HELLO


# -- nobody can answer any more ------------------------------------------------------------------------------------

SILENT = "GET /page: the application returned without answering, and left no awaitable and no run_async task that could"


async def test_returning_without_an_answer_is_a_500(caplog):
    res, channel = http("GET", "/page")
    res.run(lambda *_: None, "http", False)
    assert channel.said == FAILURE
    assert messages(caplog) == [SILENT]
    assert channel.causes == [None]


async def test_a_coroutine_that_ends_without_an_answer_is_a_500(caplog):
    async def app(*_):
        await asyncio.sleep(0)

    res, channel = http("GET", "/page")
    res.run(app, "http", False)
    await settle()
    assert channel.said == FAILURE
    assert messages(caplog) == [SILENT]


async def test_a_pending_awaitable_keeps_the_request_alive():
    gate = asyncio.Event()

    async def app(*args):
        await gate.wait()
        args[-1].send("hello")

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == []
    gate.set()
    await settle()
    assert channel.said == HELLO


async def test_a_task_of_run_async_keeps_the_request_alive():
    gate = asyncio.Event()

    async def later(res):
        await gate.wait()
        res.send("hello")

    res, channel = http()
    res.run(lambda *args: args[-1].run_async(later, args[-1]) and None, "http", False)
    await settle()
    assert channel.said == []
    gate.set()
    await settle()
    assert channel.said == HELLO


@pytest.mark.parametrize("turns", [0, 1])
async def test_the_last_task_that_ends_without_an_answer_is_a_500(turns, caplog):
    gates = [asyncio.Event(), asyncio.Event()]

    async def later(gate):
        for _ in range(turns):
            await asyncio.sleep(0)
        await gate.wait()

    def app(*args):
        for gate in gates:
            args[-1].run_async(later, gate)

    res, channel = http("GET", "/page")
    res.run(app, "http", False)
    gates[0].set()
    await settle()
    assert channel.said == []
    gates[1].set()
    await settle()
    assert channel.said == FAILURE
    assert messages(caplog) == [SILENT]


async def test_a_task_that_ends_while_the_application_is_called_answers_nothing_in_its_place():
    async def note():
        return None

    def app(*args):
        args[-1].run_async(note)
        args[-1].send("hello")

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == HELLO


async def test_a_task_that_ends_at_once_leaves_nobody_when_the_application_has_returned():
    async def note():
        return None

    res, channel = http()
    res.run(lambda *args: args[-1].run_async(note) and None, "http", False)
    await settle()
    assert channel.said == FAILURE


async def test_a_task_may_outlive_the_answer():
    told = []

    async def later():
        await asyncio.sleep(0)
        told.append("still here")

    def app(*args):
        args[-1].run_async(later)
        args[-1].send("hello")

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == HELLO
    assert told == ["still here"]


async def test_a_head_without_an_end_breaks_the_connection(caplog):
    res, channel = http("GET", "/page")
    res.run(lambda *args: args[-1].send("begun", True) and None, "http", False)
    assert channel.said == [head("200 OK"), b"begun", BROKEN]
    assert messages(caplog) == [SILENT]


async def test_an_awaitable_that_cancels_itself_without_an_answer_is_a_500():
    async def app(*_):
        raise asyncio.CancelledError

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == FAILURE


async def test_a_pending_websocket_nobody_can_answer_is_a_403(caplog):
    ws, channel = websocket()
    ws.run(lambda *_: None, "websocket", False)
    assert channel.said == FORBIDDEN
    assert messages(caplog) == ["GET /: the application neither accepted nor rejected the WebSocket"]


async def test_a_pending_websocket_whose_tasks_have_ended_is_a_403():
    async def later():
        await asyncio.sleep(0)

    ws, channel = websocket()
    ws.run(lambda *args: args[-1].run_async(later) and None, "websocket", False)
    assert channel.said == []
    await settle()
    assert channel.said == FORBIDDEN


async def test_an_accepted_websocket_needs_nobody():
    ws, channel = websocket()
    ws.run(lambda *args: args[-1].accept() and None, "websocket", False)
    await settle()
    assert channel.said == [("101", "", {})]


# -- exceptions ----------------------------------------------------------------------------------------------------


def fail(*_):
    raise KeyError("lost")


async def fail_async(*_):
    await asyncio.sleep(0)
    raise KeyError("lost")


BOTH = pytest.mark.parametrize("app", [fail, fail_async])


@BOTH
async def test_bad_inputs_67_an_exception_is_a_500_with_the_traceback_in_the_log(app, caplog):
    res, channel = http("GET", "/page")
    res.run(app, "http", False)
    await settle()
    assert channel.said == FAILURE
    assert messages(caplog) == ["GET /page: the application raised"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert isinstance(record.exc_info[1], KeyError)


@BOTH
async def test_the_page_of_a_500_is_made_of_the_exception(app):
    res, channel = http()
    channel.page = "Traceback"
    res.run(app, "http", False)
    await settle()
    assert channel.said[1:] == [b"Traceback", END]
    assert [type(cause) for cause in channel.causes] == [KeyError]


@BOTH
async def test_an_exception_of_a_pending_websocket_is_a_500(app, caplog):
    ws, channel = websocket()
    ws.run(app, "websocket", False)
    await settle()
    assert channel.said == FAILURE
    assert messages(caplog) == ["GET /: the application raised"]


@pytest.mark.parametrize("later", [False, True])
async def test_an_exception_drops_the_head_that_was_not_sent(later):
    async def app(*args):
        res = args[-1]
        res.send_status(201)
        res.send_headers([("X-A", "1"), ("Content-Length", "5")])
        if later:
            await asyncio.sleep(0)
        raise KeyError

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == FAILURE


@pytest.mark.parametrize("later", [False, True])
async def test_bad_inputs_67_an_exception_after_the_head_breaks_the_connection(later, caplog):
    async def app(*args):
        args[-1].send("begun", True)
        if later:
            await asyncio.sleep(0)
        raise KeyError

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert channel.said == [head("200 OK"), b"begun", BROKEN]
    assert messages(caplog) == ["GET /: the application raised"]


async def test_an_exception_after_the_answer_is_only_logged(caplog):
    def app(*args):
        args[-1].send("hello")
        raise KeyError

    res, channel = http()
    res.run(app, "http", False)
    assert channel.said == HELLO
    assert messages(caplog) == ["GET /: the application raised"]


async def test_bad_inputs_60_a_bad_header_that_nobody_catches_is_a_500_and_not_on_the_wire():
    def app(*args):
        args[-1].send_headers([("X-Good", "1"), ("X-Bad", "a\r\nSet-Cookie: b")])
        args[-1].send("never")

    res, channel = http()
    res.run(app, "http", False)
    assert channel.said == FAILURE


async def test_an_exception_answers_head_without_a_body():
    res, channel = http("HEAD")
    res.run(fail, "http", False)
    assert channel.said == [FAILED, END]


async def test_an_exception_answers_although_a_task_could_have():
    gate = asyncio.Event()

    def app(*args):
        args[-1].run_async(gate.wait())
        raise KeyError

    res, channel = http()
    res.run(app, "http", False)
    assert channel.said == FAILURE
    gate.set()
    await settle()
    assert channel.said == FAILURE


async def exits_at_once(kind):
    raise kind


async def exits_later(kind):
    await asyncio.sleep(0)
    raise kind


def exits(kind):
    raise kind


@pytest.mark.parametrize("way", [exits, exits_at_once, exits_later])
@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
async def test_a_request_does_not_end_the_server(kind, way, caplog):
    res, channel = http()
    res.run(lambda *_: way(kind), "http", False)
    await settle()
    assert channel.said == FAILURE
    assert messages(caplog) == ["GET /: the application raised"]


async def test_bad_inputs_56_a_path_with_line_ends_stays_on_its_line(caplog):
    res, _ = http("GET", "/a%0d%0aERROR%1b%ff\u00e9")
    res.run(fail, "http", False)
    assert messages(caplog) == [r"GET /a\r\nERROR\x1b\udcff\udce9: the application raised"]


# -- run_async -----------------------------------------------------------------------------------------------------

EXCHANGES = pytest.mark.parametrize("kind", [http, websocket])


async def double(number):
    await asyncio.sleep(0)
    return 2 * number


class Answer:
    """An awaitable that is no coroutine."""

    def __await__(self):
        yield
        return 42


class Broken:
    """Every attribute raises, and what asks for one does not expect it."""

    def __getattr__(self, name):
        raise ZeroDivisionError(name)


async def test_what_is_returned_may_raise_when_it_is_looked_at():
    res, channel = http()
    res.run(lambda *args: Broken(), "http", False)
    assert channel.said == FAILURE


@EXCHANGES
async def test_run_async_takes_a_coroutine_function_and_its_arguments_and_returns_the_task(kind):
    exchange, channel = kind()
    task = exchange.run_async(double, 21)
    assert isinstance(task, asyncio.Task)
    assert set(channel.scope.tasks) == {task}
    assert await task == 42


@EXCHANGES
async def test_run_async_takes_an_awaitable(kind):
    exchange, _ = kind()
    assert await exchange.run_async(double(21)) == 42
    assert await exchange.run_async(Answer()) == 42


@EXCHANGES
async def test_run_async_takes_partials_and_methods(kind):
    exchange, _ = kind()
    assert await exchange.run_async(functools.partial(double, 21)) == 42

    class Service:
        async def work(self, a, b):
            return a + b

    assert await exchange.run_async(Service().work, 40, 2) == 42


@EXCHANGES
async def test_run_async_an_ordinary_function_is_just_called(kind):
    exchange, channel = kind()
    told = []
    assert exchange.run_async(told.append, "called") is None
    assert told == ["called"]
    assert not channel.scope.tasks


@EXCHANGES
@pytest.mark.parametrize("wrong", [None, 5, "name", [1]])
async def test_run_async_anything_else_is_a_type_error(kind, wrong):
    exchange, _ = kind()
    with pytest.raises(TypeError, match=type(wrong).__name__):
        exchange.run_async(wrong)


@EXCHANGES
async def test_run_async_an_awaitable_with_arguments_is_a_type_error(kind):
    exchange, _ = kind()
    waiting = asyncio.get_running_loop().create_future()
    with pytest.raises(TypeError, match="no further arguments"):
        exchange.run_async(waiting, 1)


@EXCHANGES
async def test_run_async_wrong_arguments_are_a_type_error_at_once(kind):
    exchange, channel = kind()
    with pytest.raises(TypeError):
        exchange.run_async(double)
    assert not channel.scope.tasks


async def test_run_async_keeps_a_strong_reference():
    res, channel = http()
    told = []

    async def waits():
        await asyncio.sleep(0)
        told.append("alive")

    res.run_async(waits)
    gc.collect()
    await settle()
    assert told == ["alive"]
    assert not channel.scope.tasks, "and none that has ended"


@EXCHANGES
async def test_run_async_a_failure_is_logged(kind, caplog):
    async def wrong():
        await asyncio.sleep(0)
        raise KeyError("in a task")

    exchange, channel = kind()
    exchange.run(lambda *args: args[-1].run_async(wrong) and None, "http", False)
    await settle()
    assert messages(caplog) == ["GET /: the application raised"]
    assert "KeyError: 'in a task'" in caplog.text
    assert channel.said == FAILURE, "it was the last that could answer, so the failure is the answer"


async def test_run_async_a_failure_is_logged_and_others_may_still_answer(caplog):
    gate = asyncio.Event()

    async def wrong():
        raise KeyError

    async def right(res):
        await gate.wait()
        res.send("hello")

    def app(*args):
        args[-1].run_async(wrong)
        args[-1].run_async(right, args[-1])

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    assert messages(caplog) == ["GET /: the application raised"]
    assert channel.said == []
    gate.set()
    await settle()
    assert channel.said == HELLO


async def test_run_async_a_failure_does_not_end_an_accepted_websocket(caplog):
    async def wrong():
        raise KeyError

    def app(*args):
        args[-1].accept()
        args[-1].run_async(wrong)

    ws, channel = websocket()
    ws.run(app, "websocket", False)
    await settle()
    assert messages(caplog) == ["GET /: the application raised"]
    assert channel.said == [("101", "", {})]


async def test_run_async_a_task_that_was_cancelled_is_no_failure(caplog):
    gate = asyncio.Event()
    res, _ = http()
    task = res.run_async(gate.wait)
    await settle()
    task.cancel()
    await settle()
    assert messages(caplog) == []


async def test_run_async_a_task_is_a_task_in_every_respect():
    seen = []

    async def looks():
        seen.append(asyncio.current_task())
        async with asyncio.timeout(30):
            await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    res, _ = http()
    task = res.run_async(looks)
    await task
    assert seen == [task, task]


async def test_each_task_has_a_context_of_its_own():
    user = contextvars.ContextVar("user", default="nobody")

    async def app(*args):
        user.set("alice")
        await asyncio.sleep(0)
        args[-1].send(user.get())

    res, channel = http()
    res.run(app, "http", False)
    assert user.get() == "nobody"
    await settle()
    assert channel.said[1] == b"alice"


# -- aborts --------------------------------------------------------------------------------------------------------


async def forever(note):
    try:
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        note.append("cancelled")
        raise


async def test_an_abort_cancels_the_tasks_without_a_handler(caplog):
    note = []

    async def app(*args):
        args[-1].run_async(forever, note)
        await forever(note)

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    channel.leave()
    await settle()
    assert note == ["cancelled", "cancelled"]
    assert channel.said == []
    assert messages(caplog) == []
    assert not channel.scope.tasks


async def test_an_abort_leaves_the_tasks_with_a_handler():
    note = []
    gone = asyncio.Event()

    async def app(*args):
        args[-1].on_aborted(gone.set)
        await gone.wait()
        await asyncio.sleep(0)
        note.append("ended by itself")

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    channel.leave()
    await settle()
    assert note == ["ended by itself"]
    assert channel.said == []


async def test_cancel_ends_every_task():
    note = []
    res, channel = http()
    res.on_aborted(lambda: None)
    res.run_async(forever, note)
    res.run_async(forever, note)
    await settle()
    channel.leave()
    await settle()
    assert note == []
    res.cancel()
    await settle()
    assert note == ["cancelled", "cancelled"]


async def test_reading_from_a_client_that_disconnected_is_no_error_in_the_log(caplog):
    async def app(*args):
        args[-1].on_aborted(lambda: None)
        await args[-1].get_data()

    res, channel = http(body=body_of(ended=False))
    res.run(app, "http", False)
    await settle()
    with caplog.at_level(logging.INFO):
        channel.leave()
        await settle()
    assert messages(caplog) == []


async def test_an_error_after_an_abort_is_logged(caplog):
    gone = asyncio.Event()

    async def app(*args):
        args[-1].on_aborted(gone.set)
        await gone.wait()
        raise KeyError

    res, channel = http()
    res.run(app, "http", False)
    await settle()
    channel.leave()
    await settle()
    assert messages(caplog) == ["GET /: the application raised"]
    assert channel.said == []


# -- strict mode ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strict", [False, True])
async def test_headers_stay_readable_unless_strict(strict):
    kept = []
    res, _ = http(HTTP_X_A="1")

    def app(*args):
        kept.append(args[6])
        args[-1].send()

    res.run(app, "http", strict)
    if strict:
        with pytest.raises(RuntimeError, match="strict"):
            kept[0]("x-a")
    else:
        assert kept[0]("x-a") == "1"


@pytest.mark.parametrize("how", ["coroutine", "run_async"])
async def test_strict_headers_stay_readable_for_what_still_runs(how):
    seen = []

    async def later(get_header, res):
        await asyncio.sleep(0)
        seen.append(get_header("x-a"))
        res.send()

    def app(*args):
        get_header, res = args[6:]
        if how == "run_async":
            res.run_async(later, get_header, res)
            return None
        return later(get_header, res)

    res, _ = http(HTTP_X_A="1")
    res.run(app, "http", True)
    await settle()
    assert seen == ["1"]


# -- bytes ---------------------------------------------------------------------------------------------------------


def test_flat_copies_only_what_does_not_lie_flat():
    data = bytearray(b"0123456789")
    view = flat(data)
    data[0:1] = b"X"
    assert bytes(view) == b"X123456789"
    assert flat(memoryview(data)[::2]) == b"X2468"


def test_a_buffer_is_free_again_after_it_was_written():
    async def main():
        res, channel = http()
        data = bytearray(b"abc")
        res.send(data, True)
        data += b"grows, which is a BufferError while anybody holds a view"
        assert channel.said == [head("200 OK"), b"abc"]

    asyncio.run(main())


async def test_an_exchange_goes_when_nobody_holds_it():
    res, channel = http()
    res.run(sync, "http", False)
    channel.exchange = None
    gone = weakref.ref(res)
    gc.disable()
    try:
        del res
        assert gone() is None, "no cycle is left for the collector"
    finally:
        gc.enable()
