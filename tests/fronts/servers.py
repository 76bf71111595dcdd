"""Real web servers, each with the configuration that ``ssgi-gateway config`` prints for it.

Their ports are free ones that this process found first; another process can take one before the web server binds it,
and then all is tried again with another. What a file does not say, because it belongs to the machine and not to the
site (where the pid file is, which modules are loaded), is said in a few lines around it.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.config import configuration, installed_version
from ssgi_gateway.tools.fronts import Site
from ssgi_gateway.tools.fronts.site import Static
from tests.harness.gateway import Gateway
from tests.harness.nginx import free_port, main_configuration
from tests.harness.process import DEADLINE, Process, ProcessError

__all__ = ["PROGRAMS", "Change", "Running", "program", "serving", "started"]

PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"

PROGRAMS = {"nginx": "nginx", "apache": "apache2", "lighttpd": "lighttpd", "caddy": "caddy", "haproxy": "haproxy"}

ATTEMPTS = 4

Change = Callable[[str], str]

APACHE_MODULES = (
    "mpm_event", "authz_core", "unixd", "alias", "headers", "rewrite", "proxy", "proxy_http", "proxy_fcgi",
    "proxy_scgi", "ssl", "http2", "socache_shmcb", "fcgid", "cgid", "mime", "dir", "env", "setenvif",
)  # fmt: skip


class Running:
    """A web server in front of a gateway.

    Attributes:
        address: where it listens.
        gateway: what is behind it.
        site: what its configuration was made from.
        log: where it writes its errors.
    """

    def __init__(self, front: str, site: Site, gateway: Gateway, log: Path) -> None:
        self.front = front
        self.site = site
        self.gateway = gateway
        self.log = log
        self.address = ("localhost", site.listen)


def program(front: str) -> str:
    """The web server's executable. ``make test`` installs all of them; by hand, what is missing is skipped."""
    found = shutil.which(PROGRAMS[front], path=PATH)
    if found is None:
        if os.environ.get("SSGI_REQUIRE_SERVERS"):
            pytest.fail(f"{PROGRAMS[front]} is not installed, and scripts/test.sh should have")
        pytest.skip(f"{PROGRAMS[front]} is not installed")
    return found


@contextmanager
def serving(
    front: str,
    protocol: str,
    directory: Path,
    app: str = "tests.apps.behaviour:app",
    options: tuple[str, ...] = (),
    change: Change = lambda text: text,
    **answers: object,
) -> Iterator[Running]:
    """A gateway with ``app`` and ``front`` before it, over ``protocol``; ``change`` makes a mistake in the latter."""
    executable = program(front)
    os.chmod(directory, 0o755)  # Apache's children are another user
    (directory / "static").mkdir(parents=True)
    (directory / "static" / "app.css").write_text("body { color: #223 }\n")
    direct = answers.get("websockets") not in ("in-band", "off")
    listeners: dict[str, list[str]] = {protocol: ["unix"]}
    if direct:
        listeners["websocket"] = ["unix"]
    if front == "lighttpd":
        options = ("--half-close", *options)
    mount = str(answers.get("mount", ""))
    if mount:
        options = ("--root-path", mount, *options)
    with Gateway(app, directory, options=("--socket-mode", "666", *options), **listeners) as gateway:
        os.chmod(gateway.folder, 0o755)
        described = Site(
            app=app,
            domain="localhost",
            tls=None,
            protocol=protocol,
            address=Address("unix", path=str(gateway.address(protocol, "unix"))),
            static=() if front == "haproxy" else (Static("/static/", str(directory / "static")),),
            version=installed_version(front),
        )._replace(**answers)
        if direct:
            described = described._replace(direct=Address("unix", path=str(gateway.address("websocket", "unix"))))
        with started(front, executable, described, directory, change) as (site, log):
            yield Running(front, site, gateway, log)


@contextmanager
def started(
    front: str, executable: str, site: Site, directory: Path, change: Change = lambda text: text
) -> Iterator[tuple[Site, Path]]:
    """The web server, on a free port; ``change`` makes a mistake in its configuration."""
    for attempt in range(1, ATTEMPTS + 1):
        site = site._replace(port=free_port())
        folder = directory / f"{front}{attempt}"
        folder.mkdir()
        log = folder / "output.log"
        process = Process(
            RUN[front](executable, change(configuration(front, site)), site, folder),
            log,
            env={"HOME": str(folder), "XDG_DATA_HOME": str(folder)},
        )
        try:
            process.wait_for(lambda at=site.listen: listens(at), f"{front} listening")
        except ProcessError:
            process.kill()
            if attempt == ATTEMPTS or "ddress already in use" not in log.read_text(errors="replace"):
                raise
            continue
        try:
            yield site, log
        finally:
            # Not a graceful stop: what a client of a test that failed still holds would keep the server waiting.
            process.kill()
        return


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as sock:
        sock.settimeout(DEADLINE)
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _nginx(executable: str, text: str, site: Site, folder: Path) -> list[str]:
    (folder / "nginx.conf").write_text(main_configuration(text, shared=False))
    return [executable, "-p", f"{folder}/", "-c", "nginx.conf", "-e", "error.log", "-g", "daemon off;"]


def _apache(executable: str, text: str, site: Site, folder: Path) -> list[str]:
    available = Path("/usr/lib/apache2/modules")
    modules = [name for name in APACHE_MODULES if (available / f"mod_{name}.so").exists()]
    lines = [f"LoadModule {name}_module {available}/mod_{name}.so" for name in modules]
    user = ["User www-data", "Group www-data"] if os.geteuid() == 0 else []
    lines += [
        f"ServerRoot {folder}", f"Listen {site.listen}", f"PidFile {folder}/pid", f"ErrorLog {folder}/error.log",
        f"DefaultRuntimeDir {folder}", "ServerName localhost", "TypesConfig /etc/mime.types", *user,
        text,
    ]  # fmt: skip
    (folder / "httpd.conf").write_text("\n".join(lines))
    return [executable, "-D", "FOREGROUND", "-f", f"{folder}/httpd.conf"]


def _lighttpd(executable: str, text: str, site: Site, folder: Path) -> list[str]:
    uploads = folder / "uploads"
    uploads.mkdir()
    uploads.chmod(0o777)  # as root it becomes another user
    text += f'\nserver.upload-dirs = ( "{uploads}" )\n'
    (folder / "lighttpd.conf").write_text(text)
    return [executable, "-D", "-f", f"{folder}/lighttpd.conf"]


def _caddy(executable: str, text: str, site: Site, folder: Path) -> list[str]:
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n\n" + text)
    return [executable, "run", "--adapter", "caddyfile", "--config", f"{folder}/Caddyfile"]


def _haproxy(executable: str, text: str, site: Site, folder: Path) -> list[str]:
    if os.geteuid():  # it cannot become another user, and lighttpd does not try
        text = re.sub(r"^    (user|group) .*\n", "", text, flags=re.MULTILINE)
    (folder / "haproxy.cfg").write_text(text)
    return [executable, "-db", "-f", f"{folder}/haproxy.cfg"]


RUN: dict[str, Callable[[str, str, Site, Path], list[str]]] = {
    "nginx": _nginx,
    "apache": _apache,
    "lighttpd": _lighttpd,
    "caddy": _caddy,
    "haproxy": _haproxy,
}
