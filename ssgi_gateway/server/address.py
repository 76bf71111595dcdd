"""The grammar of addresses, in both directions; opens nothing.

See ``listeners`` for what each form means when it is opened.
"""

from __future__ import annotations

import os
import re
import socket
from typing import Final, NamedTuple

from ssgi_gateway.errors import ConfigurationError

__all__ = ["Address"]

MAX_PATH: Final = 107
"""Bytes of a unix socket's path (unix(7): 108 with the final NUL)."""

_TCP: Final = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>[0-9]{1,5})")

FORMS: Final = "write unix:/path, /path, host:port, [ipv6]:port, :port or fd:N"


class Address(NamedTuple):
    """Where to listen: ``kind`` is ``unix``, ``tcp`` or ``fd`` and decides which fields count.

    ``host`` is without brackets and empty for "every address".
    """

    kind: str
    path: str = ""
    host: str = ""
    port: int = 0
    fd: int = -1

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read one of the forms.

        Raises:
            ConfigurationError: it is none; the message shows how to write it.
        """
        text = text.strip()
        if text.startswith(("unix:", "/", "./")):
            return _parse_unix(text.removeprefix("unix:"), text)
        if text.startswith("fd:"):
            if not re.fullmatch(r"[0-9]{1,9}", text[3:]):
                raise ConfigurationError(f"{text!r} is not a descriptor; write fd:0, fd:3 ...")
            return cls("fd", fd=int(text[3:]))
        match = _TCP.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"{text!r} is not an address; {_hint(text)}")
        if int(match["port"]) > 65535:
            raise ConfigurationError(f"{text!r}: a port is at most 65535")
        if match["bracketed"] is not None and ":" not in match["bracketed"]:
            raise ConfigurationError(f"{text!r}: only IPv6 addresses have brackets")
        return cls("tcp", host=match["bracketed"] or match["host"], port=int(match["port"]))

    @classmethod
    def of_socket(cls, bound: socket.socket) -> Address:
        """Where ``bound`` is bound; ``fd:N`` for a unix socket without a name."""
        name = bound.getsockname()
        if bound.family == socket.AF_UNIX:
            path = os.fsdecode(name)
            return cls("unix", path=path) if path.startswith("/") else cls("fd", fd=bound.fileno())
        return cls("tcp", host=name[0], port=name[1])

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix:{self.path}"
        if self.kind == "fd":
            return f"fd:{self.fd}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _parse_unix(path: str, text: str) -> Address:
    if path.startswith("@"):
        raise ConfigurationError(f"{text!r}: web servers cannot connect to abstract sockets; write a path")
    if not path or path.endswith("/"):
        raise ConfigurationError(f"{text!r} names no file; write a path such as unix:/run/app.sock")
    if "\0" in path:
        raise ConfigurationError(f"{text!r} holds a NUL byte")
    if path.endswith(":"):
        raise ConfigurationError(f"{text!r} ends with a colon, as in proxy_pass; leave it out here")
    path = os.path.abspath(path)
    if len(os.fsencode(path)) > MAX_PATH:
        raise ConfigurationError(
            f"{text!r}: the path of a unix socket has at most {MAX_PATH} bytes; choose a shorter one"
        )
    return Address("unix", path=path)


def _hint(text: str) -> str:
    """What the writer may have meant."""
    if re.fullmatch(r"[0-9]{1,5}", text):
        return f"write :{text} for every address of this machine, or 127.0.0.1:{text}"
    if re.match(r"[a-z]+://", text):
        return f"leave out the {text.partition(':')[0]}://"
    if text.count(":") > 1 and "[" not in text:
        return f"an IPv6 address needs brackets: [{text.rpartition(':')[0]}]:{text.rpartition(':')[2]}"
    if re.fullmatch(r"[^:\s]+", text):
        return f"write {text}:9000 with a port, or unix:{text} for a unix socket"
    return FORMS
