"""Writes deploy/fronts, systemd and compose: what ``ssgi-gateway config`` makes of its own defaults.

A test says that the files are as this writes them: python scripts/deploy_files.py
"""

from __future__ import annotations

from pathlib import Path

from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.config import configuration
from ssgi_gateway.tools.fronts import FRONTS, Site, compose, systemd
from ssgi_gateway.tools.fronts.site import FOLDER, Static

__all__ = ["FOLDERS", "NAMES", "files", "instances", "site"]

ROOT = Path(__file__).parents[1]

NAMES = {
    "nginx": "nginx.conf",
    "apache": "apache.conf",
    "lighttpd": "lighttpd.conf",
    "caddy": "Caddyfile",
    "haproxy": "haproxy.cfg",
    "h2o": "h2o.conf",
    "htaccess": "htaccess",
}


def site(front: str) -> Site:
    """The defaults: the first protocol of a web server, and WebSockets as that carries them."""
    protocol = FRONTS[front].protocols[0]
    websockets = "in-band" if FRONTS[front].in_band and protocol != "fastcgi" else "same-path"
    return Site(
        protocol=protocol,
        address=Address("unix", path=f"{FOLDER}/{protocol}.sock"),
        websockets=websockets,
        static=() if front == "haproxy" else (Static("/static/", "/var/www/example/static"),),
    )


def files() -> dict[str, str]:
    """Every file by its name."""
    return {NAMES[front]: configuration(front, site(front)) for front in FRONTS}


def instances() -> Site:
    """The service for several applications."""
    return Site(instances=True, folder="/srv/%i")


FOLDERS = {
    "fronts": files,
    "systemd": lambda: systemd.files(Site()) | systemd.files(instances()),
    "compose": lambda: compose.files(Site()),
}
"""What makes each folder of ``deploy``."""


if __name__ == "__main__":
    for folder, make in FOLDERS.items():
        (ROOT / "deploy" / folder).mkdir(exist_ok=True)
        for name, text in make().items():
            (ROOT / "deploy" / folder / name).write_text(text)
