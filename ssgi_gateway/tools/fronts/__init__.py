"""Configurations for the web servers in front, and for what runs the gateway, made from one ``Site``.

A module each, with ``render(site) -> str``; one that makes several files has ``files(site)`` as well. What these files
say was tried on the versions that their comments name; ``tests/fronts`` runs each of them on the real thing.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, NamedTuple

from .site import Site

__all__ = ["FRONTS", "KINDS", "Front", "Site"]


class Front(NamedTuple):
    """A web server, or something else, that ``config`` knows.

    Args:
        title: its name as people write it.
        module: where its ``render`` is.
        protocols: over which it can reach the gateway; the first is the default.
        in_band: whether it carries WebSockets over SCGI or uwsgi, through the socket that has the HTTP.
        check: the command by which it checks a configuration file; empty where it has none. ``FILE`` is the file.
        where: where such a file usually goes on Debian.
        groups: what its group is called: on Debian, on others.
    """

    title: str
    module: str
    protocols: tuple[str, ...]
    in_band: bool
    check: tuple[str, ...]
    where: str
    groups: tuple[str, ...] = ("www-data", "nginx", "http")

    @property
    def render(self) -> Callable[[Site], str]:
        """The function that writes the file."""
        function: Callable[[Site], str] = self._module.render
        return function

    @property
    def files(self) -> Callable[[Site], dict[str, str]] | None:
        """The function that gives each file by its name; None where there is one file, whose name is the user's."""
        function: Callable[[Site], dict[str, str]] | None = getattr(self._module, "files", None)
        return function

    @property
    def _module(self) -> Any:
        return import_module(f"{__name__}.{self.module}")


FRONTS: Final[dict[str, Front]] = {
    "nginx": Front(
        "nginx", "nginx", ("scgi", "fastcgi", "uwsgi"), True, (), "/etc/nginx/sites-available/"
    ),
    "apache": Front(
        "Apache", "apache", ("fastcgi", "scgi"), False, (), "/etc/apache2/sites-available/",
        ("www-data", "apache", "http"),
    ),
    "lighttpd": Front(
        "lighttpd", "lighttpd", ("fastcgi", "scgi"), True,
        ("lighttpd", "-tt", "-f", "FILE"), "/etc/lighttpd/lighttpd.conf",
        ("www-data", "lighttpd", "http"),
    ),
    "caddy": Front(
        "Caddy", "caddy", ("fastcgi",), False,
        ("caddy", "validate", "--adapter", "caddyfile", "--config", "FILE"), "/etc/caddy/Caddyfile",
        ("www-data", "caddy"),
    ),
    "haproxy": Front(
        "HAProxy", "haproxy", ("fastcgi",), False, ("haproxy", "-c", "-f", "FILE"), "/etc/haproxy/haproxy.cfg",
        ("haproxy",),
    ),
    "h2o": Front(
        "h2o", "h2o", ("fastcgi",), False, ("h2o", "-t", "-c", "FILE"), "/etc/h2o/h2o.conf",
        ("www-data",),
    ),
    "htaccess": Front(".htaccess", "htaccess", ("fastcgi",), False, (), "the folder that Apache serves"),
}  # fmt: skip
"""Every web server, by the word that ``config`` takes."""

KINDS: Final[dict[str, Front]] = {
    **FRONTS,
    "systemd": Front("systemd", "systemd", ("scgi", "fastcgi", "uwsgi"), True, (), "/etc/systemd/system/"),
    "compose": Front("Compose", "compose", ("scgi", "fastcgi", "uwsgi"), True, (), "the application's folder"),
}
"""All that ``config`` makes."""
