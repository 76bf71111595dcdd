"""The behaviours of SSGI 1.0 as a pytest suite, which any server can run against itself.

The server serves ``ssgi_gateway.testing.conformance_app:app``, which needs nothing of this project. Then either::

    CONFORMANCE_URL=http://127.0.0.1:8000 pytest --pyargs ssgi_gateway.testing.conformance

(``scgi://unix:/run/app.sock:`` and ``fcgi://127.0.0.1:9000`` as well), or a test module of the server's own, which
starts it::

    from ssgi_gateway.testing.conformance import *  # the tests

    @pytest.fixture(scope="module")
    def ssgi_url():
        with my_server("ssgi_gateway.testing.conformance_app:app") as port:
            yield f"http://127.0.0.1:{port}"

WebSockets are skipped over ``fcgi``, which has none. The docstring of each test names what SSGI 1.0 requires.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from ssgi_gateway.client import Client, ClientError, Response, Timeouts
from ssgi_gateway.client.websocket import HandshakeRefused, open_websocket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

DEADLINE = 20.0


@pytest.fixture(scope="module")
def ssgi_url() -> str:
    """Where the server under test is; a module that starts it has a fixture of this name."""
    url = os.environ.get("CONFORMANCE_URL")
    if not url:
        pytest.skip("set where the server is: CONFORMANCE_URL=http://127.0.0.1:8000")
    return url


class _Server:
    """The server under test, as these tests use it."""

    def __init__(self, client: Client, url: str) -> None:
        self.client = client
        self.url = url.rstrip("/")
        self.key = uuid.uuid4().hex

    async def ask(self, path: str, method: str = "GET", **arguments: Any) -> Response:
        response = await self.client.request(method, self.url + path, **arguments)
        await response.read()
        return response

    async def json(self, path: str, method: str = "GET", **arguments: Any) -> Any:
        response = await self.ask(path, method, **arguments)
        assert response.status == 200
        return json.loads(await response.read())

    async def records(self, count: int) -> list[Any]:
        """What the application noted, once it has noted so much."""
        async with asyncio.timeout(DEADLINE):
            while True:
                notes: list[Any] = await self.json(f"/records?key={self.key}")
                if len(notes) >= count:
                    return notes
                await asyncio.sleep(0.05)

    def websocket(self, path: str, **arguments: Any) -> Any:
        if self.url.startswith("fcgi"):
            pytest.skip("FastCGI has no WebSockets")
        return open_websocket(self.client, self.url + path, **arguments)


def _run(url: str, test: Callable[[_Server], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Client(timeouts=Timeouts(total=DEADLINE)) as client:
            await test(_Server(client, url))

    asyncio.run(main())


# -- the call ----------------------------------------------------------------------------------------------------------


def test_the_request_is_described(ssgi_url: str) -> None:
    """Path decoded, query not; the method as received; no header is None; names are lower case."""

    async def test(server: _Server) -> None:
        seen = await server.json(
            "/a%20b/%C3%A9?q=%20x&q=", "OPTIONS", headers=[("X-Asked", "value"), ("cookie", "a=1"), ("Cookie", "b=2")]
        )
        assert seen["type"] == "http"
        assert seen["method"] == "OPTIONS"
        assert seen["path"] == "/a b/\xc3\xa9"
        assert seen["query_string"] == "q=%20x&q="
        assert seen["asked"] == "value"
        assert seen["missing"] is None
        assert seen["cookie"] == "a=1; b=2"
        assert seen["names"] == [name.lower() for name in seen["names"]]
        assert seen["has_extensions"] is True
        assert seen["aborted"] is False
        assert isinstance(seen["server_address"], str)
        assert isinstance(seen["remote_address"], str)

    _run(ssgi_url, test)


def test_repeated_headers_are_joined(ssgi_url: str) -> None:
    """``get_header`` joins with a comma; ``get_all`` may know the lines apart."""

    async def test(server: _Server) -> None:
        seen = await server.json("/", headers=[("x-twice", "1"), ("x-twice", "2")])
        assert seen["joined"] == "1, 2"
        assert ", ".join(seen["all"]) == "1, 2"

    _run(ssgi_url, test)


def test_a_path_that_is_no_utf_8(ssgi_url: str) -> None:
    """It is kept, by surrogateescape."""

    async def test(server: _Server) -> None:
        assert (await server.json("/%ff"))["path"] == "/\xff"

    _run(ssgi_url, test)


@pytest.mark.parametrize("path", ["/raise", "/nothing"])
def test_no_answer_is_500(ssgi_url: str, path: str) -> None:
    """An exception, and a return without anything that could still answer."""

    async def test(server: _Server) -> None:
        assert (await server.ask(path)).status == 500

    _run(ssgi_url, test)


def test_a_task_may_answer_later(ssgi_url: str) -> None:
    """``run_async`` keeps the request alive."""

    async def test(server: _Server) -> None:
        response = await server.ask("/later?text=late")
        assert await response.read() == b"late"

    _run(ssgi_url, test)


# -- responses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["200", "201", "404", "418", "503", "404 Not Found"])
def test_statuses(ssgi_url: str, status: str) -> None:
    """A number or a text, before or after the headers."""

    async def test(server: _Server) -> None:
        response = await server.ask(f"/status?status={status.replace(' ', '%20')}&body=x")
        assert response.status == int(status[:3])
        assert response.header("x-order") == "headers before status"
        assert await response.read() == b"x"

    _run(ssgi_url, test)


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(ssgi_url: str, status: int) -> None:
    """What the application sends as a body is left out."""

    async def test(server: _Server) -> None:
        response = await server.ask(f"/status?status={status}&body=dropped")
        assert (response.status, await response.read()) == (status, b"")

    _run(ssgi_url, test)


def test_head(ssgi_url: str) -> None:
    """The head of the GET, without its body."""

    async def test(server: _Server) -> None:
        response = await server.ask("/status?status=200&body=dropped", "HEAD")
        assert (response.status, await response.read()) == (200, b"")

    _run(ssgi_url, test)


def test_headers(ssgi_url: str) -> None:
    """They add up, repeated ones stay apart, hop-by-hop ones are the server's."""

    async def test(server: _Server) -> None:
        response = await server.ask("/headers")
        assert await response.read() == b"ok"
        assert response.header("x-one") == "1"
        assert response.header("x-two") == "2"
        assert [value for name, value in response.headers if name == b"set-cookie"] == [b"a=1", b"b=2"]

    _run(ssgi_url, test)


def test_what_is_wrong_is_refused(ssgi_url: str) -> None:
    """Bad headers are ValueError; a head that has gone, and an answer that has ended, are RuntimeError."""

    async def test(server: _Server) -> None:
        response = await server.ask(f"/refused?key={server.key}")
        assert await response.read() == b"first"
        notes = await server.records(6)
        assert notes == ["newline", "name", "nul", "late status", "late headers", "after the end"]

    _run(ssgi_url, test)


def test_an_answer_in_pieces(ssgi_url: str) -> None:
    """What ``send`` returns is True while the peer takes more."""

    async def test(server: _Server) -> None:
        response = await server.ask("/pieces?count=50")
        assert (await response.read()).split() == [b"%d" % number for number in range(50)]

    _run(ssgi_url, test)


def test_an_answer_of_a_known_length(ssgi_url: str) -> None:
    """``send_chunk`` with a total: Content-Length, and the end when so much was written."""

    async def test(server: _Server) -> None:
        response = await server.ask(f"/sized?total=200000&key={server.key}")
        assert len(await response.read()) == 200_000
        assert response.header("content-length") in (None, "200000")
        notes = await server.records(4)
        assert notes == [[True, False]] * 3 + [[True, True]]

    _run(ssgi_url, test)


def test_more_than_the_length(ssgi_url: str) -> None:
    """It is a ValueError before anything is written."""

    async def test(server: _Server) -> None:
        response = await server.ask(f"/overrun?key={server.key}")
        assert await response.read() == b"1234567890"
        assert await server.records(1) == ["overrun"]

    _run(ssgi_url, test)


def test_less_than_the_length(ssgi_url: str) -> None:
    """It never looks like a whole answer."""

    async def test(server: _Server) -> None:
        with pytest.raises(ClientError):
            await server.ask("/short")

    _run(ssgi_url, test)


# -- bodies ------------------------------------------------------------------------------------------------------------


def test_no_body(ssgi_url: str) -> None:
    """``get_data`` is None."""

    async def test(server: _Server) -> None:
        assert (await server.json("/echo"))["none"] is True

    _run(ssgi_url, test)


@pytest.mark.parametrize("size", [1, 70_000, 1_000_000])
@pytest.mark.parametrize("path", ["/echo", "/chunks"])
def test_bodies(ssgi_url: str, path: str, size: int) -> None:
    """Whole, or chunk by chunk."""

    async def test(server: _Server) -> None:
        assert (await server.json(path, "POST", body=b"b" * size))["size"] == size

    _run(ssgi_url, test)


def test_a_body_whose_length_nobody_knows(ssgi_url: str) -> None:
    """It ends where the protocol ends it."""

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b"p" * 10_000

    async def test(server: _Server) -> None:
        assert (await server.json("/chunks", "POST", body=pieces()))["size"] == 50_000

    _run(ssgi_url, test)


# -- clients that disconnect -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True], ids=["before the answer", "within it"])
def test_a_client_that_disconnects(ssgi_url: str, stream: bool) -> None:
    """``on_aborted`` once, with its arguments, or at once if it is late; ``aborted`` is true; sends do nothing."""

    async def test(server: _Server) -> None:
        asked = asyncio.create_task(server.ask(f"/wait?key={server.key}{'&stream=1' if stream else ''}"))
        await asyncio.wait([asked], timeout=0.3)
        asked.cancel()
        await asyncio.wait([asked])
        assert await server.records(3) == ["aborted", ["flag", True], "at once"]

    _run(ssgi_url, test)


# -- WebSockets --------------------------------------------------------------------------------------------------------


def test_messages_of_both_kinds(ssgi_url: str) -> None:
    """``str`` is text, ``bytes`` binary, both ways."""

    async def test(server: _Server) -> None:
        async with server.websocket("/ws/echo") as socket:
            for message in ("text \u20ac", b"\0\xff", "", "x" * 100_000):
                await socket.send(message)
                assert await socket.receive() == message

    _run(ssgi_url, test)


def test_an_async_handler_is_called_in_order(ssgi_url: str) -> None:
    """One at a time."""

    async def test(server: _Server) -> None:
        async with server.websocket("/ws/order") as socket:
            for number in range(5):
                await socket.send(str(number))
            assert [await socket.receive() for _ in range(5)] == [f"got {number}" for number in range(5)]

    _run(ssgi_url, test)


def test_a_websocket_is_rejected(ssgi_url: str) -> None:
    """With a whole HTTP answer."""

    async def test(server: _Server) -> None:
        with pytest.raises(HandshakeRefused) as refused:
            async with server.websocket("/ws/reject?status=401"):
                pass
        assert (refused.value.status, refused.value.body) == (401, b"not you")
        assert refused.value.response.header("x-why") == "because"

    _run(ssgi_url, test)


def test_neither_accepted_nor_rejected_is_403(ssgi_url: str) -> None:
    """Nothing could still answer."""

    async def test(server: _Server) -> None:
        with pytest.raises(HandshakeRefused) as refused:
            async with server.websocket("/ws/nothing"):
                pass
        assert refused.value.status == 403

    _run(ssgi_url, test)


@pytest.mark.parametrize("code", [1000, 3000, 4999])
def test_the_application_closes(ssgi_url: str, code: int) -> None:
    """With its code and reason."""

    async def test(server: _Server) -> None:
        async with server.websocket(f"/ws/close?code={code}") as socket:
            assert await socket.receive() is None
            assert (socket.close_code, socket.close_reason) == (code, "done")

    _run(ssgi_url, test)


def test_the_peer_closes(ssgi_url: str) -> None:
    """``on_close`` once, with code and reason; status is 0, then 3, then 2."""

    async def test(server: _Server) -> None:
        async with server.websocket(f"/ws/note?key={server.key}") as socket:
            await socket.send(b"x")
            assert await socket.receive() == "bytes"
            await socket.close(4001, "bye")
        assert await server.records(3) == [0, 3, [4001, "bye", 2]]

    _run(ssgi_url, test)


def test_the_peer_vanishes(ssgi_url: str) -> None:
    """``on_close`` with 1006."""

    async def test(server: _Server) -> None:
        async with server.websocket(f"/ws/note?key={server.key}") as socket:
            await socket.send("x")
            assert await socket.receive() == "str"
            await socket.response.aclose()
        assert (await server.records(3))[2][0] == 1006

    _run(ssgi_url, test)


@pytest.mark.parametrize(("query", "chosen"), [("", "one"), ("&choose=1", "two")])
def test_subprotocols(ssgi_url: str, query: str, chosen: str) -> None:
    """``accept()`` picks the first that is offered, ``accept(name)`` that one."""

    async def test(server: _Server) -> None:
        opened = server.websocket(f"/ws/note?key={server.key}{query}", subprotocols=["one", "two"])
        async with opened as socket:
            assert socket.subprotocol == chosen

    _run(ssgi_url, test)


def test_what_a_websocket_refuses(ssgi_url: str) -> None:
    """``send`` while pending, a subprotocol that was not offered, a close code that must not be sent."""

    async def test(server: _Server) -> None:
        async with server.websocket(f"/ws/refused?key={server.key}", subprotocols=["one"]) as socket:
            assert socket.subprotocol is None
            assert await socket.receive() is None
        wanted = ["send while pending", "a subprotocol that was not offered", "a code that must not be sent"]
        assert await server.records(3) == wanted

    _run(ssgi_url, test)
