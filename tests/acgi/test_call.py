"""`ssgi-gateway call`, run as users run it: against this gateway, php-fpm, nginx, broken servers, and nobody."""

from __future__ import annotations

import gzip
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from tests.acgi.servers import gateway
from tests.acgi.test_servers import php_fpm
from tests.harness.gateway import ROOT


async def app(scope, receive, send):
    """Says what it got; `/ws` echoes."""
    if scope["type"] == "lifespan":
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close" if scope["path"] == "/refuse" else "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": (message.get("text") or "binary").upper()})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    path = scope["path"]
    status = int(path[1:]) if path[1:].isdigit() else 200
    headers = [(b"content-type", b"application/json")]
    if path == "/redirect":
        status, headers = 302, [(b"location", b"/after")]
    answer = {
        "method": scope["method"],
        "path": path,
        "query": scope["query_string"].decode(),
        "scheme": scope["scheme"],
        "client": (scope["client"] or [""])[0],
        "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
        "body": body.decode(),
    }
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


@pytest.fixture(scope="module", params=["scgi", "fastcgi"])
def target(request, tmp_path_factory):
    with gateway("tests.acgi.test_call:app", tmp_path_factory.mktemp("call"), request.param) as address:
        yield f"--{request.param}", address


def call(*words, stdin=b"", cwd=None):
    command = [sys.executable, "-m", "ssgi_gateway", "call", *map(str, words)]
    return subprocess.run(command, input=stdin, capture_output=True, timeout=60, cwd=cwd)


def answer(*words, stdin=b""):
    done = call(*words, stdin=stdin)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


# -- curl's letters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["/a?b=c"], {"method": "GET", "path": "/a", "query": "b=c", "body": ""}),
        (["/", "-X", "PATCH"], {"method": "PATCH"}),
        (["/", "-d", "a=1", "-d", "b=2"], {"method": "POST", "body": "a=1&b=2"}),
        (["/", "-d", "a=1", "-X", "PUT"], {"method": "PUT", "body": "a=1"}),
        (["/", "--json", '{"a": 1}'], {"method": "POST", "body": '{"a": 1}'}),
        (["/", "--https"], {"scheme": "https"}),
        (["/", "--remote", "192.0.2.7"], {"client": "192.0.2.7"}),
        (["/", "--param", "REMOTE_ADDR=192.0.2.8"], {"client": "192.0.2.8"}),
        (["-L", "/redirect"], {"path": "/after"}),
    ],
)
def test_requests(target, words, wanted):
    said = answer(*target, *words)
    assert {key: said[key] for key in wanted} == wanted


def test_headers(target):
    said = answer(
        *target, "/", "-H", "X-A: 1", "-H", "Host: example.org", "-H", "Accept:", "-u", "me:secret", "-A", "x"
    )
    headers = said["headers"]
    assert (headers["x-a"], headers["host"], headers["user-agent"]) == ("1", "example.org", "x")
    assert headers["authorization"] == "Basic bWU6c2VjcmV0"
    assert "accept" not in headers
    assert answer(*target, "/", "-d", "a=1")["headers"]["content-type"] == "application/x-www-form-urlencoded"
    assert answer(*target, "/", "--json", "1")["headers"]["accept"] == "application/json"


def test_files_and_standard_input(target, tmp_path):
    file = tmp_path / "data"
    file.write_bytes(b"one\ntwo\n")
    assert answer(*target, "/", "-d", f"@{file}")["body"] == "onetwo"
    assert answer(*target, "/", "--data-binary", f"@{file}")["body"] == "one\ntwo\n"
    said = answer(*target, "/", "-T", file)
    assert (said["method"], said["body"]) == ("PUT", "one\ntwo\n")
    assert answer(*target, "/", "-T", "-", stdin=b"x" * 200_000)["body"] == "x" * 200_000
    form = answer(*target, "/", "-F", "a=1", "-F", f"f=@{file};type=text/x")
    assert form["headers"]["content-type"].startswith("multipart/form-data; boundary=")
    assert 'name="f"; filename="data"\r\nContent-Type: text/x\r\n\r\none\ntwo\n' in form["body"]


def test_output(target, tmp_path):
    file = tmp_path / "out"
    done = call(*target, "/", "-o", file, "-w", "%{http_code} %{size_download} %{content_type}\\n")
    assert done.stdout == b"200 %d application/json\n" % file.stat().st_size
    assert call(*target, "/", "-i").stdout.startswith(b"HTTP/1.1 200\r\ncontent-type: application/json\r\n")
    head = call(*target, "/", "-I").stdout
    assert head.startswith(b"HTTP/1.1 200\r\n")
    assert head.endswith(b"\r\n\r\n")
    assert call(*target, "/a/name.json", "-O", cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "name.json").read_text())["path"] == "/a/name.json"


def test_an_error_status_with_f(target):
    done = call(*target, "/404", "-f")
    assert (done.returncode, done.stdout) == (22, b"")
    done = call(*target, "/404")
    assert done.returncode == 0
    assert done.stdout


def test_verbose_shows_variables_heads_and_timings(target):
    done = call(*target, "/", "-v", "-H", "X-A: 1")
    lines = done.stderr.decode().splitlines()
    assert "> HTTP_X_A=1" in lines
    assert "< HTTP/1.1 200" in lines
    assert any(line.startswith("* Connected") for line in lines)
    assert ("> BEGIN_REQUEST 8 bytes" in lines) == (target[0] == "--fastcgi")
    assert any(line.startswith("< END_REQUEST") for line in lines) == (target[0] == "--fastcgi")


def test_again_and_again(target):
    done = call(*target, "/", "--keep", "20")
    connections = 20 if target[0] == "--scgi" else 1
    assert done.stdout.startswith(b"20 requests on %d connection" % connections)
    assert b"20 of 200" in done.stdout
    assert call(*target, "/500", "--keep", "2").returncode == 22


def test_a_front_is_understood(target):
    for front in ("nginx", "apache", "lighttpd", *(("caddy", "haproxy") if target[0] == "--fastcgi" else ())):
        said = answer(*target, "/a%20b/c?q=1", "--front", front, "-H", "Host: example.org:8080", "-d", "abc")
        assert (said["method"], said["path"], said["query"], said["body"]) == ("POST", "/a b/c", "q=1", "abc")


def test_the_bytes_that_would_go(target):
    done = call(*target, "/", "--dry-run", "-d", "abc")
    assert b"REQUEST_METHOD" in done.stdout
    assert b"abc" in done.stdout


def test_variables_are_removed_and_emptied(target):
    done = call(*target, "/", "--dry-run", "--param", "-SCRIPT_NAME", "--param", "QUERY_STRING=", "--param", "X=1")
    assert b"SCRIPT_NAME" not in done.stdout
    assert b"QUERY_STRING" in done.stdout
    assert b"X" in done.stdout


def test_websockets_in_band(tmp_path):
    with gateway("tests.acgi.test_call:app", tmp_path, "scgi") as address:
        done = call("--scgi", address, "/ws", "--ws", stdin=b"one\ntwo\n")
        assert (done.returncode, done.stdout) == (0, b"ONE\nTWO\n")
        done = call("--scgi", address, "/refuse", "--ws")
        assert done.returncode == 22
        assert b"refused with 403" in done.stderr


def test_websockets_over_the_direct_port(tmp_path):
    with gateway("tests.acgi.test_call:app", tmp_path, "websocket") as address:
        done = call("--websocket", address, "/ws", "--ws", stdin=b"one\n")
        assert (done.returncode, done.stdout) == (0, b"ONE\n")


def test_a_procedure_where_nobody_speaks_swill(tmp_path):
    """It is no answer, and none will come."""
    with gateway("tests.acgi.test_call:app", tmp_path, "scgi") as address:
        done = call("--scgi", address, "/ws", "--rpc", "add", "[1, 2]")
        assert done.returncode == 56
        assert b"no frame of Swill" in done.stderr


@pytest.mark.parametrize("protocol", ["scgi", "websocket", "http"])
def test_procedures(tmp_path, protocol):
    """Of a real Swill server: in-band, directly and by a URL."""
    with gateway("tests.apps.swill_features:app", tmp_path, protocol) as address:
        where = [f"http://{address}:/ws"] if protocol == "http" else [f"--{protocol}", address, "/ws"]
        done = call(*where, "--rpc", "add", "[1, 2]")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"3\n", b"")
        done = call(*where, "--rpc", "count", "3")
        assert (done.returncode, done.stdout) == (0, b"0\n1\n2\n")
        done = call(*where, "--rpc", "echo", '{"a": [null, 1.5, "x"]}')
        assert json.loads(done.stdout) == {"a": [None, 1.5, "x"]}
        assert call(*where, "--rpc", "pid").stdout.strip().isdigit()
        done = call(*where, "--rpc", "conflict")
        assert (done.returncode, done.stdout) == (22, b"")
        assert b'error 409: conflict {"version":3}' in done.stderr
        assert b"404: there is no procedure 'nothing'" in call(*where, "--rpc", "nothing").stderr
        done = call(*where, "--rpc", "add", '["x", 2]')
        assert b"422: Validation Error" in done.stderr
        assert b"$[0]" in done.stderr
        done = call(*where, "--rpc", "add", "[1,")
        assert done.returncode == 3
        assert b"is no JSON" in done.stderr
        done = call(*where, "--rpc", "slow", "60", "-m", "0.5")
        assert done.returncode == 28


def health_checks():
    """The HEALTHCHECK of each Dockerfile: its file, the default of HEALTH, the command."""
    for path in sorted((ROOT / "deploy").rglob("Dockerfile")):
        text = path.read_text()
        found = re.search(r"^HEALTHCHECK .*CMD (.+)$", text, re.MULTILINE)
        default = re.search(r'^ENV HEALTH="(.*)"$', text, re.MULTILINE)
        assert found, path
        yield pytest.param(default[1] if default else "", found[1], id=str(path.relative_to(ROOT)))


@pytest.mark.parametrize(("default", "command"), list(health_checks()))
def test_the_health_check_of_the_images(tmp_path, default, command):
    """It says that a gateway that answers is healthy, and that one that does not, or answers with an error, is not."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "ssgi-gateway").write_text(f'#!/bin/sh\nexec {sys.executable} -m ssgi_gateway "$@"\n')
    (folder / "ssgi-gateway").chmod(0o755)

    def check(health):
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "HEALTH": health}
        words = ["/bin/sh", "-c", command]
        return subprocess.run(words, env=environment, cwd=ROOT, capture_output=True, timeout=60).returncode

    assert "${HEALTH}" in command
    assert not default or default.split()[0] in ("--scgi", "--fastcgi")
    for protocol in ("scgi", "fastcgi"):
        (tmp_path / protocol).mkdir()
        with gateway("tests.acgi.test_call:app", tmp_path / protocol, protocol) as address:
            assert check(f"--{protocol} {address} /") == 0
            assert check(f"--{protocol} {address} /503") == 22
        assert check(f"--{protocol} {address} /") == 7


def test_probe(tmp_path):
    with gateway("tests.acgi.test_call:app", tmp_path, "fastcgi") as address:
        done = call("--fastcgi", address, "--probe")
        assert done.stdout.startswith(b"FCGI_MAX_CONNS=")
        assert done.returncode == 0


# -- php-fpm -----------------------------------------------------------------------------------------------------------


def test_php_fpm():
    with tempfile.TemporaryDirectory(prefix="call-") as name:
        os.chmod(name, 0o755)
        with php_fpm(Path(name)) as (path, script):
            done = call("--fastcgi", path, "/index.php?a=1", "--script-filename", script)
            assert (done.returncode, done.stdout) == (0, f"a=1|0|{script}".encode())
            assert b"! " in done.stderr
            assert b"to standard error" in done.stderr
            done = call("--fastcgi", path, "/?code=503", "--script-filename", script, "-f")
            assert done.returncode == 22
            done = call("--fastcgi", path, "/status", "--script-filename", "/status", "--param", "SCRIPT_NAME=/status")
            assert done.stdout.startswith(b"pool:")
            # php-fpm answers GET_VALUES since 8.? only; older ones close, and that is said in words.
            done = call("--fastcgi", path, "--probe")
            assert done.returncode in (0, 56)


# -- nobody, and broken ones -------------------------------------------------------------------------------------------


class Broken:
    """A server that takes a connection, reads a little, sends these bytes and closes, or stays silent."""

    def __init__(self, sent, close=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.sent, self.close = sent, close
        self.held = []
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        connection, _ = self.listener.accept()
        connection.recv(65536)
        connection.sendall(self.sent)
        if self.close:
            connection.close()
        else:
            self.held.append(connection)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(10)
        for one in (self.listener, *self.held):
            one.close()


@pytest.mark.parametrize("protocol", ["scgi", "http"])
def test_an_answer_that_comes_before_a_large_body_is_read(protocol, tmp_path):
    """The server reads on only when its answer was taken: who sends without reading meanwhile waits for ever."""
    size = 20_000_000
    body = tmp_path / "body"
    body.write_bytes(bytes(size))
    first = b"HTTP/1.1 200 OK" if protocol == "http" else b"Status: 200 OK"

    def serve():
        connection, _ = listener.accept()
        with connection:
            begun = connection.recv(10, socket.MSG_WAITALL)
            connection.sendall(first + b"\r\nContent-Length: %d\r\n\r\n" % size)
            connection.sendall(bytes(size))
            left = 1 << 40
            if protocol == "scgi":
                digits = begun.partition(b":")[0]
                left = len(digits) + 1 + int(digits) + 1 + size - len(begun)
            try:
                while left and (data := connection.recv(min(left, 262144))):
                    left -= len(data)
            except ConnectionResetError:
                pass  # an HTTP client has what it asked for, and leaves

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        where = [f"http://{address}/"] if protocol == "http" else ["--scgi", address, "/"]
        done = call(*where, "--data-binary", f"@{body}", "-o", tmp_path / "answer", "-w", "%{size_upload}")
        thread.join(60)
    assert done.returncode == 0, done.stderr.decode()
    assert (tmp_path / "answer").stat().st_size == size


def record(kind, content):
    return bytes((1, kind, 0, 1)) + len(content).to_bytes(2, "big") + b"\0\0" + content


END = record(3, bytes(8))


@pytest.mark.parametrize(
    ("protocol", "sent", "status", "words"),
    [
        ("scgi", b"", 52, "without an answer"),
        ("scgi", b"Status: 200 OK\r\n", 56, "within the head"),
        ("scgi", b"Status: 200 OK\r\nContent-Length: 9\r\n\r\nab", 18, "7 bytes shorter"),
        ("scgi", b"Status: 200 OK\r\nContent-Length: 1\r\n\r\nabc", 0, "2 bytes longer"),
        ("scgi", b"Content-Type: text/plain\r\n\r\nx", 0, "no Status line"),
        ("scgi", b"Status: 200 OK\r\nX: " + b"x" * 5000 + b"\r\n\r\nx", 0, "scgi_buffer_size"),
        ("scgi", b"<html>\r\n\r\n", 56, "no header line"),
        ("scgi", b"Status: OK\r\n\r\n", 56, "no status"),
        ("fastcgi", b"", 52, "END_REQUEST"),
        ("fastcgi", record(6, b"Status: 200 OK\r\n\r\nab"), 18, "END_REQUEST"),
        ("fastcgi", record(6, b"Status: 200 OK\r\n\r\nab") + record(3, bytes((0, 0, 0, 3, 0, 0, 0, 0))), 0, "status 3"),
        ("fastcgi", record(3, bytes((0, 0, 0, 0, 2, 0, 0, 0))), 56, "FCGI_OVERLOADED"),
        ("fastcgi", record(3, bytes((0, 0, 0, 0, 3, 0, 0, 0))), 56, "FCGI_UNKNOWN_ROLE"),
        ("fastcgi", b"HTTP/1.1 400 Bad Request\r\n\r\n", 56, "version 72"),
        ("fastcgi", record(7, b"Traceback") + record(6, b"Status: 500\r\n\r\nx") + END, 0, "! Traceback"),
    ],
)
def test_what_a_browser_would_not_get_is_named(protocol, sent, status, words):
    with Broken(sent) as broken:
        done = call(f"--{protocol}", f"127.0.0.1:{broken.port}", "/")
    assert words in done.stderr.decode()
    assert done.returncode == status


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["--scgi", "unix:/nowhere/app.sock"], 7),
        (["--scgi", "127.0.0.1:1"], 7),
        (["http://name.invalid/"], 6),
        (["ftp://example.org/"], 3),
        (["http://127.0.0.1:1/"], 7),
        (["--scgi", "unix:/nowhere/app.sock", "-T", "/nowhere/file"], 26),
        (["--scgi", "nonsense"], 2),
        (["--front", "nginx", "http://x/"], 2),
        (["--fastcgi", ":9000", "--ws"], 2),
        ([], 2),
        (["--scgi", ":1", "--no-such-option"], 2),
    ],
)
def test_exit_statuses(words, status):
    done = call(*words)
    assert done.returncode == status, done.stderr
    assert done.stderr.count(b"\n") == 1
    assert call(*words, "-s").stderr == (b"" if status != 2 else done.stderr)


def test_time_is_up():
    with Broken(b"", close=False) as broken:
        done = call("--scgi", f"127.0.0.1:{broken.port}", "/", "-m", "0.3")
    assert done.returncode == 28


def test_a_reader_that_stops(target):
    command = f"{sys.executable} -m ssgi_gateway call {' '.join(target)} / | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"{"
    assert b"Traceback" not in done.stderr


# -- http --------------------------------------------------------------------------------------------------------------


def test_a_web_server(web):
    done = call(f"http://{web.plain}/method", "-w", " %{http_version}")
    assert done.stdout == b"GET HTTP/1.1 1.1"
    assert call(f"http://{web.plain}/redirect", "-L").stdout == b"GET HTTP/1.1"
    assert call("--unix-socket", web.socket, "http://x/method").stdout == b"GET HTTP/1.1"
    done = call(f"http://{web.plain}/chunked", "--compressed")
    assert done.stdout.startswith(b"line 0\nline 1\n")
    assert call(f"http://{web.plain}/files/large.bin", "-o", "/dev/full").returncode == 23
    assert int(call(f"http://{web.plain}/upload", "-T", "-", stdin=b"u" * 300_000).stdout) > 300_000


def test_tls(web):
    assert call(f"https://{web.secure}/").returncode == 60
    assert call(f"https://{web.secure}/method", "--cacert", web.certificate).stdout == b"GET HTTP/1.1"
    assert call(f"https://{web.secure}/method", "-k").stdout == b"GET HTTP/1.1"
    assert call(f"https://{web.plain}/").returncode == 35


def test_it_loads_neither_asyncio_nor_ssl(tmp_path):
    """It starts in a tenth of a second because of what it does not load."""
    with gateway("tests.acgi.test_call:app", tmp_path, "scgi") as address:
        code = (
            "import sys; from ssgi_gateway.cli.main import main; main(['call', '--scgi', sys.argv[1], '/', '-s']);"
            "print(sorted({'asyncio', 'ssl', 'h2', 'hpack', 'h11', 'httptools', 'wsproto', 'tempfile', 'json',"
            " 'ssgi_gateway.settings'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", code, address], capture_output=True, check=True)
        assert done.stdout.endswith(b"}[]\n")


# -- servers that mean harm --------------------------------------------------------------------------------------------


def compressed(data, coding="gzip"):
    head = f"Status: 200\r\nContent-Encoding: {coding}\r\n\r\n".encode()
    return head + (data if data in (b"", b"garbage") else gzip.compress(data))


@pytest.mark.parametrize(
    ("sent", "status", "size", "words"),
    [
        (compressed(bytes(50_000_000)), 0, 50_000_000, ""),
        (compressed(b""), 0, 0, ""),
        (compressed(b"hello")[:-3], 61, 5, "not complete"),
        (compressed(b"garbage"), 61, 0, "not compressed as it declares"),
        (compressed(b"garbage", "br"), 0, 7, ""),
    ],
    ids=["a bomb", "empty", "cut short", "none", "another coding"],
)
def test_compressed_answers(sent, status, size, words):
    with Broken(sent) as broken:
        done = call("--scgi", f"127.0.0.1:{broken.port}", "/", "--compressed")
    assert (done.returncode, len(done.stdout)) == (status, size)
    assert words in done.stderr.decode()
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("protocol", "sent"),
    [
        ("scgi", b"Status: 200\r\nX: " + b"x" * 100_000),
        ("scgi", b"Status: 103\r\n\r\n" * 200),
        ("scgi", b"X: 1\r\n" * 300 + b"\r\n"),
        ("fastcgi", record(6, b"X: 1\r\n" * 300 + b"\r\n")),
    ],
    ids=["a head without an end", "interim answers", "fields", "fields, fastcgi"],
)
def test_what_never_ends_is_bounded(protocol, sent):
    with Broken(sent, close=False) as broken:
        done = call(f"--{protocol}", f"127.0.0.1:{broken.port}", "/", "-m", "30")
    assert done.returncode == 56
    assert b"more than" in done.stderr or b"without an end" in done.stderr


def test_an_address_that_is_no_text(tmp_path):
    done = call("http://127.0.0.1:1/\udcff")
    assert done.returncode == 7
    done = call("--scgi", "unix:/nowhere/\udcff", "/")
    assert done.returncode in (2, 7)
    assert b"Traceback" not in done.stderr
