"""WSGI: ``wsgi.input``."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ssgi_gateway.settings import FlowControl, Settings
from tests.unit.adapters.wsgi_serving import BIG, TEXT, ask, hello, run, served


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
