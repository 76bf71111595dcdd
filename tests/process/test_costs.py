"""What processes cost: memory, and being woken for nothing."""

from __future__ import annotations

import ctypes
import re
import socket
import time
from pathlib import Path

import pytest

from ssgi_gateway import linux
from tests.harness.client import request
from tests.harness.process import wait_until
from tests.process.conftest import Fleet, children

pytestmark = [pytest.mark.nginx]


def ask(path: str, number: int) -> bytes:
    """A request over SCGI; its answer."""
    head = f"CONTENT_LENGTH\0000\0SCGI\0001\0REQUEST_METHOD\0GET\0REQUEST_URI\0/{number}\0".encode()
    answer = b""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        client.sendall(b"%d:%s," % (len(head), head))
        while data := client.recv(65536):
            answer += data
    return answer


def status(folder: Path, name: str) -> int:
    """A number of proc(5)'s ``status``, of a process or of a thread."""
    return int((folder / "status").read_text().partition(f"\n{name}:")[2].split()[0])


def pss(pid: int) -> int:
    """The proportional set size of a process, in kB: pages that are shared count for as much as is its part."""
    found = re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def test_a_supervisor_is_small(fleet):
    it = fleet(2)
    it.wait_for_workers(2)
    assert status(Path(f"/proc/{it.pid}"), "VmRSS") <= 15 << 10


def test_where_nothing_happens_nobody_is_woken(fleet):
    """Supervisor, template, workers, the status process: not even a clock ticks, once the last request is over."""
    it = fleet(2, "--status", "127.0.0.1:0", "--access-log", "/dev/null")
    it.wait_for_workers(2)
    assert b"Status: 200" in ask(it.gateway.scgi[0], 1)

    def woken() -> dict[str, int]:
        everybody = [it.pid, *children(it.pid)]
        threads = [each for pid in everybody for each in Path(f"/proc/{pid}/task").iterdir()]
        return {str(each): status(each, "voluntary_ctxt_switches") for each in threads}

    def sleeps() -> bool:
        before = woken()
        time.sleep(2)
        return woken() == before

    wait_until(sleeps, "two seconds in which nobody is woken")
    assert b"Status: 200" in ask(it.gateway.scgi[0], 2), "and then it answers"


def test_a_connection_wakes_one_worker(fleet):
    """EPOLLEXCLUSIVE: with four that listen, less than two wake-ups for each; without it there are four."""
    it = fleet(4)
    workers = it.wait_for_workers(4)
    before = sum(status(Path(f"/proc/{pid}"), "voluntary_ctxt_switches") for pid in workers)
    connections = 400
    for number in range(connections):
        ask(it.gateway.scgi[0], number)
    after = sum(status(Path(f"/proc/{pid}"), "voluntary_ctxt_switches") for pid in workers)
    assert after - before < 2 * connections


LATE = """
import sys

known = set(sys.modules)  # a worker loads its application behind the fork


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send(" ".join(sorted(set(sys.modules) - known - {__name__})))
"""


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
def test_a_worker_loads_nothing_but_its_application(fleet, tmp_path, protocol):
    """What a worker loads is in the memory of each, what its template has loaded is shared: first requests included."""
    (tmp_path / "late_app.py").write_text(LATE)
    it = fleet(1, "--pythonpath", str(tmp_path), app="late_app:app")
    for number in range(3):
        answer = request(it.nginx.address(protocol), "GET", f"/{number}")
        assert (answer.status, answer.body) == (200, b"")


MERGING = """
import ctypes


def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    res.send(str(ctypes.CDLL(None).prctl(68, 0, 0, 0, 0)))
"""


@pytest.mark.parametrize("option", ["--merge-memory", "--no-merge-memory"])
def test_workers_let_the_kernel_merge_their_memory_with_the_setting(fleet, tmp_path, option):
    """``PR_GET_MEMORY_MERGE`` says what the kernel was told. It may not know of it, nor do it; then the log says so."""
    (tmp_path / "merging.py").write_text(MERGING)
    it = fleet(2, option, "--pythonpath", str(tmp_path), app="merging:app")
    it.wait_for_workers(2)
    known = ctypes.CDLL(None).prctl(68, 0, 0, 0, 0) >= 0
    wanted = option == "--merge-memory"
    body = ask(it.gateway.scgi[0], 1).rpartition(b"\r\n\r\n")[2]
    assert body == (b"-1" if not known else b"1" if wanted else b"0")
    log = it.gateway.process.text()
    assert ("this kernel cannot" in log) == (wanted and not known)
    assert ("/sys/kernel/mm/ksm/run" in log) == (wanted and known and not linux.merges_memory())


DJANGO = """
import os, sys
from django.conf import settings
settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, DEBUG=False,
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
                    "django.contrib.sessions", "django.contrib.messages"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request",
                                                   "django.contrib.auth.context_processors.auth",
                                                   "django.contrib.messages.context_processors.messages"]}}],
)
from django.core.wsgi import get_wsgi_application
app = get_wsgi_application()
from django.contrib import admin
from django.urls import path
urlpatterns = [path("admin/", admin.site.urls)]
"""


def test_preloaded_workers_share_their_application(tmp_path):
    """Django with its admin, four workers, 400 requests: with ``--preload`` they have two thirds of the memory at most.

    What is loaded before the fork is frozen (``gc.freeze``), or the first search for garbage would copy all of it.
    """
    (tmp_path / "django_site.py").write_text(DJANGO)
    sizes = []
    for options in ((), ("--preload",)):
        (tmp_path / str(len(sizes))).mkdir()
        with Fleet(tmp_path / str(len(sizes)), 4, *options, "--pythonpath", str(tmp_path), app="django_site:app") as it:
            workers = it.wait_for_workers(4)
            for _ in range(400):
                assert b"Status: 200" in login(it.gateway.scgi[0])
            wait_until(lambda w=workers: sorted(it.ready()) == sorted(w), "the same workers")
            sizes.append(sum(map(pss, workers)))
    assert sizes[1] <= 0.65 * sizes[0], sizes


def login(path: str) -> bytes:
    """Django's page, over SCGI."""
    variables = {
        "CONTENT_LENGTH": "0", "SCGI": "1", "REQUEST_METHOD": "GET", "REQUEST_URI": "/admin/login/",
        "PATH_INFO": "/admin/login/", "SERVER_NAME": "x", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
    }  # fmt: skip
    head = "".join(f"{name}\0{value}\0" for name, value in variables.items()).encode()
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(path)
        client.sendall(b"%d:%s," % (len(head), head))
        answer = b""
        while data := client.recv(65536):
            answer += data
    return answer
