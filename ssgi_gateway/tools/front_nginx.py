"""nginx in front of ``dev``: what ``ssgi-gateway config nginx`` prints, TLS, and a folder of its own.

It listens on this machine's own address only, runs as the user who started it, and ends with ``dev``. Its certificate
is signed by no authority and kept for a month, so that a browser warns once.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.fronts import nginx
from ssgi_gateway.tools.fronts.site import Site

__all__ = ["certificate", "front"]

PORT: Final = 8443
DAYS: Final = 30
PATIENCE: Final = 10.0
"""Seconds for nginx to listen, or to fail."""

MAIN: Final = """\
{user}daemon off;
pid nginx.pid;
error_log stderr warn;
events {{ }}
http {{
    include {types};
    access_log off;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;

{site}
}}
"""


@contextlib.contextmanager
def front(app: str, socket: str, folder: str, children: set[int], port: int = PORT) -> Iterator[str]:
    """Run nginx in front of the SCGI socket at ``socket``; gives the site's address.

    Args:
        app: the application, for the comments.
        socket: the path of the socket.
        folder: for its files; an empty one.
        children: its process id is added here.
        port: of this machine's own address.

    Raises:
        ConfigurationError: there is no nginx, or it does not start; the message says why.
    """
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise ConfigurationError("--nginx: there is no nginx here (Debian, Ubuntu: apt install nginx-light)")
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=False).stderr
    version = re.search(r"nginx/([0-9.]+)", built)
    prefix = re.search(r"--conf-path=(\S*/)nginx\.conf", built)
    site = Site(
        app=app, domain="localhost", tls=certificate(), port=port, static=(), address=Address("unix", path=socket),
        version=tuple(map(int, version[1].split("."))) if version else (),
    )  # fmt: skip
    text = re.sub(rf"listen {port}\b", f"listen 127.0.0.1:{port}", nginx.render(site))
    text = re.sub(r"\n *listen \[::\]:[^\n]*", "", text)
    # As root nginx would hand over to an account that may not read this folder.
    user = "user root;\n" if os.geteuid() == 0 else ""
    configuration = Path(folder, "nginx.conf")
    types = f"{prefix[1] if prefix else '/etc/nginx/'}mime.types"
    configuration.write_text(MAIN.format(user=user, types=types, site=text))
    log = Path(folder, "nginx.log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [program, "-p", f"{folder}/", "-c", str(configuration)], stdout=output, stderr=output
        )
    children.add(process.pid)
    try:
        _wait(process, Path(folder, "nginx.pid"), log)
        yield f"{site.origin}/"
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], pid_file: Path, log: Path) -> None:
    """Until it listens: its pid file comes last."""
    end = time.monotonic() + PATIENCE
    while not pid_file.exists():
        if process.poll() is not None or time.monotonic() > end:
            printed = log.read_text(errors="replace").strip()
            raise ConfigurationError(f"--nginx: nginx did not start:\n{printed}")
        time.sleep(0.01)


def certificate() -> tuple[str, str]:
    """The files of a certificate for localhost and of its key; made where they are missing or too old.

    Raises:
        ConfigurationError: openssl is not there, or fails.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = Path(cache, "ssgi-gateway", "localhost")
    chain, key = folder / "cert.pem", folder / "key.pem"
    if key.exists() and time.time() - key.stat().st_mtime < (DAYS - 1) * 86400:
        return str(chain), str(key)
    print("making a certificate for localhost", file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
        str(DAYS), "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext",
        "basicConstraints=critical,CA:FALSE", "-keyout", str(key), "-out", str(chain),
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, umask=0o077)
    except FileNotFoundError:
        raise ConfigurationError("--nginx: openssl is not installed; it makes the certificate") from None
    if done.returncode:
        raise ConfigurationError(f"--nginx: openssl made no certificate:\n{done.stderr.strip()}")
    return str(chain), str(key)
