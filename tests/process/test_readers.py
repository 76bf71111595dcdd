"""Whoever reads the log stops reading: a terminal after ^S, a pager, a collector that hangs. The server goes on."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import tty

import pytest

from ssgi_gateway.process import report
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until


class Reader:
    """One end of a pipe or a terminal, and the other as a child's standard error."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        if kind == "pipe":
            self.near, self.far = os.pipe()
            fcntl.fcntl(self.far, fcntl.F_SETPIPE_SZ, 4096)
        else:
            self.near, self.far = pty.openpty()
            tty.setraw(self.far)
        self.seen = b""

    def stop(self) -> None:
        """There is no room any more."""
        if self.kind == "terminal":
            termios.tcflow(self.far, termios.TCOOFF)
            return
        full = os.open(f"/proc/self/fd/{self.far}", os.O_WRONLY | os.O_NONBLOCK)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(full, b".")
        os.close(full)

    def has_room(self) -> bool:
        """Whether something can have been written since ``stop``; to read from a full pipe would make the room."""
        if self.kind == "terminal":
            return bool(select.select([self.near], [], [], 0)[0])
        size = fcntl.ioctl(self.near, termios.FIONREAD, bytes(4))
        return int.from_bytes(size, sys.byteorder) < fcntl.fcntl(self.near, fcntl.F_GETPIPE_SZ)

    def go_on(self) -> None:
        if self.kind == "terminal":
            termios.tcflow(self.far, termios.TCOON)

    def read(self) -> str:
        """All there is so far."""
        while select.select([self.near], [], [], 0)[0]:
            self.seen += os.read(self.near, 65536)
        return self.seen.decode(errors="replace")


@pytest.mark.parametrize("kind", ["pipe", "terminal"])
def test_it_reaps_and_starts_and_reloads_and_is_replaced_and_stops(tmp_path, kind):
    reader = Reader(kind)
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.small:app", "--scgi", f"unix:{tmp_path}/s"]
    server = subprocess.Popen(
        [*words, "--workers", "2"], cwd=ROOT, stderr=reader.far, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        wait_until(lambda: "scgi_pass" in reader.read(), "the start")
        wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
        reader.stop()
        gone = ready(server.pid)[0]
        os.kill(gone, signal.SIGKILL)
        wait_until(lambda: gone not in (now := ready(server.pid)) and len(now) == 2, "another worker")
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: report.read(server.pid)["reloads"]["ok"] == 1, "a reload")
        server.send_signal(signal.SIGUSR2)
        server.send_signal(signal.SIGHUP)
        wait_until(lambda: report.read(server.pid)["reloads"]["ok"] == 2, "another reload")
        assert not reader.has_room()
        reader.go_on()
        wait_until(lambda: "generation 3 serves" in reader.read(), "what was said meanwhile")
        wait_until(lambda: "the supervisor was replaced in place" in reader.read(), "the replacement")
        for words in ("ended: killed by SIGKILL", "generation 2 serves"):
            assert words in reader.read(), "nothing was lost, not even over the replacement"
        reader.stop()
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        os.close(reader.near)
        os.close(reader.far)


def ready(pid: int) -> list[int]:
    return [it[1] for it in report.read(pid)["workers"] if it[3] == "ready"]
