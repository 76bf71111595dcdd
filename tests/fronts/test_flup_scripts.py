"""Scripts that were written for flup, run by one changed import and by none."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.doctor.sockets import is_served
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until

types.StringTypes = (str, bytes)  # type: ignore[attr-defined]  # flup 1.0.3 looks for it, and Python 3 has it not

from flup.client.fcgi_app import FCGIApp  # noqa: E402
from flup.client.scgi_app import SCGIApp  # noqa: E402

SCRIPT = """\
from {package}.server.{server} import WSGIServer

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    told = [environ["SCRIPT_NAME"], environ["PATH_INFO"], environ.get("added", "-"), str(environ["wsgi.multithread"])]
    return [" ".join(told).encode()]

again = WSGIServer(app{arguments}).run()
print("again" if again else "over", flush=True)
"""

SERVERS = [("fcgi", True), ("fcgi_fork", True), ("fcgi_single", False), ("scgi", True), ("scgi_fork", True)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="flup-") as name:
        yield Path(name)


def start(folder: Path, server: str, arguments: str, *, changed: bool = True) -> Process:
    package = "ssgi_gateway.flup" if changed else "flup"
    script = folder / "script.fcgi"
    script.write_text(SCRIPT.format(package=package, server=server, arguments=arguments))
    command = [sys.executable, str(script)] if changed else [sys.executable, "-m", "ssgi_gateway.flup", str(script)]
    process = Process(command, folder / "output.log", env={"PYTHONPATH": str(ROOT)}, cwd=folder)
    process.wait_for(lambda: is_served(Address("unix", path=f"{folder}/app.sock")), "the script listening")
    return process


def ask(server: str, socket: Path, path: str = "/a") -> str:
    """What the script answers to flup's own client."""
    app = (SCGIApp if server.startswith("scgi") else FCGIApp)(connect=str(socket), filterEnviron=False)
    environ = {
        "REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path, "REQUEST_URI": path, "QUERY_STRING": "",
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "CONTENT_LENGTH": "",
        "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
    }  # fmt: skip
    return b"".join(app(environ, lambda status, headers, exc_info=None: None)).decode()


@pytest.mark.parametrize(("server", "threads"), SERVERS)
@pytest.mark.parametrize("changed", [True, False], ids=["one changed import", "no change"])
def test_each_server_runs(folder: Path, server: str, threads: bool, changed: bool) -> None:
    arguments = f', bindAddress="{folder}/app.sock", environ={{"added": "yes"}}, umask=0o007, maxThreads=3'
    process = start(folder, server, arguments, changed=changed)
    try:
        assert ask(server, folder / "app.sock") == f" /a yes {threads}"
        assert (folder / "app.sock").stat().st_mode & 0o777 == 0o770
    finally:
        assert process.stop() == 0
    assert process.lines()[-1] == "over"


def test_a_script_name_is_where_the_application_is_mounted(folder: Path) -> None:
    process = start(folder, "scgi", f', scriptName="/shop", bindAddress="{folder}/app.sock"')
    try:
        assert ask("scgi", folder / "app.sock", "/shop/a") == "/shop /a - True"
    finally:
        process.stop()


def test_after_sighup_run_reports_it(folder: Path) -> None:
    process = start(folder, "fcgi", f', bindAddress="{folder}/app.sock"')
    assert ask("fcgi", folder / "app.sock") == " /a - True"
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: process.returncode is not None, "the end")
    assert process.lines()[-1] == "again"


@pytest.mark.parametrize("arguments", ["", ", forceCGI=True"])
def test_cgi_is_noticed(folder: Path, arguments: str) -> None:
    script = folder / "script.fcgi"
    script.write_text(SCRIPT.format(package="ssgi_gateway.flup", server="fcgi", arguments=arguments))
    environ = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_INTERFACE": "CGI/1.1", "REQUEST_METHOD": "GET",
        "REQUEST_URI": "/a", "SCRIPT_NAME": "", "PATH_INFO": "/a",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(script)], stdin=subprocess.DEVNULL, env=environ, capture_output=True, check=True
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert head.startswith(b"Status: 200 OK")
    assert body == b" /a - False"


def test_without_a_script_the_usage_is_printed() -> None:
    done = subprocess.run([sys.executable, "-m", "ssgi_gateway.flup"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith("usage:")
