"""RSGI applications behind the real server: the requests; WebSockets are in ``test_rsgi_websocket``."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import sys
from collections.abc import Mapping

import pytest

from ssgi_gateway.adapters.negotiation import resolve
from ssgi_gateway.adapters.rsgi.adapter import RsgiApplication, adapt
from ssgi_gateway.adapters.rsgi.errors import RSGIProtocolClosed, RSGIProtocolError
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import FlowControl, Settings
from tests.unit.adapters.serving import in_loop, serving, wait_for

TEXT = [("content-type", "text/plain")]
BIG = bytes(range(256)) * 4096


def served(app, settings=None):
    return serving(adapt(app), settings)


async def ask(app, *args, **kwargs):
    """One request to ``app`` and its answer."""
    async with served(app) as server:
        return await server.request(*args, **kwargs)


async def hello(scope, proto):
    proto.response_str(200, TEXT, "Hello, world!\n")


# -- scope -----------------------------------------------------------------------------------------------------------


async def scope_of(*args, **kwargs):
    seen = []

    async def app(scope, proto):
        names = (
            "proto",
            "rsgi_version",
            "http_version",
            "server",
            "client",
            "scheme",
            "method",
            "path",
            "query_string",
        )
        seen.append({name: getattr(scope, name) for name in (*names, "authority", "headers")})
        proto.response_empty(204, [])

    assert (await ask(app, *args, **kwargs)).status == 204
    return seen[0]


@in_loop
async def test_scope():
    scope = await scope_of("POST", "/a%20b/%C3%BC?x=%20", [("host", "example.org"), ("x-one", "1")], b"body")
    headers = scope.pop("headers")
    assert scope == {
        "proto": "http",
        "rsgi_version": "1.6",
        "http_version": "1.1",
        "server": "example.org:8080",
        "client": "192.0.2.7:50007",
        "scheme": "http",
        "method": "POST",
        "path": "/a b/\u00fc",
        "query_string": "x=%20",
        "authority": None,
    }
    assert dict(headers) == {"host": "example.org", "x-one": "1", "content-length": "4"}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, ("1", "http", None)),
        ({"SERVER_PROTOCOL": "HTTP/2.0", "HTTP_HOST": "h:8"}, ("2", "http", "h:8")),
        (
            {"SERVER_PROTOCOL": "HTTP/3.0", "HTTP_HOST": "h", "REQUEST_SCHEME": "https", "HTTPS": "on"},
            ("3", "https", "h"),
        ),
    ],
)
@in_loop
async def test_http_version_scheme_and_authority(variables, expected):
    scope = await scope_of(variables=variables.items())
    assert (scope["http_version"], scope["scheme"], scope["authority"]) == expected


@in_loop
async def test_headers():
    headers = (await scope_of("GET", "/", [("x-one", "1"), ("x-two", "2")], variables=[("HTTP_HOST", "h")]))["headers"]
    assert isinstance(headers, Mapping)
    assert headers["x-one"] == headers["X-One"] == headers.get("X-ONE") == "1"
    assert headers.get("x-none") is None
    assert headers.get("x-none", "default") == "default"
    with pytest.raises(KeyError):
        headers["x-none"]
    assert "x-one" in headers
    assert "x-none" not in headers
    assert 1 not in headers
    assert headers.get_all("x-one") == ["1"]
    assert headers.get_all("x-none") == []
    assert sorted(headers) == sorted(headers.keys()) == ["host", "x-one", "x-two"]
    assert sorted(headers.values()) == ["1", "2", "h"]
    assert sorted(headers.items()) == [("host", "h"), ("x-one", "1"), ("x-two", "2")]
    assert len(headers) == 3
    assert "('x-one', '1')" in repr(headers)


# -- responses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (lambda p: p.response_empty(204, []), b"Status: 204 No Content\r\n\r\n"),
        (lambda p: p.response_empty(), b"Content-Length: 0\r\nStatus: 200 OK\r\n\r\n"),
        (lambda p: p.response_str(), b"Content-Length: 0\r\nStatus: 200 OK\r\n\r\n"),
        (lambda p: p.response_bytes(), b"Content-Length: 0\r\nStatus: 200 OK\r\n\r\n"),
        (
            lambda p: p.response_str(404, [("x-a", "1"), ("x-a", "2")], "\u00fc"),
            b"x-a: 1\r\nx-a: 2\r\nContent-Length: 2\r\nStatus: 404 Not Found\r\n\r\n\xc3\xbc",
        ),
        (lambda p: p.response_bytes(200, [], b"\x00\xff"), b"Content-Length: 2\r\nStatus: 200 OK\r\n\r\n\x00\xff"),
        (lambda p: p.response_bytes(headers=TEXT, body=bytearray(b"x")),
         b"content-type: text/plain\r\nContent-Length: 1\r\nStatus: 200 OK\r\n\r\nx"),
    ],
    ids=range(7),
)  # fmt: skip
@pytest.mark.parametrize("kind", ["coroutine", "function"])
@in_loop
async def test_whole_responses(kind, respond, expected):
    async def app(scope, proto):
        respond(proto)

    answer = await ask(app if kind == "coroutine" else lambda scope, proto: respond(proto))
    assert answer.raw == expected


@in_loop
async def test_a_stream():
    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        await transport.send_bytes(b"one")
        await transport.send_str("zw\u00f6lf")
        await asyncio.sleep(0.01)
        await transport.send_bytes(memoryview(b"!"))

    answer = await ask(app)
    assert answer.header("content-length") is None
    assert answer.body.decode() == "onezw\u00f6lf!"


@in_loop
async def test_the_head_of_a_stream_does_not_wait_for_its_first_piece():
    gate = asyncio.Event()

    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        await gate.wait()
        await transport.send_str("late")

    async with served(app) as server:
        client = await server.open()
        assert b"text/plain" in await client.read_head()
        gate.set()
        assert await client.read_some() == b"late"
        await client.leave()


@in_loop
async def test_a_stream_without_a_piece_and_head():
    async def app(scope, proto):
        proto.response_stream(200, TEXT)

    assert (await ask(app)).raw == b"content-type: text/plain\r\nContent-Length: 0\r\nStatus: 200 OK\r\n\r\n"
    answer = await ask(app, "HEAD")
    assert answer.status == 200
    assert answer.body == b""


@in_loop
async def test_a_slow_client_makes_a_stream_wait():
    produced = []

    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        for _ in range(400):
            await transport.send_bytes(bytes(65536))
            produced.append(65536)

    settings = Settings(flow=FlowControl(high_water=65536, low_water=16384))
    async with served(app, settings) as server:
        client = await server.open()
        client.writer.transport.pause_reading()
        await asyncio.sleep(0.2)
        assert 0 < sum(produced) < 20_000_000
        client.writer.transport.resume_reading()
        assert len((await client.answer()).body) == 400 * 65536
        await client.leave()


# -- the request's body ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["call", "iterate"])
@pytest.mark.parametrize("size", [0, 1, 5000, 1_000_000])
@in_loop
async def test_reading_the_body(way, size):
    async def app(scope, proto):
        body = await proto() if way == "call" else b"".join([piece async for piece in proto])
        assert type(body) is bytes
        proto.response_bytes(200, TEXT, body)

    body = (BIG * 4)[:size]
    assert (await ask(app, "POST", body=body)).body == body


@in_loop
async def test_reading_a_body_as_it_comes():
    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        async for piece in proto:
            await transport.send_bytes(piece)

    async with served(app) as server:
        client = await server.open("POST", length=6)
        await client.read_head()
        for piece in (b"one", b"two"):
            client.write(piece)
            assert await client.read_some() == piece
        assert await client.read_some() == b""
        await client.leave()


# -- what may be done wrongly ----------------------------------------------------------------------------------------


def fails(call, error, match):
    """An application that makes a mistake, sees that it is told, and answers all the same."""

    async def app(scope, proto):
        result = call(proto)
        with pytest.raises(error, match=match):
            await result if hasattr(result, "__await__") else result()
        if not proto._responded:
            proto.response_str(200, TEXT, "ok")

    return app


async def twice(proto):
    await proto()
    await proto()


async def twice_iterated(proto):
    await proto()
    async for _ in proto:
        pass


async def streams_then(proto, call):
    transport = proto.response_stream(200, TEXT)
    await transport.send_str("ok")
    await call(transport)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (twice, RSGIProtocolError, "asked for before"),
        (twice_iterated, RSGIProtocolError, "asked for before"),
        (lambda p: lambda: p.response_str(200, [("x-a", "1\r\nx-b: 2")], "x"), ValueError, "x-a"),
        (lambda p: lambda: p.response_str(200, [("x a", "1")], "x"), ValueError, "x a"),
        (lambda p: lambda: p.response_str(99, [], "x"), ValueError, "99"),
        (lambda p: lambda: p.response_empty(101, []), ValueError, "101"),
        (lambda p: lambda: p.response_stream(1000, []), ValueError, "1000"),
        (lambda p: lambda: p.response_file(200, [("x-a", "\0")], "/etc/passwd"), ValueError, "x-a"),
        (lambda p: lambda: p.response_file_range(206, [], "/etc/passwd", 5, 5), ValueError, "invalid range"),
        (lambda p: lambda: p.response_file_range(206, [], "/etc/passwd", -1, 5), ValueError, "invalid range"),
        (lambda p: lambda: p.response_str(200, [], b"bytes"), TypeError, "wants str, not bytes"),
        (lambda p: lambda: p.response_bytes(200, [], "text"), TypeError, "wants bytes, not str"),
        (lambda p: streams_then(p, lambda t: t.send_str(b"bytes")), TypeError, "wants str, not bytes"),
        (lambda p: streams_then(p, lambda t: t.send_bytes("text")), TypeError, "wants bytes, not str"),
    ],
)
@in_loop
async def test_mistakes_are_raised_where_they_are_made(call, error, match):
    answer = await ask(fails(call, error, match), "POST", body=b"body")
    assert (answer.status, answer.body) == (200, b"ok")
    assert answer.header("content-type") == "text/plain"


@pytest.mark.parametrize(
    "second",
    [
        lambda p: p.response_empty(),
        lambda p: p.response_str(),
        lambda p: p.response_bytes(),
        lambda p: p.response_stream(),
        lambda p: p.response_file(200, [], "/etc/passwd"),
        lambda p: p.response_file_range(206, [], "/etc/passwd", 0, 1),
    ],
    ids=["empty", "str", "bytes", "stream", "file", "file_range"],
)
@in_loop
async def test_a_second_response_is_an_error(second):
    seen = []

    async def app(scope, proto):
        proto.response_str(200, TEXT, "first")
        try:
            second(proto)
        except RSGIProtocolError as error:
            seen.append(str(error))

    assert (await ask(app)).body == b"first"
    assert seen == ["a response was given before"]


async def raises(scope, proto):
    raise LookupError("lost")


async def says_nothing(scope, proto):
    pass


def says_nothing_at_all(scope, proto):
    pass


async def wrong_length(scope, proto):
    proto.response_str(200, [("content-length", "9")], "four")


async def is_cancelled(scope, proto):
    raise asyncio.CancelledError


def at_once(app):
    return app


def after_a_wait(app):
    async def waits(scope, proto):
        await asyncio.sleep(0.001)
        result = app(scope, proto)
        if result is not None:
            await result

    return waits


@pytest.mark.parametrize("when", [at_once, after_a_wait])
@pytest.mark.parametrize(
    ("app", "said"),
    [
        (raises, "LookupError: lost"),
        (says_nothing, "without answering"),
        (says_nothing_at_all, "without answering"),
        (wrong_length, "Content-Length is 9, the body has 4 bytes"),
        (is_cancelled, "without answering"),
    ],
)
@in_loop
async def test_errors_before_the_head_is_out_are_a_500(caplog, app, said, when):
    answer = await ask(when(app))
    assert answer.status == 500
    assert answer.complete
    assert b"lost" not in answer.body
    assert said in caplog.text


async def raises_in_a_stream(scope, proto):
    transport = proto.response_stream(200, [("content-length", "9")])
    await transport.send_str("one")
    raise LookupError("lost")


async def ends_early(scope, proto):
    await proto.response_stream(200, [("content-length", "9")]).send_str("one")


async def goes_on(scope, proto):
    transport = proto.response_stream(200, [("content-length", "9")])
    await transport.send_str("one")
    await transport.send_str("and seven")


@pytest.mark.parametrize("when", [at_once, after_a_wait])
@pytest.mark.parametrize(
    ("app", "said"),
    [
        (raises_in_a_stream, "LookupError: lost"),
        (ends_early, "6 bytes fewer than its Content-Length"),
        (goes_on, "3 bytes more than its Content-Length"),
    ],
)
@in_loop
async def test_errors_after_it_break_the_connection(caplog, app, said, when):
    answer = await ask(when(app))
    assert (answer.status, answer.body) == (200, b"one")
    assert not answer.complete
    assert said in caplog.text


@in_loop
async def test_a_stream_cannot_be_sent_to_after_the_application_returned():
    kept, seen = [], asyncio.Queue()

    async def later(transport):
        await asyncio.sleep(0.01)
        try:
            await transport.send_str("late")
        except RSGIProtocolClosed as error:
            seen.put_nowait(str(error))

    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        await transport.send_str("in time")
        kept.append(asyncio.ensure_future(later(transport)))

    assert (await ask(app)).body == b"in time"
    assert "has ended" in await seen.get()


# -- files -----------------------------------------------------------------------------------------------------------


def sends(path, headers=(), status=200):
    async def app(scope, proto):
        proto.response_file(status, list(headers), str(path))

    return app


def sends_range(path, start, end, headers=()):
    async def app(scope, proto):
        proto.response_file_range(206, list(headers), str(path), start, end)

    return app


@pytest.mark.parametrize("size", [0, 1, 262144, 262145, len(BIG)])
@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@in_loop
async def test_a_file(tmp_path, method, declared, size):
    (tmp_path / "file").write_bytes(BIG[:size])
    headers = [*TEXT, ("content-length", str(size))] if declared else TEXT
    answer = await ask(sends(tmp_path / "file", headers), method)
    assert answer.status == 200
    assert answer.header("content-type") == "text/plain"
    assert answer.header("content-length") == str(size)
    assert answer.body == (BIG[:size] if method == "GET" else b"")


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (10, 11), (0, len(BIG)), (5, 300_000), (len(BIG) - 3, len(BIG)), (100, 2 * len(BIG))]
)
@in_loop
async def test_a_range_of_a_file(tmp_path, start, end):
    (tmp_path / "file").write_bytes(BIG)
    answer = await ask(sends_range(tmp_path / "file", start, end))
    assert answer.status == 206
    assert answer.body == BIG[start:end]
    assert answer.complete


@in_loop
async def test_a_range_behind_the_end_is_empty(tmp_path):
    (tmp_path / "file").write_bytes(b"short")
    answer = await ask(sends_range(tmp_path / "file", 10, 20))
    assert (answer.status, answer.body, answer.complete) == (206, b"", True)


@pytest.mark.parametrize("what", ["missing", "directory", "fifo", "unreadable name"])
@in_loop
async def test_what_is_no_file_is_404_and_its_path_stays_secret(tmp_path, caplog, what):
    path = tmp_path / "secret"
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "unreadable name":
        path = tmp_path / ("x" * 300)
    answer = await ask(sends(path, [("x-file", "yes")]))
    assert answer.status == 404
    assert answer.body == b"404 Not Found\n"
    assert answer.header("x-file") is None
    assert str(tmp_path) in caplog.text


@in_loop
async def test_a_file_shorter_than_declared_breaks_the_connection(tmp_path, caplog):
    (tmp_path / "file").write_bytes(BIG)
    answer = await ask(sends(tmp_path / "file", [("content-length", str(len(BIG) + 1))]))
    assert BIG.startswith(answer.body)
    assert not answer.complete
    assert "1 bytes fewer than its Content-Length" in caplog.text


# -- the client disconnects --------------------------------------------------------------------------------------------


@in_loop
async def test_a_client_that_disconnects_in_the_middle_of_its_body():
    seen = []

    async def app(scope, proto):
        try:
            await proto()
        except RSGIProtocolClosed:
            seen.append("closed")
            raise

    async with served(app) as server:
        client = await server.open("POST", length=1_000_000, body=b"half")
        await asyncio.sleep(0.05)
        await client.leave()
        await wait_for(lambda: seen, "the application being told")


@in_loop
async def test_a_client_that_disconnects_in_the_middle_of_a_stream(caplog):
    seen = []

    async def app(scope, proto):
        transport = proto.response_stream(200, TEXT)
        try:
            while True:
                await transport.send_bytes(bytes(65536))
        finally:
            seen.append(sys.exc_info()[0])

    async with served(app) as server:
        client = await server.open()
        await client.read_head()
        await client.leave()
        await wait_for(lambda: seen, "the application being told")
    assert issubclass(seen[0], RSGIProtocolClosed)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


@in_loop
async def test_client_disconnect_resolves_when_the_client_disconnects():
    seen = []

    async def app(scope, proto):
        await proto.client_disconnect()
        await proto.client_disconnect()
        proto.response_str(200, TEXT, "to nobody")
        seen.append("left")

    async with served(app) as server:
        client = await server.open()
        await asyncio.sleep(0.05)
        assert not seen
        await client.leave()
        await wait_for(lambda: seen, "client_disconnect")


@in_loop
async def test_no_watcher_outlives_the_request():
    seen, kept = [], []

    async def watch(proto):
        await proto.client_disconnect()
        seen.append("resolved")

    async def app(scope, proto):
        kept.append(asyncio.ensure_future(watch(proto)))
        await asyncio.sleep(0)
        proto.response_str(200, TEXT, "ok")
        await asyncio.sleep(0.02)
        assert not seen  # the client has an answer, and has not left

    assert (await ask(app)).body == b"ok"
    await wait_for(lambda: seen, "the watcher's end")


@in_loop
async def test_who_does_not_listen_is_cancelled_in_a_while():
    seen = []

    async def app(scope, proto):
        proto.response_stream(200, [])
        try:
            await asyncio.sleep(20)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async with serving(RsgiApplication(app, app, grace=0.1)) as server:
        client = await server.open()
        await asyncio.sleep(0.05)
        await client.leave()
        await wait_for(lambda: seen, "the cancellation")


@pytest.mark.parametrize("kind", ["reads", "streams", "watches", "sends a file"])
@in_loop
async def test_a_thousand_clients_that_disconnect_leave_nothing_behind(tmp_path, kind):
    (tmp_path / "file").write_bytes(BIG * 8)

    async def app(scope, proto):
        if scope.path == "/hello":
            await hello(scope, proto)
        elif kind == "reads":
            await proto()
        elif kind == "streams":
            transport = proto.response_stream(200, TEXT)
            while True:
                await transport.send_bytes(bytes(65536))
        elif kind == "watches":
            await proto.client_disconnect()
        else:
            proto.response_file(200, TEXT, str(tmp_path / "file"))

    async def leave(server, count):
        before = len(os.listdir("/proc/self/fd"))
        length = 1_000_000 if kind == "reads" else 0
        clients = [await server.open("POST", body=b"x" * bool(length), length=length) for _ in range(count)]
        if kind in ("streams", "sends a file"):
            await clients[0].read_head()
        for client in clients:
            await client.leave()
        await wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, "the connections' ends")

    def counts():
        gc.collect()
        kept = sum(type(it).__name__ in ("HttpResponse", "HttpProtocol", "HttpScope") for it in gc.get_objects())
        return [kept, len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())]

    async with served(app) as server:
        assert (await server.request("GET", "/hello")).status == 200
        await leave(server, 10)
        await asyncio.sleep(0.1)
        before = counts()
        for _ in range(20):
            await leave(server, 50)
        await wait_for(lambda: all(map(operator.le, counts(), before)), f"no more than {before}")
        assert (await server.request("GET", "/hello")).status == 200


# -- the application -------------------------------------------------------------------------------------------------


class Application:
    """Both RSGI and something else."""

    def __init__(self):
        self.life = []

    def __rsgi_init__(self, loop):
        assert not loop.is_running()
        self.life.append(loop.run_until_complete(asyncio.sleep(0, "init")))

    def __rsgi_del__(self, loop):
        assert not loop.is_running()
        self.life.append(loop.run_until_complete(asyncio.sleep(0, "del")))

    async def __rsgi__(self, scope, proto):
        proto.response_str(200, TEXT, "rsgi")

    async def __call__(self, scope, receive, send):
        raise AssertionError("__rsgi__ comes first")


@in_loop
async def test_rsgi_comes_before_call():
    assert (await ask(Application())).body == b"rsgi"


def test_its_life():
    app = Application()
    application = resolve(app, settings=Settings(codec="portable"))
    loop = asyncio.new_event_loop()
    application.before_loop(loop)
    assert app.life == ["init"]
    application.after_loop(loop)
    assert app.life == ["init", "del"]
    loop.close()


def test_a_life_is_optional():
    application = resolve(hello, "rsgi", Settings(codec="portable"))
    application.before_loop(None)
    application.after_loop(None)


@pytest.mark.parametrize("app", [lambda scope: None, lambda a, b, c: None], ids=["one", "three"])
def test_what_cannot_be_called_as_rsgi(app):
    with pytest.raises(ConfigurationError, match="takes two arguments"):
        adapt(app)


@in_loop
async def test_applications_written_for_granian_catch_its_exceptions():
    granian = pytest.importorskip("granian.rsgi")
    seen = []

    async def app(scope, proto):
        await proto()
        try:
            await proto()
        except granian.ProtocolError as error:
            seen.append(error)
        transport = proto.response_stream(200, TEXT)
        try:
            while True:
                await transport.send_bytes(bytes(65536))
        except granian.ProtocolClosed as error:
            seen.append(error)

    async with served(app) as server:
        client = await server.open()
        await client.read_head()
        await client.leave()
        await wait_for(lambda: len(seen) == 2, "both exceptions")
    assert isinstance(seen[0], RSGIProtocolError)
    assert isinstance(seen[1], RSGIProtocolClosed)
