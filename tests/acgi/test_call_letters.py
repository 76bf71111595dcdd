"""curl's letters mean what they mean in curl: what arrives, what is written, against curl itself where it is there."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.tools.call.command import call
from tests.acgi.threaded import ThreadedPeer

PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"
ANSWERS = {
    "/early": b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + PAGE + b"hello",
    "/chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "/404": b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nConnection: close\r\n\r\nerror",
    "/204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "/205": b"HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
    "/304": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "/twice": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "/until-the-end": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "/1.0": b"HTTP/1.0 200 OK\r\n\r\nhello",
    "/more": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more",
    "/short": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
    "/no-last-chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/no-reason": b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    "/nothing": b"",
}


class Server(ThreadedPeer):
    """Answers by path, and keeps what it was asked."""

    def __init__(self):
        self.requests = []
        super().__init__()
        self.url = f"http://{self.address}"

    def handle(self, connection):
        with connection, connection.makefile("rb") as lines:
            head = [line.strip() for line in iter(lines.readline, b"\r\n")]
            headers = dict(line.lower().split(b":", 1) for line in head[1:])
            if b"expect" in headers:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = lines.read(int(headers.get(b"content-length", 0)))
            self.requests.append((head[0], headers, body))
            path = head[0].split()[1].decode()
            answer = ANSWERS.get(path, PAGE + b"hello")
            connection.sendall(PAGE if head[0].startswith(b"HEAD") else answer)

    def last(self):
        """The last request, without what differs by who asks."""
        line, headers, body = self.requests.pop()
        left = {
            name: re.sub(rb"-{20,}\w+", b"--boundary", value).strip()
            for name, value in headers.items()
            if name not in (b"user-agent", b"expect")
        }
        return line, left, re.sub(rb"-{20,}\w+", b"--boundary", body)


@pytest.fixture(scope="module")
def server():
    with Server() as running:
        yield running


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "f.txt").write_bytes(b"line1\r\nline2\n")
    (tmp_path / "headers").write_bytes(b"X-One: 1\r\n\r\n# none\nX-Two: 2\n")
    (tmp_path / "form").write_bytes(b"%{http_code} of @")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(
    "words",
    [
        ["/"],
        ["/", "-X", "DELETE"],
        ["/", "-d", "a=1", "-d", "b=2"],
        ["/", "-d", ""],
        ["/", "-d", "@f.txt"],
        ["/", "--data-binary", "@f.txt"],
        ["/", "--data-raw", "@f.txt"],
        ["/", "--json", '{"a":1}'],
        ["/", "-G", "-d", "a=1", "-d", "b=2"],
        ["/?c=3", "-G", "-d", "a=1"],
        ["/", "-T", "f.txt"],
        ["/folder/", "-T", "f.txt"],
        ["", "-T", "f.txt"],
        ["/name", "-T", "f.txt"],
        ["/", "-F", "a=b", "-F", "f=@f.txt"],
        ["/", "-F", "f=@f.txt;type=text/x;filename=other"],
        ["/", "-F", "a=<f.txt"],
        ["/", "-F", "a=b;type=text/plain"],
        ["/", "-F", 'a="b;c\\"d"', "-F", 'f=@f.txt;filename="x;y"'],
        ["/", "-F", "f=@f.txt;type=text/x;charset=utf-8;filename=\u00e9", "-F", "\u00fc=\u00e4"],
        ["/", "-H", "@headers"],
        ["/", "-H", "Host:"],
        ["/", "-A", ""],
        ["/", "--data-ascii", "a=1"],
        ["/404", "--fail-with-body"],
        ["/", "-d", "\udcff", "-A", "\udcff", "-b", "a=\udcff", "-H", "X-A: \udcff", "-u", "a:\udcff"],
        ["/", "-F", "\udcff=\udcff"],
        ["/", "--json", "\udcff"],
        ["/", "-H", "X-A: 1", "-H", "Accept:", "-H", "Host: other", "-H", "X-Empty;"],
        ["/", "-A", "me", "-b", "a=b; c=d", "-e", "http://from/", "-u", "user:pass"],
        ["/404", "-f"],
        ["/404", "-fs"],
        ["/", "-N"],
        ["/", "-m", "0", "--connect-timeout", "0"],
        ["/", "-w", "%{http_code} %{size_download} %{method} %{exitcode} %{nonsense}|%%\\t\\n"],
        ["/", "-w", "%{size_upload} %{num_connects} %{content_type} %{remote_ip}", "-d", "abc"],
        ["/404", "-w", "%{stderr}%{http_code}%{stdout}%{response_code}"],
        *[[path] for path in ANSWERS],
    ],
    ids=" ".join,
)
def test_as_curl_does(server, folder, capfd, words):
    """The same request, the same output, the same exit status."""
    words = [f"{server.url}{words[0]}", *words[1:]]
    done = subprocess.run(["curl", "--no-progress-meter", *words], capture_output=True, timeout=60)
    asked = server.last()
    status = call(words)
    out = capfd.readouterr().out
    assert (status, out.encode()) == (done.returncode, done.stdout)
    assert server.last() == asked


def test_interim_answers_and_trailers_are_shown(server, capfd):
    assert call([f"{server.url}/early", "-i"]) == 0
    out = capfd.readouterr().out
    assert out.startswith("HTTP/1.1 103\r\nlink: </a>\r\n\r\nHTTP/1.1 200\r\n")
    assert call([f"{server.url}/chunked", "-iv"]) == 0
    out, shown = capfd.readouterr()
    assert out.endswith("\r\n\r\nhellox-trailer: 1\r\n")
    assert "< x-trailer: 1" in shown.splitlines()


def test_heads_are_written_where_they_are_wanted(server, folder, capfd):
    assert call([f"{server.url}/early", "-sSD", "heads", "-o", "body"]) == 0
    head = "HTTP/1.1 200\r\ncontent-type: text/plain\r\ncontent-length: 5\r\nconnection: close\r\n\r\n"
    assert (folder / "heads").read_bytes().decode() == f"HTTP/1.1 103\r\nlink: </a>\r\n\r\n{head}"
    assert (folder / "body").read_bytes() == b"hello"
    assert call([f"{server.url}/", "-D", "-"]) == 0
    assert capfd.readouterr().out == f"{head}hello"
    assert call([f"{server.url}/", "-D", "none/heads"]) == 23
    assert "-D: cannot write 'none/heads'" in capfd.readouterr().err


def test_several_cookies_are_one_header(server, folder):
    assert call([f"{server.url}/", "-b", "a=b", "-b", "c=d"]) == 0
    assert server.last()[1][b"cookie"] == b"a=b; c=d"


def test_a_body_in_chunks(capfd):
    """Where the header wants it so; over SCGI and FastCGI the length stays."""
    words = ["-H", "Transfer-Encoding: chunked", "-d", "abc", "--dry-run"]
    assert call(["http://127.0.0.1:1/", *words]) == 0
    out = capfd.readouterr().out
    assert out.endswith("\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert "content-length" not in out
    assert call(["--scgi", ":1", "/", *words]) == 0
    assert ":CONTENT_LENGTH\0003\0SCGI" in capfd.readouterr().out


@pytest.mark.parametrize("field", ["a=b;c", "a=@f.txt;tpye=text/x", "a"])
def test_a_field_that_is_none(server, folder, capfd, field):
    assert call([f"{server.url}/", "-F", field]) == 26
    assert f"-F {field}: " in capfd.readouterr().err


def test_an_error_status_is_named(server, capfd):
    assert call([f"{server.url}/404", "-f"]) == 22
    assert "the answer is an error: 404" in capfd.readouterr().err


@pytest.mark.parametrize(
    "words", [["-D", "-"], ["-w", "x", "-o", "body"], ["--keep", "1"], ["--dry-run"]], ids=" ".join
)
def test_output_that_takes_nothing(server, folder, words):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "ssgi_gateway", "call", f"{server.url}/", *words]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 23
    assert b"No space left on device" in done.stderr


def test_nobody_reads_what_is_shown(server, capfd, monkeypatch):
    """What is said beside the answer does not cost the answer."""
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert call([f"{server.url}/", "-v"]) == 0
        with contextlib.suppress(OSError):
            full.close()  # it is full to the end
    assert capfd.readouterr().out == "hello"


def test_what_is_written_out(server, folder, capfd):
    assert call([f"{server.url}/", "-w", "@form"]) == 0
    assert capfd.readouterr().out == "hello200 of @"
    assert call([f"{server.url}/", "-w", "%{http_cod}"]) == 0
    assert "there is no %{http_cod}; did you mean http_code?" in capfd.readouterr().err
    assert call([f"{server.url}/", "-w", "@none"]) == 26
    assert "-w: cannot read 'none'" in capfd.readouterr().err
    assert call(["http://127.0.0.1:1/", "-w", "%{http_code} %{time_total} %{exitcode} %{errormsg}"]) == 7
    assert capfd.readouterr().out.startswith("000 0.000000 7 cannot connect to 127.0.0.1 port 1")


@pytest.mark.parametrize("option", [["--param", "A=b"], ["--script-filename", "/a.php"]])
def test_variables_are_not_lost_silently(option):
    with pytest.raises(ConfigurationError, match="over HTTP -H sends headers"):
        call(["http://127.0.0.1:1/", *option])


@pytest.mark.parametrize("front", ["apache", "caddy", "haproxy"])
def test_a_variable_that_a_front_sends_is_replaced(front, capfd):
    """And not sent twice: whose value would it be?"""
    assert call(["--fastcgi", ":1", "/", "--front", front, "--script-filename", "/mine.php", "--dry-run"]) == 0
    out = capfd.readouterr().out
    assert out.count("SCRIPT_FILENAME") == 1
    assert "SCRIPT_FILENAME/mine.php" in out
