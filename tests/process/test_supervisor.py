"""The supervisor: replaced in place, killed, flooded with signals; workers that die."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ssgi_gateway.core.stop_signals import SPREAD
from ssgi_gateway.observe.reading import opened, table_of
from ssgi_gateway.process import report
from tests.harness.client import request
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.conftest import children
from tests.process.load import Load
from tests.process.test_faults import ask, to

pytestmark = [pytest.mark.nginx]


def test_replaced_in_place_under_load_with_storms_of_signals(fleet):
    it = fleet(2)
    load = Load(it.nginx.address("fastcgi"), "POST")
    try:
        for round_ in range(1, 6):
            it.signal(signal.SIGUSR2)
            for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGHUP, signal.SIGTTOU, signal.SIGUSR1):
                it.signal(number)
            wait_until(
                lambda r=round_: it.gateway.process.text().count("the supervisor was replaced in place") >= r,
                f"replacement {round_}",
            )
            assert it.gateway.process.returncode is None
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert seen.total > 100
    assert "[error]" not in it.nginx.error_log()
    # Signals are not counted: of two that wait only one is delivered, so one more or one fewer may have been lost. What
    # they ask for lasts until a reload.
    it.signal(signal.SIGHUP)
    it.wait_for_workers(2)
    assert "internal error" not in it.gateway.process.text()


def test_a_new_version_that_cannot_start_is_found_out_before(tmp_path, fleet):
    settings = tmp_path / "ssgi.toml"
    settings.write_text("workers = 2\n")
    it = fleet(2, "--config", str(settings))
    before = it.wait_for_workers(2)
    settings.write_text("workres = 2\n")
    it.signal(signal.SIGUSR2)
    line = it.gateway.wait_for_log("the supervisor is not replaced")
    assert "workres is not a setting; did you mean workers" in line
    assert it.ready() == before


def test_settings_that_are_wrong_do_not_reload(tmp_path, fleet):
    settings = tmp_path / "ssgi.toml"
    settings.write_text("")
    it = fleet(1, "--config", str(settings))
    before = it.workers()
    settings.write_text("backlog = 'many'\n")
    it.signal(signal.SIGHUP)
    it.gateway.wait_for_log("no reload: ")
    assert it.workers() == before


def test_workers_killed_each_second_lose_only_what_they_held(fleet):
    it = fleet(4)
    load = Load(it.nginx.address("scgi"), "POST", clients=4)
    killed = 0
    try:
        for _ in range(4):
            workers = it.wait_for_workers(4)
            os.kill(workers[0], signal.SIGKILL)
            killed += 1
            wait_until(lambda gone=workers[0]: gone not in it.workers(), "the end of a worker")
    finally:
        seen = load.stop()
    # SCGI: a worker holds at most what it is executing and what it has accepted, here one request of each client.
    seen.check(it.counts.read_bytes(), forgiven=4 * killed)
    assert it.gateway.process.text().count("ended: killed by SIGKILL") == killed


def test_a_template_that_is_killed_comes_again_and_serving_goes_on(fleet):
    it = fleet(1)
    [template] = children(it.pid, "template")
    before = it.workers()
    os.kill(template, signal.SIGKILL)
    it.gateway.wait_for_log("the next one may load newer code")
    wait_until(lambda: children(it.pid, "template") not in ([], [template]), "another template")
    assert it.workers() == before
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: it.workers() not in ([], before), "a worker from the new template")
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200


def test_without_its_supervisor_a_worker_ends_what_is_in_progress(fleet, tmp_path):
    it = fleet(1)
    [worker] = it.workers()
    load = subprocess.Popen(
        [sys.executable, "-c", SLOW, *map(str, it.nginx.address("scgi"))], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    wait_until(lambda: it.counts.read_bytes()[7] == 1, "the request to begin")
    it.kill()
    out, _ = load.communicate(timeout=30)
    assert out.split() == ["200", "7", str(worker)]
    wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the worker's end")


@pytest.mark.parametrize("how", ["loop", "locked", "expression"])
def test_a_worker_that_hangs_does_not_outlive_its_supervisor_for_long(tmp_path, how):
    """Nor is it in anybody's way: another server starts at once, at the same address."""
    first, second = Killed(tmp_path, "first"), None
    try:
        [worker] = first.workers()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{tmp_path}/s")
            client.sendall(to(f"/{how}"))
            wait_until(lambda: in_call(first.pid), "the request to begin")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            second = Killed(tmp_path, "second")
            assert worker not in second.workers()
            assert ask(tmp_path / "s").count(b"Status: 200") == 1
            wait_until(lambda: not Path(f"/proc/{worker}").exists(), "the end of the worker that hangs")
        assert second.stop() == 0
    finally:
        first.kill()
        if second is not None:
            second.kill()


def test_an_import_that_hangs_ends_with_its_supervisor(tmp_path):
    (tmp_path / "endless.py").write_text("import os\nprint('begun', os.getpid(), flush=True)\nwhile True:\n    pass\n")
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "endless:app", "--pythonpath", str(tmp_path)]
    server = Process([*words, "--scgi", f"unix:{tmp_path}/s"], tmp_path / "log", cwd=ROOT)
    try:
        server.wait_for(lambda: "begun" in server.text(), "the import")
        worker = int(server.text().partition("begun ")[2].split()[0])
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        wait_until(lambda: not Path(f"/proc/{worker}").exists(), "its end")
    finally:
        server.kill()


class Killed(Process):
    """A server of ``tests.apps.troubles`` with one worker, whose supervisor is going to be killed."""

    def __init__(self, folder: Path, name: str) -> None:
        words = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.troubles:app", "--scgi", f"unix:{folder}/s"]
        super().__init__([*words, "--deadline-drain", "1"], folder / name, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
        self.wait_for(lambda: "scgi_pass" in self.text(), "the start")

    def workers(self) -> list[int]:
        return [it[1] for it in report.read(self.pid)["workers"]]


def in_call(pid: int) -> bool:
    """Whether a worker of this supervisor calls its application."""
    with opened(table_of(pid)) as reader:
        return any(worker.running for worker in reader.snapshot().workers)


SLOW = """
import sys
from tests.harness.client import request
answer = request((sys.argv[1], int(sys.argv[2])), "GET", "/slow/1.5/7")
print(answer.status, answer.body.decode())
"""


@pytest.mark.parametrize(
    ("options", "signals"),
    [
        ((), (("INT", "not waiting any longer"),)),
        (("--stop-delay", "1000"), (("TERM", "stopping in 1000 s"), ("QUIT", "draining"), ("TERM", ""))),
    ],
    ids=["INT", "TERM QUIT TERM"],
)
def test_who_does_not_want_to_wait_does_not(fleet, options, signals):
    """Though a request hangs, and nothing but SIGKILL would end it, for as long as the drain may take."""
    it = fleet(1, "--deadline-drain", "1000", *options, app="tests.apps.troubles:app")
    [worker] = it.workers()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(it.gateway.scgi[0]))
        client.sendall(to("/stubborn"))
        wait_until(lambda: in_call(it.pid), "the request to begin")
        for name, words in signals:
            time.sleep(SPREAD)  # another wish, and not the one before again
            it.signal(getattr(signal, f"SIG{name}"))
            it.gateway.wait_for_log(words)
        assert it.gateway.process.wait() == 0
    assert not Path(f"/proc/{worker}").exists()


def test_more_fewer_and_none(fleet):
    it = fleet(2)
    it.signal(signal.SIGTTIN)
    it.wait_for_workers(3)
    it.signal(signal.SIGTTOU)
    it.wait_for_workers(2)
    it.signal(signal.SIGWINCH)
    it.wait_for_workers(0)
    it.signal(signal.SIGHUP)
    it.wait_for_workers(2)
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200


def test_crash_loops_slow_down_and_cost_nothing(fleet):
    it = fleet(1, app="tests.apps.troubles:app")
    before = it.gateway.process.cpu_seconds()
    for count in range(1, 5):
        wait_until(lambda: it.workers(), "a worker")
        wait_until(lambda: request(it.nginx.address("scgi"), "GET", "/dies").status == 502, "a request that kills")
        wait_until(lambda c=count: it.gateway.process.text().count("killed by SIGKILL") >= c, "its end")
    assert it.gateway.process.returncode is None
    # 1.5 seconds of waiting, in which one that does not wait would start a hundred; each costs some milliseconds.
    assert it.gateway.process.cpu_seconds() - before < 0.2


def test_process_1_of_a_namespace(tmp_path):
    """It reaps strangers, whose status means nothing, is replaced in place, and ends with 0."""
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode:
        pytest.skip("no namespaces here")
    script = tmp_path / "run.sh"
    script.write_text(PID_1)
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "bash", str(script), sys.executable, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, env={**os.environ, "COUNTS": "/dev/null"},
    )  # fmt: skip
    log = (tmp_path / "log").read_text()
    assert done.returncode == 0, done.stderr + log
    assert "the supervisor was replaced in place" in log
    assert "orphan reaped" in done.stdout


PID_1 = """
folder=$2
within() { for try in $(seq 500); do eval "$1" && return; sleep 0.05; done; echo "not within 25 s: $1"; return 1; }
(
    within 'grep -q "serves tests.apps" "$folder/log"'
    # An orphan that ends with 3, which is not a status of anybody's.
    ( ( sleep 0.2; touch "$folder/over"; exit 3 ) & )
    within '[ -e "$folder/over" ] && ! ps -eo stat | grep -q Z' && echo orphan reaped
    kill -USR2 1
    within 'grep -q "was replaced in place" "$folder/log"'
    kill -TERM 1
) &
exec "$1" -m ssgi_gateway serve tests.apps.troubles:app --scgi "unix:$2/s" --workers 2 2>"$folder/log"
"""
