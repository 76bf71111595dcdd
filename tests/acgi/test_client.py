"""The client's own rules: order in the pool, limits, time, retries, urls, what belongs to whom."""

from __future__ import annotations

import asyncio
import contextvars
import gc

import pytest

from ssgi_gateway import client
from ssgi_gateway.client.websocket import HandshakeRefused, open_websocket
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.wire.client.request import parse_url
from tests.acgi.servers import handlers_ended, raw_server


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


class Scripted:
    """An HTTP/1.1 server: each connection plays the next list of answers; ``None`` closes without one."""

    def __init__(self, *connections, delay=0.0):
        self.connections = list(connections)
        self.delay = delay
        self.heads = []
        self.opened = 0

    async def handle(self, reader, writer):
        self.opened += 1
        answers = self.connections.pop(0) if len(self.connections) > 1 else self.connections[0]
        try:
            for answer in answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                await asyncio.sleep(self.delay)
                if answer is None:
                    return
                writer.write(answer)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def __aenter__(self):
        self.server = await asyncio.start_server(self.handle, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        await handlers_ended()
        self.server.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_who_comes_first_is_served_first():
    async def main():
        server = Scripted([OK] * 100, delay=0.001)
        async with server as url, client.Client(limits=client.Limits(max_per_origin=2)) as c:
            done = []

            async def one(number):
                await (await c.request("GET", f"{url}/{number}")).read()
                done.append(number)

            await asyncio.gather(*[one(number) for number in range(40)])
            asked = [int(head.split()[1][1:]) for head in server.heads]
            assert asked == list(range(40))
            assert server.opened == 2
            assert len(done) == 40

    run(main())


def test_the_clients_limit_holds_over_all_origins():
    async def main():
        one, two = Scripted([OK] * 100, delay=0.01), Scripted([OK] * 100, delay=0.01)
        async with one as first, two as second, client.Client(limits=client.Limits(max_connections=1)) as c:
            urls = [first, second] * 5
            answers = await asyncio.gather(*[c.request("GET", url) for url in urls[:1]])
            await answers[0].read()
            for url in urls:
                await (await c.request("GET", url)).read()
                assert c.pool.open == 1

            async def ask(url):
                await (await c.request("GET", url)).read()

            await asyncio.gather(*[ask(url) for url in urls])
            assert c.pool.open == 1

    run(main())


def test_idle_connections_are_few_and_not_for_ever():
    async def main():
        server = Scripted([OK] * 100, delay=0.05)
        limits = client.Limits(max_idle=3, idle_timeout=0.5)
        async with server as url, client.Client(limits=limits) as c:

            async def one():
                await (await c.request("GET", url)).read()

            await asyncio.gather(*[one() for _ in range(10)])
            assert c.pool.open == 10
            while c.pool.open > 3:  # noqa: ASYNC110 - the pool's own clock, which sets no event
                await asyncio.sleep(0.05)
            while c.pool.open:  # noqa: ASYNC110 - likewise
                await asyncio.sleep(0.05)

    run(main())


@pytest.mark.parametrize(
    ("timeouts", "error"),
    [
        (client.Timeouts(read=0.2), client.ReadTimeout),
        (client.Timeouts(total=0.2), client.ReadTimeout),
    ],
)
def test_silence(timeouts, error):
    async def main():
        async with raw_server("silence") as port, client.Client(timeouts=timeouts) as c:
            with pytest.raises(error):
                await c.request("GET", f"http://127.0.0.1:{port}/")
            assert c.pool.open == 0

    run(main())


def test_time_in_the_queue():
    async def main():
        limits = client.Limits(max_connections=1)
        async with raw_server("silence") as port, client.Client(limits=limits) as c:
            url = f"http://127.0.0.1:{port}/"
            first = asyncio.ensure_future(c.request("GET", url))
            await asyncio.sleep(0)
            with pytest.raises(client.PoolTimeout):
                await c.request("GET", url, timeouts=client.Timeouts(pool=0.1))
            first.cancel()
            await asyncio.wait([first])
            assert c.pool.open == 0

    run(main())


@pytest.mark.parametrize(("method", "again"), [("GET", True), ("PUT", True), ("POST", False)])
def test_a_kept_connection_that_died(method, again):
    """Once more on a new one, if the method is idempotent; otherwise nobody knows what became of it."""

    async def main():
        server = Scripted([OK, None], [OK])
        async with server as url, client.Client() as c:
            await (await c.request("GET", url)).read()
            if again:
                assert (await c.request(method, url, body=b"x" if method != "GET" else b"")).status == 200
                assert server.opened == 2
            else:
                with pytest.raises(client.RemoteProtocolError) as raised:
                    await c.request(method, url, body=b"x")
                assert raised.value.retryable is False
            assert len(server.heads) == (3 if again else 2)

    run(main())


def test_a_body_that_cannot_be_sent_again_is_not():
    async def main():
        async with Scripted([OK, None], [OK]) as url, client.Client() as c:
            await (await c.request("GET", url)).read()
            with pytest.raises(client.ClientError):
                await c.request("PUT", url, body=iter([b"x"]))

    run(main())


def test_bytes_on_an_idle_connection_close_it():
    async def main():
        async with Scripted([OK + b"surplus"], [OK]) as url, client.Client() as c:
            await (await c.request("GET", url)).read()
            assert not c.pool.idle
            await (await c.request("GET", url)).read()

    run(main())


def test_an_answer_that_comes_before_the_request_is_complete():
    async def main():
        answer = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"

        async def pieces():
            yield b"x" * 1000
            await asyncio.sleep(20)

        async with Scripted([answer]) as url, client.Client() as c:
            response = await c.request("POST", url, body=pieces())
            assert (response.status, await response.read()) == (413, b"no")
            assert c.pool.open == 0

    run(main())


@pytest.mark.parametrize("close", [True, False], ids=["the client is closed", "the answer has no body"])
def test_an_upload_does_not_outlive_its_answer(close):
    async def pieces():
        yield b"x"
        await asyncio.sleep(20)

    async def main():
        body = b"" if close else b"HTTP/1.1 204 No Content\r\n\r\n"
        before = asyncio.all_tasks()
        async with Scripted([body]) as url:
            async with client.Client() as c:
                asked = asyncio.ensure_future(c.request("POST", url, body=pieces()))
                await asyncio.wait([asked], timeout=0.2)
                if not close:
                    assert (await asked).status == 204
            await asyncio.wait([asked])
            assert close == (asked.exception() is not None)
            left = [task for task in asyncio.all_tasks() - before if "_upload" in task.get_coro().__qualname__]
            assert left == []

    run(main())


def test_what_an_iterable_raises_is_raised():
    def pieces():
        yield b"x"
        raise ZeroDivisionError

    async def main():
        async with raw_server("silence") as port, client.Client() as c:
            with pytest.raises(ZeroDivisionError):
                await c.request("POST", f"http://127.0.0.1:{port}/", body=pieces())
            assert c.pool.open == 0

    run(main())


def test_middleware_goes_around():
    async def outer(call, call_next):
        call.headers.append((b"x-outer", b"1"))
        response = await call_next(call)
        seen.append(("outer", response.status))
        return response

    async def inner(call, call_next):
        seen.append(("inner", dict(call.headers)[b"x-outer"]))
        return await call_next(call)

    seen = []

    async def main():
        server = Scripted([OK])
        async with server as url, client.Client(middleware=[outer, inner]) as c:
            await c.request("GET", url)
            assert b"x-outer: 1" in server.heads[0]

    run(main())
    assert seen == [("inner", b"1"), ("outer", 200)]


def test_another_loop_and_a_closed_client():
    async def main():
        async with Scripted([OK]) as url:
            async with client.Client() as c:
                await (await c.request("GET", url)).read()
                with pytest.raises(RuntimeError, match="another event loop"):
                    await asyncio.to_thread(asyncio.run, c.request("GET", url))
            with pytest.raises(RuntimeError, match="was closed"):
                await c.request("GET", url)

    run(main())


def test_closing_fails_what_waits():
    async def main():
        async with raw_server("silence") as port:
            c = client.Client(limits=client.Limits(max_connections=1))
            url = f"http://127.0.0.1:{port}/"
            asked = [asyncio.ensure_future(c.request("GET", url)) for _ in range(3)]
            await asyncio.sleep(0.05)
            await c.aclose()
            for one in await asyncio.gather(*asked, return_exceptions=True):
                assert isinstance(one, client.ClientError)

    run(main())


def test_an_exchange_that_is_over_keeps_nobody_waiting():
    async def main():
        async with Scripted([b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"]) as url, client.Client() as c:
            response = await c.request("GET", url)
            assert await response.piece() == b"hello"
            reading = asyncio.ensure_future(response.piece())
            await asyncio.sleep(0)
            await response.aclose()
            with pytest.raises(client.ClientError):
                await reading
            assert await response.piece() is None

    run(main())


def test_an_upload_runs_in_its_callers_context():
    variable = contextvars.ContextVar("variable", default="nobody's")
    seen = []

    def pieces():
        seen.append(variable.get())
        yield b"x"

    async def main():
        variable.set("mine")
        async with Scripted([OK]) as url, client.Client() as c:
            await c.request("POST", url, body=pieces())

    run(main())
    assert seen == ["mine"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("http://h", ("http", "h", 80, "", "/", "h")),
        ("HTTPS://H:8443/a?b#c", ("https", "h", 8443, "", "/a?b", "h:8443")),
        ("http://[fe80::1%25eth0]/", ("http", "fe80::1%25eth0", 80, "", "/", "[fe80::1%25eth0]")),
        ("http://a_b.example/", ("http", "a_b.example", 80, "", "/", "a_b.example")),
        ("http://[::1]:80/", ("http", "::1", 80, "", "/", "[::1]")),
        ("scgi://unix:/run/a.sock:/p?q", ("scgi", "localhost", 0, "/run/a.sock", "/p?q", "localhost")),
        ("http://h?q=\u00e9 x", ("http", "h", 80, "", "/?q=%C3%A9%20x", "h")),
        ("http://h/\udcff", ("http", "h", 80, "", "/%FF", "h")),
        ("http://b\u00fccher.example/", ("http", "xn--bcher-kva.example", 80, "", "/", "xn--bcher-kva.example")),
    ],
)
def test_urls(text, wanted):
    assert tuple(parse_url(text)) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h/",
        "h/path",
        "http://",
        "http://user:pass@h/",
        "http://h:99999/",
        "scgi://h/",
        "http://h/\r\nx",
        "http://unix:a",
        "http://h/\ud800",
        "http://[::1/",
        "http://h:port/",
        "http://a\udcffb/",
        "http://a b/",
        "http://a\\b/",
        "http://a|b/",
        "http://a<b>/",
    ],
)
def test_what_is_no_url(text):
    with pytest.raises(client.LocalProtocolError):
        parse_url(text)


@pytest.mark.parametrize(
    ("method", "headers", "body"),
    [
        ("GET ", [], b""),
        ("GET", [(b"x y", b"1")], b""),
        ("GET", [(b"x", b"a\nb")], b""),
        ("POST", [(b"content-length", b"3")], b"ab"),
        ("POST", [(b"content-length", b"2"), (b"content-length", b"3")], b"ab"),
        ("POST", [(b"content-length", b"2"), (b"transfer-encoding", b"chunked")], b"ab"),
        ("POST", [(b"transfer-encoding", b"gzip")], b"ab"),
    ],
)
def test_requests_that_cannot_be_sent(method, headers, body):
    async def main():
        server = Scripted([OK])
        async with server as url, client.Client() as c:
            with pytest.raises(client.LocalProtocolError):
                await c.request(method, url, headers=headers, body=body)
            assert server.opened == 0

    run(main())


def test_a_proxy_that_is_none():
    with pytest.raises(ConfigurationError):
        client.Client(proxy="socks5://h:1")


def test_a_websocket_that_is_refused(web):
    async def main():
        async with client.Client() as c:
            with pytest.raises(HandshakeRefused) as refused:
                async with open_websocket(c, f"ws://{web.plain}/"):
                    pass
            assert (refused.value.status, refused.value.body) == (200, b"hello\n")

    run(main())


@pytest.fixture(autouse=True)
def collected():
    """What a test leaves is found in it, and not in the next one."""
    yield
    gc.collect()
