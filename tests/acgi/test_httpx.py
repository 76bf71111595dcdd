"""httpx code, unchanged, on our transport: what httpx's own users and its suite of transports rely on."""

from __future__ import annotations

import asyncio
import contextvars
import gzip
import importlib
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from ssgi_gateway.client import HttpxTransport, Limits
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.testing import InProcessServer
from tests.acgi.servers import gateway, raw_server
from tests.acgi.threaded import ThreadedPeer


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    path = scope["path"]
    status, answer, extra = 200, json.dumps({"method": scope["method"], "path": path, "headers": headers}), []
    if path == "/redirect":
        status, answer, extra = 303, "", [(b"location", b"/after"), (b"set-cookie", b"seen=1; Path=/")]
    elif path == "/echo":
        answer = body.decode()
    elif path == "/gzip":
        extra = [(b"content-encoding", b"gzip")]
    elif path == "/cookies":
        extra = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    elif path == "/404":
        status = 404
    data = gzip.compress(answer.encode()) if path == "/gzip" else answer.encode()
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-app", b"1"), *extra]})
    if path == "/pieces":
        for number in range(5):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
        data = b"."
    await send({"type": "http.response.body", "body": data})


@pytest.fixture(params=["app", "scgi", "fastcgi"])
def transport(request, tmp_path):
    if request.param == "app":
        yield lambda **options: HttpxTransport(app=app, **options)
        return
    with gateway("tests.acgi.test_httpx:app", tmp_path, request.param) as address:
        yield lambda **options: HttpxTransport(**{request.param: address}, **options)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


def test_redirects_cookies_and_decompression_are_httpxs(transport):
    async def main():
        async with httpx.AsyncClient(transport=transport(), base_url="http://example.org") as client:
            response = await client.get("/redirect", follow_redirects=True)
            assert response.json()["path"] == "/after"
            assert response.json()["headers"]["cookie"] == "seen=1"
            assert [one.status_code for one in response.history] == [303]
            assert (await client.get("/gzip")).json()["path"] == "/gzip"
            response = await client.get("/cookies")
            assert dict(response.cookies) == {"a": "1", "b": "2"}
            with pytest.raises(httpx.HTTPStatusError):
                (await client.get("/404")).raise_for_status()

    run(main())


class Redirecting(ThreadedPeer):
    """Sends every request to ``/there`` but those that are there; keeps the heads."""

    def __init__(self):
        self.heads = []
        super().__init__()

    def handle(self, connection):
        with connection, connection.makefile("rb") as lines:
            head = b"".join(iter(lines.readline, b"\r\n"))
            lines.read(4 * head.startswith(b"POST"))
            self.heads.append(head)
            status = b"200 OK" if b" /there " in head else b"303 See Other\r\nLocation: /there"
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_after_a_redirect_has_no_body(method):
    """httpx gives the body of such a request as a stream, also where it is none."""
    with Redirecting() as peer, httpx.Client(transport=HttpxTransport(), follow_redirects=True) as http:
        body = b"body" if method == "POST" else None
        assert http.request(method, f"http://{peer.address}/", content=body).status_code == 200
    assert peer.heads[1].startswith(b"GET /there ")
    assert b"transfer-encoding" not in peer.heads[1]
    assert b"content-length" not in peer.heads[1]


def test_a_target_that_is_given(transport):
    """It goes as it is: httpx normalises what is in a url."""
    with httpx.Client(transport=transport(), base_url="http://example.org") as http:
        for target in (b"/a/../b%2f", b"/x"):
            said = http.get("/", extensions={"target": target}).json()
            assert said["path"] == target.decode().replace("%2f", "/")
        for target in (b"/a b", b"/\r\nX: 1", b"", b"/\xff"):
            with pytest.raises(httpx.LocalProtocolError, match="is no target"):
                http.get("/", extensions={"target": target})


def test_a_user_and_a_password_in_the_url_are_httpxs_to_send(transport):
    with httpx.Client(transport=transport()) as http:
        said = http.get("http://user:pass%40@example.org/").json()
        assert said["headers"]["authorization"] == "Basic dXNlcjpwYXNzQA=="
        assert said["headers"]["host"] == "example.org"


def test_bodies_of_every_kind(transport):
    async def pieces():
        yield b"one "
        yield b"two"

    async def main():
        async with httpx.AsyncClient(transport=transport(), base_url="http://example.org") as client:
            assert (await client.post("/echo", content=b"bytes")).text == "bytes"
            assert (await client.post("/echo", content=pieces())).text == "one two"
            assert (await client.post("/echo", json={"a": 1})).json() == {"a": 1}
            assert (await client.post("/echo", data={"a": "1"})).text == "a=1"
            assert "name.txt" in (await client.post("/echo", files={"f": ("name.txt", b"content")})).text
            async with client.stream("GET", "/pieces") as response:
                assert b"".join([piece async for piece in response.aiter_bytes()]) == b"01234."

    run(main())


def test_a_client_without_coroutines(transport):
    with httpx.Client(transport=transport(), base_url="http://example.org") as client:
        assert client.get("/x", params={"q": "1"}).json()["path"] == "/x"
        assert client.post("/echo", content=iter([b"a", b"b"])).text == "ab"
        with client.stream("GET", "/pieces") as response:
            assert b"".join(response.iter_bytes()) == b"01234."
        assert client.get("/redirect", follow_redirects=True).json()["headers"]["cookie"] == "seen=1"


def test_a_blocking_body_is_iterated_where_the_request_was_sent(transport):
    """Its thread and its context are those of the call, as in httpx: cursors of databases are bound to theirs."""
    variable = contextvars.ContextVar("variable", default="")
    variable.set("mine")
    threads = set()

    def pieces():
        for _ in range(3):
            threads.add(threading.get_ident())
            yield variable.get().encode()

    with httpx.Client(transport=transport(), base_url="http://example.org") as http:
        assert http.post("/echo", content=pieces()).text == "mine" * 3
    assert threads == {threading.get_ident()}


def test_bodies_that_wait_keep_nobody_waiting():
    """Many at once, each of which ends only when all have begun."""
    count = 24
    together = threading.Barrier(count, timeout=30)
    texts = []

    def pieces():
        yield b"one "
        together.wait()
        yield b"two"

    with httpx.Client(transport=HttpxTransport(app=app), base_url="http://example.org", timeout=30) as http:
        threads = [
            threading.Thread(target=lambda: texts.append(http.post("/echo", content=pieces()).text))
            for _ in range(count)
        ]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert texts == ["one two"] * count


FORKED = """
import os, httpx
from ssgi_gateway.client import HttpxTransport
from tests.acgi.test_httpx import Redirecting

with Redirecting() as peer, httpx.Client(transport=HttpxTransport(), base_url=f"http://{peer.address}/") as http:
    assert http.get("/there").status_code == 200
    if os.fork() == 0:
        assert http.get("/there").status_code == 200
        http.close()
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
    assert http.get("/there").status_code == 200
"""


def test_a_forked_child_has_connections_of_its_own():
    """A server that loads its application before it forks gives each of its processes a copy of the client."""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("close", httpx.RemoteProtocolError),
        ("reset", httpx.ReadError),
        ("silence", httpx.ReadTimeout),
        ("garbage", httpx.RemoteProtocolError),
        ("refuse", httpx.ConnectError),
    ],
)
def test_errors_become_httpxs_of_the_same_meaning(behaviour, error):
    async def main():
        async with raw_server(behaviour) as port, httpx.AsyncClient(transport=HttpxTransport()) as client:
            with pytest.raises(error) as raised:
                await client.get(f"http://127.0.0.1:{port}/", timeout=httpx.Timeout(5, read=0.3))
            assert raised.value.request.url.port == port

    run(main())


def test_a_body_that_is_cut_short_is_an_error_while_it_is_read():
    async def main():
        async with raw_server("short") as port, httpx.AsyncClient(transport=HttpxTransport()) as client:
            request = client.build_request("GET", f"http://127.0.0.1:{port}/")
            response = await client.send(request, stream=True)
            assert response.status_code == 200
            with pytest.raises(httpx.RemoteProtocolError):
                await response.aread()

    run(main())


def test_a_scheme_that_is_not_ours():
    async def main():
        async with httpx.AsyncClient(transport=HttpxTransport()) as client:
            with pytest.raises(httpx.UnsupportedProtocol):
                await client.get("ftp://127.0.0.1/")

    run(main())


def test_a_request_that_cannot_be_sent():
    async def main():
        async with httpx.AsyncClient(transport=HttpxTransport(app=app)) as client:
            with pytest.raises(httpx.LocalProtocolError):
                await client.get("http://example.org/", headers=[(b"x", b"a\r\nb")])

    run(main())


def test_another_name_of_httpx(tmp_path, monkeypatch):
    """Which package asks, says its request: a fork under another name gets answers and errors of its own."""
    shutil.copytree(Path(httpx.__file__).parent, tmp_path / "httpx2")
    init = tmp_path / "httpx2" / "__init__.py"
    init.write_text(init.read_text().replace('"__module__", "httpx"', '"__module__", "httpx2"'))
    monkeypatch.syspath_prepend(tmp_path)
    other = importlib.import_module("httpx2")

    async def main():
        async with other.AsyncClient(transport=HttpxTransport(app=app), base_url="http://example.org") as client:
            response = await client.get("/redirect", follow_redirects=True)
            assert type(response) is other.Response
            assert response.json()["path"] == "/after"
        async with raw_server("close") as port, other.AsyncClient(transport=HttpxTransport()) as client:
            with pytest.raises(other.RemoteProtocolError):
                await client.get(f"http://127.0.0.1:{port}/")

    run(main())


def test_its_timeouts_are_obeyed_each():
    async def main():
        async with raw_server("silence") as port:
            options = {"limits": Limits(max_connections=1)}
            async with httpx.AsyncClient(transport=HttpxTransport(**options)) as client:
                url = f"http://127.0.0.1:{port}/"
                first = asyncio.ensure_future(client.get(url, timeout=None))
                await asyncio.sleep(0.05)
                with pytest.raises(httpx.PoolTimeout):
                    await client.get(url, timeout=httpx.Timeout(None, pool=0.1))
                first.cancel()
                await asyncio.wait([first])

    run(main())


def test_a_port_that_there_cannot_be():
    with httpx.Client(transport=HttpxTransport()) as client, pytest.raises(httpx.ConnectError):
        client.get("http://127.0.0.1:123456/")


def test_another_event_loop():
    """What has no asyncio cannot run it, and is told so."""
    request = httpx.Request("GET", "http://127.0.0.1/")
    asked = HttpxTransport().handle_async_request(request)
    with pytest.raises(RuntimeError, match="runs on asyncio"):
        asked.send(None)


def test_an_application_whose_interface_shape_does_not_tell():
    def app(*arguments, **keywords):
        environ, start_response = arguments
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [environ["PATH_INFO"].encode()]

    with pytest.raises(ConfigurationError, match=r"TestClient\(app, interface=...\)"):
        httpx.Client(transport=HttpxTransport(app=app)).__enter__()
    with httpx.Client(transport=HttpxTransport(app=InProcessServer(app, interface="wsgi"))) as client:
        assert client.get("http://example.org/a").text == "/a"


def test_an_interrupted_call_gives_its_connection_back():
    """Ctrl-C reaches the thread that waits, not the loop that asks."""

    def interrupt(*_):
        raise KeyboardInterrupt

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)  # so the call is under way; a tenth of a second later it waits, for certain
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            connection.recv(65536)

    transport = HttpxTransport()
    with socket.create_server(("127.0.0.1", 0)) as listener, httpx.Client(transport=transport) as client:
        known = signal.signal(signal.SIGALRM, interrupt)
        server = threading.Thread(target=serve)
        server.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                client.get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=None)
        finally:
            signal.signal(signal.SIGALRM, known)

        async def is_free():
            pool = transport._client.pool
            while pool.open:  # noqa: ASYNC110 - the pool has no event for it
                await asyncio.sleep(0)

        transport.wait(asyncio.wait_for(is_free(), 10))
        server.join()


def test_an_application_starts_with_its_client_and_ends_with_it():
    seen = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            for answer in ("startup", "shutdown"):
                seen.append((await receive())["type"])
                await send({"type": f"lifespan.{answer}.complete"})

    with httpx.Client(transport=HttpxTransport(app=app)):
        assert seen == ["lifespan.startup"]
    assert seen.pop() == "lifespan.shutdown"
    seen.clear()

    async def main():
        async with httpx.AsyncClient(transport=HttpxTransport(app=app)):
            assert seen == ["lifespan.startup"]
        assert seen.pop() == "lifespan.shutdown"

    run(main())
