"""An SSGI application as an ASGI application: through this project's own server and back, and on uvicorn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssgi_gateway.adapters
from ssgi_gateway.adapters import as_asgi
from ssgi_gateway.adapters.to_asgi.channel import BrokenResponseError
from ssgi_gateway.adapters.to_asgi.request import parse_scope
from ssgi_gateway.errors import ConfigurationError, RequestRejected
from tests.apps.behaviour import HELLO, pattern
from tests.harness import HttpConnection, Process, WebSocketClient, WebSocketRejectedError, request, wait_until
from tests.unit.adapters.serving import in_loop

ROOT = Path(__file__).resolve().parents[4]


def scope_of(**changes):
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"example.org:8080")],
        "client": ("192.0.2.7", 50007),
        "server": ("127.0.0.1", 8080),
        **changes,
    }


class Server:
    """An ASGI server's side of one scope, told what to say and noting what it hears.

    ``finally_`` is said when an event of the type ``after`` was heard.
    """

    def __init__(self, *events, slow=False, after="", finally_=None):
        self.after = after
        self.finally_ = finally_
        self.events = asyncio.Queue()
        for event in events:
            self.events.put_nowait(event)
        self.sent = []
        self.broken = False
        self.go_on = asyncio.Event()
        if not slow:
            self.go_on.set()

    async def receive(self):
        return await self.events.get()

    async def send(self, message):
        await self.go_on.wait()
        if self.broken:
            raise OSError("the client has disconnected")
        self.sent.append(message)
        if message["type"] == self.after:
            self.after = ""
            self.events.put_nowait(self.finally_)

    async def run(self, app, **changes):
        await as_asgi(app)(scope_of(**changes), self.receive, self.send)
        return self.sent


def ssgi(call):
    """An SSGI application of a function of ``res``."""

    def app(type, server_address, remote_address, method, path, query_string, get_header, res):
        return call(res)

    return app


NO_BODY = {"type": "http.request", "body": b"", "more_body": False}
LEFT = {"type": "http.disconnect"}
CONNECT = {"type": "websocket.connect"}


# -- the application and its hooks ---------------------------------------------------------------------------------


def test_it_is_where_people_look_for_it():
    assert callable(ssgi_gateway.adapters.as_asgi)


def test_what_is_no_ssgi_application_is_refused():
    async def asgi(scope, receive, send): ...

    with pytest.raises(ConfigurationError, match="cannot be called as SSGI"):
        as_asgi(asgi)


@in_loop
async def test_a_framework_is_offered_ssgi_alone():
    class Framework:
        def get_supported(self, supported_interfaces):
            assert list(supported_interfaces) == ["ssgi"]
            return {"http": ("ssgi", ssgi(lambda res: res.send("hello"))), "websockets": None}

    assert (await Server().run(Framework()))[1]["body"] == b"hello"
    assert await Server(CONNECT).run(Framework(), type="websocket") == [{"type": "websocket.close"}]


@in_loop
async def test_the_hooks_are_the_lifespan():
    events = []

    class App:
        async def startup(self, state):
            state["word"] = "ready"
            events.append("startup")

        async def shutdown(self):
            events.append("shutdown")

        def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res):
            res.send(res.extensions["state"]["word"])

    app = as_asgi(App())
    server = Server({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    state = {}
    await app({"type": "lifespan", "state": state}, server.receive, server.send)
    assert server.sent == [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    assert (events, state) == (["startup", "shutdown"], {"word": "ready"})
    server = Server()
    await app(scope_of(state=state.copy()), server.receive, server.send)
    assert server.sent[1]["body"] == b"ready"


@in_loop
async def test_a_startup_that_fails():
    class App:
        async def startup(self, state):
            raise ConfigurationError("no database")

        def __call__(self, type, server_address, remote_address, method, path, query_string, get_header, res): ...

    server = Server({"type": "lifespan.startup"})
    await as_asgi(App())({"type": "lifespan"}, server.receive, server.send)
    assert server.sent == [{"type": "lifespan.startup.failed", "message": "no database"}]


@in_loop
async def test_an_unknown_scope_is_an_error():
    with pytest.raises(ValueError, match="'mqtt'"):
        await Server().run(ssgi(lambda res: None), type="mqtt")


# -- requests ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "path", "raw_path"),
    [
        ({"path": "/a b", "raw_path": b"/a%20b"}, "/a b", "/a%20b"),
        ({"path": "/a b", "raw_path": None}, "/a b", "/a%20b"),
        ({"path": "/é", "raw_path": b"/%C3%A9"}, "/é", "/%C3%A9"),
        ({"path": "/changed", "raw_path": b"/as-it-was"}, "/changed", "/changed"),
        ({"path": "/�", "raw_path": b"/%FF"}, "/\udcff", "/%FF"),
        ({"path": "/a", "raw_path": b"/a?b=c"}, "/a", "/a"),
        ({"path": "/m/a", "raw_path": b"/m/a", "root_path": "/m"}, "/m/a", "/m/a"),
        ({"path": "/a", "raw_path": b"/a", "root_path": "/m"}, "/m/a", "/m/a"),
    ],
)
def test_the_path(changes, path, raw_path):
    head = parse_scope(scope_of(**changes))
    assert (head.path, head.raw_path, head.root_path()) == (path, raw_path, changes.get("root_path", ""))


def test_the_rest_of_the_request():
    headers = [
        (b"host", b"a.example"),
        (b"accept", b"text/html"),
        (b"accept", b"text/plain"),
        (b"cookie", b"a=1"),
        (b"cookie", b"b=2"),
        (b"content-type", b"text/plain"),
        (b"x_forged", b"1"),
        (b"proxy", b"http://evil.example"),
    ]
    scope = scope_of(
        method="POST", scheme="https", http_version="2", query_string=b"x=%20", headers=headers, server=("::1", 443)
    )
    head = parse_scope(scope)
    assert (head.method, head.scheme(), head.http_version(), head.query_string) == ("POST", "https", "2", "x=%20")
    assert (head.remote_address, head.server_address) == ("192.0.2.7:50007", "[::1]:443")
    assert dict(head.variables.headers()) == {
        "host": "a.example",
        "accept": "text/html, text/plain",
        "cookie": "a=1; b=2",
        "content-type": "text/plain",
    }


@pytest.mark.parametrize(
    ("changes", "addresses"),
    [
        ({"client": None, "server": None}, ("", "")),
        ({"client": ("", 0), "server": ("/run/app.sock", None)}, ("", "/run/app.sock")),
    ],
)
def test_addresses_that_are_not_known(changes, addresses):
    head = parse_scope(scope_of(**changes))
    assert (head.remote_address, head.server_address) == addresses


def test_a_request_that_cannot_be_served():
    with pytest.raises(RequestRejected):
        parse_scope(scope_of(path="/\0", raw_path=b"/%00"))


@in_loop
async def test_a_request_that_cannot_be_served_is_answered():
    sent = await Server().run(ssgi(lambda res: res.send("never")), path="/\0", raw_path=b"/%00")
    assert sent[0]["status"] == 400


@in_loop
async def test_a_whole_answer_is_one_start_and_one_body():
    def call(res):
        res.send_status("201 Made")
        res.send_headers([("X-A", "1"), ("X-A", "2")])
        res.send("hello")

    assert await Server().run(ssgi(call)) == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x-a", b"1"), (b"x-a", b"2"), (b"content-length", b"5")],
        },
        {"type": "http.response.body", "body": b"hello", "more_body": False},
    ]


@in_loop
async def test_an_answer_that_is_there_at_once_needs_no_task_and_no_receive():
    server = Server()
    tasks = []

    def call(res):
        tasks.append(len(asyncio.all_tasks()))
        res.send("hello")
        tasks.append(len(asyncio.all_tasks()))

    await server.run(ssgi(call))
    assert tasks == [1, 1]


@in_loop
async def test_the_body_is_read_in_pieces():
    async def call(res):
        got = []
        while (chunk := await res.get_chunk()) is not None:
            got.append(chunk.getvalue())
        res.send(b"".join(got))

    server = Server(
        {"type": "http.request", "body": b"one", "more_body": True},
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": b"two", "more_body": False},
    )
    sent = await server.run(ssgi(call), method="POST")
    assert sent[1]["body"] == b"onetwo"


@in_loop
async def test_a_body_that_is_not_read_is_not_received():
    go_on = asyncio.Event()
    pieces = [{"type": "http.request", "body": bytes(65536), "more_body": n < 63} for n in range(64)]
    server = Server(*pieces)

    async def call(res):
        await go_on.wait()
        res.send(str(len((await res.get_data()).getvalue())))

    running = asyncio.ensure_future(server.run(ssgi(call), method="POST"))
    for _ in range(200):
        await asyncio.sleep(0)
    assert server.events.qsize() >= 56
    go_on.set()
    assert (await running)[1]["body"] == str(64 * 65536).encode()


@in_loop
async def test_a_slow_server_makes_the_application_wait():
    server = Server(NO_BODY, slow=True)
    sent = 0

    async def call(res):
        nonlocal sent
        for _ in range(20):
            assert await res.send(bytes(100_000), True)
            sent += 1
        res.send()

    running = asyncio.ensure_future(server.run(ssgi(call)))
    for _ in range(200):
        await asyncio.sleep(0)
    assert sent < 5
    server.go_on.set()
    assert sum(len(event.get("body", b"")) for event in await running) == 2_000_000


@in_loop
async def test_send_chunk_resolves_when_the_server_has_taken_it():
    server = Server(NO_BODY, slow=True)
    results = []

    async def call(res):
        results.append(await res.send_chunk(b"abc", 5))
        results.append(await res.send_chunk(b"de", 5))

    running = asyncio.ensure_future(server.run(ssgi(call)))
    for _ in range(50):
        await asyncio.sleep(0)
    assert results == []
    server.go_on.set()
    await running
    assert results == [(True, False), (True, True)]


@pytest.mark.parametrize("size", [0, 5, 1_000_000])
@in_loop
async def test_a_file_is_sent(size, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(pattern(size))

    async def call(res):
        await res.send_file(str(path))

    sent = await Server(NO_BODY).run(ssgi(call))
    assert (b"content-length", str(size).encode()) in sent[0]["headers"]
    assert b"".join(event["body"] for event in sent[1:]) == pattern(size)
    assert [event["more_body"] for event in sent[1:]] == [True] * (len(sent) - 2) + [False]


@pytest.mark.parametrize("how", ["disconnect", "send"])
@in_loop
async def test_a_client_that_disconnects(how):
    server = Server(NO_BODY)
    noted = []

    async def call(res):
        res.on_aborted(noted.append, "aborted")
        assert await res.send(b"first", True)
        if how == "disconnect":
            server.events.put_nowait(LEFT)
        server.broken = True
        while await res.send(bytes(100_000), True):  # noqa: ASYNC110 - what it waits for is the server
            await asyncio.sleep(0)
        noted.append(res.aborted)

    await server.run(ssgi(call))
    assert noted == ["aborted", True]
    assert len(asyncio.all_tasks()) == 1


@in_loop
async def test_a_client_that_disconnects_before_the_answer_ends_the_call():
    cancelled = []

    async def call(res):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    assert await Server(NO_BODY, LEFT).run(ssgi(call)) == []
    assert cancelled == [True]


@in_loop
async def test_an_application_that_fails(caplog):
    def call(res):
        raise LookupError("what went wrong")

    assert (await Server(NO_BODY).run(ssgi(call)))[0]["status"] == 500
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_an_application_that_does_not_answer(caplog):
    assert (await Server(NO_BODY).run(ssgi(lambda res: None)))[0]["status"] == 500
    assert "returned without answering" in caplog.text


@in_loop
async def test_an_application_that_fails_in_the_middle_breaks_the_connection(caplog):
    def call(res):
        res.send(b"first", True)
        raise LookupError("what went wrong")

    server = Server(NO_BODY)
    with pytest.raises(BrokenResponseError):
        await server.run(ssgi(call))
    assert all(event.get("more_body", True) for event in server.sent)
    assert len(asyncio.all_tasks()) == 1


@in_loop
async def test_work_after_the_answer_is_waited_for():
    done = []

    async def later():
        await asyncio.sleep(0.01)
        done.append(True)

    def call(res):
        res.run_async(later)
        res.send("hello")

    await Server(NO_BODY).run(ssgi(call))
    assert done == [True]


@in_loop
async def test_a_server_that_stops_takes_the_application_along():
    cancelled = []

    async def call(res):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    running = asyncio.ensure_future(Server(NO_BODY).run(ssgi(call)))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await asyncio.sleep(0)
    assert cancelled == [True]
    assert len(asyncio.all_tasks()) == 1


# -- WebSockets ----------------------------------------------------------------------------------------------------


def received(data):
    return {"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data}


GONE = {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}


@in_loop
async def test_a_websocket_echoes():
    closes = []

    def call(ws):
        ws.on_receive(lambda ws, message: ws.send(message))
        ws.on_close(lambda ws, code, reason: closes.append((code, reason)))
        ws.accept(headers=[("X-A", "1")])

    class Talking(Server):
        async def send(self, message):
            await super().send(message)
            if message.get("bytes") == b"two":
                self.events.put_nowait(GONE)

    server = Talking(CONNECT, received("one"), received(b"two"))
    sent = await server.run(ssgi(call), type="websocket", subprotocols=["a", "b"])
    assert sent == [
        {"type": "websocket.accept", "subprotocol": "a", "headers": [(b"x-a", b"1")]},
        {"type": "websocket.send", "text": "one"},
        {"type": "websocket.send", "bytes": b"two"},
    ]
    assert closes == [(4001, "bye")]
    assert len(asyncio.all_tasks()) == 1


@in_loop
async def test_the_applications_close_waits_for_the_servers_word():
    closes = []

    def call(ws):
        ws.on_close(lambda ws, code, reason: closes.append((code, reason)))
        ws.accept("")
        ws.close(4001, "enough")
        with pytest.raises(ValueError, match="1005"):
            ws_invalid(ws)

    def ws_invalid(ws):
        ws.channel.send_close(1005, "")

    server = Server(CONNECT, after="websocket.close", finally_=GONE)
    sent = await server.run(ssgi(call), type="websocket")
    assert sent[1:] == [{"type": "websocket.close", "code": 4001, "reason": "enough"}]
    assert closes == [(4001, "bye")]


@pytest.mark.parametrize("extensions", [{"websocket.http.response": {}}, {}, None])
@in_loop
async def test_a_rejection(extensions):
    sent = await Server(CONNECT).run(
        ssgi(lambda ws: ws.reject(401, "who?", [("X-A", "1")])), type="websocket", extensions=extensions
    )
    if extensions:
        headers = [(b"x-a", b"1"), (b"content-length", b"4")]
        assert sent == [
            {"type": "websocket.http.response.start", "status": 401, "headers": headers},
            {"type": "websocket.http.response.body", "body": b"who?"},
        ]
    else:
        assert sent == [{"type": "websocket.close"}]


@in_loop
async def test_messages_wait_while_a_handler_runs():
    release = asyncio.Event()
    handled = []

    async def slow(ws, message):
        await release.wait()
        handled.append(message)

    def call(ws):
        ws.on_receive(slow)
        ws.accept("")

    server = Server(CONNECT, *[received(str(n)) for n in range(100)], GONE)
    running = asyncio.ensure_future(server.run(ssgi(call), type="websocket"))
    for _ in range(300):
        await asyncio.sleep(0)
    assert server.events.qsize() >= 60
    release.set()
    await running
    assert handled == [str(n) for n in range(100)]


@in_loop
async def test_a_websocket_whose_application_fails(caplog):
    def fail(ws, message):
        raise LookupError("what went wrong")

    def call(ws):
        ws.on_receive(fail)
        ws.accept("")

    server = Server(CONNECT, received("one"), after="websocket.close", finally_=GONE)
    sent = await server.run(ssgi(call), type="websocket")
    assert sent[-1] == {"type": "websocket.close", "code": 1011, "reason": ""}
    assert "LookupError: what went wrong" in caplog.text


@in_loop
async def test_a_websocket_that_is_dropped_while_it_is_sent_to():
    closes, server = [], Server(CONNECT)

    async def call(ws):
        ws.on_close(lambda ws, code, reason: closes.append(code))
        await ws.accept("")
        server.broken = True
        while await ws.send(bytes(100_000)):  # noqa: ASYNC110 - what it waits for is the server
            await asyncio.sleep(0)

    await server.run(ssgi(call), type="websocket")
    assert closes == [1006]


# -- on a server that nobody here wrote ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory) -> Iterator[str]:
    """The behaviour application on uvicorn; the path of its socket."""
    pytest.importorskip("uvicorn")
    folder = tmp_path_factory.mktemp("uvicorn")
    (folder / "bridged.py").write_text(
        "from ssgi_gateway.adapters import as_asgi\nfrom tests.apps.behaviour import app\napp = as_asgi(app)\n"
    )
    sock = folder / "s"
    command = [sys.executable, "-m", "uvicorn", "bridged:app", "--uds", str(sock), "--log-level", "warning"]
    process = Process(command, folder / "log", env={"PYTHONPATH": f"{ROOT}:{folder}"}, cwd=folder)
    try:
        process.wait_for(sock.exists, "uvicorn listening")
        yield str(sock)
    finally:
        assert process.stop() in (0, -15)  # after its shutdown uvicorn gives itself the signal again
    assert "Traceback" not in process.text().replace("behaviour:", ""), process.text()


def test_uvicorn_serves_a_request(uvicorn):
    answer = request(uvicorn, "GET", "/do/hello")
    assert (answer.status, answer.body) == (200, HELLO)


def test_uvicorn_serves_the_application(uvicorn):
    facts = request(uvicorn, "GET", "/a%2Fb/%C3%A9?x=%20", [("X-A", "1"), ("Cookie", "a=b")]).json()
    assert (facts["path"], facts["query_string"]) == ("/a/b/é", "x=%20")
    assert facts["headers"]["x-a"] == ["1"]
    assert facts["extensions"]["protocol"] == "asgi"
    assert facts["extensions"]["raw_path"] == "/a%2Fb/%C3%A9"


def test_uvicorn_serves_an_upload_and_a_download(uvicorn):
    body = pattern(3_000_000)
    told = request(uvicorn, "POST", "/do/body", body=body).json()
    assert told["length"] == len(body)
    assert request(uvicorn, "GET", "/do/stream?size=3000000&chunk=100000").body == body
    assert request(uvicorn, "GET", "/do/chunks?size=3000000&chunk=100000&total=1").body == body


def test_uvicorn_reports_a_client_that_disconnects(uvicorn):
    with HttpConnection(uvicorn) as connection:
        connection.send_head("GET", "/do/hang?key=left")

        def noted():
            return [event for _, event, _ in request(uvicorn, "GET", "/do/records?key=left").json()]

        wait_until(lambda: "started" in noted(), "the request to begin")
        connection.close()
        wait_until(lambda: "aborted" in noted(), "the abort")


@pytest.mark.parametrize("message", ["grüße", b"\x00\xff" * 1000])
def test_uvicorn_carries_a_websocket(uvicorn, message):
    with WebSocketClient(uvicorn, "/ws/echo", subprotocols=["one", "two"]) as client:
        assert client.subprotocol == "one"
        client.send(message)
        assert client.receive() == message
        assert client.close(4001, "bye")[0] == 4001


def test_uvicorn_carries_a_rejection(uvicorn):
    with pytest.raises(WebSocketRejectedError) as caught:
        WebSocketClient(uvicorn, "/ws/reject?status=401&body=who%3F")
    assert (caught.value.response.status, caught.value.response.text) == (401, "who?")
