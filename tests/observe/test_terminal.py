"""What people see at a terminal: text with colours, each worker by its number, and the way out by ^C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness.gateway import ROOT

APP = """
import logging

def app(kind, server, remote, method, path, query_string, get_header, res):
    if path == "/fail":
        raise ValueError("on purpose")
    res.send_status({"/lost": 404, "/moved": 302}.get(path, 200))
    res.send("hello")
"""


class Terminal:
    """A command at a pseudo terminal."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self.shown = ""
        before = signal.signal(signal.SIGINT, signal.SIG_DFL)
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.environ.pop("NO_COLOR", None)
            os.environ.update(TERM="xterm-256color", PYTHONPATH=str(ROOT), **env)
            os.execv(sys.executable, [sys.executable, "-m", "ssgi_gateway", *words])
        signal.signal(signal.SIGINT, before)

    def wait_for(self, text: str) -> str:
        """Until it shows ``text``; gives all that it has shown."""
        end = time.monotonic() + 30
        while text not in self.shown and time.monotonic() < end:
            self._read()
        assert text in self.shown, self.shown
        return self.shown

    def _read(self) -> bool:
        try:
            if select.select([self.fd], [], [], 0.1)[0]:
                data = os.read(self.fd, 65536)
                self.shown += data.decode().replace("\r\n", "\n")
                return bool(data)
        except OSError:
            return False
        return True

    def interrupt(self) -> int:
        """^C; gives the exit status."""
        os.write(self.fd, b"\x03")
        end = time.monotonic() + 30
        while self._read() and time.monotonic() < end:
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def terminal(folder: Path, *words: str, **env: str) -> Iterator[Terminal]:
    made = Terminal(folder, *words, **env)
    try:
        yield made
    finally:
        os.close(made.fd)
        try:
            os.kill(made.pid, signal.SIGKILL)
            os.waitpid(made.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def ask(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "site_app.py").write_text(APP)
    return tmp_path


@pytest.mark.parametrize("coloured", [True, False])
def test_requests_are_lines_in_development(site, coloured):
    env = {} if coloured else {"NO_COLOR": "1"}
    with terminal(site, "dev", "site_app:app", "--http", "127.0.0.1:0", **env) as it:
        it.wait_for("ready in")
        url = re.search(r"http://[\d.:]+/", it.shown)[0]
        assert [ask(url), ask(f"{url}lost?a=1"), ask(f"{url}fail")] == [200, 404, 500]
        shown = it.wait_for("GET     /fail")
        for colour, status, words in (
            ("32", 200, "GET     /"),
            ("33", 404, "GET     /lost?a=1"),
            ("31;1", 500, "GET     /fail"),
        ):
            painted = f"\x1b[{colour}m{status}\x1b[0m" if coloured else f" {status}"
            assert f"{painted} {words} " in shown
        assert ("\x1b[" in shown) == coloured
        assert it.interrupt() == 0
        assert "the worker" not in it.shown, "^C is nothing that needs a word"


def test_a_server_writes_text_and_names_the_worker(site):
    with terminal(site, "serve", "site_app:app", "--http", "127.0.0.1:0", "--workers", "2", NO_COLOR="1") as it:
        it.wait_for("proxy_pass http://")
        url = re.search(r"HTTP +([\d.:]+)", it.shown)[1]
        assert ask(f"http://{url}/fail") == 500
        shown = it.wait_for("ValueError: on purpose")
        assert re.search(
            r"^\d\d:\d\d:\d\d ERROR \[[12]\] GET /fail: the application raised \[\w+\]$", shown, re.MULTILINE
        )
        assert "{" not in shown
        assert it.interrupt() == 0
