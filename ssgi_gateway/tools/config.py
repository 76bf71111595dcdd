"""``ssgi-gateway config``: a configuration for the web server in front, made for this site and this version of it.

And the service that runs the gateway behind it, or the containers of both. Where the gateway listens comes from its own
settings (file, environment), what the site is from the options. All goes to standard output; ``--output`` writes it,
and never over a file with other content.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import grp
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway.cli.arguments import parser as make_parser
from ssgi_gateway.cli.arguments import read
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address
from ssgi_gateway.settings.values import did_you_mean

from .fronts import KINDS, Front, Site
from .fronts.lighttpd import IN_BAND_SINCE
from .fronts.site import FOLDER, Static, Version

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["configuration", "installed_version", "main", "site_for", "write", "write_all"]

VERSIONS: Final = {
    "nginx": ("nginx", "-v"),
    "apache": ("apache2", "-v"),
    "lighttpd": ("lighttpd", "-v"),
    "caddy": ("caddy", "version"),
    "haproxy": ("haproxy", "-v"),
    "h2o": ("h2o", "--version"),
}
"""The command that shows each web server's version."""

WEB_USER: Final = "www-data"
"""The user of a service for which no other is named."""


def main(words: list[str]) -> int:
    """``ssgi-gateway config``; ``words`` are the arguments behind it."""
    arguments = read(parser(), words)
    site = site_for(arguments, gateway_settings(arguments.config))
    made = KINDS[arguments.front].files
    if not arguments.output:
        sys.stdout.write(configuration(arguments.front, site))
    elif made is None:
        write(Path(arguments.output), configuration(arguments.front, site))
    else:
        write_all(Path(arguments.output), made(site.checked()))
    return 0


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = make_parser(
        "ssgi-gateway config", "Print a configuration for the web server in front, a service or containers."
    )
    made.add_argument("front", metavar="FRONT", help=f"What for: {', '.join(KINDS)}.")
    made.add_argument("app", metavar="APP", nargs="?", default="", help="The application, for the comments.")
    add_options(made)
    made.add_argument("--output", metavar="FILE", default="", help="Write it there; over no other text.")
    made.add_argument(
        "--instances", action="store_true", help="systemd: units for several applications, /srv/NAME each."
    )
    return made


def gateway_settings(path: str) -> Settings:
    """The gateway's settings: a file, the one named or the one found here, and the environment."""
    from ssgi_gateway.settings.sources import read as read_settings

    return read_settings({"config": path} if path else {})


def front_named(name: str, kinds: Mapping[str, Front] = KINDS) -> Front:
    """The web server, or what else there is, of that name among ``kinds``.

    Raises:
        ConfigurationError: there is none; the message lists which there are.
    """
    if name not in kinds:
        raise ConfigurationError(
            f"no web server {name!r} is known, but {', '.join(kinds)}{did_you_mean(name, list(kinds))}"
        )
    return kinds[name]


def add_options(made: argparse.ArgumentParser) -> None:
    """The answers about a site, which ``init`` takes as well."""
    add = made.add_argument
    add("--config", metavar="FILE", default="", help="The gateway's settings [ssgi-gateway.toml where there is one]")
    add("--domain", default="example.org", help="The site's name [%(default)s]")
    add("--tls", metavar="CERT,KEY", default="letsencrypt", help="Files, letsencrypt, or off [%(default)s]")
    add("--port", type=int, default=0, help="Where the web server listens [443, or 80 without TLS]")
    add("--protocol", choices=("scgi", "fastcgi", "uwsgi"), help="How HTTP goes to the gateway")
    add("--static", metavar="/URL=DIR", action="append", default=[], help="Files of the web server's own; repeatable")
    add("--mount", metavar="PATH", default="", help="Where the application is mounted, such as /shop")
    add(
        "--websockets",
        choices=("in-band", "same-path", "off"),
        help="Through the socket that has the HTTP, or to the direct port for every path",
    )
    add("--websocket-path", metavar="PATH", default="", help="To the direct port, below this path, such as /ws/")
    add("--upload-size", metavar="MIB", type=int, default=16, help="The largest upload, 0 for no limit [%(default)s]")
    add("--user", default="", help="Who runs the service [you; www-data where that is root]")
    add("--web-group", metavar="NAME", default="", help="The web server's group [that which this machine has]")
    add("--project", metavar="DIR", default="", help="Where the application is, for the service [here]")
    add("--front-version", metavar="N.N.N", default="", help="The web server's version [that which is installed here]")


def configuration(front: str, site: Site) -> str:
    """The text for ``front``.

    Raises:
        ConfigurationError: the site cannot be had with this web server; the message says why.
    """
    return KINDS[front].render(site.checked())


def site_for(arguments: argparse.Namespace, settings: Settings) -> Site:
    """The site that options and settings describe.

    Raises:
        ConfigurationError: they contradict each other, or cannot be had with this web server.
    """
    front = front_named(arguments.front)
    version = _version(arguments)
    protocol = _protocol(arguments, settings, front)
    return Site(
        app=arguments.app or settings.app or "module:app",
        domain=arguments.domain,
        tls=_tls(arguments),
        port=arguments.port,
        protocol=protocol,
        address=_address(settings, protocol),
        websockets=_websockets(arguments, front, protocol, version),
        direct=_address(settings, "websocket"),
        static=tuple(map(_static, arguments.static)),
        mount=arguments.mount.rstrip("/") or settings.root_path or "",
        upload=arguments.upload_size,
        version=version,
        group=arguments.web_group or _group(front),
        activated=not any(getattr(settings, name) for name in KINDS["systemd"].protocols),
        **_service(arguments),
    )


def _group(front: Front) -> str:
    """The group of a web server on this machine; the usual name where there is none of them."""
    for name in front.groups:
        with contextlib.suppress(KeyError):
            return grp.getgrnam(name).gr_name
    return front.groups[0]


def _service(arguments: argparse.Namespace) -> dict[str, Any]:
    """What a service has to know of this machine."""
    if getattr(arguments, "instances", False):
        return {"instances": True, "folder": "/srv/%i", "user": arguments.user or WEB_USER}
    user = getpass.getuser()
    return {
        "config": os.path.abspath(arguments.config) if arguments.config else "",
        "folder": os.path.abspath(arguments.project or "."),
        "program": shutil.which("ssgi-gateway") or f"{os.path.dirname(sys.executable)}/ssgi-gateway",
        "user": arguments.user or (WEB_USER if user == "root" else user),
    }


def _protocol(arguments: argparse.Namespace, settings: Settings, front: Front) -> str:
    if arguments.protocol:
        if arguments.protocol not in front.protocols:
            raise ConfigurationError(
                f"--protocol: {front.title} reaches the gateway over {' or '.join(front.protocols)}, "
                f"not over {arguments.protocol}"
            )
        return str(arguments.protocol)
    listening = [name for name in front.protocols if getattr(settings, name, ())]
    return (listening or front.protocols)[0]


def _address(settings: Settings, protocol: str) -> Address:
    """The first address that the settings have; a socket in the usual folder where they have none."""
    given: Sequence[str] = getattr(settings, protocol, ())
    return Address.parse(given[0] if given else f"unix:{FOLDER}/{protocol}.sock")


def _websockets(arguments: argparse.Namespace, front: Front, protocol: str, version: Version) -> str:
    path: str = arguments.websocket_path
    if path and arguments.websockets not in (None, "same-path"):
        raise ConfigurationError(
            f"--websocket-path is for the direct port; it contradicts --websockets {arguments.websockets}"
        )
    if path:
        if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", path):
            raise ConfigurationError(f"--websocket-path: {path!r} is not a path such as /ws/")
        return path.rstrip("/") + "/"
    in_band = front.in_band and protocol != "fastcgi"
    if in_band and arguments.front == "lighttpd" and version and version < IN_BAND_SINCE:
        in_band = False
    if arguments.websockets == "in-band" and not in_band:
        reason = "over FastCGI" if front.in_band and protocol == "fastcgi" else f"through {front.title}"
        raise ConfigurationError(
            f"--websockets: WebSockets cannot go in-band {reason}; same-path and --websocket-path use the direct port"
        )
    return arguments.websockets or ("in-band" if in_band else "same-path")


def _tls(arguments: argparse.Namespace) -> tuple[str, str] | None:
    text: str = arguments.tls
    if text == "off":
        return None
    if text == "letsencrypt":
        folder = f"/etc/letsencrypt/live/{arguments.domain}"
        return f"{folder}/fullchain.pem", f"{folder}/privkey.pem"
    chain, comma, key = text.partition(",")
    if not (chain and comma and key):
        raise ConfigurationError(f"--tls: {text!r} is not CERT,KEY (two files), letsencrypt or off")
    return os.path.abspath(chain), os.path.abspath(key)


def _static(text: str) -> Static:
    url, equals, folder = text.partition("=")
    if not (equals and url.startswith("/") and url.strip("/") and folder):
        raise ConfigurationError(f"--static: {text!r} is not /URL=DIRECTORY, such as /static=/var/www/site/static")
    return Static("/" + url.strip("/") + "/", os.path.abspath(folder))


def _version(arguments: argparse.Namespace) -> Version:
    given: str = arguments.front_version
    if given:
        if not re.fullmatch(r"\d+(\.\d+)*", given):
            raise ConfigurationError(f"--front-version: {given!r} is not a version such as 1.22.1")
        return tuple(map(int, given.split(".")))
    return installed_version(arguments.front)


def installed_version(front: str) -> Version:
    """The version of the web server that is installed here; empty when there is none."""
    command = VERSIONS.get(front)
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"  # Debian leaves these out of a user's PATH
    program = shutil.which(command[0], path=path) if command else None
    if command is None or program is None:
        return ()
    try:
        printed = subprocess.run([program, *command[1:]], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.search(r"\d+\.\d+(\.\d+)?", printed.stdout + printed.stderr)
    return tuple(map(int, found[0].split("."))) if found else ()


def write_all(folder: Path, texts: dict[str, str]) -> None:
    """Write files into a folder, as ``write`` does each.

    Raises:
        ConfigurationError: as ``write``, or there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(
            f"several files are to be written into {folder}, and it is not a folder; make it first"
        )
    for name, text in texts.items():
        write(folder / name, text)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a new file; one that is there already is left as it is.

    Raises:
        ConfigurationError: there is one with another text, or it cannot be written.
    """
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        if path.read_text(encoding="utf-8", errors="replace") != text:
            raise ConfigurationError(
                f"{path} is there already and differs; choose another name or move it away"
            ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
