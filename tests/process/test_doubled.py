"""One wish to stop that comes as two signals: what is in progress ends, as after one."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from ssgi_gateway.core.stop_signals import SPREAD
from tests.harness.gateway import ROOT
from tests.harness.process import Process
from tests.process.conftest import children
from tests.process.test_faults import REQUEST

APPLICATION = """
import asyncio, os, time

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        while not os.path.exists(GATE):
            await asyncio.sleep(0.01)
        await send({"type": "http.response.body", "body": b"two"})
"""


def start(folder: Path, workers: int, *before: str) -> Process:
    """A server, as the child of the program ``before``."""
    (folder / "doubled.py").write_text(f"GATE = {str(folder / 'gate')!r}\n{APPLICATION}")
    words = ["-m", "ssgi_gateway", "serve", "doubled:app", "--pythonpath", str(folder), "--deadline-poll", "1000"]
    words += ["--scgi", f"unix:{folder}/s", "--workers", str(workers), "--deadline-drain", "1000"]
    server = Process([*before, sys.executable, *words], folder / "log", cwd=ROOT)
    server.wait_for(lambda: "scgi_pass" in server.text(), "the start")
    return server


def by_timeout(server: Process) -> None:
    """What it sends on when its time is over, or when it is told to end."""
    server.send_signal(signal.SIGTERM)


def at_once(server: Process) -> None:
    """Two of the same kind that nobody has handled yet are one for the kernel."""
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGQUIT, signal.SIGCONT):
        server.send_signal(number)


def everybody(server: Process) -> None:
    """As a service manager does, or ``killall``."""
    pids = [server.pid, *children(server.pid, "worker")]
    for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGCONT):
        for pid in pids:
            os.kill(pid, number)


@pytest.mark.parametrize(
    ("workers", "stop", "before"),
    [
        (0, by_timeout, ("timeout", "1000")),
        (2, by_timeout, ("timeout", "1000")),
        (0, at_once, ()),
        (2, at_once, ()),
        (2, everybody, ()),
    ],
    ids=lambda it: getattr(it, "__name__", None) or (it if isinstance(it, int) else "-"),
)
def test_what_is_in_progress_is_answered_whole(tmp_path, workers, stop, before):
    server = start(tmp_path, workers, *before)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(REQUEST)
            answer = b""
            while not answer.endswith(b"one"):
                answer += client.recv(65536)
            stop(server)
            server.wait_for(lambda: "draining" in server.text(), "the drain")
            time.sleep(SPREAD)  # the second signal is heard as well
            (tmp_path / "gate").touch()
            while data := client.recv(65536):
                answer += data
        assert answer.endswith(b"onetwo")
        assert server.wait() == 0
    finally:
        server.kill()
    assert "any longer" not in server.text()
    assert server.text().count("draining") == 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_harsher_signal_counts_at_once(tmp_path, workers):
    server = start(tmp_path, workers)
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(REQUEST)
            while not client.recv(65536).endswith(b"one"):
                pass
            server.send_signal(signal.SIGTERM)
            server.wait_for(lambda: "draining" in server.text(), "the drain")
            server.send_signal(signal.SIGINT)
            assert server.wait() in (0, 1)
    finally:
        server.kill()
    assert "any longer" in server.text().partition("draining")[2]
