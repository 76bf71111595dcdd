"""``--workers 0``: signals that are a supervisor's end nothing, and are answered in the log."""

from __future__ import annotations

import os
import pty
import signal
import sys
from pathlib import Path

import pytest

from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.test_faults import ask, serve

WORDS = {
    "HUP": "no reload: --workers 0 has no supervisor; restart the server, or serve with --workers 1",
    "USR2": "nothing is replaced: --workers 0 has no supervisor",
    "TTIN": "no more workers: --workers 0 is this process alone",
    "TTOU": "no fewer workers: --workers 0 is this process alone",
}


@pytest.fixture
def server(tmp_path):
    process = serve(tmp_path, "--workers", "0", "--access-log", str(tmp_path / "access"), app="tests.apps.small:app")
    try:
        yield process
    finally:
        process.kill()


def test_signals_of_a_supervisor(server, tmp_path):
    assert ask(tmp_path / "s").endswith(b"Hello")
    for name, words in WORDS.items():
        server.send_signal(getattr(signal, f"SIG{name}"))
        server.wait_for(lambda w=words: w in server.text(), name)
        assert ask(tmp_path / "s").endswith(b"Hello")
    assert server.stop(signal.SIGQUIT) == 0
    assert not (tmp_path / "s").exists()


def test_the_access_log_after_a_rotation(server, tmp_path):
    log = tmp_path / "access"
    for number in range(2):
        ask(tmp_path / "s", f"/before-{number}")
        wait_until(lambda n=number: f"/before-{n} " in log.read_text(), "a line")
        log.rename(tmp_path / f"access.{number}")
        server.send_signal(signal.SIGUSR1)
        wait_until(log.exists, "a new file")
    ask(tmp_path / "s", "/after")
    wait_until(lambda: "/after " in log.read_text(), "a line in it")
    log.unlink()
    log.mkdir()
    server.send_signal(signal.SIGUSR1)
    server.wait_for(lambda: "access cannot be opened: Is a directory" in server.text(), "why it cannot be")
    assert server.stop() == 0


def test_its_terminal_is_closed(tmp_path):
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(ROOT)
        words = ["serve", "tests.apps.small:app", "--scgi", f"unix:{tmp_path}/s", "--workers", "0"]
        os.execv(sys.executable, [sys.executable, "-m", "ssgi_gateway", *words])
    wait_until(lambda: b"scgi_pass" in os.read(terminal, 65536), "the start")
    assert ask(tmp_path / "s").endswith(b"Hello")
    os.close(terminal)
    assert os.waitpid(pid, 0)[1] == 0
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("workers", ["0", "1"])
def test_while_the_application_is_imported(tmp_path, workers):
    """Signals that would end most processes, sent before anybody can know what they mean."""
    gate = tmp_path / "gate"
    (tmp_path / "slow.py").write_text(
        f"import os, time\nprint('begun', flush=True)\nwhile not os.path.exists({str(gate)!r}):\n"
        "    time.sleep(0.01)\nfrom tests.apps.small import app\n"
    )
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "slow:app", "--pythonpath", str(tmp_path)]
    server = Process([*words, "--scgi", f"unix:{tmp_path}/s", "--workers", workers], tmp_path / "log", cwd=ROOT)
    try:
        server.wait_for(lambda: "begun" in server.text(), "the import")
        for name in (*WORDS, "USR1"):
            server.send_signal(getattr(signal, f"SIG{name}"))
        gate.touch()
        server.wait_for(lambda: "scgi_pass" in server.text(), "the start")
        assert ask(tmp_path / "s").endswith(b"Hello")
        assert state(server.pid) not in "TZ"
        assert server.stop() == 0
    finally:
        server.kill()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
