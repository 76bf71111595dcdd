"""Settings that change under a server that runs: what a reload does with them, and what it says of the others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ssgi_gateway.process import report
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.test_faults import ask

APP = """
import os

def app(kind, server, remote, method, path, query, get_header, res):
    res.send(os.environ.get("COLOUR", "none"))
"""


class Configured:
    """A server whose settings are a file."""

    def __init__(self, folder: Path, **values: str) -> None:
        self.folder = folder
        (folder / "colours.py").write_text(APP)
        self.set(**values)
        self.process = Process(
            [sys.executable, "-m", "ssgi_gateway", "serve", "--config", str(folder / "site.toml")],
            folder / "log", cwd=ROOT, env={"PYTHONPATH": str(ROOT), "COLOUR": "red"},
        )  # fmt: skip
        self.process.wait_for(lambda: "scgi_pass" in self.process.text(), "the start")

    def set(self, **values: str) -> None:
        given = {"app": "colours:app", "pythonpath": str(self.folder), "scgi": f"unix:{self.folder}/one", **values}
        (self.folder / "site.toml").write_text("".join(f"{name} = '{value}'\n" for name, value in given.items()))

    def reload(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ssgi_gateway", "reload", "--pid", str(self.process.pid)],
            cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.fixture
def configured(tmp_path):
    """Makes one that ends with the test."""
    made: list[Configured] = []

    def make(**values: str) -> Configured:
        made.append(Configured(tmp_path, **values))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()


def test_what_a_reload_changes(configured, tmp_path):
    """Listeners, the access log, the number of workers; not the environment, which is that of the start."""
    it = configured(access_log=f"{tmp_path}/before", pid_file=f"{tmp_path}/pid")
    assert ask(tmp_path / "one").endswith(b"red")
    it.set(
        scgi=f"unix:{tmp_path}/two",
        access_log=f"{tmp_path}/after",
        pid_file=f"{tmp_path}/other",
        log_format="text",
        socket_mode="666",
    )
    done = it.reload()
    assert (done.returncode, done.stdout) == (0, "reloaded: generation 2 serves\n")
    assert ask(tmp_path / "two").endswith(b"red")
    assert not (tmp_path / "one").exists()
    wait_until(lambda: b"/x" in (tmp_path / "after").read_bytes(), "a line in the new log")
    assert "--pid-file, --socket-mode: changed, which needs a restart; everything else is reloaded" in it.process.text()
    assert int((tmp_path / "pid").read_text()) == it.process.pid
    assert " INFO  reloaded: generation 2 serves\n" in it.process.text(), "and the format of the log is another"
    it.process.send_signal(signal.SIGUSR2)
    it.process.wait_for(lambda: "was replaced in place" in it.process.text(), "a replacement")
    wait_until(lambda: report.read(it.process.pid)["generation"] == 2, "its report")
    assert int((tmp_path / "pid").read_text()) == it.process.pid
    assert not (tmp_path / "other").exists()
    assert it.process.stop() == 0
    assert not (tmp_path / "pid").exists()
    assert not (tmp_path / "two").exists()


IMPOSSIBLE = (
    ({"scgi": "unix:/nowhere/at/all"}, "there is no directory /nowhere/at; create it first"),
    ({"access_log": "/nowhere/log"}, "--access-log: /nowhere/log cannot be opened: No such file or directory"),
    ({"user": "nobody-of-that-name"}, "--user: there is no user 'nobody-of-that-name'"),
    ({"workers": "0"}, "--workers 0 needs a start of its own"),
    ({"chdir": "/nowhere"}, "/nowhere"),
    ({"wrokers": "2"}, "wrokers is not a setting; did you mean workers"),
)


def test_what_cannot_be_is_refused_and_nothing_has_changed(configured, tmp_path):
    it = configured()
    before = report.read(it.process.pid)["workers"]
    for values, words in IMPOSSIBLE:
        it.set(**values)
        done = it.reload()
        assert done.returncode == 1
        assert words in done.stderr
        assert report.read(it.process.pid)["workers"] == before
        assert ask(tmp_path / "one").endswith(b"red")
    it.set()
    assert it.reload().returncode == 0


def test_an_application_that_does_not_start_leaves_all_the_settings_from_before(configured, tmp_path):
    """Listeners, the access log and the number of workers; and a second reload, refused at once, takes nothing back."""
    it = configured(workers="2", access_log=f"{tmp_path}/before")
    wait_until(lambda: len(report.read(it.process.pid)["workers"]) == 2, "two workers")
    (tmp_path / "broken.py").write_text("import nothing_like_this")
    it.set(app="broken:app", workers="4", scgi=f"unix:{tmp_path}/two", access_log=f"{tmp_path}/after")
    done = it.reload()
    assert done.returncode == 1
    assert "No module named 'nothing_like_this'" in done.stderr
    assert report.read(it.process.pid)["wanted"] == 2
    serving = [[1, "ready"]] * 2  # beside them, for a moment, the one that could not start
    wait_until(
        lambda: [worker[2:4] for worker in report.read(it.process.pid)["workers"]] == serving, "the two from before"
    )
    assert not (tmp_path / "two").exists()
    (tmp_path / "before").unlink()
    it.process.send_signal(signal.SIGUSR1)
    wait_until((tmp_path / "before").exists, "the log from before, anew")
    gate = f"import os, time\nwhile not os.path.exists('{tmp_path}/gate'):\n    time.sleep(0.01)\n"
    (tmp_path / "slow.py").write_text(f"{gate}{APP}")
    it.set(app="slow:app", scgi=f"unix:{tmp_path}/two")
    it.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(worker[2] == 3 for worker in report.read(it.process.pid)["workers"]), "a new worker")
    it.set(workers="x")
    it.process.send_signal(signal.SIGHUP)
    it.process.wait_for(lambda: "no reload: " in it.process.text(), "a reload that is refused")
    (tmp_path / "gate").touch()
    it.process.wait_for(lambda: "generation 3 serves" in it.process.text(), "the end of the first")
    assert ask(tmp_path / "two").endswith(b"red")
    assert it.process.stop() == 0


def test_a_reload_that_is_requested_too_late_is_refused(configured, tmp_path):
    it = configured(stop_delay="20")
    it.process.send_signal(signal.SIGTERM)
    it.process.wait_for(lambda: "stopping in 20 s" in it.process.text(), "the stop")
    done = it.reload()
    assert (done.returncode, done.stderr) == (1, "ssgi-gateway: no reload: the server is stopping\n")
    os.kill(it.process.pid, signal.SIGINT)
    assert it.process.wait() == 0


def test_files_of_the_application_that_are_called_as_ours_or_pythons_are_not_taken_for_them(tmp_path):
    (tmp_path / "colours.py").write_text(APP)
    for name in ("ssgi_gateway", "selectors", "signal", "struct", "mmap"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this is not the one')")
    process = Process(
        [str(Path(sys.executable).with_name("ssgi-gateway")), "serve", "colours:app", "--scgi", f"unix:{tmp_path}/one",
         "--status", f"unix:{tmp_path}/status"],
        tmp_path / "log", cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "COLOUR": "red"},
    )  # fmt: skip
    try:
        process.wait_for(lambda: "scgi_pass" in process.text(), "the start")
        assert ask(tmp_path / "one").endswith(b"red")
        assert "this is not the one" not in process.text()
        assert process.stop() == 0
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pid-file", "nowhere/pid"), "--pid-file: {folder}/nowhere/pid: No such file or directory"),
        (("--pid-file", "."), "--pid-file: {folder}: Is a directory"),
        (("--access-log", "nowhere/log"), "--access-log: {folder}/nowhere/log cannot be opened: No such file"),
        (("--status", "unix:nowhere/s"), "cannot listen on unix:{folder}/nowhere/s: there is no directory"),
        (("--status", "8000"), "--status: '8000' is not an address; write :8000"),
        (("--status", ":0", "--no-metrics"), "--status shows what --metrics counts; do not turn that off"),
        (("--scgi", "unix:nowhere/s"), "cannot listen on unix:{folder}/nowhere/s: there is no directory"),
    ],
    ids=lambda it: it[0].strip("-") if isinstance(it, tuple) else "",
)
def test_a_start_that_cannot_be_is_one_line_and_leaves_nothing_behind(tmp_path, words, message):
    (tmp_path / "colours.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "serve", "colours:app", "--scgi", "unix:s", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith(f"ssgi-gateway: {message.format(folder=tmp_path)}")
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["colours.py"]
    assert not os.path.exists(f"{tmp_path}.new")


def test_two_servers_cannot_have_the_same_pid_file(configured, tmp_path):
    """``reload --pid-file`` would mean the wrong one. What anybody has left there is no server's."""
    (tmp_path / "pid").write_text(f"{os.getpid()}\n")
    it = configured(pid_file=f"{tmp_path}/pid")
    assert int((tmp_path / "pid").read_text()) == it.process.pid
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "colours:app", "--scgi", "unix:other", "--pid-file", "pid"]
    done = subprocess.run(
        words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"pid is that of a server that runs, process {it.process.pid}; stop it first" in done.stderr
    assert int((tmp_path / "pid").read_text()) == it.process.pid
    assert not (tmp_path / "other").exists()
    assert it.process.stop() == 0
    assert not (tmp_path / "pid").exists()


def test_a_start_without_descriptors_says_what_to_raise(tmp_path):
    (tmp_path / "colours.py").write_text(APP)
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "colours:app", "--scgi", "unix:s"]
    done = subprocess.run(
        ["bash", "-c", 'ulimit -n 8; exec "$@"', "bash", *words],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "ssgi-gateway: Too many open files: raise their limit (ulimit -n, LimitNOFILE=)\n"
