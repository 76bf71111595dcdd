"""Configurations for the web servers in front, made from one ``Site``.

A module a web server, each with ``render(site) -> str``. What these files say was tried on the versions that their
comments name; ``tests/fronts`` runs each of them on the real thing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Final, NamedTuple

from .site import Site

__all__ = ["FRONTS", "Front", "Site"]


class Front(NamedTuple):
    """A web server that ``config`` knows.

    Args:
        title: its name as people write it.
        module: where its ``render`` is.
        protocols: over which it can reach the gateway; the first is what it is given unless told otherwise.
        in_band: whether it carries WebSockets over SCGI or uwsgi, through the socket that has the HTTP.
        check: the command by which it checks a configuration file; empty where it has none. ``FILE`` is the file.
        where: where such a file usually goes on Debian.
    """

    title: str
    module: str
    protocols: tuple[str, ...]
    in_band: bool
    check: tuple[str, ...]
    where: str

    @property
    def render(self) -> Callable[[Site], str]:
        """The function that writes the file."""
        function: Callable[[Site], str] = import_module(f"{__name__}.{self.module}").render
        return function


FRONTS: Final[dict[str, Front]] = {
    "nginx": Front(
        "nginx", "nginx", ("scgi", "fastcgi", "uwsgi"), True, (), "/etc/nginx/sites-available/"
    ),
    "apache": Front(
        "Apache", "apache", ("fastcgi", "scgi"), False, (), "/etc/apache2/sites-available/"
    ),
    "lighttpd": Front(
        "lighttpd", "lighttpd", ("fastcgi", "scgi"), True,
        ("lighttpd", "-tt", "-f", "FILE"), "/etc/lighttpd/lighttpd.conf",
    ),
    "caddy": Front(
        "Caddy", "caddy", ("fastcgi",), False,
        ("caddy", "validate", "--adapter", "caddyfile", "--config", "FILE"), "/etc/caddy/Caddyfile",
    ),
    "haproxy": Front(
        "HAProxy", "haproxy", ("fastcgi",), False, ("haproxy", "-c", "-f", "FILE"), "/etc/haproxy/haproxy.cfg"
    ),
    "h2o": Front("h2o", "h2o", ("fastcgi",), False, ("h2o", "-t", "-c", "FILE"), "/etc/h2o/h2o.conf"),
    "htaccess": Front(".htaccess", "htaccess", ("fastcgi",), False, (), "the folder that Apache serves"),
}  # fmt: skip
"""Every web server, by the word that ``config`` takes."""
