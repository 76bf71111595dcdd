"""The C programs of the benchmarks: they compile without a warning, and the load tells an echo from something else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import front, install

NATIVE = Path(install.__file__).parent / "native"

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("native")
    for name in install.PROGRAMS:
        subprocess.run(
            ["cc", *install.CFLAGS, "-Werror", "-o", str(folder / name), str(NATIVE / f"{name}.c")], check=True
        )
    return folder


def run(program, *words):
    return subprocess.run([str(program), *map(str, words)], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def limit(programs):
    """The port of a running limit_websocket."""
    port = front.free_port()
    with subprocess.Popen([programs / "limit_websocket", str(port)]) as child:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except ConnectionRefusedError:
                    assert child.poll() is None
            yield port
        finally:
            child.kill()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 16384, 65535, 65536])
def test_messages_of_every_length_of_header_come_back(programs, limit, size):
    told = run(programs / "ws_load", limit, "/", 4, size, 0.05)
    assert (told.returncode, told.stderr) == (0, "")
    count, seconds, *times = (float(word) for word in told.stdout.split())
    assert count >= 4
    assert seconds >= 0.05
    assert times == sorted(times)
    assert len(times) == 3


def test_idle_connections_stay_open_until_they_are_ended(programs, limit):
    command = [programs / "ws_idle", str(limit), "/", "200"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "open\n"
        assert child.poll() is None
        child.stdin.close()
        assert child.wait(60) == 0


HANDSHAKE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
FIRST = bytes([0, 7, 14, 21])
"""What ws_load's message of four bytes holds."""


def serve_once(answer, collected):
    """A server of one connection that answers the first message with fixed bytes; returns its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk():
        with listener, listener.accept()[0] as it:
            while b"\r\n\r\n" not in it.recv(65536):
                pass
            it.sendall(HANDSHAKE)
            it.recv(65536)
            it.sendall(answer)
            while data := it.recv(65536):
                collected.append(data)

    thread = threading.Thread(target=talk)
    thread.start()
    return listener.getsockname()[1], thread


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"\x82\x04" + FIRST[:3] + b"!", "the echo differs from the message"),
        (b"\x82\x03" + FIRST[:3], "this is not an echo"),
        (b"\x88\x02\x03\xe8", "this is not an echo"),
    ],
    ids=["other bytes", "too short", "close"],
)
def test_what_is_no_echo_is_a_failure(programs, answer, complaint):
    port, thread = serve_once(answer, [])
    told = run(programs / "ws_load", port, "/", 1, 4, 5)
    thread.join(60)
    assert (told.returncode, told.stderr.strip()) == (1, complaint)


def test_a_ping_amid_the_load_is_answered(programs):
    collected = []
    port, thread = serve_once(b"\x89\x02hi" + b"\x82\x04" + FIRST, collected)
    told = run(programs / "ws_load", port, "/", 1, 4, 0.2)
    thread.join(60)
    assert told.stdout.startswith("1 ")
    pong = b"".join(collected)[:8]
    assert pong[:2] == b"\x8a\x82"
    assert bytes(byte ^ key for byte, key in zip(pong[6:8], pong[2:4], strict=True)) == b"hi"


def test_a_refusal_is_reported(programs):
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse():
        with listener, listener.accept()[0] as it:
            it.recv(65536)
            it.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=refuse)
    thread.start()
    told = run(programs / "ws_load", listener.getsockname()[1], "/", 1, 4, 1)
    thread.join(60)
    assert (told.returncode, told.stderr) == (1, "no WebSocket: HTTP/1.1 503 Service Unavailable\n")


@pytest.mark.nginx
@pytest.mark.skipif(shutil.which("wrk") is None, reason="there is no wrk")
def test_a_run_from_the_command_to_the_page(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "run", "--tree", "--rounds", "1", "--seconds", "1"]
    command += ["--only", "hello,upload,download,portable-fastcgi", "--transfer", "3000000", "--results", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=NATIVE.parents[1])
    assert (told.returncode, told.stderr) == (0, "")
    page = (tmp_path / "results.md").read_text()
    assert page.count("| **ssgi-gateway portable, FastCGI** |") == 3
    assert "is missing" not in page
    assert {file.name for file in tmp_path.iterdir()} == {
        "results.json", "results.md", "hello.svg", "upload.svg", "download.svg",
    }  # fmt: skip
