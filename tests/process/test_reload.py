"""Reloads under load: nothing is lost, nothing is executed twice; what cannot start changes nothing."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.harness.client import request
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until
from tests.harness.websocket import WebSocketClient
from tests.process import sites
from tests.process.load import Load

pytestmark = [pytest.mark.nginx]


@pytest.mark.parametrize(("route", "kind"), [("fastcgi", "POST"), ("fastcgi", "GET"), ("scgi", "POST")])
def test_reloads_lose_no_request(fleet, route, kind):
    it = fleet(2)
    load = Load(it.nginx.address(route), kind)
    try:
        for generation in range(2, 7):
            it.reload(generation)
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert seen.total > 100
    assert len(seen.workers) >= 6
    assert "[error]" not in it.nginx.error_log()


def test_an_application_that_starts_slowly_is_waited_for(tmp_path, fleet):
    """Old workers serve until the new one is ready, however long that takes."""
    site = sites.Site(tmp_path)
    it = fleet(1, *site.options, app=site.app)
    [old] = it.workers()
    site.become(sites.SLOW.format(seconds=2))
    load = Load(it.nginx.address("fastcgi"), "POST", clients=4)
    try:
        it.reload(2)
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert seen.slowest < 2
    assert seen.workers[old] > 1
    assert "[error]" not in it.nginx.error_log()


HURRY = ("--deadline-start", "5")  # enough for what starts at once, on a machine that is busy


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (sites.BROKEN, (), ("No module named 'nothing_like_this'",)),
        (sites.FAILING, (), ("RuntimeError: the database is away",)),
        (sites.ENDLESS, HURRY, ("a worker was not ready after 5 s (--deadline-start)", "time.sleep(3600)")),
        (sites.ENDLESS, (*HURRY, "--preload"), ("the template was not loaded after 5 s", "time.sleep(3600)")),
        (sites.WAITING, HURRY, ("a worker was not ready after 5 s", "in connect_to_the_database\n    await")),
        ("raise SystemExit('gone')", (), ("importing it failed", "SystemExit: gone")),
        ("raise KeyboardInterrupt", (), ("ended the process while it started", "KeyboardInterrupt")),
        ("raise KeyboardInterrupt", ("--preload",), ("the template could not be loaded", "KeyboardInterrupt")),
        ("import os; os._exit(5)", (), ("a worker ended before it was ready: exit status 5",)),
        ("import os; os._exit(5)", ("--preload",), ("the template ended before it was loaded: exit status 5",)),
    ],
    ids=["broken", "failing", "endless", "endless-p", "waiting", "exit", "break", "break-p", "_exit", "_exit-p"],
)
def test_an_application_that_does_not_start_changes_nothing(tmp_path, fleet, text, options, words):
    """The reload fails and says why, ``ssgi-gateway reload`` as well; those that serve go on, and so does the next.

    What takes too long says where it is.
    """
    site = sites.Site(tmp_path)
    it = fleet(2, *site.options, *options, app=site.app)
    before = it.wait_for_workers(2)
    site.become(text)
    told = reload_command(it.pid)
    assert told.returncode == 1
    assert all(each in told.stderr for each in words), told.stderr
    assert "ssgi_gateway/process" not in told.stderr, "it is the application that somebody has to mend"
    assert it.wait_for_workers(2) == before
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200
    site.become(sites.COUNTED)
    while (told := reload_command(it.pid)).returncode:
        assert "after 5 s" in told.stderr, told.stderr  # a machine that is busy
    assert set(it.wait_for_workers(2)).isdisjoint(before)


def reload_command(pid: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "ssgi_gateway", "reload", "--pid", str(pid)]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_first_start_that_fails_is_one_line_and_status_2(tmp_path):
    site = sites.Site(tmp_path, sites.FAILING)
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "serve", site.app, "--scgi", f"unix:{tmp_path}/s", *site.options],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "the database is away" in done.stderr
    assert not (tmp_path / "s").exists()


def test_fifty_reloads_with_a_websocket_that_stays(fleet):
    """Old workers do not pile up: a reload waits until those before the last one have gone."""
    it = fleet(1, "--deadline-drain", "2")
    most = 0
    with WebSocketClient(it.nginx.address("direct"), "/0") as client:
        client.send("1")
        assert client.receive() == "1"
        for _ in range(50):
            it.signal(signal.SIGHUP)
            time.sleep(0.02)  # a storm, and no single one
            most = max(most, len(it.workers()))
        # The client does not answer the Close, so its worker is held until the drain's end.
        wait_until(lambda: len(it.ready()) == 1, "a worker that serves")
    it.wait_for_workers(1)
    assert most <= 4  # one that serves, one that comes, two generations that drain
    assert request(it.nginx.address("scgi"), "GET", "/2").status == 200


def test_what_is_queued_is_for_those_who_serve(fleet):
    """A worker that retires, and is slow about it, takes nothing with it from the queue that is everybody's."""
    it = fleet(1, app="tests.apps.troubles:app")
    [old] = it.workers()
    hang = threading.Thread(target=ask, args=(it.gateway.scgi[0], "/naps"))
    hang.start()  # the loop of the only worker is blocked for a second
    it.gateway.wait_for_log("napping")
    it.signal(signal.SIGHUP)
    answers: list[bytes] = []
    clients = [threading.Thread(target=ask, args=(it.gateway.scgi[0], "/x", answers)) for _ in range(100)]
    for client in clients:
        client.start()
    for thread in (*clients, hang):
        thread.join(60)
    it.gateway.wait_for_log("generation 2 serves")
    wait_until(lambda: old not in it.workers(), "the old worker's end")
    assert answers == [b"200"] * 100


def ask(path: str, target: str, answers: list | None = None) -> None:
    """A request over SCGI; its status goes to ``answers``."""
    head = f"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0REQUEST_URI\0{target}\0".encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        client.sendall(b"%d:%s," % (len(head), head))
        answer = b""
        while data := client.recv(65536):
            answer += data
    if answers is not None:
        answers.append(answer.partition(b"Status: ")[2][:3])


def test_a_thread_that_does_not_end_does_not_hold_a_reload(fleet):
    """An executor's thread, which Python waits for at its end: the drain's bound holds for it as well."""
    it = fleet(1, "--deadline-drain", "1", app="tests.apps.stubborn:app")
    [old] = it.workers()
    client = threading.Thread(target=ask, args=(it.gateway.scgi[0], "/thread"))
    client.start()
    client.join(60)
    it.reload(2)
    wait_until(lambda: old not in it.workers(), "the old worker's end", 30)


def test_event_streams_do_not_hold_a_reload(fleet):
    """They end in order, long before the drain's bound; browsers connect again."""
    it = fleet(1, "--deadline-drain", "120", "--deadline-stream", "0.2", app="tests.apps.stubborn:app")
    [old] = it.workers()
    with Asking(it, "GET", "/events") as asking:
        it.reload(2)
        answer = asking.read()
    assert answer.endswith(b"data: x\n\n")
    wait_until(lambda: old not in it.workers(), "the old worker's end")
    assert "cut off" not in it.gateway.process.text()


@pytest.mark.parametrize(("target", "end"), [("/compute?2", b"computed"), ("/tokens?2", b"[DONE]\n\n")])
def test_what_takes_longer_than_a_stop_would_leave_it_ends_after_a_reload(fleet, target, end):
    """Others serve: nobody waits for the end of this worker, and a client of a POST does not ask again."""
    it = fleet(1, "--deadline-poll", "0.2", "--deadline-stream", "0.2", app="tests.apps.stubborn:app")
    [old] = it.workers()
    with Asking(it, "POST", target) as asking:
        it.reload(2)
        assert asking.read().endswith(end)
    wait_until(lambda: old not in it.workers(), "the old worker's end")


@pytest.mark.parametrize("target", ["/poll", "/events"])
def test_what_never_ends_is_ended_in_order_before_the_drain_is_over(fleet, target):
    it = fleet(1, "--deadline-drain", "2", app="tests.apps.stubborn:app")
    with Asking(it, "POST", target) as asking:
        it.reload(2)
        answer = asking.read()
    assert b"Status: 503" in answer if target == "/poll" else answer.endswith(b"data: x\n\n")
    assert "cut off" not in it.gateway.process.text()


def test_a_stop_during_a_reload_has_the_bounds_of_a_stop(fleet):
    it = fleet(1, "--deadline-poll", "0.2", app="tests.apps.stubborn:app")
    with Asking(it, "POST", "/poll") as asking:
        it.reload(2)
        it.signal(signal.SIGTERM)
        assert b"Status: 503" in asking.read()


class Asking:
    """A request over SCGI that has reached the application."""

    def __init__(self, it, method, target):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(60)
        self._socket.connect(it.gateway.scgi[0])
        path, _, query = target.partition("?")
        head = f"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0{method}\0REQUEST_URI\0{path}\0QUERY_STRING\0{query}\0"
        self._socket.sendall(f"{len(head)}:{head},".encode())
        self._answer = b""
        if path in ("/compute", "/poll"):
            it.gateway.wait_for_log({"/compute": "computing", "/poll": "polling"}[path])
        else:
            self._answer = self._socket.recv(65536)

    def read(self):
        """The whole answer."""
        while data := self._socket.recv(65536):
            self._answer += data
        return self._answer

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._socket.close()


def test_files_are_read_again_and_a_stop_may_come_later(tmp_path, fleet):
    """What the command line says goes before them, at each reload. During ``stop_delay`` all goes on."""
    settings = tmp_path / "ssgi.toml"
    settings.write_text("")
    it = fleet(1, "--config", str(settings))
    settings.write_text("workers = 3\nstop_delay = 0.5\n")
    it.reload(2)
    it.wait_for_workers(1)
    it.signal(signal.SIGTERM)
    it.gateway.wait_for_log("stopping in 0.5 s")
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200


def test_what_comes_during_the_delay_of_a_stop_is_answered(fleet):
    """All of it: who balances the load has not heard of the stop yet."""
    it = fleet(2, "--stop-delay", "20")
    load = Load(it.nginx.address("fastcgi"), "POST")
    try:
        wait_until(lambda: any(it.counts.read_bytes()), "some requests")
        it.signal(signal.SIGTERM)
        it.gateway.wait_for_log("stopping in 20 s")
        before = sum(it.counts.read_bytes())
        wait_until(lambda: sum(it.counts.read_bytes()) > before + 50, "fifty more")
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    it.signal(signal.SIGINT)
    assert it.gateway.process.wait() == 0
