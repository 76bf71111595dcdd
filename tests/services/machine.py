"""This machine once more, with a systemd of its own: what a user does as root is done there, for real."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sysconfig
from pathlib import Path
from typing import Self

from tests.harness.gateway import ROOT
from tests.harness.process import Process

__all__ = ["Machine"]

BOOT = Path(__file__).parent / "boot.sh"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PATIENCE = 120.0


class Machine:
    """A copy of this machine that runs; a context manager that ends it, with all that runs in it.

    Args:
        folder: for what is written in it (a tmpfs) and for what its boot says.
    """

    def __init__(self, folder: Path) -> None:
        self._process = Process([str(BOOT), str(folder)], folder / "boot.log")
        self._process.wait_for(lambda: self._is_booted(), "systemd running", PATIENCE)

    def run(self, command: str, *, user: str = "root", home: str = "/root", check: bool = True) -> str:
        """Run a shell's words there; returns what it printed, errors included.

        Raises:
            AssertionError: it failed, and ``check`` is not off.
        """
        done = self._run(command, user, home)
        assert done.returncode == 0 or not check, f"{command}\n{done.stdout}\n{self._journal()}"
        return done.stdout

    def status(self, command: str, **more: str) -> int:
        """Run it; returns its exit status."""
        return self._run(command, more.get("user", "root"), more.get("home", "/root")).returncode

    def application(self, folder: str, user: str, modules: dict[str, str]) -> None:
        """A user, and an application in their folder with ``.venv``, in which this package is installed."""
        above = [str(place) for place in ROOT.parents if place != Path("/")]
        self.run(f"chmod o+rx {shlex.join([*above, str(ROOT)])}")
        self.run(f"useradd --create-home --home-dir {folder} {user} && chmod 755 {folder}")
        packages = sysconfig.get_path("purelib")
        inside = f"{folder}/.venv/lib/python{sysconfig.get_python_version()}/site-packages"
        self.run(f"python3 -m venv --without-pip {folder}/.venv && printf '{ROOT}\\n{packages}\\n' >{inside}/here.pth")
        script = f"#!{folder}/.venv/bin/python3\nimport sys\nfrom ssgi_gateway.__main__ import main\nsys.exit(main())\n"
        for name, text in {".venv/bin/ssgi-gateway": script, **modules}.items():
            self.run(f"mkdir -p {folder}/{os.path.dirname(name)} && printf %s {shlex.quote(text)} >{folder}/{name}")
        self.run(f"chmod 755 {folder}/.venv/bin/ssgi-gateway && chown -R {user}: {folder}")

    def _run(self, command: str, user: str, home: str) -> subprocess.CompletedProcess[str]:
        enter = [
            "nsenter",
            "--target",
            str(self._init()),
            "--mount",
            "--net",
            "--pid",
            "--uts",
            "--cgroup",
            "--root",
            "--wd",
        ]
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"]
        environ = ["env", "-i", f"HOME={home}", f"PATH={home}/.venv/bin:{PATH}", "LANG=C.UTF-8"]
        return subprocess.run(
            [*enter, *environ, *who, "sh", "-c", f"cd {home} && {command}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE,
            check=False,
        )  # fmt: skip

    def _init(self) -> int:
        """Its process 1, as this machine knows it: the child of ``unshare``, which the script has become."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0])

    def _is_booted(self) -> bool:
        try:
            done = self._run("systemctl is-system-running --wait", "root", "/root")
        except (IndexError, OSError):
            return False
        return done.stdout.strip() in ("running", "degraded")

    def _journal(self) -> str:
        return self._run("journalctl --no-pager --lines 30 --output cat", "root", "/root").stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        os.kill(self._init(), signal.SIGKILL)  # and with it all of its namespace
        self._process.wait()
