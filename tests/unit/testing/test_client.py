"""``TestClient`` over applications of each interface: requests, bodies, failures, WebSockets, start and end."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from ssgi_gateway.client.websocket import HandshakeRefused
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import Settings
from ssgi_gateway.testing import AsyncTestClient, TestClient

PIECE = b"x" * 65536


# -- one application, four times: /report tells the request, /fail raises, /empty is a 204, else the body comes back


def report(method: str, path: str, query: str, agent: str | None, body: bytes) -> bytes:
    told = {"method": method, "path": path, "query": query, "agent": agent, "body": body.decode()}
    return json.dumps(told).encode()


class Ssgi:
    """An async SSGI application with both hooks; its WebSocket echoes, and closes when told to."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def startup(self, state: dict[str, Any]) -> None:
        self.heard.append("startup")

    async def shutdown(self) -> None:
        self.heard.append("shutdown")

    async def __call__(self, type: Any, server: Any, remote: Any, method: str, path: str, query: str, get_header, res):
        if type == "websocket":
            if path == "/refuse":
                res.reject(403, "not here")
                return
            res.on_receive(self.message)
            res.on_close(lambda ws, code, reason: self.heard.append(f"closed {code} {reason}"))
            offered = (get_header("sec-websocket-protocol") or "").split(", ")
            res.accept("v2" if "v2" in offered else "", [("x-mine", "1")])
            return
        body = b""
        while (chunk := await res.get_chunk()) is not None:
            body += bytes(chunk.getbuffer())
        if path == "/fail":
            raise ValueError("a secret")
        if path == "/empty":
            res.send_status(204)
            await res.send()
        elif path == "/report":
            await res.send(report(method, path, query, get_header("user-agent"), body))
        elif path == "/endless":
            try:
                while await res.send(PIECE, True):
                    pass
            finally:
                self.heard.append("left")
        else:
            res.send_headers([("set-cookie", "a=1"), ("set-cookie", "b=2")])
            await res.send(body)

    def message(self, ws: Any, message: str | bytes) -> None:
        if message == "close":
            ws.close(4001, "as you like")
        else:
            ws.send(message)


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        for _ in range(2):
            await send({"type": (await receive())["type"] + ".complete"})
        return
    headers = dict(scope["headers"])
    if scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        if scope["path"] == "/refuse":
            await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
            await send({"type": "websocket.http.response.body", "body": b"not here"})
            return
        chosen = "v2" if "v2" in scope["subprotocols"] else None
        await send({"type": "websocket.accept", "subprotocol": chosen, "headers": [(b"x-mine", b"1")]})
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") == "close":
                await send({"type": "websocket.close", "code": 4001, "reason": "as you like"})
            else:
                await send({**event, "type": "websocket.send"})
        return
    body = b""
    while (event := await receive())["type"] == "http.request":
        body += event.get("body", b"")
        if not event.get("more_body"):
            break
    status, answer, more = 200, body, [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    if scope["path"] == "/fail":
        raise ValueError("a secret")
    if scope["path"] == "/empty":
        status, answer = 204, b""
    elif scope["path"] == "/report":
        agent = headers.get(b"user-agent")
        answer = report(scope["method"], scope["path"], scope["query_string"].decode(), agent and agent.decode(), body)
    await send({"type": "http.response.start", "status": status, "headers": more})
    await send({"type": "http.response.body", "body": answer})


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    body, path = environ["wsgi.input"].read(), environ["PATH_INFO"]
    if path == "/fail":
        raise ValueError("a secret")
    if path == "/empty":
        start_response("204 No Content", [])
        return []
    start_response("200 OK", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    if path == "/report":
        agent = environ.get("HTTP_USER_AGENT")
        return [report(environ["REQUEST_METHOD"], path, environ["QUERY_STRING"], agent, body)]
    return [body]


class Rsgi:
    """The same for RSGI 1.6."""

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        if scope.proto == "ws":
            if scope.path == "/refuse":
                protocol.close(403)
                return
            transport = await protocol.accept()
            while (message := await transport.receive()).kind != 0:
                if message.data == "close":
                    protocol.close(1000)
                    return
                await (transport.send_str if message.kind == 2 else transport.send_bytes)(message.data)
            return
        body = await protocol()
        if scope.path == "/fail":
            raise ValueError("a secret")
        if scope.path == "/empty":
            protocol.response_empty(204, [])
        elif scope.path == "/report":
            agent = scope.headers.get("user-agent")
            protocol.response_bytes(200, [], report(scope.method, scope.path, scope.query_string, agent, body))
        else:
            protocol.response_bytes(200, [("set-cookie", "a=1"), ("set-cookie", "b=2")], body)


APPLICATIONS: dict[str, Any] = {"ssgi": Ssgi, "asgi": lambda: asgi, "rsgi": Rsgi, "wsgi": lambda: wsgi}


@pytest.fixture(params=APPLICATIONS)
def interface(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def app(interface: str) -> Any:
    return APPLICATIONS[interface]()


def test_requests_of_every_kind(app: Any) -> None:
    with TestClient(app) as client:
        answer = client.get("/report?a=1", params={"b": ["2", "3"]}, headers={"User-Agent": "test"})
        assert answer.json() == {
            "method": "GET", "path": "/report", "query": "a=1&b=2&b=3", "agent": "test", "body": "",
        }  # fmt: skip
        assert client.post("/report", data={"a": "1"}).json()["body"] == "a=1"
        assert client.put("/report", json=[1]).json()["body"] == "[1]"
        assert client.patch("/report", content="text").json()["body"] == "text"
        assert client.delete("/report").json()["method"] == "DELETE"
        assert client.request("OPTIONS", "/report").json()["method"] == "OPTIONS"
        head = client.head("/report")
        assert (head.status, head.content) == (200, b"")
        empty = client.get("/empty")
        assert (empty.status, empty.content) == (204, b"")
        answer = client.post("/echo", content=(PIECE for _ in range(40)))
        assert (answer.status, answer.content) == (200, PIECE * 40)
        assert [value for name, value in answer.raw_headers if name == b"set-cookie"] == [b"a=1", b"b=2"]
        assert answer.headers["set-cookie"] == "a=1, b=2"


def test_a_failure_is_the_answer_that_a_client_would_get(app: Any) -> None:
    with TestClient(app) as client:
        answer = client.get("/fail")
        assert answer.status == 500
        assert "a secret" not in answer.text
        assert client.post("/echo", content=b"it goes on").content == b"it goes on"


def test_websockets(app: Any, interface: str, caplog: Any) -> None:
    with TestClient(app) as client:
        if interface == "wsgi":
            with pytest.raises(HandshakeRefused), client.websocket("/chat"):
                pass
            assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
            return
        with client.websocket("/chat", subprotocols=[] if interface == "rsgi" else ["v1", "v2"]) as socket:
            socket.send("text")
            assert socket.receive() == "text"
            socket.send(PIECE)
            assert socket.receive() == PIECE
            socket.send_json({"a": [1]})
            assert socket.receive_json() == {"a": [1]}
            if interface != "rsgi":  # which neither chooses a subprotocol nor adds headers
                assert socket.subprotocol == "v2"
                assert (b"x-mine", b"1") in socket.headers
            assert socket.close_code is None
            socket.send("close")
            assert socket.receive() is None
            wanted = (1000, "") if interface == "rsgi" else (4001, "as you like")
            assert (socket.close_code, socket.close_reason) == wanted
            with pytest.raises(EOFError, match=str(wanted[0])):
                socket.receive_json()
        with pytest.raises(HandshakeRefused) as refused, client.websocket("/refuse"):
            pass
        assert refused.value.response.status == 403
        with client.websocket("/chat") as socket, pytest.raises(TimeoutError):
            socket.receive(timeout=0.01)
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_websockets_of_a_library_for_wsgi(caplog: Any) -> None:
    """It is given the connection itself, as behind a web server."""
    pytest.importorskip("flask_sock", reason="pip install ssgi-gateway[test-apps]")
    from tests.apps.wsgi.sock import app

    with TestClient(app) as client:
        assert client.get("/").text == "hello"
        with client.websocket("/echo") as socket:
            for message in ("hello", "x" * 100_000):
                socket.send(message)
                assert socket.receive() == message
        with client.websocket("/once") as socket:
            socket.send("hello")
            assert socket.receive() == "once hello"
            assert socket.receive() is None
            assert socket.close_code == 1000
        with pytest.raises(HandshakeRefused) as refused, client.websocket("/none"):
            pass
        assert refused.value.response.status == 404
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_hooks_run_and_a_client_that_disconnects_is_noticed() -> None:
    app = Ssgi()

    async def use() -> None:
        async with asyncio.timeout(20), AsyncTestClient(app) as client:
            assert app.heard == ["startup"]
            async with client.stream("GET", "/endless") as response:
                assert await anext(aiter(response))
            while "left" not in app.heard:  # noqa: ASYNC110 - what is waited for is another task
                await asyncio.sleep(0)
            async with client.websocket("/chat") as socket:
                await socket.send("one")
                assert [message async for message in take(socket, 1)] == ["one"]
        assert app.heard == ["startup", "left", "closed 1000 ", "shutdown"]

    asyncio.run(use())


def test_a_stream_takes_what_a_request_takes(app: Any) -> None:
    async def use() -> None:
        async with AsyncTestClient(app) as client:
            arguments: dict[str, Any] = {"params": {"a": "1"}, "headers": {"User-Agent": "test"}}
            for sent in ({"json": [1]}, {"data": {"b": "2"}}, {"content": "text"}):
                asked = await client.request("POST", "/report", **arguments, **sent)
                async with client.stream("POST", "/report", **arguments, **sent) as response:
                    assert json.loads(await response.read()) == asked.json()

    asyncio.run(use())


async def take(socket: Any, count: int) -> Any:
    async for message in socket:
        yield message
        count -= 1
        if not count:
            return


def test_an_application_that_cannot_start() -> None:
    class Broken(Ssgi):
        async def startup(self, state: dict[str, Any]) -> None:
            raise RuntimeError("no database")

    before = threading.active_count()
    with pytest.raises((ConfigurationError, RuntimeError), match="no database"), TestClient(Broken()):
        pass
    assert threading.active_count() == before


def test_the_web_servers_variables_and_the_gateways_settings() -> None:
    def app(type: Any, server: Any, remote: Any, method: str, path: str, query: str, get_header: Any, res: Any) -> None:
        facts = res.extensions
        res.send(json.dumps([server, remote, facts["scheme"], facts["root_path"]]).encode())

    with TestClient(app, base_url="https://example.org:8443") as client:
        cgi = {"REMOTE_ADDR": "203.0.113.7", "REMOTE_PORT": "4711", "SCRIPT_NAME": "/below"}
        server, remote, scheme, root = client.get("/below/x", extensions={"cgi": cgi}).json()
        assert (server, remote, scheme, root) == ("example.org:8443", "203.0.113.7:4711", "https", "/below")
    with TestClient(Ssgi(), settings=Settings(codec="portable", max_body_size=10)) as client:
        assert client.post("/echo", content=b"x" * 10).status == 200
        assert client.post("/echo", content=b"x" * 11).status == 413


def test_it_has_to_be_entered() -> None:
    with pytest.raises(RuntimeError, match="with TestClient"):
        TestClient(Ssgi()).get("/")


def test_an_application_goes_on_behind_its_answer(caplog: Any) -> None:
    """Also on a connection that is kept, and nothing is logged as its fault."""
    done = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})
        done.append(scope["path"])

    with TestClient(app) as client:
        for number in range(3):
            assert client.get(f"/{number}").content == b"ok"
    assert done == ["/0", "/1", "/2"]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []
