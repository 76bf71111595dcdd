"""``top``, ``status`` and ``stacks`` at a pseudo terminal, and without one."""

from __future__ import annotations

import json
import os
import pty
import select
import socket
import subprocess
import sys
import time

import pytest

from ssgi_gateway.observe.reading import Reader
from ssgi_gateway.observe.table import Table, create
from ssgi_gateway.tools.top import render
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "ssgi_gateway", *words]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_status(watched):
    it = watched("--workers", "2")
    it.get()
    pid = str(it.gateway.pid)
    done = run("status", "--pid", pid)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 workers ready" in done.stdout
    assert "1 requests" in done.stdout
    said = json.loads(run("status", "--pid", pid, "--json").stdout)
    assert said["pid"] == it.gateway.pid


def test_mistakes_are_one_line():
    # A process of its own: that of the tests may hold the tables which unit tests made.
    with subprocess.Popen(["sleep", "600"]) as other:
        try:
            for pid in ("1", str(other.pid)):
                done = run("status", "--pid", pid)
                assert done.returncode == 2
                assert done.stderr.count("\n") == 1
                assert f"process {pid} is no server" in done.stderr
        finally:
            other.kill()


def test_where_there_are_several_they_are_named(watched):
    first, second = watched("--workers", "1"), watched(app="tests.apps.small:app")
    for command in ("status", "top", "stacks"):
        done = run(command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "several servers run here; give --pid, one of " in done.stderr
        assert f"{first.gateway.pid} (tests.observe.apps:app)" in done.stderr
        assert f"{second.gateway.pid} (tests.apps.small:app)" in done.stderr


OTHER_LAYOUT = """
from ssgi_gateway.observe.table import H_VERSION, Table, create
table = Table(create(1))
table.words[H_VERSION] = 99
print("made", flush=True)
input()
"""


@pytest.mark.parametrize("command", ["top", "status", "stacks"])
def test_a_server_of_another_version_is_refused_in_words(command):
    with subprocess.Popen([sys.executable, "-c", OTHER_LAYOUT], cwd=ROOT, stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "made\n"
        done = run(command, "--pid", str(other.pid))
        assert (done.returncode, done.stdout) == (2, "")
        assert "writes tables of layout 99, this program reads 1: use the one that is installed with" in done.stderr
        other.communicate("")


@pytest.mark.parametrize(("words", "shown"), [("", "it gave no reason"), ("Traceback\nKeyError: 1\n", "KeyError: 1")])
def test_a_reload_that_failed_is_shown(words, shown):
    fd = create(1)
    table = Table(fd)
    table.reload("failed", words)
    reader = Reader(fd)
    text = render(reader.snapshot(), None, 1.0, [], os.terminal_size((80, 24)), coloured=False)
    assert text.endswith(f"the last reload failed: {shown}")
    reader.close()
    table.close()
    os.close(fd)


def test_top_at_a_terminal(watched):
    it = watched("--workers", "2")
    pid, fd = pty.fork()
    if not pid:
        os.chdir(ROOT)
        os.environ.update(TERM="xterm", COLUMNS="100", LINES="30")
        os.execv(sys.executable, command("top", "--pid", str(it.gateway.pid), "--interval", "0.2"))
    screen = b""
    end = time.monotonic() + 30
    while time.monotonic() < end and (b"requests a second" not in screen or b"\x1b[32m" not in screen):
        it.get()
        if select.select([fd], [], [], 0.1)[0]:
            screen += os.read(fd, 65536)
    os.write(fd, b"q")
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        screen += data
        if not data:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = screen.decode()
    assert "tests.observe.apps:app" in text
    assert text.endswith("\x1b[?1049l\x1b[?25h"), "the terminal is as it was"


def test_stacks_show_where_a_worker_hangs(watched):
    it = watched("--workers", "1", "--deadline-drain", "0.5")
    with pytest.raises(TimeoutError):
        it.get("/loop", timeout=1.0)
    text = run("stacks", "--pid", str(it.gateway.pid)).stdout
    assert "GET /loop" in text
    assert "apps.py" in text
    assert "blocks it" in text


def test_stacks_show_tasks(watched):
    it = watched("--workers", "1")
    with socket.create_connection(it.address) as peer:
        peer.sendall(b"GET /forever HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: it.said()["workers"][0]["in_progress"] == 1, "the request")
        text = run("stacks", "--pid", str(it.gateway.pid)).stdout
    assert "Task " in text
    assert "await asyncio.Event().wait()" in text
