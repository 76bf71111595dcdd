"""WSGI applications behind the real server, each rule once inline and once in threads."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import gzip
import io
import operator
import os
import socket
import sys
import tempfile
import threading
from wsgiref.validate import validator

import pytest

from ssgi_gateway.adapters.wsgi import adapt
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings import FlowControl, Settings
from tests.unit.adapters.serving import DEADLINE, Served, serving, wait_for

TEXT = [("Content-Type", "text/plain")]


@pytest.fixture(params=[0, 1, 4], ids=["inline", "one-thread", "threads"])
def settings(request):
    return Settings(threads=request.param)


@pytest.fixture(params=[1, 4], ids=["one-thread", "threads"])
def threaded(request):
    return Settings(threads=request.param)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    """Whatever a test does to the threads, they end with their server."""
    yield
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("wsgi-")]


@contextlib.asynccontextmanager
async def served(app, settings):
    adapted = adapt(app, settings)
    try:
        async with serving(adapted, settings) as server:
            yield server
    finally:
        if settings.threads:
            await adapted.shutdown()


def run(test, deadline=DEADLINE):
    """Run a test's coroutine."""

    async def bounded():
        async with asyncio.timeout(deadline):
            return await test

    return asyncio.run(bounded())


def ask(app, settings, *args, **kwargs):
    """One request to ``app`` and its answer."""

    async def test():
        async with served(app, settings) as server:
            return await server.request(*args, **kwargs)

    return run(test())


async def rest(client):
    """What is left of an answer."""
    pieces = []
    while piece := await client.read_some():
        pieces.append(piece)
    return b"".join(pieces)


def hello(environ, start_response):
    start_response("200 OK", TEXT)
    return [b"Hello, world!\n"]


class Iterable:
    """A body that notes what is done to it."""

    def __init__(self, *blocks):
        self.blocks = iter(blocks)
        self.closed = []

    def __iter__(self):
        return self

    def __next__(self):
        block = next(self.blocks)
        if isinstance(block, Exception):
            raise block
        return block() if callable(block) else block

    def close(self):
        self.closed.append(threading.current_thread().name)


# -- answers ---------------------------------------------------------------------------------------------------------


def test_hello(settings):
    answer = ask(hello, settings)
    assert answer.raw == b"Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n"


@pytest.mark.parametrize(
    ("body", "expected", "length"),
    [
        (lambda: [b"one"], b"one", "3"),
        (lambda: (b"one",), b"one", "3"),
        (lambda: [b"one", b"", b"two"], b"onetwo", "6"),
        (lambda: [], b"", "0"),
        (lambda: [b""], b"", "0"),
        (lambda: [bytearray(b"one"), memoryview(b"two")], b"onetwo", "6"),
        (lambda: (block for block in (b"one", b"two")), b"onetwo", None),
        (lambda: (block for block in (b"", b"one", b"", b"two", b"")), b"onetwo", None),
        (lambda: (bytearray(b"x") for _ in range(3)), b"xxx", None),
        (lambda: iter([]), b"", "0"),
        (lambda: iter([b"", b""]), b"", "0"),
    ],
    ids=range(11),
)
def test_bodies(settings, body, expected, length):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return body()

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (200, expected)
    # Several blocks that came at once may be sent as one, and then their length is known.
    assert answer.header("content-length") in (length, str(len(expected)))


def test_a_declared_length_is_sent_as_it_is_and_ends_the_answer(settings):
    body = Iterable(b"one", b"two", RuntimeError("nobody asks for this block"))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        return body

    answer = ask(app, settings)
    assert answer.body == b"onetwo"
    assert answer.complete
    assert len(body.closed) == 1


def test_start_response_from_inside_the_iterable(settings):
    def app(environ, start_response):
        yield b""
        start_response("201 Created", TEXT)
        yield b"made"

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (201, b"made")


def test_write(settings):
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one")
        write(b"")
        write(bytearray(b"two"))
        return [b"three"]

    assert ask(app, settings).body == b"onetwothree"


def test_write_and_a_declared_length(settings):
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "6")])
        write(b"one")
        write(b"two")
        return []

    assert ask(app, settings).body == b"onetwo"


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
def test_head_has_the_headers_of_a_get_and_no_body(settings, kind):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        return kind([b"onetwo"])

    answer = ask(app, settings, "HEAD")
    assert answer.body == b""
    assert answer.header("content-length") == "6"


def test_head_of_a_list_declares_its_length(settings):
    answer = ask(hello, settings, "HEAD")
    assert (answer.header("content-length"), answer.body) == ("14", b"")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
def test_nobody_asks_for_a_body_that_cannot_be(settings, method, status):
    if (method, status) == ("GET", "200 OK"):
        pytest.skip("that one has a body")
    body = Iterable(b"one", RuntimeError("nobody asks for this block"))

    def app(environ, start_response):
        start_response(status, TEXT)
        return body

    answer = ask(app, settings, method)
    assert answer.raw == f"Status: {status}\r\nContent-Type: text/plain\r\n\r\n".encode()
    assert len(body.closed) == 1


def test_write_where_nobody_wants_a_body_has_no_effect(settings):
    def app(environ, start_response):
        write = start_response("204 No Content", [])
        write(b"one")
        write(b"two")
        return [b"three"]

    assert ask(app, settings).raw == b"Status: 204 No Content\r\n\r\n"


def test_each_block_is_sent_before_the_next_one_is_asked_for(settings):
    async def test():
        gates = [threading.Event() for _ in range(3)]

        def app(environ, start_response):
            start_response("200 OK", TEXT)
            for number, gate in enumerate(gates):
                yield b"%d" % number
                if settings.threads:
                    assert gate.wait(10)

        async with served(app, settings) as server:
            client = await server.open()
            await client.read_head()
            read = b""
            for number, gate in enumerate(gates):
                while len(read) <= number:
                    read += await client.read_some()
                gate.set()
            assert await rest(client) == b""
            assert read == b"012"
            await client.leave()

    run(test())


def test_headers_are_sent_as_given(settings):
    def app(environ, start_response):
        start_response("299 Whatever You Like", [("X-One", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])
        return [b"x"]

    answer = ask(app, settings)
    assert answer.raw.startswith(b"Status: 299 Whatever You Like\r\nX-One: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n")


# -- what may be done wrongly ----------------------------------------------------------------------------------------


def never_starts(environ, start_response):
    return [b"x"]


def never_starts_and_yields(environ, start_response):
    yield b"x"


def never_starts_and_is_empty(environ, start_response):
    return iter([])


def starts_twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"x"]


def returns_none(environ, start_response):
    start_response("200 OK", [])


def yields_text(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def generates_text(environ, start_response):
    start_response("200 OK", [])
    yield "text"


def yields_numbers(environ, start_response):
    start_response("200 OK", [])
    return [1]


def writes_text(environ, start_response):
    start_response("200 OK", [])("text")
    return []


def bad_header(environ, start_response):
    start_response("200 OK", [("X-Evil", "a\r\nSet-Cookie: b")])
    return [b"x"]


def bad_status(environ, start_response):
    start_response("099 Low", [])
    return [b"x"]


def informational(environ, start_response):
    start_response("100 Continue", [])
    return [b"x"]


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"abc"]


def too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"abc"]


def first_block_too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    yield b"abc"


def raises(environ, start_response):
    raise LookupError("lost")


def raises_after_start(environ, start_response):
    start_response("200 OK", [])
    raise LookupError("lost")


def raises_in_first_step(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raise LookupError("lost")


def exits(environ, start_response):
    sys.exit(3)


def exits_later(environ, start_response):
    start_response("200 OK", [])
    yield b""
    sys.exit(3)


def tries_to_read_text(environ, start_response):
    start_response("200 OK", [])
    return io.StringIO("text")


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (never_starts, "the application returned before it called start_response"),
        (never_starts_and_yields, "the application gave a body before it called start_response"),
        (never_starts_and_is_empty, "the application returned before it called start_response"),
        (starts_twice, "start_response was called a second time, without exc_info"),
        (returns_none, "'NoneType' object is not iterable"),
        (yields_text, "the application's body holds str where WSGI wants bytes"),
        (generates_text, "the application's body holds str where WSGI wants bytes"),
        (yields_numbers, "the application's body holds int where WSGI wants bytes"),
        (writes_text, "the application's body holds str where WSGI wants bytes"),
        (tries_to_read_text, "the application's body holds str where WSGI wants bytes"),
        (bad_header, "X-Evil"),
        (bad_status, "99 is not a final HTTP status"),
        (informational, "100 is not a final HTTP status"),
        (too_long, "Content-Length is 2, the body has 3 bytes"),
        (too_short, "Content-Length is 4, the body has 3 bytes"),
        (first_block_too_long, "the application's body is 1 bytes longer than its Content-Length"),
        (raises, "LookupError: lost"),
        (raises_after_start, "LookupError: lost"),
        (raises_in_first_step, "LookupError: lost"),
        (exits, "SystemExit: 3"),
        (exits_later, "SystemExit: 3"),
    ],
)
def test_errors_before_the_head_is_out_are_a_500(settings, caplog, app, said):
    async def test():
        async with served(app, settings) as server:
            answer = await server.request()
            assert answer.status == 500
            assert answer.complete
            assert b"lost" not in answer.body
            # The next request meets a server that goes on, and a thread that does.
            for _ in range(3):
                assert (await server.request()).status == 500

    run(test())
    assert said in caplog.text


def raises_later(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    raise LookupError("lost")


def ends_early(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"


def goes_on(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    yield b"and seven"


def changes_to_text(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    yield "two"


def replaces_too_late(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    try:
        raise LookupError("lost")
    except LookupError:
        start_response("500 Oops", [], sys.exc_info())


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (raises_later, "LookupError: lost"),
        (ends_early, "6 bytes shorter than its Content-Length"),
        (goes_on, "the application's body is 3 bytes longer than its Content-Length"),
        (changes_to_text, "the application's body holds str"),
        (replaces_too_late, "LookupError: lost"),
    ],
)
def test_errors_after_it_break_the_connection(settings, caplog, app, said):
    answer = ask(app, settings)
    assert answer.status == 200
    assert answer.body == b"one"
    assert not answer.complete
    assert said in caplog.text


def test_start_response_again_with_exc_info_replaces_the_head(settings):
    def app(environ, start_response):
        start_response("200 OK", [("X-First", "1")])
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("502 Oops", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    answer = ask(app, settings)
    assert answer.raw == b"Status: 502 Oops\r\nX-Second: 2\r\nContent-Length: 5\r\n\r\nsorry"


def test_writing_on_after_the_declared_length_is_an_error_where_it_happens(settings):
    seen = []

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "3")])
        write(b"one")
        try:
            write(b"two")
        except ValueError as error:
            seen.append(str(error))
        return []

    assert ask(app, settings).body == b"one"
    assert seen == ["the application's body is longer than its Content-Length"]


@pytest.mark.parametrize(
    "blocks",
    [(b"one", b"two"), (LookupError("lost"),), (b"one", LookupError("lost")), ("text",), ()],
    ids=["whole", "fails-at-once", "fails-later", "text", "empty"],
)
def test_close_is_called_once_whatever_happens(settings, blocks):
    body = Iterable(*blocks)

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return body

    ask(app, settings)
    assert len(body.closed) == 1


def test_close_is_called_without_a_start(settings):
    body = Iterable(b"x")
    assert ask(lambda environ, start_response: body, settings).status == 500
    assert len(body.closed) == 1


def test_a_close_that_raises_is_logged_and_hurts_nobody(settings, caplog):
    class Body(Iterable):
        def close(self):
            raise LookupError("lost")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Body(b"one")

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (200, b"one")
    assert "LookupError: lost" in caplog.text


def test_what_cannot_be_called_as_wsgi():
    with pytest.raises(ConfigurationError, match="takes two arguments"):
        adapt(lambda one: None, Settings())


# -- files -----------------------------------------------------------------------------------------------------------

BIG = bytes(range(256)) * 4096  # a megabyte


def sends(file, headers=()):
    def app(environ, start_response):
        start_response("200 OK", list(headers))
        return environ["wsgi.file_wrapper"](file, 4096)

    return app


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, len(BIG)])
def test_a_file(settings, tmp_path, size):
    (tmp_path / "file").write_bytes(BIG[:size])
    file = (tmp_path / "file").open("rb")
    answer = ask(sends(file), settings)
    assert answer.body == BIG[:size]
    assert answer.complete
    assert file.closed


@pytest.mark.parametrize("size", [1000, len(BIG)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_from_its_position_up_to_the_declared_length(settings, tmp_path, method, size):
    (tmp_path / "file").write_bytes(BIG)
    file = (tmp_path / "file").open("rb")
    file.seek(7)
    length = size - 20
    answer = ask(sends(file, [("Content-Length", str(length))]), settings, method)
    assert answer.header("content-length") == str(length)
    assert answer.body == (BIG[7 : 7 + length] if method == "GET" else b"")


def test_a_file_shorter_than_declared(settings, tmp_path, caplog):
    (tmp_path / "file").write_bytes(BIG)
    answer = ask(sends((tmp_path / "file").open("rb"), [("Content-Length", str(len(BIG) + 1))]), settings)
    assert BIG.startswith(answer.body)
    assert not answer.complete
    assert "1 bytes fewer than its Content-Length" in caplog.text


def test_a_file_like_object_that_is_no_file(settings):
    body = io.BytesIO(BIG)
    answer = ask(sends(body), settings)
    assert answer.body == BIG
    assert body.closed


def test_a_file_with_a_descriptor_but_other_bytes(settings, tmp_path):
    with gzip.open(tmp_path / "file.gz", "wb") as file:
        file.write(BIG)
    assert ask(sends(gzip.open(tmp_path / "file.gz")), settings).body == BIG
    assert ask(sends(io.BufferedReader(gzip.open(tmp_path / "file.gz"))), settings).body == BIG


def test_a_temporary_file_with_output_not_flushed(settings):
    file = tempfile.NamedTemporaryFile()
    file.write(BIG)
    file.seek(100)
    file.write(b"changed")
    file.file.seek(50)
    expected = bytearray(BIG)
    expected[100:107] = b"changed"
    answer = ask(sends(file), settings)
    assert answer.body == bytes(expected[50:])
    assert file.closed


def test_a_pipe(settings):
    reader, writer = os.pipe()
    os.write(writer, b"through a pipe")
    os.close(writer)
    assert ask(sends(os.fdopen(reader, "rb")), settings).body == b"through a pipe"


def test_what_has_no_close_and_a_text_file(settings, tmp_path):
    class Reader:
        left = [b"one", b"two", b""]

        def read(self, size):
            return self.left.pop(0)

    assert ask(sends(Reader()), settings).body == b"onetwo"
    (tmp_path / "file").write_text("text")
    with (tmp_path / "file").open() as file:
        assert ask(sends(file), settings).status == 500


def test_a_file_without_a_head_is_closed(settings, tmp_path):
    (tmp_path / "file").write_bytes(BIG)
    file = (tmp_path / "file").open("rb")
    before = len(os.listdir("/proc/self/fd"))
    answer = ask(lambda environ, start_response: environ["wsgi.file_wrapper"](file), settings)
    assert answer.status == 500
    assert file.closed
    assert len(os.listdir("/proc/self/fd")) < before


# -- the request's body ----------------------------------------------------------------------------------------------


def reader(read):
    def app(environ, start_response):
        data = read(environ["wsgi.input"])
        start_response("200 OK", TEXT)
        return [data]

    return app


READS = {
    "read": lambda stream: stream.read(),
    "read(None)": lambda stream: stream.read(None),
    "read(n)": lambda stream: b"".join(iter(lambda: stream.read(1000), b"")),
    "readline": lambda stream: b"".join(iter(stream.readline, b"")),
    "readline(n)": lambda stream: b"".join(iter(lambda: stream.readline(10), b"")),
    "readlines": lambda stream: b"".join(stream.readlines()),
    "iteration": lambda stream: b"".join(stream),
    "nothing": lambda stream: b"",
}


@pytest.mark.parametrize("way", READS)
@pytest.mark.parametrize("size", [0, 1, 5000, 500_000])
def test_reading_the_body(settings, way, size):
    body = (b"a line\nanother one, longer than the first\n\n" * (size // 40 + 1))[:size]
    expected = b"" if way == "nothing" else body
    assert ask(reader(READS[way]), settings, "POST", body=body).body == expected


def test_a_body_that_comes_slowly(settings):
    async def test():
        def app(environ, start_response):
            stream = environ["wsgi.input"]
            lines = [
                stream.readline(),
                stream.read(3),
                stream.read(4),
                stream.readline(2),
                stream.read(),
                stream.read(),
            ]
            start_response("200 OK", TEXT)
            return [b"|".join(lines)]

        async with served(app, settings) as server:
            client = await server.open("POST", length=20)
            for piece in (b"fi", b"rs", b"t\nab", b"c", b"de", b"fgxy", b"z12", b"34"):
                client.write(piece)
                await client.writer.drain()
                await asyncio.sleep(0.01)
            assert (await client.answer()).body == b"first\n|abc|defg|xy|z1234|"
            await client.leave()

    run(test())


def test_an_answer_that_did_not_want_the_body(settings):
    answer = ask(hello, settings, "POST", body=b"x" * 1_000_000)
    assert answer.body == b"Hello, world!\n"


def test_a_body_is_not_collected_in_memory_but_in_a_file_when_inline():
    seen = []

    def app(environ, start_response):
        stream = environ["wsgi.input"]
        seen.append((stream._rolled, stream.read()))
        return hello(environ, start_response)

    assert ask(app, Settings(threads=0), "POST", body=BIG * 2).status == 200
    assert seen == [(True, BIG * 2)]


def test_a_thread_is_busy_with_a_body_only_while_it_reads_it():
    """The peer's body is not read ahead: beyond the high-water mark it stays with the peer."""

    async def test():
        gate = threading.Event()

        def app(environ, start_response):
            assert gate.wait(10)
            data = environ["wsgi.input"].read()
            start_response("200 OK", TEXT)
            return [b"%d" % len(data)]

        settings = Settings(threads=1, flow=FlowControl(high_water=65536, low_water=16384))
        async with served(app, settings) as server:
            client = await server.open("POST", length=50_000_000)
            client.writer.write(bytes(50_000_000))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.writer.drain(), 0.3)
            gate.set()
            assert (await client.answer()).body == b"50000000"
            await client.leave()

    run(test())


# -- the client leaves -----------------------------------------------------------------------------------------------


def test_a_client_that_leaves_while_the_application_generates(settings):
    async def test():
        body = Iterable(*[b"x" * 65536] * 10000)

        def app(environ, start_response):
            start_response("200 OK", TEXT)
            return body

        async with served(app, settings) as server:
            client = await server.open()
            await client.read_head()
            await client.leave()
            await wait_for(lambda: body.closed, "the application's close()")
            assert next(body.blocks)  # most was never asked for

    run(test())


@pytest.mark.parametrize("sent", [0, 5, 300_000])
def test_a_client_that_leaves_in_the_middle_of_its_body(threaded, sent):
    async def test():
        seen = []

        def app(environ, start_response):
            try:
                environ["wsgi.input"].read()
            except OSError as error:
                seen.append(type(error))
                raise
            return hello(environ, start_response)

        async with served(app, threaded) as server:
            client = await server.open("POST", length=1_000_000, body=b"x" * sent)
            await asyncio.sleep(0.05)
            await client.leave()
            await wait_for(lambda: seen, "the application being told")
            assert seen == [ConnectionAbortedError]
            assert (await server.request(body=b"whole")).body == b"Hello, world!\n"

    run(test())


def test_inline_the_application_is_not_called_for_half_a_body():
    async def test():
        calls = []

        def app(environ, start_response):
            calls.append(environ["REQUEST_METHOD"])
            return hello(environ, start_response)

        async with served(app, Settings(threads=0)) as server:
            client = await server.open("POST", length=1_000_000, body=b"half")
            await asyncio.sleep(0.05)
            await client.leave()
            assert (await server.request()).status == 200
            assert calls == ["GET"]

    run(test())


def test_writing_to_a_client_that_left_is_an_os_error(threaded):
    async def test():
        left, seen = threading.Event(), []

        def app(environ, start_response):
            write = start_response("200 OK", TEXT)
            write(b"one")
            assert left.wait(10)
            try:
                while True:
                    write(b"x" * 65536)
            except OSError as error:
                seen.append(type(error))
            return []

        async with served(app, threaded) as server:
            client = await server.open()
            await client.read_head()
            await client.leave()
            left.set()
            await wait_for(lambda: seen, "the application being told")
            assert seen == [ConnectionAbortedError]

    run(test())


def test_a_client_that_left_while_waiting_for_a_thread_is_not_served():
    async def test():
        gate, calls = threading.Event(), []

        def app(environ, start_response):
            calls.append(environ["PATH_INFO"])
            assert gate.wait(10)
            return hello(environ, start_response)

        async with served(app, Settings(threads=1)) as server:
            first = await server.open("GET", "/first")
            await wait_for(lambda: calls, "the first call")
            second = await server.open("GET", "/second")
            await asyncio.sleep(0.05)
            await second.leave()
            await asyncio.sleep(0.05)
            gate.set()
            assert (await first.answer()).status == 200
            await first.leave()
            assert (await server.request("GET", "/third")).status == 200
            assert calls == ["/first", "/third"]

    run(test())


def test_reading_on_after_the_answer_ends_and_holds_no_thread(threaded):
    async def test():
        seen = []

        class Body(Iterable):
            def close(self):
                try:
                    self.stream.read()
                except OSError as error:
                    seen.append(type(error))

        def app(environ, start_response):
            start_response("200 OK", [("Content-Length", "3")])
            body = Body(b"one")
            body.stream = environ["wsgi.input"]
            return body

        async with served(app, threaded) as server:
            client = await server.open("POST", length=1000, body=b"x")
            assert (await client.answer()).body == b"one"
            await wait_for(lambda: seen, "the end of the read")
            await client.leave()
            assert seen == [ConnectionAbortedError]

    run(test())


@pytest.mark.parametrize("kind", ["generates", "reads", "waits", "sends a file"])
def test_a_thousand_clients_that_leave_leave_nothing_behind(settings, tmp_path, kind):
    (tmp_path / "file").write_bytes(BIG * 4)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/hello":
            return hello(environ, start_response)
        if kind == "reads":
            environ["wsgi.input"].read()
        start_response("200 OK", TEXT)
        if kind == "sends a file":
            return environ["wsgi.file_wrapper"]((tmp_path / "file").open("rb"))
        return (b"x" * 65536 for _ in range(10000))

    async def test():
        async with served(app, settings) as server:
            assert (await server.request("GET", "/hello")).status == 200
            await leave(server, 10)
            before = counts()
            for _ in range(20):
                await leave(server, 50)
            await wait_for(lambda: all(map(operator.le, counts(), before)), f"no more than {before}")
            assert (await server.request("GET", "/hello")).status == 200

    async def leave(server, count):
        body = b"x" if kind == "reads" else b""
        before = len(os.listdir("/proc/self/fd"))
        clients = [await server.open("POST", body=body, length=10_000_000 if body else 0) for _ in range(count)]
        if kind in ("generates", "sends a file"):
            await clients[0].read_head()
        for client in clients:
            await client.leave()
        await wait_for(lambda: len(os.listdir("/proc/self/fd")) <= before, "the connections' ends")

    def counts():
        gc.collect()
        kept = sum(type(it).__name__ in ("HttpResponse", "ThreadedCall", "InlineCall") for it in gc.get_objects())
        descriptors = len(os.listdir("/proc/self/fd"))
        threads = sum(thread.name.startswith("wsgi-") for thread in threading.enumerate())
        return [kept, descriptors, len(asyncio.all_tasks()), threads]

    run(test(), 4 * DEADLINE)


# -- threads ---------------------------------------------------------------------------------------------------------


def test_as_many_requests_at_once_as_there_are_threads():
    async def test():
        barrier = threading.Barrier(4)

        def app(environ, start_response):
            barrier.wait(10)
            return hello(environ, start_response)

        async with served(app, Settings(threads=4)) as server:
            answers = await asyncio.gather(*[server.request() for _ in range(8)])
            assert [answer.status for answer in answers] == [200] * 8

    run(test())


def test_more_requests_than_may_wait_get_503():
    async def test():
        gate, calls = threading.Event(), []

        def app(environ, start_response):
            calls.append(1)
            assert gate.wait(10)
            return hello(environ, start_response)

        async with served(app, Settings(threads=1, wsgi_queue=2)) as server:
            first = await server.open()
            await wait_for(lambda: calls, "the first call")
            waiting = [await server.open() for _ in range(2)]
            await asyncio.sleep(0.05)
            refused = await server.request()
            assert refused.status == 503
            assert refused.header("retry-after") == "1"
            gate.set()
            for client in (first, *waiting):
                assert (await client.answer()).status == 200
                await client.leave()

    run(test())


def test_a_whole_request_runs_on_one_thread(threaded):
    seen = []

    def app(environ, start_response):
        seen.append(threading.current_thread().name)
        write = start_response("200 OK", TEXT)
        write(b"x" * 300_000)
        body = Iterable(lambda: seen.append(threading.current_thread().name) or b"x" * 300_000)
        body.closed = seen
        return body

    assert len(ask(app, threaded).body) == 600_000
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0].startswith("wsgi-")


@pytest.mark.parametrize("kind", ["list", "file"])
def test_a_slow_client_holds_no_thread_for_what_is_finished(tmp_path, kind):
    (tmp_path / "file").write_bytes(BIG * 8)
    closed = threading.Event()

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/hello":
            return hello(environ, start_response)
        start_response("200 OK", TEXT)
        if kind == "list":
            return [BIG * 8]
        file = (tmp_path / "file").open("rb")
        wrapper = environ["wsgi.file_wrapper"](file)
        wrapper.close = lambda: (file.close(), closed.set())
        return wrapper

    async def test():
        async with served(app, Settings(threads=1)) as server:
            slow = await slow_client(server)
            assert (await server.request("GET", "/hello")).status == 200
            assert kind == "list" or closed.is_set()
            assert len(await read_all(slow)) > 8 * len(BIG)

    run(test())


def test_a_slow_client_holds_the_generator_that_goes_on_and_memory_is_bounded(settings):
    produced = []

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/hello":
            return hello(environ, start_response)
        start_response("200 OK", TEXT)
        return generate()

    def generate():
        for _ in range(256):
            produced.append(65536)
            yield b"x" * 65536

    async def test():
        async with served(app, settings) as server:
            slow = await slow_client(server)
            await wait_for(lambda: sum(produced) > 262144, "the first blocks")
            if settings.threads != 1:
                # Others are served meanwhile, inline as well.
                assert (await server.request("GET", "/hello")).status == 200
            await asyncio.sleep(0.1)
            assert sum(produced) < 8_000_000  # both high-water marks, and what the kernel takes
            assert len(await read_all(slow)) > 256 * 65536

    run(test())


async def slow_client(server: Served) -> socket.socket:
    """A client that has read nothing yet, with a small buffer."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, server.address)
    block = b"CONTENT_LENGTH\x000\0SCGI\x001\0REQUEST_METHOD\0GET\0REQUEST_URI\0/slow\0"
    await loop.sock_sendall(sock, b"%d:%s," % (len(block), block))
    await asyncio.sleep(0.05)
    return sock


async def read_all(sock: socket.socket) -> bytes:
    with sock:
        pieces = []
        while data := await asyncio.get_running_loop().sock_recv(sock, 262144):
            pieces.append(data)
    return b"".join(pieces)


# -- inline ----------------------------------------------------------------------------------------------------------


def test_inline_the_application_sees_no_loop():
    def app(environ, start_response):
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        start_response("200 OK", TEXT)
        yield asyncio.run(later(b"one"))
        yield asyncio.run(later(b"two"))

    async def later(value):
        await asyncio.sleep(0)
        return value

    assert ask(app, Settings(threads=0)).body == b"onetwo"
    assert ask(app, Settings(threads=0), "POST", body=b"x" * 100_000).body == b"onetwo"


def test_inline_each_request_has_its_own_context():
    variable = contextvars.ContextVar("variable", default=b"nothing")

    def app(environ, start_response):
        found = variable.get()
        token = variable.set(environ["QUERY_STRING"].encode())
        start_response("200 OK", TEXT)

        def body():
            yield b"x" * 20_000_000  # more than the peer takes at once: others run between this and the rest
            yield found + b" " + variable.get()
            variable.reset(token)

        return body() if environ["PATH_INFO"] == "/slow" else [found + b" " + variable.get()]

    async def test():
        async with served(app, Settings(threads=0)) as server:
            slow = await server.open("GET", "/slow?one")
            await slow.read_head()
            assert (await server.request("GET", "/?two")).body == b"nothing two"
            assert (await rest(slow)).endswith(b"nothing one")
            await slow.leave()
            assert (await server.request("GET", "/?three")).body == b"nothing three"

    run(test())


# -- environ ---------------------------------------------------------------------------------------------------------


def environ_of(settings, *args, **kwargs):
    seen = {}

    def app(environ, start_response):
        seen.update(environ)
        return hello(environ, start_response)

    answer = ask(app, settings, *args, **kwargs)
    assert answer.status == 200, answer
    return seen


def test_environ_is_a_dict_with_everything(settings):
    environ = environ_of(
        settings, "POST", "/a%20b/c?x=%20y", [("X-Some-Header", "one"), ("Host", "example.org")], b"body"
    )
    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a b/c",
        "QUERY_STRING": "x=%20y",
        "CONTENT_LENGTH": "4",
        "SERVER_NAME": "example.org",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "50007",
        "HTTP_X_SOME_HEADER": "one",
        "HTTP_HOST": "example.org",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.run_once": False,
        "wsgi.multithread": settings.threads > 1,
        "wsgi.multiprocess": False,
        "wsgi.input_terminated": True,
    }
    assert {name: environ.get(name) for name in expected} == expected
    assert environ["wsgi.errors"] is sys.stderr


def test_paths_are_bytes_as_unicode(settings):
    environ = environ_of(settings, "GET", "/%C3%BC/\u00c3\u00bc/%ff")
    assert environ["PATH_INFO"].encode("latin-1") == b"/\xc3\xbc/\xc3\xbc/\xff"


@pytest.mark.parametrize(
    ("root_path", "target", "script_name", "path_info"),
    [
        ("/app", "/app/x", "/app", "/x"),
        ("/app", "/app", "/app", ""),
        ("/app/", "/app/", "/app", "/"),
        ("/app", "/apple", "/app", "/apple"),
        ("/\u00fc", "/%C3%BC/x", "/\u00c3\u00bc", "/x"),
        ("", "/app/x", "", "/app/x"),
        (None, "/", "", "/"),
    ],
)
def test_script_name_and_path_info(root_path, target, script_name, path_info):
    environ = environ_of(Settings(threads=0, root_path=root_path), "GET", target)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_a_script_name_from_the_web_server():
    variables = [("SCRIPT_NAME", "/app"), ("PATH_INFO", "/rewritten")]
    environ = environ_of(Settings(threads=0), "GET", "/app/x", variables=variables)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/app", "/x")


def test_what_no_application_may_meet_is_not_there(settings):
    headers = [
        ("Proxy", "evil"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "4"),
        ("Transfer-Encoding", "chunked"),
    ]
    environ = environ_of(settings, "POST", "/", headers, b"body", variables=[("CONTENT_TYPE", "text/plain")])
    for name in ("HTTP_PROXY", "HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING"):
        assert name not in environ
    assert environ["CONTENT_TYPE"] == "text/plain"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"SERVER_NAME": "", "SERVER_PORT": "", "SERVER_PROTOCOL": ""}, ("localhost", "80", "HTTP/1.1")),
        (
            {"SERVER_NAME": "", "SERVER_PORT": "", "HTTPS": "on", "REQUEST_SCHEME": "https"},
            ("localhost", "443", "HTTP/1.1"),
        ),
        ({"SERVER_NAME": "", "SERVER_ADDR": "192.0.2.1"}, ("192.0.2.1", "8080", "HTTP/1.1")),
        ({"SERVER_NAME": "", "SERVER_ADDR": "2001:db8::1"}, ("[2001:db8::1]", "8080", "HTTP/1.1")),
        ({"SERVER_PORT": ""}, ("example.org", "80", "HTTP/1.1")),
    ],
)
def test_server_name_port_and_protocol_are_never_empty(variables, expected):
    environ = environ_of(Settings(threads=0), variables=variables.items())
    assert (environ["SERVER_NAME"], environ["SERVER_PORT"], environ["SERVER_PROTOCOL"]) == expected


def test_wsgiref_validates(settings):
    @validator
    def app(environ, start_response):
        stream = environ["wsgi.input"]
        data = stream.read(3) + stream.readline() + b"".join(stream.readlines()) + b"".join(stream)
        environ["wsgi.errors"].write("")
        environ["wsgi.errors"].flush()
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
        return [data] if environ["PATH_INFO"] == "/list" else iter([data])

    async def test():
        async with served(app, settings) as server:
            for target in ("/list", "/iterator", "/%C3%BC%ff?q"):
                answer = await server.request("POST", target, body=b"one\ntwo\nthree")
                assert (answer.status, answer.body) == (200, b"one\ntwo\nthree")
            assert (await server.request("GET", "/list?x")).status == 200

    run(test())
