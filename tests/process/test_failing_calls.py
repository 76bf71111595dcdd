"""Every system call of a supervisor fails once: it goes on, those that serve go on, and what was asked for comes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from ssgi_gateway.process import report
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.test_faults import ask, ready

FAULTS = (
    ("socket.socketpair", "EMFILE"),
    ("os.posix_spawn", "EAGAIN"),
    ("socket.send_fds", "EPIPE"),
    ("socket.send_fds", "EAGAIN"),
    ("os.kill", "EPERM"),
    ("os.memfd_create", "EMFILE"),
    ("os.execve", "ENOMEM"),
    ("os.pwrite", "ENOSPC"),
    ("os.waitpid", "ECHILD"),
    ("os.write", "ENOSPC"),
    ("os.write", "EPIPE"),
)


@pytest.fixture
def server(tmp_path):
    """With two workers, and the file that says what fails."""
    faults = tmp_path / "faults"
    faults.write_text("")
    process = Process(
        [sys.executable, "-m", "tests.process.faulty", "serve", "tests.apps.small:app", "--scgi", f"unix:{tmp_path}/s",
         "--workers", "2", "--access-log", f"{tmp_path}/access"],
        tmp_path / "log", cwd=ROOT, env={"PYTHONPATH": str(ROOT), "FAULTS": str(faults)},
    )  # fmt: skip
    try:
        process.wait_for(lambda: "scgi_pass" in process.text(), "the start")
        wait_until(lambda: len(ready(process.pid)) == 2, "two workers")
        yield process
    finally:
        process.kill()


def test_whatever_fails_the_supervisor_goes_on(server, tmp_path):
    faults, hit = tmp_path / "faults", tmp_path / "faults.hit"
    for call, error in FAULTS:
        hit.unlink(missing_ok=True)
        faults.write_text(f"{call} {error}")
        for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCHLD):
            server.send_signal(number)
        server.wait_for(hit.exists, f"{call} to fail")
        assert ask(tmp_path / "s").endswith(b"Hello")
        faults.write_text("")
        reloaded(server, f"{call} {error}")
        assert ask(tmp_path / "s").endswith(b"Hello")
    assert "internal error" not in server.text()
    assert server.stop() == 0
    assert not (tmp_path / "s").exists()


def reloaded(server: Process, after: str) -> None:
    """Ask for a reload until one works, for the first may meet what failed before."""

    def works() -> bool:
        said = report.read(server.pid)
        if said["reloading"]:
            return False
        if said["reloads"]["ok"] > before and len(ready(server.pid)) == said["wanted"] == 2:
            return True
        server.send_signal(signal.SIGHUP)
        return False

    before = report.read(server.pid)["reloads"]["ok"]
    wait_until(works, f"a reload that works, after {after}", interval=0.1)


def test_a_worker_that_is_lost_while_nothing_works_comes_again(server, tmp_path):
    faults = tmp_path / "faults"
    faults.write_text("socket.socketpair EMFILE")
    gone = ready(server.pid)[0]
    os.kill(gone, signal.SIGKILL)
    server.wait_for(lambda: server.text().count("Too many open files; trying again") >= 2, "a fork that fails")
    assert ask(tmp_path / "s").endswith(b"Hello")
    faults.write_text("")
    wait_until(lambda: len(ready(server.pid)) == 2, "two workers")
    assert not Path(f"/proc/{gone}").exists()
    assert "internal error" not in server.text()
    assert server.stop() == 0
