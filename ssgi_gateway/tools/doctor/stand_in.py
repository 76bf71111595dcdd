"""The probe in the gateway's place: started where it listens, for as long as an examination takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address

from . import sockets
from .secret import SECRET

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["StandIn", "probing"]

START: Final = 15.0
"""Seconds that the probe may take to listen."""


class StandIn:
    """The probe's process.

    Args:
        addresses: where it listens, with the protocol of each.
        settings: the gateway's.
        secret: what the probe knows the doctor by.
    """

    def __init__(self, addresses: Sequence[tuple[str, Address]], settings: Settings, secret: str) -> None:
        self._addresses = addresses
        words = [word for protocol, address in addresses for word in (f"--{protocol}", str(address))]
        # Whatever the gateway is set to trust, the doctor has to see what the web server sends.
        words += ["--socket-mode", f"{settings.socket_mode:o}", "--deadline-drain", "1", "--trust-remote-user"]
        words += ["--workers", "0", "--log-format", "json"]
        words += ["--socket-owner", settings.socket_owner] if settings.socket_owner else []
        words += ["--root-path", settings.root_path] if settings.root_path is not None else []
        words += ["--half-close"] if settings.half_close else []
        self._command = [sys.executable, "-m", "ssgi_gateway", "serve", "ssgi_gateway.tools.doctor.probe:app", *words]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SSGI_")}
        self._environ = {**environ, SECRET: secret}
        self._log = tempfile.TemporaryFile(mode="w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - see close
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigurationError: it cannot.
        """
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=self._log, env=self._environ)
        end = time.monotonic() + START
        while not all(sockets.is_served(address) for _, address in self._addresses):
            if self._process.poll() is not None or time.monotonic() > end:
                self.stop()
                printed = self._printed().removeprefix("ssgi-gateway: ")
                as_root = "; run the doctor as root" if os.geteuid() else ""
                raise ConfigurationError(f"the probe could not listen in the gateway's place: {printed}{as_root}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Listen no longer."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def complaints(self) -> list[str]:
        """What it logged about connections that it could not serve, each thing once."""
        found = []
        for line in self._printed().splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # the banner
            if isinstance(entry, dict) and entry.get("logger") == "ssgi_gateway.server":
                found.append(str(entry.get("msg", "")))
        return list(dict.fromkeys(found))

    def _printed(self) -> str:
        self._log.seek(0)
        return self._log.read().strip()

    def close(self) -> None:
        """End it."""
        self.stop()
        self._log.close()


@contextmanager
def probing(addresses: Sequence[tuple[str, Address]], settings: Settings, secret: str) -> Iterator[StandIn]:
    """The probe in the gateway's place.

    Raises:
        ConfigurationError: the gateway is running, or the probe cannot listen there.
    """
    taken = [str(address) for _, address in addresses if sockets.is_served(address)]
    if taken:
        raise ConfigurationError(
            f"a gateway is running on {', '.join(taken)}. The doctor puts a probe in its place: stop it for the few "
            "seconds of an examination, a service with its sockets (systemctl stop NAME.service NAME.socket). (What "
            "requests give away the running gateway logs itself.)"
        )
    with _folders(addresses):
        stand_in = StandIn(addresses, settings, secret)
        try:
            stand_in.start()
            yield stand_in
        finally:
            stand_in.close()


@contextmanager
def _folders(addresses: Sequence[tuple[str, Address]]) -> Iterator[None]:
    """The folders of the sockets: those of a service are there only while it runs (``RuntimeDirectory=``).

    Raises:
        ConfigurationError: one is missing, and this user may not make it.
    """
    made: list[str] = []
    try:
        for folder in sorted({os.path.dirname(address.path) for _, address in addresses if address.kind == "unix"}):
            missing = folder
            while missing and not os.path.isdir(missing):
                made.append(missing)
                missing = os.path.dirname(missing)
            try:
                os.makedirs(folder, mode=0o755, exist_ok=True)
            except OSError as error:
                raise ConfigurationError(
                    f"{folder}, where the gateway listens, is not there while it is stopped, and cannot be made: "
                    f"{error.strerror}; run the doctor as root"
                ) from None
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # another program has put something there
                os.rmdir(folder)
