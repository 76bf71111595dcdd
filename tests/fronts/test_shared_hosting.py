"""Programs that a web server starts itself: FastCGI on descriptor 0, and CGI. As on shared hosts."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.behaviour import pattern
from tests.harness.client import request
from tests.harness.gateway import ROOT
from tests.harness.nginx import free_port
from tests.harness.process import DEADLINE, Process

from .servers import APACHE_MODULES, listens, program

APPS = {"wsgi": "tests.apps.wsgi.report:app", "ssgi": "tests.apps.behaviour:app"}

SCRIPT = """#!/bin/sh
cd {root} || exit 1
PYTHONPATH={path} exec {python} -m ssgi_gateway serve {app}
"""

SITE_PACKAGES = sysconfig.get_path("purelib")


def find_python() -> str | None:
    """A Python that the web server's user may run, with this package: ours, or else the system's."""
    for python in (sys.executable, "/usr/bin/python3"):
        check = f"cd {ROOT} && PYTHONPATH={ROOT}:{SITE_PACKAGES} exec {python} -c 'import ssgi_gateway.settings, h11'"
        command = ["su", "-s", "/bin/sh", "www-data", "-c", check] if os.geteuid() == 0 else ["sh", "-c", check]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return python
    return None


PYTHON = find_python()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="host-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def script(path: Path, interface: str) -> Path:
    """A script as a user writes one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SCRIPT.format(root=ROOT, path=f"{ROOT}:{SITE_PACKAGES}", python=PYTHON, app=APPS[interface]))
    path.chmod(0o755)
    return path


@contextlib.contextmanager
def apache(folder: Path, lines: list[str]) -> Iterator[tuple[str, int]]:
    executable, port = program("apache"), free_port()
    modules = Path("/usr/lib/apache2/modules")
    there = [name for name in APACHE_MODULES if (modules / f"mod_{name}.so").exists()]
    loaded = [f"LoadModule {name}_module {modules}/mod_{name}.so" for name in there]
    # The scripts run as the server's children do; in tests that is a user who may read this tree.
    own = [
        f"ServerRoot {folder}",
        f"Listen 127.0.0.1:{port}",
        f"PidFile {folder}/pid",
        f"ErrorLog {folder}/error.log",
        f"DefaultRuntimeDir {folder}",
        "ServerName localhost",
        "TypesConfig /etc/mime.types",
        "User www-data",
        "Group www-data",
        f"ScriptSock {folder}/cgisock",
        f"FcgidIPCDir {folder}/fcgid",
        f"FcgidProcessTableFile {folder}/table",
    ]
    (folder / "httpd.conf").write_text("\n".join([*loaded, *own, *lines]))
    process = Process([executable, "-D", "FOREGROUND", "-f", f"{folder}/httpd.conf"], folder / "output.log")
    try:
        process.wait_for(lambda: listens(port), "Apache listening")
        yield "localhost", port
    finally:
        process.stop()


@contextlib.contextmanager
def lighttpd(folder: Path, lines: str) -> Iterator[tuple[str, int]]:
    executable, port = program("lighttpd"), free_port()
    (folder / "www").mkdir(exist_ok=True)
    (folder / "lighttpd.conf").write_text(
        f'server.port = {port}\nserver.bind = "127.0.0.1"\nserver.document-root = "{folder}/www"\n'
        f'server.upload-dirs = ( "{folder}" )\nserver.errorlog = "{folder}/error.log"\n{lines}\n'
    )
    process = Process([executable, "-D", "-f", f"{folder}/lighttpd.conf"], folder / "output.log")
    try:
        process.wait_for(lambda: listens(port), "lighttpd listening")
        yield "localhost", port
    finally:
        process.stop()


@contextlib.contextmanager
def bin_path(folder: Path, interface: str) -> Iterator[tuple[str, int]]:
    path = script(folder / "app.fcgi", interface)
    server = f"""server.modules = ( "mod_fastcgi" )
fastcgi.server = ( "/" => (( "bin-path" => "{path}", "socket" => "{folder}/app.sock", "max-procs" => 1,
    "check-local" => "disable", "fix-root-scriptname" => "enable" )) )"""
    with lighttpd(folder, server) as address:
        yield address


@contextlib.contextmanager
def mod_cgi(folder: Path, interface: str) -> Iterator[tuple[str, int]]:
    script(folder / "www" / "app.cgi", interface)
    with lighttpd(folder, 'server.modules = ( "mod_cgi" )\ncgi.assign = ( ".cgi" => "" )') as address:
        yield address


@contextlib.contextmanager
def mod_fcgid(folder: Path, interface: str) -> Iterator[tuple[str, int]]:
    (folder / "fcgid").mkdir()
    (folder / "fcgid").chmod(0o777)
    script(folder / "www" / "app.fcgi", interface)
    (folder / "www" / ".htaccess").write_text(
        "AddHandler fcgid-script .fcgi\nRewriteEngine On\nRewriteCond %{REQUEST_FILENAME} !-f\n"
        "RewriteRule ^(.*)$ app.fcgi/$1 [QSA,L,E=HTTP_AUTHORIZATION:%{HTTP:Authorization}]\n"
    )
    directory = f'<Directory "{folder}/www">\nAllowOverride All\nOptions +ExecCGI\nRequire all granted\n</Directory>'
    with apache(folder, [f'DocumentRoot "{folder}/www"', directory]) as address:
        yield address


@contextlib.contextmanager
def mod_cgid(folder: Path, interface: str) -> Iterator[tuple[str, int]]:
    script(folder / "cgi-bin" / "app.cgi", interface)
    directory = f'<Directory "{folder}/cgi-bin">\nRequire all granted\nCGIPassAuth On\n</Directory>'
    with apache(folder, [f'ScriptAlias "/cgi-bin/" "{folder}/cgi-bin/"', directory]) as address:
        yield address


LISTENERS = {"bin-path": bin_path, "mod_fcgid": mod_fcgid}
PROGRAMS = {"mod_cgi": (mod_cgi, "/app.cgi"), "mod_cgid": (mod_cgid, "/cgi-bin/app.cgi")}


needs_others = pytest.mark.skipif(PYTHON is None, reason="no Python here may be run by www-data")


@needs_others
@pytest.mark.parametrize("interface", APPS)
@pytest.mark.parametrize("kind", LISTENERS)
def test_a_listener_on_descriptor_0_is_noticed(kind: str, interface: str, folder: Path) -> None:
    data = pattern(100_000)
    with LISTENERS[kind](folder, interface) as address:
        if interface == "wsgi":
            told = request(address, "POST", "/a/b?c=d", [("Authorization", "Basic dTpw")], data).json()
            assert (told["path"], told["query"], told["method"]) == ("/a/b", "c=d", "POST")
            assert told["sha256"] == hashlib.sha256(data).hexdigest()
            assert told["authorization"] == "Basic dTpw"
            assert (told["threads"], told["multithread"], told["run_once"]) == (1, False, False)
            assert told["home"]
        else:
            told = request(address, "GET", "/a%2Fb?c=d" if kind == "bin-path" else "/a/b?c=d").json()
            assert told["extensions"]["protocol"] == "fastcgi"
            assert told["path"] == "/a/b"
            assert told["extensions"]["root_path"] == ""


@needs_others
@pytest.mark.parametrize("interface", APPS)
@pytest.mark.parametrize("kind", PROGRAMS)
def test_cgi_serves_the_one_request(kind: str, interface: str, folder: Path) -> None:
    data = pattern(100_000)
    start, path = PROGRAMS[kind]
    with start(folder, interface) as address:
        if interface == "wsgi":
            told = request(address, "POST", f"{path}/a/b?c=d", [("Authorization", "Basic dTpw")], data).json()
            assert (told["root"], told["path"], told["query"]) == (path, f"{path}/a/b", "c=d")
            assert (told["length"], told["sha256"]) == (100_000, hashlib.sha256(data).hexdigest())
            assert told["authorization"] == "Basic dTpw"
            assert told["run_once"]
        else:
            told = request(address, "GET", f"{path}/a/b?c=d").json()
            assert told["path"] == f"{path}/a/b"
            assert told["extensions"]["root_path"] == path
        assert request(address, "GET", path).json()["root" if interface == "wsgi" else "path"] == path


@needs_others
@pytest.mark.parametrize("interface", APPS)
def test_a_chunked_body_over_mod_cgid_ends_with_the_stream(interface: str, folder: Path) -> None:
    data = pattern(50_000)
    with mod_cgid(folder, interface) as address:
        target = "/cgi-bin/app.cgi" if interface == "wsgi" else "/cgi-bin/app.cgi/do/body"
        told = request(address, "POST", target, [], data, chunked=True).json()
        if interface == "wsgi":
            assert (told["length"], told["announced"]) == (50_000, "50000")


def run_cgi(app: str, variables: dict[str, str], body: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "ssgi_gateway", "serve", app]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_INTERFACE": "CGI/1.1", **variables}
    return subprocess.run(
        command, input=body, env=environ, cwd=ROOT, capture_output=True, timeout=DEADLINE, check=False
    )


GET = {"REQUEST_METHOD": "GET", "REQUEST_URI": "/x", "SCRIPT_NAME": "", "SERVER_PROTOCOL": "HTTP/1.1"}


@pytest.mark.parametrize("interface", APPS)
def test_a_cgi_answer_has_its_status_and_nothing_else_is_on_standard_output(interface: str) -> None:
    done = run_cgi(APPS[interface], GET)
    assert done.returncode == 0
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert b"Status: 200 OK" in head.split(b"\r\n")
    assert body.startswith(b"{")
    assert b"printed" not in done.stdout


def test_a_cgi_program_loads_nothing_that_its_request_has_no_use_for() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "ssgi_gateway", "serve", "benchmarks.apps.on_wsgi:hello"]
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_INTERFACE": "CGI/1.1", **GET}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, env=environ, cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.endswith(b"Hello, world!")
    imported = {line.rpartition(b"|")[2].strip().decode() for line in done.stderr.splitlines() if b"|" in line}
    assert "ssgi_gateway.process.cgi" in imported
    slow = {"asyncio", "ssl", "logging", "concurrent.futures", "inspect", "tempfile", "h11", "sioscgi"}
    slow |= {"ssgi_gateway.wire.forwarded", "ssgi_gateway.core.files"}
    assert not imported & (slow | {"ssgi_gateway.server", "ssgi_gateway.process.sockets"})


def test_a_failure_is_a_500_and_a_traceback_for_the_log() -> None:
    done = run_cgi("tests.apps.behaviour:app", GET | {"REQUEST_URI": "/do/raise"})
    assert b"Status: 500" in done.stdout
    assert b"behaviour: before the head" in done.stderr
    assert b"behaviour" not in done.stdout


def test_a_bad_request_is_an_answer() -> None:
    done = run_cgi(APPS["wsgi"], GET | {"REQUEST_URI": "/a%00b"})
    assert b"Status: 400" in done.stdout


def test_without_an_address_and_a_web_server_the_mistake_is_named() -> None:
    command = [sys.executable, "-m", "ssgi_gateway", "serve", "tests.apps.wsgi.report:app"]
    environ = {name: value for name, value in os.environ.items() if name not in ("GATEWAY_INTERFACE", "REQUEST_METHOD")}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environ, cwd=ROOT, check=False
    )
    assert done.returncode == 2
    assert "nowhere to listen" in done.stderr


def test_a_connected_socket_as_descriptor_0_is_no_listener() -> None:
    ours, theirs = socket.socketpair()  # what mod_cgid gives
    with ours, theirs:
        command = [sys.executable, "-m", "ssgi_gateway", "serve", APPS["wsgi"]]
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GATEWAY_INTERFACE": "CGI/1.1", **GET}
        done = subprocess.run(command, stdin=theirs, stdout=subprocess.PIPE, env=environ, cwd=ROOT, check=False)
    assert done.stdout.startswith(b"Status: 200 OK")
