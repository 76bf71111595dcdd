"""``--status``: probes, metrics and the page's data tell the truth, whatever the workers do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ssgi_gateway.core.stop_signals import SPREAD
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until


def test_what_is_served(watched):
    it = watched()
    assert it.ask("/live") == (200, "live\n")
    assert it.ask("/ready") == (200, "ready\n")
    assert it.ask("/nothing")[0] == 404
    for _ in range(5):
        assert it.get() == (200, "hello")
    assert it.get("/fail")[0] == 500
    # An answer is counted when it has been sent, and the client may have it a moment before that.
    wait_until(lambda: it.metric("ssgi_request_duration_seconds_count", protocol="http") == 6, "the last one")
    assert it.metric("ssgi_requests_total", protocol="http", status="2xx") == 5
    assert it.metric("ssgi_requests_total", protocol="http", status="5xx") == 1
    assert it.metric("ssgi_response_bytes_total") >= 25
    said = it.said()
    assert said["requests"]["http"]["2xx"] == 5
    assert [worker["state"] for worker in said["workers"]] == ["ready"]


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_own_tool_finds_nothing_to_say(watched):
    it = watched("--workers", "2")
    it.get()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=it.ask("/metrics")[1], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_workers_in_endless_loops(watched):
    """Busy is not dead: probes that asked the workers would have everybody killed."""
    it = watched("--workers", "2", "--deadline-drain", "0.5")
    wait_until(lambda: it.metric("ssgi_workers", state="ready") == 2, "both workers")
    for _ in range(2):
        with pytest.raises(TimeoutError):
            it.get("/loop", timeout=1.0)
    wait_until(lambda: it.ask("/ready")[0] == 503, "not ready")
    began = time.monotonic()
    assert it.ask("/live") == (200, "live\n")
    assert time.monotonic() - began < 1
    assert "stuck" in it.ask("/ready")[1]
    assert [worker["call"] for worker in it.said()["workers"]] == ["GET /loop"] * 2


SLOW_TO_START = """
import pathlib, time
here = pathlib.Path(__file__).parent
while not (here / "go").exists():
    time.sleep(0.01)
from tests.observe.apps import app
"""


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_ready_is_answered_while_a_worker_serves(tmp_path, kind):
    """503 before the first worker and while load balancers are to find out that it stops; it lives all the time."""
    (tmp_path / "site_app.py").write_text(SLOW_TO_START)
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ssgi_gateway", "serve", "site_app:app", "--http", "127.0.0.1:0", "--workers", "1",
             "--pythonpath", str(tmp_path), "--stop-delay", "100", "--log-format", "json",
             "--status", f"unix:{tmp_path}/status" if kind == "unix" else "127.0.0.1:0"],
            stderr=out, cwd=ROOT,
        )  # fmt: skip

    def said(key: str) -> Any:
        wait_until(lambda: f'"{key}": ' in log.read_text(), key)
        return next(found[key] for line in log.read_text().splitlines() if key in (found := json.loads(line)))

    def ask(path: str) -> tuple[int, str]:
        where = (
            [f"http://a{path}", "--unix-socket", f"{tmp_path}/status"]
            if kind == "unix"
            else [f"{said('status')}{path[1:]}"]
        )
        done = subprocess.run(
            ["curl", "-s", "-w", "\n%{http_code}", *where], capture_output=True, text=True, check=False
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    try:
        wait_until(lambda: ask("/live") == (200, "live\n"), "the status process")
        assert ask("/ready")[0] == 503
        (tmp_path / "go").touch()
        wait_until(lambda: ask("/ready") == (200, "ready\n"), "the first worker")
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: ask("/ready")[0] == 503, "the stop")
        assert "stopping" in ask("/ready")[1]
        assert ask("/live") == (200, "live\n")
        with urllib.request.urlopen(f"http://{said('listeners')[0]['address']}/", timeout=30) as answer:
            assert answer.read() == b"hello"
        time.sleep(SPREAD)  # another wish, and not the first one again
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert not (tmp_path / "status").exists()
    finally:
        process.kill()
        process.wait()


class Scraper:
    """Scrapes 20 times a second, and looks that no counter goes back and none is lost."""

    def __init__(self, watched) -> None:
        self._watched = watched
        self._last: dict[str, float] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.found: list[str] = []
        self.scrapes = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.05):
            try:
                self._compare(self._watched.ask("/metrics")[1])
            except Exception as error:  # the test tells
                self.found.append(repr(error))

    def _compare(self, text: str) -> None:
        now = {}
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            if re.match(r"ssgi_\w+_(total|bucket|count|sum)\b", name):
                now[name] = float(value)
        for name, value in self._last.items():
            # A worker's own are there as long as somebody has its number.
            if name not in now and "worker=" not in name:
                self.found.append(f"{name} is lost")
            elif now.get(name, value) < value:
                self.found.append(f"{name} was {value} and is {now[name]}")
        self._last.update(now)
        self.scrapes += 1


@pytest.mark.parametrize("options", [(), ("--worker-max-requests", "25")], ids=["signals", "recycling"])
def test_counters_never_go_back(watched, options):
    """Over crashes, reloads, recycling, more and fewer workers and a replaced supervisor: what the clients counted."""
    it = watched("--workers", "2", "--deadline-drain", "5", *options)
    answered = 0

    def look() -> None:
        nonlocal answered
        for _ in range(3):
            if it.get()[0] == 200:
                answered += 1

    def workers():
        return {worker["pid"] for worker in it.said()["workers"] if worker["state"] == "ready"}

    def killed(pid):
        with contextlib.suppress(ProcessLookupError):  # it was about to be replaced
            os.kill(pid, signal.SIGKILL)
            return True
        return False

    with Scraper(it) as scraper:
        look()
        if options:
            wait_until(lambda: look() or it.metric("ssgi_worker_exits_total", reason="requests") >= 3, "new workers")
        # A worker that is killed may have answered what it had no time to write down: here nothing is in progress.
        wait_until(lambda: it.metric("ssgi_requests_total", status="2xx") == answered, "every answer being counted")
        before = workers()
        wait_until(lambda: any(map(killed, sorted(workers()))), "a worker to kill")
        wait_until(lambda: look() or (len(workers()) == 2 and workers() != before), "a worker in its place")
        for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGUSR2, signal.SIGHUP):
            reloads = it.said()["reloads"]["ok"]
            it.gateway.process.send_signal(number)
            if number == signal.SIGHUP:
                wait_until(lambda: look() or it.said()["reloads"]["ok"] > reloads, "a reload")  # noqa: B023 - at once
            elif number == signal.SIGTTIN:
                wait_until(lambda: look() or len(workers()) >= 3, "a third worker")
            elif number == signal.SIGTTOU:
                wait_until(lambda: look() or len(workers()) == 2, "two workers")
            else:
                it.gateway.wait_for_log("was replaced in place")
                look()
    assert scraper.found == []
    assert scraper.scrapes > 5
    wait_until(lambda: it.metric("ssgi_requests_total", status="2xx") == answered, "every answer being counted")
    if not options:  # one that was to be replaced anyway is counted as that
        assert it.metric("ssgi_worker_exits_total", reason="crash") == 1
    assert it.metric("ssgi_reloads_total", result="ok") == 2
    assert it.metric("ssgi_last_reload_success") == 1


def test_what_a_worker_that_hangs_costs_is_counted_for_ever(watched):
    """It does not write its CPU time down, so the kernel is asked; what that said must outlive the process."""
    it = watched("--workers", "1", "--deadline-drain", "0.5")
    with pytest.raises(TimeoutError):
        it.get("/loop", timeout=1.0)
    cpu = "ssgi_worker_cpu_seconds_total"
    wait_until(lambda: it.metric("ssgi_workers", state="stuck") == 1, "the worker to be stuck")
    first = it.metric(cpu, worker="1")
    with Scraper(it) as scraper:
        wait_until(lambda: it.metric(cpu, worker="1") >= first + 0.1, "what the loop costs")
        seen = it.metric(cpu, worker="1")
        os.kill(it.said()["workers"][0]["pid"], signal.SIGKILL)
        wait_until(lambda: it.metric("ssgi_workers", state="ready") == 1, "another one")
        assert it.get() == (200, "hello")
    assert scraper.found == []
    assert it.metric(cpu, worker="1") >= seen


def test_the_status_process_may_die(watched):
    it = watched("--workers", "1")
    children = f"/proc/{it.gateway.pid}/task/{it.gateway.pid}/children"

    def status_process() -> int:
        for pid in Path(children).read_text().split():
            if "ssgi_gateway.process.status" in Path(f"/proc/{pid}/cmdline").read_text():
                return int(pid)
        return 0

    wait_until(lambda: it.ask("/live")[0] == 200, "the status process")
    time.sleep(5.1)  # one that dies sooner is not started again
    killed = status_process()
    os.kill(killed, signal.SIGKILL)
    assert it.get() == (200, "hello")
    wait_until(lambda: status_process() not in (0, killed), "another one")
    assert it.ask("/ready") == (200, "ready\n")


def test_it_has_no_rights_and_ends_with_the_server(watched):
    it = watched("--workers", "1")
    assert it.ask("/live")[0] == 200
    children = Path(f"/proc/{it.gateway.pid}/task/{it.gateway.pid}/children").read_text().split()
    [pid] = [it for it in children if "process.status" in Path(f"/proc/{it}/cmdline").read_text()]
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    assert lines["NoNewPrivs"] == "1"
    if os.geteuid() == 0:
        assert lines["Uid"].split() == ["65534"] * 4
        assert lines["Groups"].strip() == ""
    it.gateway.stop()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the status process")


def test_a_failed_reload_is_reported(watched, tmp_path):
    (tmp_path / "mended.py").write_text("from tests.observe.apps import app\n")
    it = watched("--workers", "1", "--pythonpath", str(tmp_path), app="mended:app")
    (tmp_path / "mended.py").write_text("raise RuntimeError('it is broken')\n")
    it.gateway.process.send_signal(signal.SIGHUP)
    wait_until(lambda: it.metric("ssgi_reloads_total", result="failed") == 1, "the failed reload")
    assert it.metric("ssgi_last_reload_success") == 0
    assert "it is broken" in it.said()["reload"]["words"]
    assert it.ask("/ready")[0] == 200
    assert it.get() == (200, "hello")


def test_only_the_own_page_may_look_at_the_numbers(watched):
    """Any page that a browser shows could ask a WebSocket of this machine."""
    it = watched()
    host, _, port = it.status.partition(":")
    for origin, status in (("https://evil.example", b"403"), (f"http://{it.status}", b"101")):
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(
                f"GET / HTTP/1.1\r\nHost: {it.status}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                f"Origin: {origin}\r\n\r\n".encode()
            )
            assert peer.recv(100).split(b" ")[1] == status


def test_a_table_cannot_be_cut_short(watched):
    it = watched()
    from ssgi_gateway.observe.reading import table_of

    path = table_of(it.gateway.pid)
    with open(path, "r+b") as file, pytest.raises(PermissionError):
        file.truncate(0)
    assert json.loads(it.ask("/status")[1])["ready"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give rights away")
def test_the_access_log_is_rotated_without_rights(watched, tmp_path):
    """Workers are nobody, and the folder is root's: the supervisor opens the file, and again after SIGUSR1."""
    folder = tmp_path / "log"
    folder.mkdir(mode=0o755)
    path = folder / "access.log"
    it = watched("--workers", "2", "--user", "nobody", "--access-log", str(path))
    assert it.get() == (200, "hello")
    wait_until(lambda: "GET / " in path.read_text(), "the first line")
    path.rename(folder / "access.log.1")
    it.gateway.process.send_signal(signal.SIGUSR1)
    wait_until(path.exists, "the new file")

    def is_there() -> bool:
        it.get("/?after")
        return "?after" in path.read_text()

    wait_until(is_there, "a line in the new file")
