"""Who else speaks uwsgi to a server: Apache's mod_proxy_uwsgi, lighttpd's mod_scgi, uWSGI itself twice, uwsgi_curl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ssgi_gateway.tools.fronts import Site
from tests.apps.behaviour import HELLO, pattern
from tests.harness.client import Address, request
from tests.harness.gateway import Gateway
from tests.harness.nginx import free_port
from tests.harness.process import DEADLINE, Process, ProcessError

from .servers import ATTEMPTS, RUN, listens, program

FRONTS = ("apache", "lighttpd", "uwsgi", "uwsgi-route")
"""``uwsgi``: its HTTP router. ``uwsgi-route``: a uWSGI that hands requests on (``route = .* uwsgi:ADDR,0,0``)."""

APACHE = """\
LoadModule proxy_uwsgi_module /usr/lib/apache2/modules/mod_proxy_uwsgi.so
AllowEncodedSlashes NoDecode
ProxyPass "/" "unix:{socket}|uwsgi://localhost/"
"""

LIGHTTPD = """\
server.modules = ( "mod_scgi" )
server.document-root = "{folder}"
server.port = {port}
server.stream-response-body = 1
server.http-parseopts = ( "url-path-2f-decode" => "disable" )
scgi.protocol = "uwsgi"
scgi.server = ( "/" => (( "socket" => "{socket}", "check-local" => "disable", "fix-root-scriptname" => "enable" )) )
"""


def command(front: str, socket: str, folder: Path, port: int) -> list[str]:
    if front.startswith("uwsgi"):
        executable = shutil.which("uwsgi")
        if executable is None:
            if os.environ.get("SSGI_REQUIRE_SERVERS"):
                pytest.fail("uwsgi is not installed, and scripts/test.sh should have")
            pytest.skip("uwsgi is not installed")
        listen = f"127.0.0.1:{port}"
        words = {
            "uwsgi": ["--plugin", "http", "--http", listen, "--http-to", socket],
            "uwsgi-route": ["--plugin", "router_uwsgi", "--http-socket", listen, "--route", f".* uwsgi:{socket},0,0"],
        }
        return [executable, "--master", "--no-orphans", *words[front]]
    text = {"apache": APACHE, "lighttpd": LIGHTTPD}[front].format(socket=socket, folder=folder, port=port)
    return RUN[front](program(front), text, Site(domain="localhost", tls=None, port=port), folder)


@pytest.fixture(scope="module", params=FRONTS)
def address(request: pytest.FixtureRequest) -> Iterator[Address]:
    with tempfile.TemporaryDirectory(prefix="front-") as name:
        directory = Path(name)
        directory.chmod(0o755)  # Apache's children are another user
        options = ("--socket-mode", "666")
        with Gateway("tests.apps.behaviour:app", directory, uwsgi=["unix"], options=options) as gateway:
            os.chmod(gateway.folder, 0o755)
            for attempt in range(1, ATTEMPTS + 1):
                port, folder = free_port(), directory / str(attempt)
                folder.mkdir()
                words = command(request.param, str(gateway.address("uwsgi", "unix")), folder, port)
                process = Process(words, folder / "output.log", env={"HOME": str(folder)})
                try:
                    process.wait_for(lambda at=port: listens(at), f"{request.param} listening")
                    break
                except ProcessError:
                    process.kill()
                    if attempt == ATTEMPTS:
                        raise
            try:
                yield ("localhost", port)
            finally:
                process.kill()


def test_a_request_and_its_answer(address: Address) -> None:
    answer = request(address, "GET", "/a/b%20c?x=1&y", [("X-One", "1")])
    told = answer.json()
    assert (answer.status, told["method"], told["path"], told["query_string"]) == (200, "GET", "/a/b c", "x=1&y")
    assert told["headers"]["x-one"] == ["1"]


def test_statuses_reach_the_client(address: Address) -> None:
    answer = request(address, "GET", "/do/answer?status=201")
    assert answer.status == 201


def test_a_body_each_way(address: Address) -> None:
    body = pattern(300_000)
    answer = request(address, "POST", "/do/echo", body=body)
    assert (answer.status, answer.body) == (200, body)


def test_an_answer_without_a_body(address: Address) -> None:
    answer = request(address, "HEAD", "/do/hello")
    assert (answer.status, answer.body) == (200, b"")


def test_requests_one_after_the_other(address: Address) -> None:
    for _ in range(5):
        assert request(address, "GET", "/do/hello").body == HELLO


def test_uwsgi_curl(tmp_path: Path) -> None:
    """The client that people have for trying a uWSGI by hand (PyPI: uwsgi-tools)."""
    with Gateway("tests.apps.behaviour:app", tmp_path, uwsgi=["unix", "tcp"]) as gateway:
        host, port = gateway.address("uwsgi", "tcp")

        def curl(*words: str) -> tuple[int, str, str]:
            done = subprocess.run(
                [sys.executable, "-m", "uwsgi_tools.curl", *words],
                capture_output=True, text=True, timeout=DEADLINE, check=False,
            )  # fmt: skip
            head, _, body = done.stdout.partition("\n\n")
            return done.returncode, head.partition("\n")[0], body

        for address in (str(gateway.address("uwsgi", "unix")), f"{host}:{port}"):
            status, line, body = curl(address, "example.org/a%20b?c=d", "-H", "ACCEPT: text/plain")
            told = json.loads(body)
            assert (status, line) == (0, "HTTP/1.1 200 OK")
            assert (told["method"], told["path"], told["query_string"]) == ("GET", "/a b", "c=d")
            assert told["headers"]["accept"] == ["text/plain"]
            assert curl(address, "/do/answer?status=404")[:2] == (1, "HTTP/1.1 404 Not Found")
