"""HAProxy sends several FastCGI requests over one connection, and reuses one whose client has disconnected."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.fronts import Site
from tests.harness import HttpConnection, request, wait_until
from tests.harness.gateway import Gateway

from .servers import program, started

KEPT = "no option keep-conn"

REUSE = "option abortonclose\n    http-reuse always"

MULTIPLEXED = {
    "asking": "option keep-conn\n    option mpxs-conns\n    option get-values\n    option max-reqs 50",
    "without asking": "option keep-conn\n    option mpxs-conns\n    option max-reqs 50",
}


@contextmanager
def haproxy(change: Callable[[str], str], codec: str) -> Iterator[tuple[tuple[str, int], Gateway]]:
    executable = program("haproxy")
    with (
        tempfile.TemporaryDirectory(prefix="front-") as folder,
        Gateway(
            "tests.apps.behaviour:app",
            Path(folder),
            fastcgi=("unix",),
            options=("--socket-mode", "666", "--codec", codec),
        ) as gateway,
    ):
        for each in (folder, gateway.folder):
            os.chmod(each, 0o755)  # HAProxy is another user by then
        address = Address("unix", path=str(gateway.address("fastcgi", "unix")))
        site = Site(
            app="tests.apps.behaviour:app", domain="localhost", tls=None, protocol="fastcgi", address=address,
            websockets="off", static=(),
        )  # fmt: skip
        with started("haproxy", executable, site, Path(folder), change) as (site, _):
            yield ("localhost", site.listen), gateway


def connections(gateway: Gateway) -> int:
    """How many the web server has to the gateway's socket, by the kernel's table (proc(5), ``/proc/net/unix``)."""
    path = str(gateway.address("fastcgi", "unix"))
    lines = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return sum(fields[-1] == path and fields[5] == "03" for fields in lines)


@pytest.fixture(params=["portable", "compiled"])
def codec(request: pytest.FixtureRequest) -> str:
    from tests.builds import MISSING

    if request.param == "compiled" and MISSING:
        pytest.skip(MISSING)
    return str(request.param)


@pytest.mark.parametrize("how", MULTIPLEXED)
def test_thirty_requests_at_once_over_few_connections(how: str, codec: str) -> None:
    def change(text: str) -> str:
        assert KEPT in text
        return text.replace(KEPT, MULTIPLEXED[how]).replace("option abortonclose", REUSE)

    with haproxy(change, codec) as (address, gateway), ThreadPoolExecutor(30) as pool:
        answers = list(pool.map(lambda i: request(address, "GET", "/do/barrier?key=all&count=30"), range(30)))
        assert [answer.status for answer in answers] == [200] * 30
        assert 1 <= connections(gateway) < 30
        bodies = list(pool.map(lambda i: request(address, "POST", "/do/echo", body=b"%d" % i * 1000).body, range(30)))
        assert bodies == [b"%d" % i * 1000 for i in range(30)]


def test_a_client_that_gives_up_costs_no_other_its_answer(codec: str) -> None:
    """Without multiplexing too: HAProxy sends no ABORT_REQUEST and gives the connection to somebody else."""

    def change(text: str) -> str:
        return text.replace(KEPT, "option keep-conn").replace("option abortonclose", REUSE)

    with haproxy(change, codec) as (address, _):
        for i in range(10):
            waiting = HttpConnection(address)
            waiting.send_head("GET", f"/do/hang?key=gave-up-{i}", [("Connection", "close")])
            wait_until(lambda i=i: "started" in request(address, "GET", f"/do/records?key=gave-up-{i}").text, "a start")
            waiting.abort()
            answer = request(address, "GET", "/do/hello")
            assert (answer.status, answer.text) == (200, "Hello, world!\n")
