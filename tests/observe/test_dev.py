"""``dev``: what an editor saves is what the browser sees; mistakes are a page; ^C ends everything."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
import time
import tty
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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

    def __init__(self, folder: Path, *options: str, before: Sequence[str] = (), **env: str) -> None:
        self.folder = folder
        self.output = folder.parent / "output"
        environment = {**os.environ, "PORT": "", **env}
        with open(self.output, "wb") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--http", "127.0.0.1:0",
                 *options],
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


def without_watchfiles(tmp_path: Path) -> dict[str, str]:
    """An environment in which it is not installed."""
    blind = tmp_path / "blind"
    blind.mkdir(exist_ok=True)
    (blind / "watchfiles.py").write_text("raise ImportError('hidden from this test')\n")
    return {"PYTHONPATH": str(blind)}


@pytest.fixture(params=["watchfiles", "polling"])
def dev(request, tmp_path) -> Iterator[Dev]:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_app.py").write_text(APP.replace("VERSION", "first"))
    env = {}
    if request.param == "polling":
        env = without_watchfiles(tmp_path)
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
    wait_until(lambda: "the browser shows why, until a change fixes it" in dev.text(), "the words")
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


SOCKET_APP = """
def app(kind, server, remote, method, path, query_string, get_header, ws):
    ws.accept()
    ws.send("hello")
"""


def test_websockets_hear_that_the_server_starts_again(dev):
    """1012 (RFC 6455 registry: service restart): pages that reconnect come back by themselves."""
    (dev.folder / "site_app.py").write_text(SOCKET_APP)
    wait_until(lambda: dev.text().count("ready in") == 2, "the next worker")
    host, _, port = dev.url.removeprefix("http://").rstrip("/").partition(":")
    with socket.create_connection((host, int(port)), 30) as peer:
        peer.sendall(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        heard = b""
        while not heard.endswith(b"\x81\x05hello"):
            heard += (data := peer.recv(4096))
            assert data
        dev.write("second")
        while b"\x88" not in heard:
            heard += (data := peer.recv(4096))
            assert data
        assert heard.partition(b"\x88")[2][1:3] == (1012).to_bytes(2, "big")
    dev.shows("second")


def test_a_worker_that_ends_is_reported_and_started_by_the_next_change(dev):
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


@contextmanager
def started(tmp_path: Path, *options: str, before: Sequence[str] = (), **env: str) -> Iterator[Dev]:
    """One that a test starts by itself."""
    folder = tmp_path / "site"
    folder.mkdir(exist_ok=True)
    if not (folder / "site_app.py").exists():
        (folder / "site_app.py").write_text(APP.replace("VERSION", "first"))
    made = Dev(folder, *options, before=before, **env)
    try:
        yield made
        assert made.end() == 0
    finally:
        made.process.kill()
        made.process.wait()


def test_folders_that_cannot_be_read_are_left_alone(tmp_path):
    """Root reads everything, so it is started without that right."""
    rights = "-dac_override,-dac_read_search"
    before = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    folder = tmp_path / "site"
    for path in (folder / "hidden" / "below", folder / "node_modules"):
        path.mkdir(parents=True)
        (path / "thing.py").write_text("")
    (folder / "hidden").chmod(0)
    try:
        for blind in (False, True):
            with started(tmp_path, before=before, **(without_watchfiles(tmp_path) if blind else {})) as dev:
                dev.write(f"seen-{blind}")
                dev.shows(f"seen-{blind}")
                (folder / "node_modules" / "thing.py").write_text(f"# {blind}")
                dev.write("again")
                dev.shows("again")
                assert "node_modules" not in dev.text()
                assert dev.text().count("looking at the files instead") <= 1
    finally:
        (folder / "hidden").chmod(0o700)


def may_have_namespaces() -> bool:
    """Whether this machine lets a process have a limit of its own."""
    command = ["unshare", "-U", "-r", "sh", "-c", "echo 9 >/proc/sys/user/max_inotify_watches"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not may_have_namespaces(), reason="the limit cannot be lowered for one process here")
def test_where_the_kernel_watches_no_more_files_are_looked_at(tmp_path):
    pytest.importorskip("watchfiles")
    for number in range(10):
        (tmp_path / "site" / f"package{number}").mkdir(parents=True)
    limit = 'echo 3 >/proc/sys/user/max_inotify_watches; exec "$@"'
    with started(tmp_path, before=["unshare", "-U", "-r", "sh", "-c", limit, "sh"]) as dev:
        wait_until(lambda: "looking at the files instead" in dev.text(), "the words")
        assert "fs.inotify.max_user_watches" in dev.text()
        dev.write("second")
        dev.shows("second")
        assert dev.text().count("looking at the files instead") == 1


@pytest.mark.parametrize("blind", [False, True], ids=["watchfiles", "polling"])
def test_a_thousand_modules(tmp_path, blind):
    library = tmp_path / "site" / "library"
    library.mkdir(parents=True)
    for number in range(1000):
        (library / f"part{number}.py").write_text(f"NUMBER = {number}\n")
    imports = "".join(f"import library.part{number}\n" for number in range(1000))
    show = APP.replace('"VERSION"', "str(library.part777.NUMBER)")
    (tmp_path / "site" / "site_app.py").write_text(imports + show)
    with started(tmp_path, **(without_watchfiles(tmp_path) if blind else {})) as dev:
        assert dev.get() == "777"
        (library / "part777.py").write_text("NUMBER = 'another one'\n")
        dev.shows("another one")
        for number in range(0, 1000, 2):  # as a checkout of another branch does
            (library / f"part{number}.py").write_text(f"NUMBER = {-number}\n")
        (library / "part777.py").write_text("NUMBER = 'the last one'\n")
        dev.shows("the last one")
        assert "changed: library/part777.py" in dev.text()


def test_a_browser_is_opened_and_stays(tmp_path):
    """It is a child of this process only because whoever started it has ended."""
    browser = tmp_path / "browser"
    told, pid = tmp_path / "told", tmp_path / "pid"
    browser.write_text(f"#!/bin/sh\nsleep 1000 & echo $! >{pid}\necho $1 >{told}.new; mv {told}.new {told}\n")
    browser.chmod(0o755)
    with started(tmp_path, "--open", BROWSER=str(browser)) as dev:
        wait_until(told.exists, "the browser")
        assert told.read_text().strip() == dev.url
        number = int(pid.read_text())
        try:
            dev.write("second")
            dev.shows("second")
            assert f"{number} (sleep) S" in Path(f"/proc/{number}/stat").read_text(), "what was opened was ended"
            wait_until(lambda: dev.text().count("ready in") == 2, "no third start, and the second one told")
        finally:
            os.kill(number, signal.SIGKILL)


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


@pytest.mark.parametrize("blind", [False, True], ids=["watchfiles", "looking"])
def test_nobody_is_left_when_it_is_killed(tmp_path, blind):
    """Neither the worker, which would keep the address, though a request blocks it, nor the process that watches."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_app.py").write_text(APP.replace("VERSION", "one").replace('"/fail"', '"/hang"').replace(
        'secret = 4711', "while True: pass"
    ))  # fmt: skip
    dev = Dev(folder, **(without_watchfiles(tmp_path) if blind else {}))
    left = [int(pid) for pid in Path(f"/proc/{dev.process.pid}/task/{dev.process.pid}/children").read_text().split()]
    assert len(left) == 2
    host, port = dev.url.rstrip("/").removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
        dev.process.kill()
        dev.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left), "their end")


def test_a_terminal_that_was_stopped_holds_nobody_up(tmp_path):
    """^S: what would be printed waits, and what is asked and what is saved do not."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site_app.py").write_text(APP.replace("VERSION", "one"))
    near, far = pty.openpty()
    tty.setraw(far)
    process = subprocess.Popen(
        [sys.executable, "-m", "ssgi_gateway", "dev", "site_app:app", "--http", "127.0.0.1:0"],
        cwd=folder, stdout=far, stderr=far, env={**os.environ, "PORT": "", "NO_COLOR": "1"},
    )  # fmt: skip
    seen = bytearray()

    def read() -> str:
        while select.select([near], [], [], 0)[0]:
            seen.extend(os.read(near, 65536))
        return seen.decode()

    def page() -> str:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.read().decode()

    try:
        wait_until(lambda: "ready in" in read(), "the first worker")
        url = re.search(r"http://\S+", read())[0]
        termios.tcflow(far, termios.TCOOFF)
        for version in ("two", "three"):
            for _ in range(3):
                page()
            (folder / "site_app.py").write_text(APP.replace("VERSION", version))
            wait_until(lambda v=version: page() == v, f"version {version}")
        assert "changed: " not in read()
        termios.tcflow(far, termios.TCOON)
        wait_until(lambda: read().count("changed: ") >= 2, "what was said meanwhile")
        termios.tcflow(far, termios.TCOOFF)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(near)
        os.close(far)


def test_an_application_has_to_be_named(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", "dev"], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={key: value for key, value in os.environ.items() if not key.startswith("SSGI_APP")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "ssgi-gateway: no application was given; write module:attribute or module:factory()\n"


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
        assert {it.name for it in (tmp_path / "site").iterdir()} <= {"site_app.py", "__pycache__"}, (
            "nothing is left here"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
