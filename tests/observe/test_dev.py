"""``dev``: what an editor saves is what the browser sees; mistakes are a page; ^C ends everything."""

from __future__ import annotations

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.process import wait_until

APP = """\
def app(kind, server, remote, method, path, query_string, get_header, res):
    if path == "/fail":
        secret = 4711
        raise ValueError("on purpose")
    if path == "/child":
        import subprocess
        res.send(str(subprocess.Popen(["sleep", "1000"]).pid))
        return
    res.send("VERSION")
"""


class Dev:
    """A ``dev`` process and its application's folder."""

    def __init__(self, folder: Path, *options: str, **env: str) -> None:
        self.folder = folder
        self.output = folder.parent / "output"
        environment = {**os.environ, "PORT": "", **env}
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--http", "127.0.0.1:0", *options],
                cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment,
            )  # fmt: skip
        wait_until(lambda: "ready in" in self.text(), "the first worker")
        self.url = re.search(r"http://\S+", self.text())[0]

    def text(self) -> str:
        return self.output.read_text()

    def get(self, path: str = "", accept: str = "*/*") -> str:
        request = urllib.request.Request(self.url + path, headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"

    def write(self, version: str) -> None:
        (self.folder / "site_app.py").write_text(APP.replace("VERSION", version))

    def shows(self, text: str, path: str = "", accept: str = "*/*") -> None:
        wait_until(lambda: text in self.get(path, accept), f"{text!r} on the page")

    def end(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@pytest.fixture(params=["watchfiles", "polling"])
def dev(request, tmp_path) -> Iterator[Dev]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_app.py").write_text(APP.replace("VERSION", "first"))
    env = {}
    if request.param == "polling":
        blind = tmp_path / "blind"
        blind.mkdir()
        (blind / "watchfiles.py").write_text("raise ImportError('hidden from this test')\n")
        env["PYTHONPATH"] = str(blind)
    else:
        pytest.importorskip("watchfiles")
    made = Dev(folder, **env)
    try:
        yield made
        assert made.end() == 0
    finally:
        made.process.kill()
        made.process.wait()


def test_a_change_is_seen(dev):
    assert dev.get() == "first"
    dev.write("second")
    dev.shows("second")
    assert "changed: site_app.py" in dev.text()


def test_editors_rename_and_make_backups(dev):
    path = dev.folder / "site_app.py"
    for number, save in enumerate(("rename", "backup", "truncate")):
        text = APP.replace("VERSION", f"saved-{number}")
        if save == "rename":
            (dev.folder / ".site_app.py.swp").write_text(text)
            (dev.folder / ".site_app.py.swp").rename(path)
        elif save == "backup":
            path.rename(dev.folder / "site_app.py~")
            path.write_text(text)
        else:
            with open(path, "r+") as file:
                file.truncate(0)
                file.write(text)
        dev.shows(f"saved-{number}")


def test_mistakes_are_a_page_until_they_are_mended(dev):
    path = dev.folder / "site_app.py"
    path.write_text(APP + "\nthis is no Python\n")
    dev.shows("SyntaxError", accept="text/html")
    page = dev.get(accept="text/html")
    assert "this is no Python" in page
    assert "loading.py" not in page
    path.write_text("import a_module_that_is_not_there\n" + APP)
    dev.shows("a_module_that_is_not_there", accept="text/html")
    assert dev.get().startswith("500 site_app was found")
    dev.write("mended")
    dev.shows("mended")


def test_an_exception_is_a_page_with_source_and_variables(dev):
    page = dev.get("fail", accept="text/html,*/*")
    assert page.startswith("500 <!doctype html>")
    assert "ValueError: on purpose" in page
    assert "4711" in page
    assert "raise ValueError" in page
    assert "ssgi_gateway/" not in page
    assert dev.get("fail").startswith("500 Traceback")


def test_a_worker_that_ends_is_told_and_started_by_the_next_change(dev):
    (dev.folder / "site_app.py").write_text("import os\nos._exit(3)\n")
    wait_until(lambda: "exit status 3" in dev.text(), "the end of the worker")
    dev.shows("exit status 3", accept="text/html")
    dev.write("back")
    dev.shows("back")


def test_children_of_the_application_end_with_its_worker(dev):
    pid = int(dev.get("child"))
    assert os.path.exists(f"/proc/{pid}")
    dev.write("next")
    dev.shows("next")
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the child")


def test_an_endless_import_ends_with_the_next_change(dev):
    (dev.folder / "site_app.py").write_text("while True:\n    pass\n")
    wait_until(lambda: "changed" in dev.text(), "the reload")
    dev.write("through")
    dev.shows("through")


def test_nobody_is_refused_while_it_reloads(dev):
    for number in range(5):
        dev.write(f"round-{number}")
        while dev.get() != f"round-{number}":
            pass  # get() raises where the connection is refused or reset


def test_folders_that_cannot_be_read_are_left_alone(dev):
    hidden = dev.folder / "hidden"
    hidden.mkdir(mode=0)
    (dev.folder / "node_modules").mkdir()
    (dev.folder / "node_modules" / "thing.py").write_text("")
    dev.write("seen")
    dev.shows("seen")
    hidden.chmod(0o700)
    assert "node_modules" not in dev.text()


def test_idle_costs_nothing(dev):
    dev.get()
    before = sum(cpu(pid) for pid in family(dev.process.pid))
    time.sleep(3)
    after = sum(cpu(pid) for pid in family(dev.process.pid))
    assert after - before <= 0.15  # of 3 seconds; a hundredth for polling, and what a clock of 10 ms rounds up


def family(pid: int) -> list[int]:
    found = [pid]
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += family(int(child))
    return found


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("moment", [0.05, 0.2, 0.6, 1.5])  # earlier there is no terminal yet
def test_control_c_at_any_moment(tmp_path, moment):
    """At a terminal it reaches everybody at once."""
    (tmp_path / "site_app.py").write_text(APP)
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    pid, fd = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--http", "127.0.0.1:0"])
    signal.signal(signal.SIGINT, before)
    time.sleep(moment)
    os.write(fd, b"\x03")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            if not os.read(fd, 65536):
                break
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) in (
        0,
        1,
        130,
        -signal.SIGINT,
    )  # 1: Python itself was still starting
    os.close(fd)


def test_port_of_the_environment(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site_app.py").write_text(APP)
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app"], cwd=tmp_path / "site",
        env={**os.environ, "PORT": "many"}, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "PORT in the environment is 'many'" in done.stderr


@pytest.mark.nginx
def test_nginx_in_front(tmp_path):
    """The shipped configuration, TLS and HTTP/2, with the application behind it over SCGI."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "site_app.py").write_text(APP.replace("VERSION", "behind nginx"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    output = tmp_path / "output"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--nginx"], cwd=tmp_path / "site",
            stdout=log, stderr=subprocess.STDOUT,
            env={**os.environ, "PORT": str(port), "XDG_CACHE_HOME": str(tmp_path)},
        )  # fmt: skip
    try:
        wait_until(lambda: "ready in" in output.read_text(), "the first worker")
        certificate = tmp_path / "ssgi-gateway" / "localhost" / "cert.pem"
        url = f"https://localhost:{port}/"
        assert url in output.read_text()
        said = subprocess.run(
            ["curl", "-sS", "--cacert", str(certificate), "-w", " over HTTP/%{http_version}", url],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert said.stdout == "behind nginx over HTTP/2"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
