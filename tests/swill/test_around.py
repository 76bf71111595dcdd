"""Sessions, calls over HTTP, static files, the access log and the drain, on real gateways."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ssgi_gateway.rpc import DisconnectedError, RpcError
from ssgi_gateway.rpc.client import Client
from ssgi_gateway.rpc.frames import encode_request
from tests.harness import Gateway, request
from tests.harness.process import wait_until

from .raw import RawWebSocket
from .services import Redis
from .test_client import eventually, patience, url

APP = "tests.apps.swill_features:app"


# -- sessions


async def session_story(one: Gateway, two: Gateway) -> None:
    async with patience(), Client(url(one)) as client, Client(url(one)) as stranger:
        assert await client.call("session.get", "a") is None
        await client.call("session.set", ["a", {"deep": [1, None]}])
        await client.call("session.set", ["b", 2])
        assert await client.call("session.items") == {"a": {"deep": [1, None]}, "b": 2}
        assert await stranger.call("session.items") == {}
        assert client.session is not None
        async with Client(url(two), session=client.session) as same:
            assert await same.call("session.get", "b") == 2
            await same.call("session.delete", "b")
            assert await client.call("session.items") == {"a": {"deep": [1, None]}}
            old = client.session
            await same.call("session.rotate")
            new = await eventually(lambda: client.call("session.id"), lambda got: got != old)
            assert await same.call("session.id") == new
            assert await client.call("session.get", "a") == {"deep": [1, None]}
        async with Client(url(two), session=old) as late:
            assert await late.call("session.id") == new, "the old id leads to the new one for a minute"
        async with Client(url(two), session="A" * 43) as thief:
            assert await thief.call("session.items") == {}
            assert await thief.call("session.id") != "A" * 43
        async with Client(url(two), session=new) as ending:
            with pytest.raises(DisconnectedError) as caught:
                await ending.call("session.end")
            assert caught.value.code == 1008
        await eventually(lambda: state(client), lambda it: it == "closed")
        await stranger.call("session.clear")


async def state(client: Client) -> str:
    return client.state


def test_sessions_in_memory(serve: Callable[..., Gateway]) -> None:
    gateway = serve(APP, env={"SWILL_SESSIONS": "memory"})
    asyncio.run(session_story(gateway, gateway))


def test_sessions_in_redis_and_without_it(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with Redis(folder) as redis:
        one, two = (serve(APP, env={"SWILL_SESSIONS": redis.url, "SWILL_PUBSUB": redis.url}) for _ in range(2))
        asyncio.run(session_story(one, two))

        async def away() -> None:
            async with patience(), Client(url(one)) as client:
                await client.call("session.set", ["a", 1])
                redis.stop()
                with pytest.raises(RpcError) as caught:
                    await client.call("session.get", "a")
                assert caught.value.code == 503
                assert await client.call("add", [1, 2]) == 3
                async with Client(url(one), session=client.session) as other:
                    with pytest.raises(RpcError, match="503"):
                        await other.call("session.get", "a")
                redis.start()
                assert await eventually(lambda: call_or_none(client), lambda got: got is not None) == {}

        asyncio.run(away())


async def call_or_none(client: Client) -> Any:
    try:
        return await client.call("session.items")
    except RpcError:
        return None


def test_the_cookie_and_hello(serve: Callable[..., Gateway]) -> None:
    """A page's scripts never see the id of the cookie; who has no cookies gets it by hello."""
    gateway = serve(APP, env={"SWILL_SESSIONS": "memory"})

    async def connect(*headers: tuple[str, str]) -> tuple[RawWebSocket, dict[str, Any]]:
        ws = await RawWebSocket().connect(gateway.websocket[0], headers=headers)
        if ws.status != 101:
            return ws, {}
        ws.send(encode_request(1, {"client": "raw", "features": []}, "swill.hello"))
        await ws.expect(1)
        return ws, msgspec.msgpack.decode(ws.frames[0][1])[1]

    async def run() -> None:
        ws, said = await connect()
        cookie = ws.header("set-cookie") or ""
        assert cookie.startswith("swill_session=")
        assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=1209600"))
        assert said["session"] == cookie.partition("=")[2].partition(";")[0]
        await ws.close()
        ws, said = await connect(("Origin", "http://localhost"), ("Cookie", cookie.partition(";")[0]))
        assert ws.status == 101
        assert "session" not in said
        await ws.close()
        ws, said = await connect(("Origin", "https://elsewhere.example"))
        assert ws.status == 403

    asyncio.run(run())


# -- HTTP


def test_calls_over_http(serve: Callable[..., Gateway], codec: str) -> None:
    gateway = serve(APP, http=("tcp",), env={"SSGI_CODEC": codec}) if has_http() else pytest.skip("no HTTP listener")
    address = gateway.address("http", "tcp")

    def post(rpc: str, body: bytes, kind: str = "application/json", *more: tuple[str, str]) -> Any:
        return request(address, "POST", f"/ws/{rpc}", [("Content-Type", kind), *more], body)

    answer = post("add", b"[1, 2]")
    assert (answer.status, answer.body, answer.header("content-type")) == (200, b"3", "application/json")
    packed = post("add", msgspec.msgpack.encode([1, 2]), "application/msgpack")
    assert (packed.status, packed.body) == (200, b"\x03")
    metas = post("metas.both", b"", "application/json", ("Swill-Metadata", r'{"k": "\u00e9"}'))
    assert json.loads(metas.body)["k"]
    assert json.loads(metas.header("swill-metadata") or "") == {"leading": {"lead": 1}, "trailing": {"trail": 2}}
    conflict = post("conflict", b"")
    assert (conflict.status, json.loads(conflict.body)) == (
        409, {"code": 409, "message": "conflict", "data": {"version": 3}},
    )  # fmt: skip
    assert post("nobody", b"").status == 404
    assert post("count", b"3").status == 406
    assert post("add", b"[1").status == 400
    assert post("add", b'["a", 2]').status == 422
    assert post("add", b"[1,2]", "text/plain").status == 415
    assert post("fail", b"").status == 500
    assert post("bounded", b"").status == 504
    assert post("echo", b'"' + b"x" * 1_100_000 + b'"').status == 413
    assert request(address, "GET", "/ws/add").status == 405
    assert request(address, "GET", "/ws").status == 426
    assert request(address, "GET", "/nothing").status == 404


def has_http() -> bool:
    import inspect

    return "http" in inspect.signature(Gateway.__init__).parameters


def test_static_files(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    folder = tmp_path / "public"
    (folder / "sub").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>hello</h1>")
    (folder / "sub" / "index.html").write_text("sub")
    (folder / "app.3f9a1c0b.js").write_text("1")
    (folder / "big.txt").write_bytes(bytes(range(256)) * 1000)
    (folder / "big.txt.gz").write_bytes(b"packed")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    (folder / "link.txt").symlink_to(tmp_path / "outside.txt")
    gateway = serve(APP, scgi=("tcp",), http=("tcp",), env={"SWILL_STATIC": str(folder)})
    address = gateway.address("http", "tcp")

    def get(path: str, *headers: tuple[str, str], method: str = "GET") -> Any:
        return request(address, method, path, list(headers))

    page = get("/")
    assert (page.status, page.body) == (200, b"<h1>hello</h1>")
    assert page.header("content-type") == "text/html; charset=utf-8"
    etag = page.header("etag") or ""
    assert get("/", ("If-None-Match", etag)).status == 304
    assert get("/", ("If-Modified-Since", page.header("last-modified") or "")).status == 304
    head = get("/", method="HEAD")
    assert (head.status, head.body, head.header("content-length")) == (200, b"", "14")
    assert get("/", method="POST").status == 405
    assert "immutable" in (get("/app.3f9a1c0b.js").header("cache-control") or "")
    assert get("/sub").status == 308
    assert get("/sub/").body == b"sub"
    big = get("/big.txt")
    assert big.body == bytes(range(256)) * 1000
    packed = get("/big.txt", ("Accept-Encoding", "br;q=0, gzip"))
    assert (packed.body, packed.header("content-encoding")) == (b"packed", "gzip")
    part = get("/big.txt", ("Range", "bytes=10-19"))
    assert (part.status, part.body, part.header("content-range")) == (206, bytes(range(10, 20)), "bytes 10-19/256000")
    assert get("/big.txt", ("Range", "bytes=-5")).body == bytes(range(251, 256))
    assert get("/big.txt", ("Range", "bytes=256000-")).status == 416
    for path in (
        "/.secret",
        "/link.txt",
        "/../outside.txt",
        "/%2e%2e/outside.txt",
        "/sub/..%2f..%2foutside.txt",
        "/none",
    ):
        assert get(path).status in (400, 404), path


# -- the log and the drain


def test_the_access_log(serve: Callable[..., Gateway]) -> None:
    gateway = serve(APP, env={"SWILL_ACCESS": "1"})

    async def run() -> None:
        async with patience(), Client(url(gateway)) as client:
            await client.call("add", [1, 2])
            with pytest.raises(RpcError):
                await client.call("conflict", metadata={"secret": "hidden"})

    asyncio.run(run())
    wait_until(lambda: '"event": "connection"' in gateway.process.text(), "the line of the connection")
    text = gateway.process.text()
    lines = [json.loads(line[line.index("{") :]) for line in text.splitlines() if '"event"' in line]
    by_rpc = {line.get("rpc"): line for line in lines}
    assert (by_rpc["add"]["outcome"], by_rpc["add"]["messages_out"]) == ("ok", 1)
    assert (by_rpc["conflict"]["outcome"], by_rpc["conflict"]["code"]) == ("error", 409)
    assert "hidden" not in text


def test_the_drain_notifies_clients_and_finishes_calls(serve: Callable[..., Gateway], codec: str) -> None:
    one = serve(APP, env={"SSGI_CODEC": codec})
    two = serve(APP, env={"SSGI_CODEC": codec})

    async def run() -> None:
        async with patience(), Client(url(one)) as client:
            await client.call("add", [1, 2])
            open_call = asyncio.create_task(client.call("slow", 1.5))
            await client.call("add", [1, 2])
            client.url = url(two)
            one.process.send_signal(signal.SIGTERM)
            assert await open_call == "done", "what is open is finished"
            pids = {await client.call("pid"), one.pid}
            assert pids == {one.pid, two.pid}

    asyncio.run(run())
    assert one.process.wait() == 0
    one.kill()
