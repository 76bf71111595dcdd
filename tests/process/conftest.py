"""A gateway with workers behind nginx, and clients that count."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from ssgi_gateway.process import report
from tests.harness.gateway import Gateway, to_nginx
from tests.harness.nginx import Nginx, Server
from tests.harness.process import wait_until
from tests.process.load import SPAN

LOCATION = """
include ssgi/tuning.conf;
location / {{
    include ssgi/{name}.conf;
    {name}_pass {name}_upstream;
    keepalive_requests 10000000;
    {more}
}}
"""


class Fleet:
    """A gateway with workers, its nginx, the counts of its application; a context manager."""

    def __init__(self, folder: Path, workers: int, *options: str, app: str = "tests.apps.counted:app", **env: str):
        self.killed = False
        self.counts = folder / "counts"
        self.counts.write_bytes(b"")
        os.truncate(self.counts, SPAN * 40)
        self.gateway = Gateway(
            app, folder, scgi=["unix"], fastcgi=["unix"], websocket=[] if app.endswith("wsgi") else ["unix"],
            options=("--workers", str(workers), *options), env={"COUNTS": str(self.counts), **env},
        )  # fmt: skip
        direct = self.gateway.websocket or self.gateway.scgi
        places = {"scgi": self.gateway.scgi[0], "fastcgi": self.gateway.fastcgi[0], "proxy": direct[0]}
        upstreams = "".join(
            f"upstream {name}_upstream {{ server {to_nginx(place)} max_fails=0; {kept} }}\n"
            for (name, place), kept in zip(places.items(), ("", "keepalive 32;", ""), strict=True)
        )
        servers = {
            "scgi": Server(LOCATION.format(name="scgi", more="")),
            "fastcgi": Server(LOCATION.format(name="fastcgi", more="")),
            "direct": Server("location / { include ssgi/websocket.conf; proxy_pass http://proxy_upstream; }"),
        }
        try:
            self.nginx = Nginx(folder / "nginx", servers, upstreams)
        except BaseException:
            self.gateway.kill()
            raise

    @property
    def pid(self) -> int:
        return self.gateway.pid

    def signal(self, number: int) -> None:
        self.gateway.process.send_signal(number)

    def reload(self, number: int, timeout: float = 60) -> None:
        """Ask for a reload and wait until it is done; ``number`` of the generation that serves then."""
        self.signal(signal.SIGHUP)
        self.gateway.wait_for_log(f"generation {number} serves", timeout)

    def workers(self) -> list[int]:
        """Process ids of the workers that are there."""
        return children(self.pid, "worker")

    def ready(self) -> list[int]:
        """Process ids of the workers that serve, those that retire or start apart."""
        return [pid for _, pid, _, state, _ in report.read(self.pid)["workers"] if state == "ready"]

    def wait_for_workers(self, count: int) -> list[int]:
        """Wait until so many serve, and nobody else is there."""
        wait_until(lambda: len(self.ready()) == len(self.workers()) == count, f"{count} workers")
        return self.ready()

    def kill(self) -> None:
        """Kill the supervisor."""
        os.kill(self.pid, signal.SIGKILL)
        self.gateway.process.wait()
        self.killed = True

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self.nginx.stop)
            if self.killed:
                self.gateway.kill()
            else:
                self.gateway.__exit__(*exc)


def children(pid: int, kind: str = "") -> list[int]:
    """The children of a process by their name (``PR_SET_NAME``): ``worker`` or ``template``."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):
            if kind in Path(f"/proc/{child}/comm").read_text():
                found.append(int(child))
    return found


@pytest.fixture
def fleet(tmp_path):
    """Makes fleets that end with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *args, **env: stack.enter_context(Fleet(tmp_path, *args, **env))
