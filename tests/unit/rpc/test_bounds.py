"""What happens at a bound, and what an application may switch off; over the dispatcher and without sockets."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import msgspec
import pytest

from ssgi_gateway import rpc as swill
from ssgi_gateway.rpc import CloseConnection, Error, Request, RpcError, SwillTestClient
from ssgi_gateway.rpc.frames import METADATA, encode_request
from ssgi_gateway.rpc.testing import TestSocket

from .test_app import frame, hello, make, run


def test_subscriptions_of_a_connection() -> None:
    app = make(pubsub=swill.MemoryPubSub(), max_subscriptions=2)

    @app.topic("news.{room}", type=int)
    async def may_hear(connection: swill.Connection, room: str) -> bool:
        return True

    async def use() -> None:
        async with SwillTestClient(app) as client:
            for room in "ab":
                client.send(encode_request(ord(room), {"topic": f"news.{room}"}, "swill.subscribe"))
                assert (await frame(client))[2] == METADATA
            async with client.request("swill.subscribe", {"topic": "news.c"}) as third:
                with pytest.raises(RpcError, match="429"):
                    await third.result()
            client.send(encode_request(ord("a"), None, "swill.subscribe", 3))
            client.send(encode_request(7, {"topic": "news.c"}, "swill.subscribe"))
            assert (await frame(client))[:3:2] == [7, METADATA]

    run(use())


def test_connections_of_a_session() -> None:
    app = make(sessions=swill.MemorySessions(), max_session_connections=1)

    @app.handle()
    async def keep(request: Request[Any]) -> None:
        await request.session.set("a", 1)

    async def use() -> None:
        async with SwillTestClient(app) as first:
            await first.call("keep")
            [cookie] = [value for name, value in first.socket.headers if name == "Set-Cookie"]
            mine = {"Cookie": cookie.partition(";")[0]}
            async with SwillTestClient(app, headers=mine, lifespan=False) as second:
                with pytest.raises(CloseConnection) as caught:
                    await second.socket.receive()
                assert (caught.value.code, caught.value.reason) == (1013, "too many connections of this session")
            async with SwillTestClient(app, lifespan=False) as other:
                assert await other.call("echo", 1) == 1

    run(use())


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_the_cookie_of_a_session_under_https_is_secure(scheme: str) -> None:
    async def use() -> None:
        client = SwillTestClient(make(sessions=swill.MemorySessions()))
        client.socket = TestSocket(scheme)
        async with client:
            [cookie] = [value for name, value in client.socket.headers if name == "Set-Cookie"]
            assert ("; Secure" in cookie) == (scheme == "wss")

    run(use())


def test_introspection_can_be_switched_off() -> None:
    async def use() -> None:
        async with SwillTestClient(make(introspection=False)) as client:
            for name in ("swill.introspect", "swill.schema"):
                with pytest.raises(RpcError, match="404"):
                    await client.call(name)
            client.send(hello())
            assert "schema" not in (await frame(client))[1]["features"]

    run(use())


def test_hello_and_ping_come_before_all_hooks() -> None:
    app = make()
    fired: list[str] = []
    app.on("before_request")(lambda request, response, frame: fired.append(request.rpc))
    app.on("after_request")(lambda request: fired.append(request.rpc))

    async def use() -> None:
        async with SwillTestClient(app) as client:
            client.send(hello())
            client.send(encode_request(1, None, "swill.ping"))
            assert {(await frame(client))[0], (await frame(client))[0]} == {1, 2**53 - 1}
            assert fired == []
            await client.call("echo", 1)
            assert fired == ["echo", "echo"]

    run(use())


def test_other_metadata_is_the_applications() -> None:
    app = make()

    @app.handle()
    async def metadata(request: Request[Any]) -> Any:
        return request.metadata

    async def use() -> None:
        async with SwillTestClient(app) as client:
            given = {"traceparent": "00-1-2-01", "swill": 1, "swillx.a": [None]}
            assert await client.call("metadata", None, {**given, "swill.timeout": 1000}) == given

    run(use())


def test_the_nearest_class_of_an_exception_decides() -> None:
    app = make()

    @app.error_handler(Exception)
    def any_(error: Exception, request: Request[Any]) -> Error:
        return Error(code=499, message="any")

    @app.error_handler(LookupError)
    async def lookup(error: LookupError, request: Request[Any]) -> Error | None:
        return None if "secret" in str(error) else Error(code=404, message="lookup")

    @app.handle()
    async def fail(request: Request[str]) -> None:
        raise {"key": KeyError, "value": ValueError}[request.data.partition(" ")[0]](request.data)

    async def use() -> None:
        async with SwillTestClient(app) as client:
            for data, code in (("key", 404), ("value", 499), ("key secret", 500)):
                with pytest.raises(RpcError, match=str(code)):
                    await client.call("fail", data)

    run(use())


def test_inline_runs_on_the_loops_thread_and_def_does_not() -> None:
    app = make()

    @app.handle(inline=True)
    def inline(request: Request[Any]) -> bool:
        return threading.current_thread() is threading.main_thread()

    @app.handle()
    def pooled(request: Request[Any]) -> bool:
        return threading.current_thread() is threading.main_thread()

    async def use() -> None:
        async with SwillTestClient(app) as client:
            assert await client.call("inline") is True
            assert await client.call("pooled") is False

    run(use())


def test_before_a_restart_clients_that_know_of_it_are_notified_and_new_calls_are_refused() -> None:
    """Goaway is for those who asked for ``control`` in hello; what is open is finished, what is new gets 503."""
    app = make()

    async def use() -> None:
        async with SwillTestClient(app) as client, SwillTestClient(app, lifespan=False) as original:
            client.send(hello("control"))
            await frame(client)
            async with client.request("slow", 0.05) as one, original.request("slow", 0.05) as other:
                draining = [asyncio.ensure_future(app.drain_connection(it)) for it in tuple(app.connections.values())]
                assert (await frame(client))[:4] == [0, None, METADATA, {"goaway": "restart"}]
                for each in (client, original):
                    with pytest.raises(RpcError, match="503"):
                        await each.call("echo", 1)
                assert [await one.result(), await other.result()] == ["done", "done"]
            await asyncio.wait(draining)
            for each in (client, original):
                with pytest.raises(CloseConnection) as caught:
                    await each.socket.receive()
                assert caught.value.code == 1012

    run(use())


@pytest.mark.parametrize("code", [400, 999, 1000, 4001])
def test_a_handler_that_closes_the_connection(code: int) -> None:
    app = make()

    @app.handle()
    async def leave(request: Request[Any]) -> None:
        raise CloseConnection(code, "enough")

    async def use() -> None:
        async with SwillTestClient(app) as client:
            client.send(encode_request(1, None, "leave"))
            with pytest.raises(CloseConnection) as caught:
                await client.socket.receive()
            assert (caught.value.code, caught.value.reason) == (1008 if code < 1000 else code, "enough")

    run(use())


def test_lines_of_the_log_say_which_connection_rpc_and_seq(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "ssgi_gateway.rpc")
    app = make()

    @app.handle()
    async def fail(request: Request[Any]) -> None:
        raise KeyError("oh")

    async def use() -> None:
        async with SwillTestClient(app) as client:
            client.send(encode_request(17, None, "fail"))
            assert msgspec.msgpack.decode(await client.socket.receive())[1]["code"] == 500
            identity = client.connection.id
        [line] = [record.getMessage() for record in caplog.records if "failed" in record.getMessage()]
        assert identity[:8] in line
        assert "fail" in line
        assert "17" in line

    run(use())
