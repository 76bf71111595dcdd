"""Registration, hooks, errors, limits, deadlines and credit, over the dispatcher and without sockets."""

from __future__ import annotations

import asyncio
import contextvars
import datetime as dt
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import (
    CloseConnection,
    Error,
    Module,
    Request,
    Response,
    RpcError,
    StreamingRequest,
    SwillTestClient,
)
from ssgi_gateway.rpc.frames import CREDIT, END_OF_STREAM, ERROR, MESSAGE, METADATA, encode_request


class Node(msgspec.Struct):
    name: str
    children: list[Node] = []


class User(msgspec.Struct):
    name: str
    age: int = 0


def make(**settings: Any) -> swill.Swill:
    app = swill.Swill(__name__, **settings)

    @app.handle()
    async def echo(request: Request[Any]):
        return request.data

    @app.handle()
    async def slow(request: Request[float]) -> str:
        await asyncio.sleep(request.data)
        return "done"

    @app.handle()
    async def total(request: StreamingRequest[int]) -> int:
        return sum([number async for number in request.data])

    @app.handle()
    async def count(request: Request[int]) -> AsyncIterator[int]:
        for number in range(request.data):
            yield number

    return app


def hello(*features: str) -> bytes:
    return encode_request(2**53 - 1, {"client": "test", "features": list(features)}, "swill.hello")


async def frame(client: SwillTestClient) -> list[Any]:
    return msgspec.msgpack.decode(await client.socket.receive())


def run(coroutine: Any) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await coroutine

    return asyncio.run(bounded())


# -- registration


def test_mistakes_are_reported_when_a_procedure_is_registered() -> None:
    app = make()
    with pytest.raises(ValueError, match=r"two procedures of one name: .*test_app.py:\d+.* and .*test_app.py:\d+"):
        app.add_handler(lambda: None, "echo")
    with pytest.raises(TypeError, match="a procedure that streams is an `async def`"):

        @app.handle()
        def streams(request: StreamingRequest[int]) -> int: ...

    with pytest.raises(TypeError, match=r"Request\[int\]"):

        @app.handle()
        async def plain(request: int) -> int: ...

    with pytest.raises(TypeError, match="the second parameter is a Response"):

        @app.handle()
        async def second(request: Request[int], other: int) -> int: ...

    with pytest.raises(TypeError, match="names 'Nothing', which is not defined"):

        @app.handle()
        async def undefined(request: Request[Nothing]) -> int: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ValueError, match="reserved"):
        app.add_handler(lambda: None, "swill.mine")
    with pytest.raises(TypeError, match="with parentheses"):
        app.handle(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"no setting max_request; there are .*max_requests"):
        swill.Swill(__name__, max_request=3)
    with pytest.raises(ValueError, match="max_requests is a number, at least 1"):
        swill.Swill(__name__, max_requests=0)
    with pytest.raises(ValueError, match="there is no hook 'before'; there are before_connection"):
        app.on("before")(print)


def test_two_applications_share_nothing() -> None:
    one, other = make(), swill.Swill(__name__)
    assert "echo" in one.own
    assert not other.own
    one.on("before_request")(lambda *args: None)
    assert other.hook_lists.of("before_request") == ()


def test_modules() -> None:
    app, chat, admin = make(), Module("chat"), Module("admin")
    fired: list[str] = []

    @admin.handle()
    async def ban(request: Request[str]) -> str:
        raise KeyError(request.data)

    @chat.on("before_request")
    def hook(request: Request[Any], response: Response, frame: Any) -> None:
        fired.append(request.rpc)

    @admin.error_handler(LookupError)
    def missing(error: LookupError, request: Request[Any]) -> Error:
        return Error(code=404, message=f"no {error.args[0]}")

    chat.include(admin, prefix="admin.")
    app.include(chat, prefix="chat.")

    @chat.handle()
    async def say(request: Request[str]) -> str:
        return request.data

    with pytest.raises(ValueError, match="cannot be included in itself"):
        admin.include(chat)
    with pytest.raises(ValueError, match="two procedures"):
        app.include(chat, prefix="chat.")
    with pytest.raises(ValueError, match="belongs to the application"):
        chat.on("after_connection")(print)

    async def use() -> None:
        async with SwillTestClient(app) as client:
            assert await client.call("chat.say", "hi") == "hi"
            with pytest.raises(RpcError, match="404 no me"):
                await client.call("chat.admin.ban", "me")
            assert await client.call("echo", 1) == 1
        assert fired == ["chat.say", "chat.admin.ban"]

    run(use())


# -- hooks


def test_hooks_replace_what_they_are_called_with() -> None:
    app = make()
    app.on("before_request_message")(lambda request, message: message + 1)

    @app.on("before_response_message")
    async def later(request: Request[Any], message: Any) -> Any:
        await asyncio.sleep(0)
        return message * 10

    app.on("before_leading_metadata")(lambda request, metadata: {"lead": 1})
    app.on("before_trailing_metadata")(lambda request, metadata: {"trail": request.rpc})
    app.on("before_request_metadata")(lambda request, metadata: {**metadata, "more": True})
    seen: list[Any] = []
    app.on("after_request")(lambda request: seen.append((request.outcome, request.code, request.metadata)))

    async def use() -> None:
        async with SwillTestClient(app) as client:
            async with client.request("echo", 1, {"k": 1}) as request:
                answer = await request.receive()
            assert (answer["data"], answer["leading_metadata"], answer["trailing_metadata"]) == (
                20, {"lead": 1}, {"trail": "echo"},
            )  # fmt: skip
        assert seen == [("ok", 0, {"k": 1, "more": True})]

    run(use())


def test_items_come_in_order_whatever_hooks_do() -> None:
    app = swill.Swill(__name__)

    @app.handle()
    async def collect(request: StreamingRequest[int]) -> list[int]:
        return [number async for number in request.data]

    @app.on("before_request_message")
    async def uneven(request: Request[Any], message: int) -> None:
        for _ in range(5 * (message % 3)):
            await asyncio.sleep(0)

    async def use() -> None:
        async with SwillTestClient(app) as client, client.request("collect", 0) as request:
            for number in range(1, 50):
                await request.send(number)
            await request.end_of_stream()
            assert await request.result() == list(range(50))

    run(use())


def test_current_ones_are_set_in_hooks_handlers_and_threads() -> None:
    app = swill.Swill(__name__)
    found: list[Any] = []
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="")

    def look(*args: Any) -> None:
        names = (swill.current_app, swill.current_connection, swill.current_request, swill.current_response)
        found.append(tuple(name.get(None) is not None for name in names))

    app.on("before_accept")(look)
    app.on("before_request")(look)
    app.on("before_request")(lambda *args: variable.set("set"))

    @app.handle()
    def sync(request: Request[Any]) -> list[Any]:
        look()
        return [variable.get(), threading.current_thread() is threading.main_thread()]

    async def use() -> None:
        async with SwillTestClient(app) as client:
            assert await client.call("sync") == ["set", False]
        assert found == [(True, True, False, False), (True,) * 4, (True,) * 4]
        with pytest.raises(LookupError, match="current_request"):
            swill.current_request.get()

    run(use())


# -- errors and results


def test_results_are_what_was_declared() -> None:
    app = swill.Swill(__name__)
    values: dict[str, Any] = {
        "user": User("a"), "dict": {"name": "b", "age": 1}, "text": "x", "bad": {"name": 1}, "none": None,
    }  # fmt: skip

    @app.handle()
    async def user(request: Request[str]) -> User:
        return values[request.data]

    @app.handle()
    async def real(request: Request[Any]) -> float:
        return request.data

    @app.handle()
    async def when(request: Request[dt.datetime]) -> dt.datetime:
        return request.data

    async def use() -> None:
        async with SwillTestClient(app) as client:
            assert await client.call("user", "user") == User("a")
            assert await client.call("user", "dict") == User("b", 1)
            for wrong in ("text", "bad", "none"):
                with pytest.raises(RpcError, match="500 An internal"):
                    await client.call("user", wrong)
            client.send(encode_request(50, 5, "real"))
            assert (await client.socket.receive()).hex() == "9532cb401400000000000000c0c0"
            now = dt.datetime.now(dt.UTC).replace(microsecond=1)
            assert await client.call("when", now) == now
            with pytest.raises(RpcError, match="422"):
                await client.call("real.x" if False else "user", 5)

    run(use())


def test_development_shows_tracebacks_and_looks_into_results() -> None:
    app = swill.Swill(__name__, debug=True)

    @app.handle()
    async def user(request: Request[Any]) -> User:
        return User("a", "not a number")  # type: ignore[arg-type]

    async def use() -> None:
        async with SwillTestClient(app) as client:
            with pytest.raises(RpcError) as caught:
                await client.call("user")
            assert "the result is not what is declared, User" in caught.value.data["traceback"]

    run(use())


def test_connection_hooks_that_refuse() -> None:
    async def enter(error: Exception) -> tuple[int, str]:
        app = make()

        @app.on("before_connection")
        async def refuse(data: swill.ConnectionData) -> None:
            assert data.query == {"token": "x"}
            assert data.cookies == {"a": "1"}
            raise error

        with pytest.raises(CloseConnection) as caught:
            async with SwillTestClient(app, query_string="token=x&token=y", headers={"Cookie": "a=1"}):
                pass
        return caught.value.code, caught.value.reason

    assert run(enter(CloseConnection(401, "log in"))) == (401, "log in")
    assert run(enter(CloseConnection(4001, "log in"))) == (403, "log in")
    assert run(enter(ValueError("secret"))) == (500, "Internal Server Error\n")


def test_hooks_add_headers_to_the_answer() -> None:
    app = make()
    app.on("before_connection")(lambda data: data.response_headers.append(("X-Mine", "1")))

    async def use() -> None:
        async with SwillTestClient(app) as client:
            assert client.socket.headers == [("X-Mine", "1")]

    run(use())


# -- limits


def test_too_many_requests_are_429() -> None:
    async def use() -> None:
        async with SwillTestClient(make(max_requests=2)) as client:
            async with client.request("slow", 60), client.request("slow", 60):
                with pytest.raises(RpcError, match="429"):
                    await client.call("echo", 1)
            assert await client.call("echo", 1) == 1

    run(use())


def test_threads_are_bounded_and_a_cancelled_one_is_notified() -> None:
    app = swill.Swill(__name__, threads=1, thread_queue=1)
    release = threading.Event()
    cancelled: list[bool] = []

    @app.handle()
    def wait(request: Request[Any]) -> str:
        release.wait(10)
        cancelled.append(request.cancelled)
        return "done"

    async def use() -> None:
        async with SwillTestClient(app) as client:
            first = await client.request("wait").__aenter__()
            async with client.request("wait") as second:
                with pytest.raises(RpcError, match="503"):
                    await client.call("wait")
                await first.cancel()
                await asyncio.sleep(0)
                release.set()
                assert await second.result() == "done"
        assert cancelled == [True, False]

    run(use())


def test_items_that_nobody_takes_stop_the_reading() -> None:
    app = make(max_queue=4)
    go = asyncio.Event()

    @app.handle()
    async def later(request: StreamingRequest[int]) -> int:
        await go.wait()
        return len([item async for item in request.data])

    async def use() -> None:
        async with SwillTestClient(app) as client, client.request("later", 0) as request:
            for number in range(20):
                await request.send(number)
            await request.end_of_stream()
            client.send(encode_request(77, None, "swill.ping"))
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(client.socket._waiting) >= 16, "the rest waits to be read"
            assert not client.socket.sent
            go.set()
            assert await request.result() == 21

    run(use())


def test_malformed_frames_end_the_connection() -> None:
    async def use() -> None:
        async with SwillTestClient(make()) as client:
            for _ in range(16):
                client.send(b"\xc1")
                assert (await frame(client))[:1] == [0]
            with pytest.raises(CloseConnection) as caught:
                await client.socket.receive()
            assert caught.value.code == 1008

    run(use())


# -- deadlines, hello, credit


def test_deadlines_in_every_state() -> None:
    app = make(max_timeout=0.05)
    outcomes: list[Any] = []
    app.on("after_request")(lambda request: outcomes.append((request.rpc, request.outcome, request.code)))

    async def use() -> None:
        async with SwillTestClient(app) as client:
            for name, data in (("slow", 60), ("total", 1)):
                with pytest.raises(RpcError, match="504"):
                    await client.call(name, data, {"swill.timeout": 30})
            with pytest.raises(RpcError, match="504"):
                await client.call("slow", 60, {"swill.timeout": 10**9})  # cut to the server's own
            for wrong in (0, -1, 1.5, "1", True, 2**60):
                with pytest.raises(RpcError, match=r"400 .*swill\.timeout"):
                    await client.call("echo", 1, {"swill.timeout": wrong})
            with pytest.raises(RpcError, match=r"400 .*'swill\.more' is reserved"):
                await client.call("echo", 1, {"swill.more": 1})
        assert outcomes == [("slow", "error", 504), ("total", "error", 504), ("slow", "error", 504)]

    run(use())


def patient(where: str) -> swill.Swill:
    """Waits for ever where it is told."""
    app = make(threads=1)
    forever: list[asyncio.Future[None]] = []

    async def wait(*_: Any) -> None:
        forever.append(asyncio.get_running_loop().create_future())
        await forever[-1]

    if where.startswith(("before_", "after_")):
        app.add_lifecycle_handler(where, wait)

    @app.handle()
    async def both(request: StreamingRequest[int], response: Response) -> AsyncIterator[int]:
        async for number in request.data:
            yield number
            if where == "between two items":
                await wait()
        response.set_trailing_metadata({"trail": 1})
        if where == "after the last item":
            await wait()

    @app.handle()
    def thread(request: Request[Any]) -> None:
        while not request.cancelled:
            time.sleep(0.001)

    return app


@pytest.mark.parametrize(
    "where",
    [
        "before_request", "before_request_metadata", "before_request_data", "before_request_message",
        "before_leading_metadata", "before_response_message", "before_trailing_metadata", "between two items",
        "after the last item", "for an item", "for credit",
    ],
)  # fmt: skip
def test_a_deadline_that_passes(where: str) -> None:
    """In each state that a request can wait in: ERROR 504, once, and nothing more; what comes for it is dropped."""

    async def use() -> None:
        app = patient(where)
        outcomes: list[Any] = []
        app.on("after_request")(lambda request: outcomes.append((request.rpc, request.outcome, request.code)))
        async with SwillTestClient(app) as client:
            client.send(hello("credit"))
            await frame(client)
            metadata = {"swill.timeout": 20} | ({"swill.window": 1} if where == "for credit" else {})
            client.send(encode_request(5, 1, "both", MESSAGE, metadata))
            ended = where not in ("for an item", "for credit")
            if ended:
                client.send(encode_request(5, None, "both", END_OF_STREAM))
            if where == "for credit":  # one item each way is what the window lets pass; then we may send another
                assert {(await frame(client))[2], (await frame(client))[2]} == {CREDIT, MESSAGE}
                client.send(encode_request(5, 2, "both"))
            frames = [await frame(client)]
            while frames[-1][2] != ERROR:
                frames.append(await frame(client))
            assert frames[-1][1] == {"code": 504, "message": "the deadline has passed"}
            assert not any(each[2] == END_OF_STREAM for each in frames)
            if not ended:
                client.send(encode_request(5, 3, "both"))
                client.send(encode_request(5, None, "both", END_OF_STREAM))
            client.send(encode_request(6, None, "swill.ping"))
            assert (await frame(client))[0] == 6
        assert outcomes == [("both", "error", 504)]

    run(use())


def test_a_deadline_that_passes_in_a_thread_or_after_the_answer() -> None:
    async def use() -> None:
        async with SwillTestClient(patient("")) as client:
            with pytest.raises(RpcError, match="504"):
                await client.call("thread", None, {"swill.timeout": 20})
            with pytest.raises(RpcError, match="504"):  # the thread is free again: it saw that it is cancelled
                await client.call("thread", None, {"swill.timeout": 20})
            assert await client.call("echo", 1, {"swill.timeout": 20}) == 1
            await asyncio.sleep(0.03)
            assert not client.socket.sent

    run(use())


def test_types_within_themselves_have_a_schema() -> None:
    app = swill.Swill(__name__)

    @app.handle()
    async def walk(request: Request[Node]) -> list[Node]:
        return request.data.children

    async def use() -> None:
        async with SwillTestClient(app) as client:
            schema = await client.call("swill.schema")
            [procedure] = [each for each in schema["procedures"] if each["name"] == "walk"]
            assert procedure["request"]["schema"] == {"$ref": "#/components/Node"}
            children = schema["components"]["Node"]["properties"]["children"]
            assert children["items"] == {"$ref": "#/components/Node"}
            async with client.request("swill.introspect") as request:
                [found] = [each async for each in request]
            assert "Node" in str(found)
            assert await client.call("walk", {"name": "a", "children": [{"name": "b"}]}) == [Node("b")]

    run(use())


def test_hello_and_what_it_allows() -> None:
    async def use() -> None:
        async with SwillTestClient(make()) as client:
            client.send(encode_request(1, 5, "echo", CREDIT))
            assert (await frame(client))[0:3:2] == [1, ERROR]
            with pytest.raises(RpcError, match=r"400 .*needs the feature 'credit'"):
                await client.call("count", 3, {"swill.window": 2})
        async with SwillTestClient(make()) as client:
            client.send(hello("credit", "control", "of the future"))
            client.send(encode_request(5, 4, "count", MESSAGE, {"swill.window": 2}))
            said = (await frame(client))[1]
            assert {"credit", "control"} <= set(said["features"]), said
            assert said["limits"] == {"message": 1048576, "requests": 256, "window": 65536}
            assert [(await frame(client))[1] for _ in range(2)] == [0, 1]
            client.send(encode_request(77, None, "swill.ping"))
            assert (await frame(client))[0] == 77, "nothing more without credit"
            client.send(encode_request(5, 10, "count", CREDIT))
            assert [(await frame(client))[1:3] for _ in range(3)] == [[2, 0], [3, 0], [None, 1]]
            client.send(encode_request(6, 4, "count", MESSAGE, {"swill.window": 1}))
            assert (await frame(client))[1] == 0
            for wrong in (0, -1, "1", 2**31):
                client.send(encode_request(6, wrong, "count", CREDIT))
                assert (await frame(client))[1]["code"] == 400
                client.send(encode_request(6, 4, "count", MESSAGE, {"swill.window": 1}))
                assert (await frame(client))[1] == 0

    run(use())


def test_a_client_with_credit_may_not_exceed_it_and_gets_more_when_items_are_taken() -> None:
    app = make()
    go = asyncio.Event()

    @app.handle()
    async def later(request: StreamingRequest[int]) -> int:
        await go.wait()
        return len([item async for item in request.data])

    async def use() -> None:
        async with SwillTestClient(app) as client:
            client.send(hello("credit"))
            await frame(client)
            client.send(encode_request(1, 0, "later", MESSAGE, {"swill.window": 4}))
            for number in range(3):
                client.send(encode_request(1, number, "later"))
            client.send(encode_request(2, None, "swill.ping"))
            assert (await frame(client))[0] == 2
            go.set()
            assert (await frame(client))[:3] == [1, 2, CREDIT]
            assert (await frame(client))[:3] == [1, 2, CREDIT]
            client.send(encode_request(1, None, "later", 1))
            assert (await frame(client))[:3] == [1, 4, 0]
            go.clear()
            client.send(encode_request(3, None, "later", METADATA, {"swill.window": 1}))
            client.send(encode_request(3, 1, "later"))
            client.send(encode_request(3, 2, "later"))
            assert (await frame(client))[1] == {"code": 400, "message": "an item came without credit for it"}

    run(use())


def test_two_connections_with_the_same_seq_never_meet() -> None:
    async def use() -> None:
        app = make()
        one, two = SwillTestClient(app), SwillTestClient(app, lifespan=False)
        async with one, two, one.request("total", 1, seq=1) as first, two.request("total", 100, seq=1) as second:
            await first.send(2)
            await second.send(200)
            await first.end_of_stream()
            await second.end_of_stream()
            assert (await first.result(), await second.result()) == (3, 300)

    run(use())


def test_the_connections_end_runs_after_every_request() -> None:
    app = make()
    order: list[str] = []
    app.on("after_request")(lambda request: order.append(request.outcome))
    app.on("after_connection")(lambda connection: order.append("connection"))

    @app.handle()
    async def stubborn(request: Request[Any]) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.01)

    async def use() -> None:
        client = SwillTestClient(app)
        async with client:
            for seq in range(3):
                client.send(encode_request(seq + 1, None, "stubborn"))
            client.send(encode_request(9, None, "swill.ping"))
            await frame(client)
        assert order == ["disconnected"] * 3 + ["connection"]

    run(use())


def test_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    app = make(root_path=str(tmp_path), max_requests=7)
    monkeypatch.setenv("MINE_SWILL__MAX_QUEUE", "3")
    monkeypatch.setenv("MINE_TITLE", "a text")
    app.config.load_from_env("MINE")
    (tmp_path / "config.py").write_text("from ssgi_gateway.rpc.config import Partial\nswill = Partial(debug=True)\n")
    app.config.load_from_file("config.py")
    assert app.config["swill.max_queue"] == 3
    assert app.config["title"] == "a text"
    assert app.config.get("swill.nothing", 5) == 5
    assert (app.settings.max_requests, app.settings.max_queue, app.settings.debug) == (7, 3, True)
