"""WSGI in threads, and what happens in both when the client disconnects."""

from __future__ import annotations

import asyncio
import gc
import operator
import os
import socket
import threading

import pytest

from ssgi_gateway.adapters.wsgi import pool
from ssgi_gateway.settings import Settings
from tests.unit.adapters.serving import DEADLINE, Served, wait_for
from tests.unit.adapters.wsgi_serving import BIG, TEXT, Iterable, ask, hello, run, served


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


class ClosesLate(Iterable):
    def __init__(self, gate, *blocks):
        super().__init__(*blocks)
        self.gate = gate

    def close(self):
        assert self.gate.wait(10)


def writes_and_goes_on(environ, start_response, gate):
    start_response("200 OK", [("Content-Length", "5")])(b"hello")
    assert gate.wait(10)
    return []


def closes_late(environ, start_response, gate):
    start_response("200 OK", [("Content-Length", "5")])
    return ClosesLate(gate, b"hel", b"lo")


def closes_late_without_a_length(environ, start_response, gate):
    start_response("200 OK", [])
    return ClosesLate(gate, b"hello")


@pytest.mark.parametrize("app", [writes_and_goes_on, closes_late, closes_late_without_a_length])
def test_a_complete_answer_does_not_wait_for_the_rest_of_the_application(threaded, app):
    async def test():
        gate = threading.Event()
        async with served(lambda environ, start_response: app(environ, start_response, gate), threaded) as server:
            answer = await server.request()
            assert (answer.status, answer.body) == (200, b"hello")
            gate.set()

    run(test())


def test_a_complete_answer_does_not_wait_for_the_next_request():
    async def test():
        gate = threading.Event()

        def app(environ, start_response):
            if environ["PATH_INFO"] == "/slow":
                assert gate.wait(10)
            return hello(environ, start_response)

        async with served(app, Settings(threads=2)) as server:
            for _ in range(20):
                gate.clear()
                for _ in range(3):
                    await server.request()  # calls are quick
                quick, slow, last = await asyncio.gather(*[server.open("GET", path) for path in ("/", "/slow", "/")])
                for client in (quick, last):
                    assert (await client.answer()).status == 200
                gate.set()
                assert (await slow.answer()).status == 200
                for client in (quick, slow, last):
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


# -- the client disconnects --------------------------------------------------------------------------------------------


def test_a_client_that_disconnects_while_the_application_generates(settings):
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
def test_a_client_that_disconnects_in_the_middle_of_its_body(threaded, sent):
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


def test_writing_to_a_client_that_disconnected_is_an_os_error(threaded):
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


@pytest.mark.parametrize(("method", "served_"), [("GET", False), ("POST", True), ("DELETE", True)])
def test_a_client_that_disconnected_while_waiting_for_a_thread(method, served_):
    """What it asked for is done, unless it was only to be shown something."""

    async def test():
        gate, calls = threading.Event(), []

        def app(environ, start_response):
            calls.append(environ["PATH_INFO"])
            assert gate.wait(10)
            return hello(environ, start_response)

        async with served(app, Settings(threads=1)) as server:
            first = await server.open("GET", "/first")
            await wait_for(lambda: calls, "the first call")
            second = await server.open(method, "/second", body=b"x" * (method == "POST"))
            await asyncio.sleep(0.05)
            await second.leave()
            await asyncio.sleep(0.05)
            gate.set()
            assert (await first.answer()).status == 200
            await first.leave()
            assert (await server.request("GET", "/third")).status == 200
            assert calls == ["/first", *["/second"] * served_, "/third"]

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
def test_a_thousand_clients_that_disconnect_leave_nothing_behind(settings, tmp_path, kind):
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


def test_the_log_shows_when_all_threads_are_busy(caplog, monkeypatch):
    monkeypatch.setattr(pool, "BUSY_TIME", 0.05)

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
            await wait_for(lambda: "all 1 threads" in caplog.text, "the line")
            gate.set()
            for client in (first, second):
                assert (await client.answer()).status == 200
                await client.leave()
            assert "and 1 requests wait for one" in caplog.text

    run(test())
