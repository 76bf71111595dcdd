"""What a configuration is made from: where the gateway listens, and a few answers about the site."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address

__all__ = ["Site", "Static", "Version", "comment", "join"]

Version = tuple[int, ...]

FOLDER: Final = "/run/ssgi-gateway"

# Every web server's configuration gives some characters a meaning: quotes, braces, ";", "$", "#", white space. Names
# that hold none of them can be written down for all of them as they are.
SAFE: Final = re.compile(r"[A-Za-z0-9._~/@:+,=%&()\[\]*-]+")
DOMAIN: Final = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.?)+|_|\*\.[A-Za-z0-9.-]+")


class Static(NamedTuple):
    """Files that the web server serves itself: those of ``folder``, below the path ``url`` (``/static/``)."""

    url: str
    folder: str


class Site(NamedTuple):
    """A site in front of one gateway.

    Args:
        app: what the gateway serves, for the command in the comments.
        domain: the site's name.
        tls: the files of the certificate chain and of its key; None for plain HTTP.
        port: where the web server listens; 0 for 443 with TLS and 80 without.
        protocol: over which HTTP goes to the gateway: ``scgi``, ``fastcgi`` or ``uwsgi``.
        address: where the gateway listens for it.
        websockets: ``in-band`` (through the same socket as HTTP), ``same-path`` (the direct port, for every path),
            a path that ends with a slash (the direct port, below it), or ``off``.
        direct: where the gateway listens for WebSockets when they are not in-band.
        static: folders of files.
        mount: the path below which the application is, such as ``/shop``; empty for the whole site.
        upload: the largest upload in MiB; 0 for no limit.
        version: of the web server; empty when it is not known.
        name: of the service.
        folder: where the application is, for a service.
        program: the command, for a service; empty for the one of ``folder``'s virtual environment.
        user: who runs the service.
        group: the web server's group, which may connect to the gateway's unix sockets.
        config: the gateway's settings file, where the service needs its name.
        activated: whether systemd opens the gateway's sockets, because no setting has them.
        instances: whether the service is one for several applications, each in a folder of its own.
    """

    app: str = "module:app"
    domain: str = "example.org"
    tls: tuple[str, str] | None = (
        "/etc/letsencrypt/live/example.org/fullchain.pem",
        "/etc/letsencrypt/live/example.org/privkey.pem",
    )
    port: int = 0
    protocol: str = "scgi"
    address: Address = Address("unix", path=f"{FOLDER}/scgi.sock")
    websockets: str = "in-band"
    direct: Address = Address("unix", path=f"{FOLDER}/websocket.sock")
    static: tuple[Static, ...] = (Static("/static/", "/var/www/example/static"),)
    mount: str = ""
    upload: int = 16
    version: Version = ()
    name: str = "ssgi-gateway"
    folder: str = "/srv/app"
    program: str = ""
    user: str = "www-data"
    group: str = "www-data"
    config: str = ""
    activated: bool = True
    instances: bool = False

    @property
    def listen(self) -> int:
        """The port of the web server."""
        return self.port or (443 if self.tls else 80)

    @property
    def origin(self) -> str:
        """The site's address in a browser."""
        scheme, usual = ("https", 443) if self.tls else ("http", 80)
        return f"{scheme}://{self.domain}" + ("" if self.listen == usual else f":{self.listen}")

    @property
    def has_direct(self) -> bool:
        """Whether WebSockets go to the gateway's direct port."""
        return self.websockets not in ("in-band", "off")

    @property
    def websocket_path(self) -> str:
        """The path below which WebSockets are, ``/`` for all of them."""
        return self.websockets if self.websockets.startswith("/") else f"{self.mount}/"

    def needed(self, front: str) -> list[tuple[str, bool | int, str]]:
        """Settings of the gateway that this web server needs: name, value, why."""
        found: list[tuple[str, bool | int, str]] = []
        if front == "lighttpd":
            found.append(("half-close", True, "lighttpd closes its half of a connection and still reads"))
        # Apache's LimitRequestBody does not apply to mod_proxy_fcgi (2.4.71: with a limit of 100 kB 2 MB came through).
        if self.upload and (front == "haproxy" or (front, self.protocol) == ("apache", "fastcgi")):
            found.append(("max-body-size", self.upload << 20, "the web server has no limit for uploads"))
        return found

    def command(self, front: str = "") -> str:
        """The command that starts the gateway for this site behind ``front``, on several lines with backslashes."""
        words = [f"ssgi-gateway serve {self.app}", f"--{self.protocol} {self.address}"]
        if self.has_direct:
            words.append(f"--websocket {self.direct}")
        if self.websockets != "off":
            words.append("--websocket-origins same")
        if self.mount:
            words.append(f"--root-path {self.mount}")
        if "unix" in (self.address.kind, self.has_direct and self.direct.kind):
            words.append(f"--socket-owner :{self.group}")
        words += [f"--{name}" if value is True else f"--{name} {value}" for name, value, _ in self.needed(front)]
        return " \\\n    ".join(words)

    def checked(self) -> Site:
        """The same, if it can be written down.

        Raises:
            ConfigurationError: an answer cannot be used; the message says which, and what to write.
        """
        if not DOMAIN.fullmatch(self.domain):
            raise ConfigurationError(f"--domain: {self.domain!r} is not a host name, such as example.org")
        if self.mount and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", self.mount):
            raise ConfigurationError(f"--mount: {self.mount!r} is not a path such as /shop, without a slash at its end")
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"--port: {self.port} is no port; there are 1 to 65535")
        if self.upload < 0:
            raise ConfigurationError(f"--upload-size: {self.upload} is no size; write MiB, or 0 for no limit")
        for name, text in self._written():
            if not SAFE.fullmatch(text):
                raise ConfigurationError(
                    f"{name}: {text!r} holds a character that web servers' configurations give a meaning to; "
                    "use a name of letters, digits and ._~/@:+,=%-"
                )
        return self

    def _written(self) -> list[tuple[str, str]]:
        """Every text that stands in the file as it is."""
        written = [("--static", text) for pair in self.static for text in pair]
        written += [("--tls", text) for text in self.tls or ()]
        written += [("--project", self.folder), ("--user", self.user), ("the program", self.program or "-")]
        written += [("--web-group", self.group), ("--config", self.config or "-")]
        written += [("the application", self.app), (f"--{self.protocol}", str(self.address))]
        if self.has_direct:
            written += [("--websocket", str(self.direct)), ("--websocket-path", self.websocket_path)]
        return written


def connectable(address: Address) -> str:
    """``host:port`` of an address that is listened on; one that means every address is reached on this machine's."""
    wildcards = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}
    return str(address._replace(host=wildcards.get(address.host, address.host)))


def comment(text: str, mark: str = "# ") -> str:
    """``text`` as a comment."""
    return "\n".join((mark + line).rstrip() for line in text.strip("\n").splitlines())


def join(*sections: str) -> str:
    """A file of sections with an empty line between them; empty ones are left out."""
    return "\n\n".join(section.strip("\n") for section in sections if section.strip()) + "\n"


def indent(text: str, by: str = "    ") -> str:
    """``text`` further to the right."""
    return "\n".join(by + line if line else line for line in text.strip("\n").splitlines())
