"""The unit files, by systemd's own judgement, and what a service says and is given, with stand-ins for systemd."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgi_gateway.tools.fronts import Site, systemd
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until
from tests.process.conftest import children

UNITS = ROOT / "deploy" / "systemd"
COMMAND = f"{Path(sys.executable).parent}/ssgi-gateway"

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


SITES = {
    "kept": Site(name="kept", protocol="fastcgi", websockets="same-path"),
    "home": Site(name="home", folder="/home/anna/shop", user="root", activated=False, mount="/shop"),
}
"""What ``config systemd`` and ``init`` print for others than the defaults."""


@pytest.fixture
def units(tmp_path):
    """The files with a command that exists, and an instance of the template."""
    texts = {unit.name: unit.read_text() for unit in UNITS.iterdir()}
    for site in SITES.values():
        texts |= systemd.files(site)
    for name, text in texts.items():
        text = re.sub(r"/(?:srv|home)/\S+/\.venv/bin/ssgi-gateway", COMMAND, text)
        (tmp_path / name).write_text(text)
        (tmp_path / name.replace("@", "@shop")).write_text(text)
    return tmp_path


def analyze(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, timeout=60)


NAMES = ["ssgi-gateway", "ssgi-gateway@shop", *SITES]


@pytest.mark.parametrize("name", NAMES)
def test_systemd_finds_nothing_wrong(units, name):
    files = [str(path) for path in units.glob(f"{name}[.-]*") if path.stem in (name, f"{name}-websocket")]
    assert f"{units}/{name}.service" in files
    done = analyze("verify", "--recursive-errors=yes", *files)
    assert (done.returncode, done.stderr) == (0, "")


def test_verification_would_find_something(units):
    service = units / "ssgi-gateway.service"
    service.write_text(service.read_text().replace("KillMode=mixed", "KilMode=mixed"))
    assert analyze("verify", "--recursive-errors=yes", str(service)).returncode != 0


@pytest.mark.parametrize("name", NAMES)
def test_exposure_is_under_3(units, name):
    done = analyze("security", "--offline=true", str(units / f"{name}.service"))
    score = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert score, done.stdout + done.stderr
    assert float(score[1]) < 3


def request(path: str) -> bytes:
    head = b"CONTENT_LENGTH\x000\x00SCGI\x001\x00REQUEST_METHOD\x00GET\x00REQUEST_URI\x00%s\x00" % path.encode()
    return b"%d:%s," % (len(head), head)


def ask(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        wait_until(lambda: not client.connect_ex(str(path)), "the socket")
        client.sendall(request("/x"))
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer


def test_sockets_with_names(tmp_path):
    """They are served by what their names say, not removed at the end, and unknown to the application."""
    path = tmp_path / "s"
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.deploy.test_systemd:environment", "--workers", "1"]
    server = Process(
        ["systemd-socket-activate", "-l", str(path), "--fdname=scgi", "-E", f"PYTHONPATH={ROOT}", *words],
        tmp_path / "log",
        cwd=ROOT,
    )
    try:
        answer = ask(path)
        assert answer.endswith(b"\r\n\r\n[]"), server.text()
        assert server.stop() == 0
        assert path.exists()
    finally:
        server.kill()


def environment(type, server_address, remote_address, method, path, query_string, get_header, res):
    """An application that shows which of systemd's variables it was given."""
    res.send(str([name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))]))


def test_a_socket_whose_name_is_no_protocols_is_refused(tmp_path):
    words = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.deploy.test_systemd:environment"]
    server = Process(
        ["systemd-socket-activate", "-l", str(tmp_path / "s"), "--fdname=ftp", "-E", f"PYTHONPATH={ROOT}", *words],
        tmp_path / "log",
        cwd=ROOT,
    )
    try:
        with socket.socket(socket.AF_UNIX) as client:
            wait_until(lambda: not client.connect_ex(str(tmp_path / "s")), "the socket")
            assert server.wait() == 2
        assert "systemd passed a socket named 'ftp'; name the protocol there: FileDescriptorName=" in server.text()
    finally:
        server.kill()


class Manager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(30)
        self.heard = ""

    def wait_for(self, text: str) -> str:
        while True:
            said = self.socket.recv(4096).decode()
            self.heard += said
            if text in said:
                return said

    def is_silent_for(self, seconds: float) -> bool:
        """Whether a time without a message comes."""
        end = time.monotonic() + 30
        while select.select([self.socket], [], [], seconds)[0]:
            self.socket.recv(4096)
            if time.monotonic() > end:
                return False
        return True


@contextlib.contextmanager
def notified(folder: Path, *options: str) -> Iterator[tuple[Manager, Process]]:
    """A server that serves ``site_app.py`` of this folder and reports to a service manager."""
    manager = Manager(folder)
    server = Process(
        [sys.executable, "-m", "ssgi_gateway", "serve", "site_app:app", "--scgi", f"unix:{folder}/s", *options],
        folder / "log",
        env={"PYTHONPATH": f"{ROOT}:{folder}", "NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "400000"},
        cwd=ROOT,
    )
    try:
        yield manager, server
    finally:
        server.kill()
        manager.socket.close()


def test_what_a_service_manager_receives(tmp_path):
    application = tmp_path / "site_app.py"
    application.write_text("from tests.deploy.test_systemd import environment as app\n")
    with notified(tmp_path, "--workers", "2", "--stop-delay", "0.2") as (manager, server):
        said = manager.wait_for("READY=1")
        assert "STATUS=1 of 2 workers, generation 1, serving" in said
        manager.wait_for("STATUS=2 of 2 workers, generation 1, serving")  # as long as it is up it says how it is
        assert ask(tmp_path / "s").endswith(b"[]")
        manager.wait_for("WATCHDOG=1")
        server.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in manager.wait_for("RELOADING=1")
        manager.wait_for("READY=1")
        application.write_text("import nothing_like_this")
        server.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1")
        assert "the last reload failed" in manager.wait_for("READY=1")
        server.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert server.wait() == 0


WAITING_APP = """
import os, pathlib, time
folder = pathlib.Path(__file__).parent
(folder / "importing").touch()
while not (folder / "go").exists():
    time.sleep(0.01)

def app(kind, server, remote, method, path, query_string, get_header, res):
    if path == "/loop":
        while not (folder / "enough").exists():
            pass
    res.send("served")
"""


def test_a_service_manager_gets_ready_from_a_worker_and_signs_of_life_while_workers_live(tmp_path):
    (tmp_path / "site_app.py").write_text(WAITING_APP)
    with notified(tmp_path, "--workers", "1") as (manager, server):
        wait_until((tmp_path / "importing").exists, "the import")
        # Its own signs of life say that the supervisor is there, and nothing else.
        manager.wait_for("WATCHDOG=1")
        assert "READY=1" not in manager.heard
        (tmp_path / "go").touch()
        manager.wait_for("READY=1")
        before = time.monotonic_ns()
        server.send_signal(signal.SIGHUP)
        told = manager.wait_for("RELOADING=1")
        stamp = int(re.search(r"^MONOTONIC_USEC=(\d+)$", told, re.MULTILINE)[1])
        assert before // 1000 <= stamp <= time.monotonic_ns() // 1000
        manager.wait_for("READY=1")
        wait_until(lambda: len(children(server.pid, "worker")) == 1, "the old worker's end")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(request("/loop"))
            assert manager.is_silent_for(1.0), "the only worker hangs: the manager is to hear nothing"
            (tmp_path / "enough").touch()
            manager.wait_for("WATCHDOG=1")
        server.send_signal(signal.SIGTERM)
        manager.wait_for("STOPPING=1")
        assert server.wait() == 0


def test_the_reload_command_reports_how_it_went(tmp_path):
    application = tmp_path / "site_app.py"
    application.write_text("from tests.deploy.test_systemd import environment as app\n")
    server = Process(
        [sys.executable, "-m", "ssgi_gateway", "serve", "site_app:app", "--scgi", f"unix:{tmp_path}/s", "--pid-file",
         f"{tmp_path}/pid"],
        tmp_path / "log", env={"PYTHONPATH": f"{ROOT}:{tmp_path}"}, cwd=ROOT,
    )  # fmt: skip
    try:
        wait_until(lambda: "scgi_pass" in server.text(), "the start")
        reload = [COMMAND, "reload", "--pid-file", f"{tmp_path}/pid"]
        done = subprocess.run(reload, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout) == (0, "reloaded: generation 2 serves\n")
        application.write_text("import nothing_like_this")
        done = subprocess.run(reload, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert "No module named 'nothing_like_this'" in done.stderr
        assert ask(tmp_path / "s").endswith(b"[]")
        assert server.stop() == 0
        assert not (tmp_path / "pid").exists()
        assert subprocess.run(reload, capture_output=True, timeout=60).returncode == 2
    finally:
        server.kill()
