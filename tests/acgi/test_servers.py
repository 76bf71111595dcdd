"""Other people's servers: nginx, Apache, hypercorn, nghttpd, php-fpm, flup's; each as it is installed."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssgi_gateway import client
from tests.acgi.servers import PYTHON, executable, running
from tests.harness.nginx import free_port


@pytest.fixture
def folder():
    """Not pytest's, which other users than ours cannot look into."""
    with tempfile.TemporaryDirectory(prefix="acgi-") as name:
        os.chmod(name, 0o755)
        yield Path(name)


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 60))


def ours(web, kind):
    """A url's beginning, and options, for one way to nginx."""
    tls = client.TLS(ca=str(web.certificate))
    return {
        "http/1.1": (f"http://{web.plain}", {}),
        "http/1.1, h11": (f"http://{web.plain}", {"parser": "h11"}),
        "unix": (f"http://unix:{web.socket}:", {}),
        "http/1.1, tls": (f"https://{web.secure}", {"tls": tls, "http2": False}),
        "http/2, tls": (f"https://{web.secure}", {"tls": tls}),
        "http/2": (f"http://{web.h2c}", {"http2": "prior-knowledge"}),
    }[kind]


WAYS = ["http/1.1", "http/1.1, h11", "unix", "http/1.1, tls", "http/2, tls", "http/2"]
LARGE = bytes(range(256)) * 40_000


@pytest.mark.parametrize("kind", WAYS)
def test_nginx(web, kind):
    base, options = ours(web, kind)

    async def main():
        async with client.Client(**options) as c:
            r = await c.request("GET", f"{base}/method")
            assert (r.status, r.http_version) == (200, "2" if "/2" in kind else "1.1")
            assert await r.read() == b"GET HTTP/2.0" if "/2" in kind else b"GET HTTP/1.1"
            r = await c.request("HEAD", f"{base}/files/large.bin")
            assert (r.header("content-length"), await r.read()) == (str(len(LARGE)), b"")
            r = await c.request("GET", f"{base}/files/large.bin", headers={"range": "bytes=5-9"})
            assert (r.status, await r.read()) == (206, LARGE[5:10])
            bodies = await asyncio.gather(*[fetch(c, f"{base}/files/large.bin") for _ in range(4)])
            assert set(bodies) == {hashlib.sha256(LARGE).digest()}
            r = await c.request("POST", f"{base}/upload", body=LARGE)
            assert int(await r.read()) > len(LARGE)
            r = await c.request("POST", f"{base}/upload", body=pieces())
            assert int(await r.read()) > 500_000
            r = await c.request("GET", f"{base}/absent")
            assert r.status in (200, 404)
            assert c.pool.open <= 5 if "/2" not in kind else c.pool.open == 1

    run(main())


async def fetch(c, url):
    digest = hashlib.sha256()
    async with c.stream("GET", url) as r:
        async for piece in r:
            digest.update(piece)
    return digest.digest()


async def pieces():
    for _ in range(10):
        yield b"p" * 50_000


def test_nginx_chunked_and_without_a_body(web):
    async def main():
        async with client.Client() as c:
            r = await c.request("GET", f"http://{web.plain}/chunked", headers={"accept-encoding": "gzip"})
            assert r.header("transfer-encoding") == "chunked"
            assert len(gzip.decompress(await r.read())) == 18_890
            r = await c.request("GET", f"http://{web.plain}/empty")
            assert (r.status, await r.read()) == (204, b"")
            r = await c.request("GET", f"http://{web.plain}/")
            assert await r.read() == b"hello\n"
            assert c.pool.open == 1

    run(main())


def test_a_certificate_that_nobody_trusts(web):
    async def main():
        async with client.Client() as c:
            with pytest.raises(client.ConnectError, match="certificate"):
                await c.request("GET", f"https://{web.secure}/")
            assert c.pool.open == 0
        with pytest.warns(UserWarning, match="anybody"):
            async with client.Client(tls=client.TLS(verify=False)) as c:
                assert (await c.request("GET", f"https://{web.secure}/")).status == 200

    run(main())


def test_a_host_that_the_certificate_does_not_name(web):
    async def main():
        async with client.Client(tls=client.TLS(ca=str(web.certificate))) as c:
            with pytest.raises(client.ConnectError, match="certificate"):
                await c.request("GET", f"https://127.0.0.2:{web.secure.rpartition(':')[2]}/")

    run(main())


def test_tls_where_nobody_speaks_it(web):
    async def main():
        async with client.Client() as c:
            with pytest.raises(client.ConnectError, match="TLS"):
                await c.request("GET", f"https://{web.plain}/")

    run(main())


def test_hundred_streams_share_one_connection(web):
    async def main():
        async with client.Client(tls=client.TLS(ca=str(web.certificate))) as c:
            answers = await asyncio.gather(*[c.request("GET", f"https://{web.secure}/method") for _ in range(100)])
            assert {r.connection.stream_id % 2 for r in answers} == {1}
            assert len({await r.read() for r in answers}) == 1
            assert c.pool.open == 1

    run(main())


def test_through_a_proxy(web, folder):
    """Apache's mod_proxy: absolute form for http, CONNECT for https, both with a password."""
    with apache(folder, web) as port:

        async def main():
            tls = client.TLS(ca=str(web.certificate))
            async with client.Client(proxy=f"http://user:pass@127.0.0.1:{port}", tls=tls) as c:
                r = await c.request("GET", f"http://{web.plain}/method")
                assert await r.read() == b"GET HTTP/1.1"
                assert r.header("via") is not None
                r = await c.request("GET", f"https://{web.secure}/method")
                assert (r.http_version, await r.read()) == ("2", b"GET HTTP/2.0")
            async with client.Client(proxy=f"http://user:wrong@127.0.0.1:{port}", tls=tls) as c:
                assert (await c.request("GET", f"http://{web.plain}/method")).status == 407
                with pytest.raises(client.ConnectError, match="407"):
                    await c.request("GET", f"https://{web.secure}/method")
                assert c.pool.open == len(c.pool.busy) + len(c.pool.idle)

        run(main())


MODULES = (
    "mpm_event", "authz_core", "authz_user", "authn_core", "authn_file", "auth_basic", "proxy", "proxy_http",
    "proxy_connect", "unixd", "alias",
)  # fmt: skip


@contextmanager
def apache(folder, web):
    """Apache as a server of files and as a proxy; its port."""
    program = executable("apache2")
    os.chmod(folder, 0o755)
    port = free_port()
    (folder / "htdocs").mkdir()
    (folder / "htdocs" / "large.bin").write_bytes(LARGE)
    (folder / "passwords").write_text("user:{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=\n")
    lines = [f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES
             if name != "unixd" or os.path.exists("/usr/lib/apache2/modules/mod_unixd.so")]  # fmt: skip
    lines += [
        f"ServerRoot {folder}", f"PidFile {folder}/pid", f"ErrorLog {folder}/error.log", "ServerName localhost",
        f"DefaultRuntimeDir {folder}", f"Listen 127.0.0.1:{port}", f"DocumentRoot {folder}/htdocs",
        *(["User www-data", "Group www-data"] if os.geteuid() == 0 else []),
        "ProxyRequests On", "ProxyVia On", f"AllowCONNECT {web.secure.rpartition(':')[2]}",
        "<Proxy *>", "AuthType Basic", "AuthName proxy", f"AuthUserFile {folder}/passwords", "Require valid-user",
        "</Proxy>", "KeepAliveTimeout 1",
    ]  # fmt: skip
    (folder / "httpd.conf").write_text("\n".join(lines) + "\n")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with running([program, "-D", "FOREGROUND", "-f", folder / "httpd.conf"], folder, port):
        yield port


def test_apache(web, folder):
    with apache(folder, web) as port:

        async def main():
            async with client.Client() as c:
                url = f"http://127.0.0.1:{port}"
                assert await fetch(c, f"{url}/large.bin") == hashlib.sha256(LARGE).digest()
                r = await c.request("POST", f"{url}/absent", body=pieces())
                assert r.status == 404
                await r.read()
                # Apache closes an idle connection after a second; we see it then, and not at the next request.
                while c.pool.idle:  # noqa: ASYNC110 - the peer's doing, which sets no event
                    await asyncio.sleep(0.05)
                assert (await c.request("GET", f"{url}/")).status in (200, 403, 404)

        run(main())


HYPERCORN = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    headers = [(b"x-version", scope["http_version"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(10):
        await send({"type": "http.response.body", "body": b"d" * 10000, "more_body": True})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("http2", [False, True])
def test_hypercorn(certificate, tmp_path, http2):
    pytest.importorskip("hypercorn")
    (tmp_path / "served.py").write_text(HYPERCORN)
    port = free_port()
    command = [PYTHON, "-m", "hypercorn", "served:app", "--bind", f"127.0.0.1:{port}",
               "--certfile", certificate[0], "--keyfile", certificate[1]]  # fmt: skip

    async def main():
        tls = client.TLS(ca=str(certificate[0]))
        async with client.Client(tls=tls, http2=http2) as c:
            r = await c.request("POST", f"https://127.0.0.1:{port}/", body=b"b" * 300_000, headers={"te": "trailers"})
            assert r.header("x-version") == ("2" if http2 else "1.1")
            assert len(await r.read()) == 400_000
            answers = await asyncio.gather(*[fetch(c, f"https://127.0.0.1:{port}/") for _ in range(20)])
            assert len(set(answers)) == 1

    with running(command, tmp_path, port, PYTHONPATH=str(tmp_path)):
        run(main())


def test_nghttpd(certificate, tmp_path):
    program = executable("nghttpd")
    (tmp_path / "large.bin").write_bytes(LARGE)
    port = free_port()
    command = [program, "-a", "127.0.0.1", "-d", tmp_path, "--echo-upload", "--trailer", "x-sum: 1", port,
               certificate[1], certificate[0]]  # fmt: skip

    async def main():
        async with client.Client(tls=client.TLS(ca=str(certificate[0]))) as c:
            url = f"https://localhost:{port}"
            bodies = await asyncio.gather(*[fetch(c, f"{url}/large.bin") for _ in range(8)])
            assert set(bodies) == {hashlib.sha256(LARGE).digest()}
            r = await c.request("POST", f"{url}/large.bin", body=pieces())
            assert await r.read() == b"p" * 500_000
            assert r.trailers == [(b"x-sum", b"1")]
            # A stream that nobody reads stops only itself.
            async with c.stream("GET", f"{url}/large.bin") as unread:
                assert unread.status == 200
                for _ in range(5):
                    assert await fetch(c, f"{url}/large.bin") == hashlib.sha256(LARGE).digest()
            assert c.pool.open == 1

    with running(command, tmp_path, port):
        run(main())


PHP = """<?php
error_log("to standard error");
header("X-Method: " . $_SERVER["REQUEST_METHOD"]);
if (isset($_GET["code"])) { http_response_code((int) $_GET["code"]); }
echo $_SERVER["QUERY_STRING"] . "|" . strlen(file_get_contents("php://input")) . "|" . $_SERVER["SCRIPT_FILENAME"];
"""


@contextmanager
def php_fpm(folder):
    """php-fpm; the path of its socket, which is short, and that of a script."""
    name = next((one for one in ("php-fpm", "php-fpm8.4", "php-fpm8.3", "php-fpm8.2") if _there(one)), "php-fpm8.2")
    program = executable(name)
    script = folder / "index.php"
    script.write_text(PHP)
    path = f"/tmp/php-{os.getpid()}.sock"
    user = "user = www-data\ngroup = www-data\n" if os.geteuid() == 0 else ""
    (folder / "fpm.conf").write_text(
        f"[global]\nerror_log = {folder}/error.log\n[www]\n{user}listen = {path}\nlisten.mode = 0666\npm = static\n"
        "pm.max_children = 2\npm.status_path = /status\ncatch_workers_output = yes\n"
        "php_admin_flag[log_errors] = on\nphp_admin_flag[display_errors] = off\n"
    )
    with running([program, "-F", "-y", folder / "fpm.conf"], folder) as process:
        process.wait_for(lambda: os.path.exists(path), "php-fpm listening")
        try:
            yield path, str(script)
        finally:
            if os.path.exists(path):
                os.unlink(path)


def _there(name):
    return any(os.path.exists(f"{folder}/{name}") for folder in ("/usr/sbin", "/usr/bin"))


def test_php_fpm(folder):
    with php_fpm(folder) as (path, script):

        async def main():
            async with client.Client(fastcgi=f"unix:{path}") as c:
                extensions = {"cgi": {"SCRIPT_FILENAME": script, "SCRIPT_NAME": "/index.php"}}
                for _ in range(3):
                    r = await c.request("GET", "http://x/index.php?a=1", extensions=extensions)
                    assert (r.status, await r.read()) == (200, f"a=1|0|{script}".encode())
                    assert b"to standard error" in r.stderr
                assert c.pool.open == 1
                r = await c.request("POST", "http://x/?code=503", body=b"b" * 200_000, extensions=extensions)
                assert (r.status, await r.read()) == (503, f"code=503|200000|{script}".encode())
                r = await c.request("GET", "http://x/", extensions={"cgi": {"SCRIPT_FILENAME": "/absent.php"}})
                assert (r.status, await r.read()) == (404, b"File not found.\n")

        run(main())


FLUP = """
import sys
from flup.server.{module} import WSGIServer
def app(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    start_response("201 Created", [("Content-Type", "text/plain"), ("X-Path", environ["PATH_INFO"])])
    return [b"%d " % len(body), environ["QUERY_STRING"].encode()]
WSGIServer(app, bindAddress=("127.0.0.1", int(sys.argv[1]))).run()
"""


@pytest.mark.parametrize("protocol", ["scgi", "fcgi"])
def test_flup(protocol, tmp_path):
    pytest.importorskip("flup")
    (tmp_path / "served.py").write_text(FLUP.format(module=protocol))
    port = free_port()

    async def main():
        async with client.Client() as c:
            for _ in range(3):
                r = await c.request("POST", f"{protocol}://127.0.0.1:{port}/a%20b?q=1", body=b"b" * 100_000)
                assert (r.status, r.header("x-path"), await r.read()) == (201, "/a b", b"100000 q=1")
            answers = await asyncio.gather(
                *[c.request("GET", f"{protocol}://127.0.0.1:{port}/?{number}") for number in range(5)]
            )
            assert [await r.read() for r in answers] == [b"0 %d" % number for number in range(5)]

    with running([PYTHON, "-W", "ignore", tmp_path / "served.py", port], tmp_path, port):
        run(main())


def test_addresses_are_tried_in_turn(web, monkeypatch):
    """RFC 8305: one family does not answer, and the other is there a moment later."""
    port = int(web.plain.rpartition(":")[2])
    dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", port, 0, 0))
    alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, dead, alive])

    async def main():
        async with client.Client() as c:
            r = await c.request("GET", f"http://dual.example:{port}/")
            assert await r.read() == b"hello\n"

    run(main())
