"""A real nginx with a configuration of the test's own, in a folder of its own, on ports that the kernel chose.

nginx cannot be told "any port", so a free one is found first and might be taken by someone else before nginx binds it:
then it is tried again with others. nginx runs in the foreground, as root or as the user who runs the tests.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from .process import DEADLINE, Process, ProcessError, wait_until

__all__ = [
    "DEPLOY",
    "Nginx",
    "Server",
    "check_configuration",
    "free_port",
    "main_configuration",
    "nginx_binary",
    "nginx_version",
    "stock_file",
]

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "nginx"
"""The configuration files that users get; linked as ``ssgi`` beside each test's configuration."""

ATTEMPTS = 5

# Everything nginx would otherwise write below its compiled-in prefix stays in the folder (-p, relative paths).
MAIN = """\
{user}pid nginx.pid;
error_log error.log info;
worker_processes {workers};
worker_rlimit_nofile {descriptors};
events {{ worker_connections {descriptors}; }}
http {{
    access_log access.log;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    types {{ text/html html; text/css css; text/javascript js; image/svg+xml svg; }}
    default_type application/octet-stream;
{shared}{http}
{servers}
}}
"""


@dataclass(frozen=True)
class Server:
    """One ``server { }`` on a port of its own.

    Args:
        body: what is in the block besides ``listen``.
        listen: parameters of ``listen``, such as ``ssl http2``.
    """

    body: str
    listen: str = ""

    def render(self, port: int) -> str:
        """The block."""
        parameters = f" {self.listen}" if self.listen else ""
        return f"server {{\nlisten 127.0.0.1:{port}{parameters};\n{self.body}\n}}\n"


def main_configuration(http: str, servers: str = "", *, workers: int = 1, shared: bool = True) -> str:
    """A complete nginx.conf; everything it writes stays in the folder given with ``-p``.

    Args:
        http: lines of the ``http { }`` block.
        servers: its ``server { }`` blocks.
        workers: worker processes.
        shared: include http.conf of the shipped files, which most configurations want.
    """
    # No more than we may have: asking for more is an alert in the log.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    descriptors = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    return MAIN.format(
        user="user root;\n" if os.geteuid() == 0 else "",
        workers=workers,
        descriptors=descriptors,
        shared="    include ssgi/http.conf;\n" if shared else "",
        http=http,
        servers=servers,
    )


def nginx_binary() -> str:
    """The nginx to test with: ``$NGINX``, else the one on the path or in ``/usr/sbin``."""
    found = os.environ.get("NGINX") or shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not found:
        raise ProcessError("nginx is missing: apt-get install nginx (make test does), or set NGINX to its path")
    return found


def nginx_version() -> tuple[int, ...]:
    """The version of ``nginx_binary()``, such as ``(1, 22, 1)``."""
    told = subprocess.run([nginx_binary(), "-v"], capture_output=True, text=True, check=True, timeout=DEADLINE)
    match = re.search(r"nginx/([\d.]+)", told.stderr)
    assert match, told.stderr
    return tuple(int(part) for part in match[1].split("."))


def stock_file(name: str) -> str:
    """Where the tested nginx has a file of its own configuration, such as ``scgi_params``."""
    told = subprocess.run([nginx_binary(), "-V"], capture_output=True, text=True, check=True, timeout=DEADLINE).stderr
    built = dict(re.findall(r"--(conf-path|prefix)=(\S+)", told))
    configuration = built.get("conf-path") or built.get("prefix", "/usr/local/nginx") + "/conf/nginx.conf"
    return str(Path(configuration).with_name(name))


def check_configuration(prefix: Path, file: Path) -> str:
    """Run ``nginx -t``; returns what it said.

    Raises:
        ProcessError: nginx refused the configuration.
    """
    command = [nginx_binary(), "-t", "-p", f"{prefix}/", "-c", os.fspath(file), "-e", "stderr"]
    if nginx_version() < (1, 19, 5):  # -e is younger than nginx 1.18
        del command[-2:]
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    if told.returncode != 0:
        raise ProcessError(f"nginx refused {file}:\n{told.stderr}")
    return told.stderr


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody has at this moment."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many different ones. Two that are asked for one after the other may be the same, and an nginx has it twice."""
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


class Nginx:
    """A running nginx; a context manager that stops it.

    Args:
        directory: an empty folder for its configuration, logs and temporary files.
        servers: name -> ``Server`` (or the body of one); each listens on ``ports[name]``.
        http: further lines of the ``http { }`` block: upstreams, maps.
        workers: worker processes.

    Raises:
        ProcessError: nginx refused the configuration or did not come up; the message holds its error log.
    """

    def __init__(
        self, directory: Path, servers: Mapping[str, Server | str], http: str = "", *, workers: int = 1
    ) -> None:
        self.directory = directory
        self.servers = {name: Server(it) if isinstance(it, str) else it for name, it in servers.items()}
        self.ports: dict[str, int] = {}
        self._http = http
        self._workers = workers
        directory.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            (directory / "ssgi").symlink_to(DEPLOY)
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The master process."""
        return self._process.pid

    @property
    def configuration(self) -> Path:
        """The file nginx runs with."""
        return self.directory / "nginx.conf"

    def address(self, server: str) -> tuple[str, int]:
        """Where that server block listens."""
        return ("127.0.0.1", self.ports[server])

    def error_log(self) -> str:
        """All that nginx logged so far; level info and above."""
        log = self.directory / "error.log"
        return log.read_text(errors="backslashreplace") if log.exists() else ""

    def access_log(self) -> list[str]:
        """The access log's lines, in the combined format. nginx writes one when the request has ended."""
        log = self.directory / "access.log"
        return log.read_text(errors="backslashreplace").splitlines() if log.exists() else []

    def wait_for(self, text: str, timeout: float = DEADLINE) -> None:
        """Wait until the error log holds ``text``."""
        self._process.wait_for(lambda: text in self.error_log(), f"{text!r} in nginx's error log", timeout)

    def send_signal(self, number: int) -> None:
        """Signal the master: SIGHUP reloads the configuration."""
        self._process.send_signal(number)

    def replace_workers(self) -> None:
        """End the worker processes, with all connections they have; nginx starts others."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        before = children.read_text().split()
        for pid in before:
            os.kill(int(pid), signal.SIGTERM)

        def replaced() -> bool:
            now = children.read_text().split()
            return len(now) == len(before) and not set(now) & set(before)

        wait_until(replaced, "nginx's other workers")

    def stop(self) -> None:
        """End it at once, connections included (SIGTERM is nginx's fast shutdown).

        Raises:
            ProcessError: a worker had crashed, or nginx did not end well.
        """
        status = self._process.stop()
        log = self.error_log()
        crashed = [line for line in log.splitlines() if "exited on signal" in line or "[alert]" in line]
        if status != 0 or crashed:
            raise ProcessError(f"nginx ended with status {status}:\n" + ("\n".join(crashed) or log))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _start(self) -> Process:
        for attempt in range(1, ATTEMPTS + 1):
            self.ports = dict(zip(self.servers, free_ports(len(self.servers)), strict=True))
            self.configuration.write_text(self._render())
            check_configuration(self.directory, self.configuration)
            process = self._launch()
            try:
                process.wait_for(self._accepts, "nginx accepting connections")
            except ProcessError as error:
                process.kill()
                if "Address already in use" in self.error_log() and attempt < ATTEMPTS:
                    (self.directory / "error.log").unlink()
                    continue
                raise ProcessError(f"{error}\nerror log:\n{self.error_log()}") from None
            return process
        raise AssertionError("unreachable")

    def _launch(self) -> Process:
        command = [nginx_binary(), "-p", f"{self.directory}/", "-c", "nginx.conf", "-g", "daemon off;"]
        # Relative to the prefix; without it nginx before its configuration is read opens the compiled-in error log.
        return Process(command, self.directory / "output.log")

    def _render(self) -> str:
        servers = "".join(server.render(self.ports[name]) for name, server in self.servers.items())
        return main_configuration(self._http, servers, workers=self._workers)

    def _accepts(self) -> bool:
        # The pid file comes after the listening sockets, and it tells our nginx from another that holds the port.
        if not (self.directory / "nginx.pid").exists():
            return False
        for port in self.ports.values():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
        return True
