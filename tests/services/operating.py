"""A program for a machine with the shipped units: what docs/operations.md says of systemd, while requests come."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MODULE = Path("/srv/app/module.py")
APP = """
import time

def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    time.sleep(0.002)
    res.send("{answer}")
"""
PATIENCE = 60.0


def systemctl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it."""
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)


def shown(name: str) -> str:
    """A property of the service."""
    return systemctl("show", "ssgi-gateway", "-P", name).stdout.strip()


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait until it holds."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not seen in {PATIENCE:g} s: {what}; {shown('StatusText')!r}, {shown('Result')}")
        time.sleep(0.1)


def become(answer: str) -> None:
    """From the next reload on the application answers this."""
    MODULE.write_text(APP.format(answer=answer))


def ask() -> str:
    """The body of the answer to a POST over SCGI."""
    head = b"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0POST\0REQUEST_URI\0/\0"
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect("/run/ssgi-gateway/scgi.sock")
        client.sendall(b"%d:%s," % (len(head), head))
        answer = b""
        while data := client.recv(65536):
            answer += data
    status, _, body = answer.partition(b"\r\n\r\n")
    assert b"Status: 200" in status, answer
    return body.decode()


@contextlib.contextmanager
def load(what: str) -> Iterator[set[str]]:
    """Ask all the time, from four threads, and count what is lost; gives the answers that were seen."""
    seen: set[str] = set()
    lost: list[str] = []
    done = threading.Event()
    counts = [0] * 4

    def work(number: int) -> None:
        while not done.is_set():
            counts[number] += 1
            try:
                seen.add(ask())
            except (OSError, AssertionError) as error:
                lost.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join()
    print(f"{what}: {sum(counts)} requests, {len(lost)} lost", flush=True)
    assert not lost, lost[:3]


def workers() -> list[int]:
    """Their process ids."""
    names = {int(path.parent.name): path.read_text() for path in Path("/proc").glob("[0-9]*/comm")}
    return [pid for pid, name in names.items() if name.startswith("ssgi worker")]


def test() -> None:
    """One thing after the other."""
    become("first")
    assert systemctl("start", "ssgi-gateway").returncode == 0
    assert ask() == "first", "READY comes when somebody serves"
    count = len(os.sched_getaffinity(0))
    whole = f"{count} of {count} workers"
    wait_until(lambda: shown("StatusText").startswith(f"{whole}, generation 1, serving"), "its status")
    pid = shown("MainPID")
    with load("3 reloads") as seen:
        for number in range(3):
            become(f"again {number}")
            assert systemctl("reload", "ssgi-gateway").returncode == 0
    assert "again 2" in seen
    MODULE.write_text("import nothing_like_this\n")
    with load("a reload that fails") as seen:
        assert systemctl("reload", "ssgi-gateway").returncode != 0
    assert seen == {"again 2"}
    assert "the last reload failed" in shown("StatusText")
    become("new")
    with load("the supervisor replaced in place"):
        os.kill(int(pid), signal.SIGUSR2)
        time.sleep(2)
    assert (shown("MainPID"), shown("NRestarts"), shown("ActiveState")) == (pid, "0", "active")
    with load("a restart behind the socket") as seen:
        assert systemctl("restart", "ssgi-gateway").returncode == 0
        wait_until(lambda: "new" in seen, "the new code")
    folder = Path("/run/systemd/system/ssgi-gateway.service.d")
    folder.mkdir(parents=True)
    (folder / "watchdog.conf").write_text("[Service]\nWatchdogSec=6\n")
    assert systemctl("daemon-reload").returncode == 0
    assert systemctl("restart", "ssgi-gateway").returncode == 0
    time.sleep(8)
    assert shown("NRestarts") == "0", "signs of life come while nothing happens"
    for worker in workers():
        os.kill(worker, signal.SIGSTOP)
    wait_until(lambda: shown("NRestarts") == "1" and shown("ActiveState") == "active", "the watchdog")
    assert ask() == "new"
    print("workers that were stopped: started anew by the watchdog", flush=True)
    MODULE.write_text("raise SystemExit(3)\n")
    assert systemctl("restart", "ssgi-gateway").returncode != 0
    time.sleep(3)
    assert (shown("ActiveState"), shown("ExecMainStatus"), shown("NRestarts")) == ("failed", "2", "0")
    print("an application that cannot start: status 2, and not started again", flush=True)
    become("last")
    systemctl("reset-failed", "ssgi-gateway.service", "ssgi-gateway.socket")
    assert systemctl("start", "ssgi-gateway").returncode == 0
    assert ask() == "last"
    assert systemctl("stop", "ssgi-gateway.socket", "ssgi-gateway").returncode == 0
    assert (shown("Result"), shown("ExecMainStatus"), shown("ActiveState")) == ("success", "0", "inactive")
    print("stopped in order", flush=True)


test()
