"""What starts a server elsewhere: systemd's services and supervisord's programs, with their commands."""

from __future__ import annotations

import configparser
import shlex
from typing import Final

from ssgi_gateway.errors import ConfigurationError

from . import gunicorn
from .rules import Imported, Rules, apply, ignored, replaced, taken
from .servers import SERVERS

__all__ = ["SERVICE", "SUPERVISOR", "read_service", "read_supervisor"]

SYSTEMD: Final = ignored("systemd's own: keep it in the service")
UNIT: Final = replaced("ssgi-gateway config systemd writes a service")

SERVICE: Final[Rules] = {
    "workingdirectory": taken("chdir", lambda text: text.lstrip("-")),
    "user": ignored("the service's own: keep User= there"),
    "group": ignored("the service's own: keep Group= there"),
    "environmentfile": ignored("keep it in the service"),
    "execstartpre": ignored("keep it in the service"),
    "execreload": replaced("ExecReload=kill -HUP $MAINPID, as ssgi-gateway config systemd writes it"),
    "type": replaced("Type=notify: a service is up when it serves"),
    "restart": UNIT,
    "restartsec": UNIT,
    "killmode": UNIT,
    "timeoutstopsec": UNIT,
    "killsignal": UNIT,
    "runtimedirectory": UNIT,
    "notifyaccess": UNIT,
    "standardoutput": UNIT,
    "standarderror": UNIT,
    "syslogidentifier": UNIT,
    "privatetmp": UNIT,
}
"""What the lines of ``[Service]`` are here, in lower case; systemd's own do not change with the server."""

SUPERVISOR: Final[Rules] = {
    "directory": taken("chdir"),
    "user": taken("user"),
    "numprocs": taken("workers", int),
    "umask": taken("umask"),
    "stopsignal": replaced("SIGTERM, SIGINT and SIGQUIT end the server"),
    "stopwaitsecs": ignored("keep it, longer than deadlines.drain"),
    "stopasgroup": replaced("workers end with the supervisor"),
    "killasgroup": replaced("workers end with the supervisor"),
}
"""What a program's lines are here; what is about supervisord itself stays there."""

KEPT: Final = (
    "autostart", "autorestart", "startsecs", "startretries", "exitcodes", "priority", "process_name",
    "redirect_stderr", "stdout_", "stderr_",
)  # fmt: skip
"""Lines that stay as they are; the beginnings of their names."""


def read_service(text: str) -> Imported:
    """Understand a service whose ``ExecStart=`` is a server's command line.

    Raises:
        ConfigurationError: there is none, or it starts no server that is known.
    """
    lines = _lines(text, "Service")
    command = next((value for name, value in lines if name == "execstart"), "")
    imported = _command(command.lstrip("-@:+!"), "[Service] with ExecStart=")
    for name, value in lines:
        if name == "environment":
            imported.environment.update(pair.partition("=")[::2] for pair in shlex.split(value))
            imported.note(f"Environment={value}", "replaced", "keep it in the service")
        elif name != "execstart":
            apply(imported, {name: SERVICE.get(name, SYSTEMD)}, name, f"{name}={value}", value)
    return imported


def read_supervisor(text: str, application: str = "") -> Imported:
    """Understand a ``[program:...]`` whose command starts a server; ``application`` is its name, of several.

    Raises:
        ConfigurationError: there is none, or several.
    """
    parser = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    try:
        parser.read_string(text)
    except configparser.Error as error:
        raise ConfigurationError(f"it is no configuration of supervisord: {error}") from None
    programs = {name.partition(":")[2]: parser[name] for name in parser.sections() if name.startswith("program:")}
    servers = {name: lines for name, lines in programs.items() if _starts_server(lines.get("command", ""))}
    wanted = {name: lines for name, lines in servers.items() if application in ("", name)}
    if len(wanted) != 1:
        raise ConfigurationError(
            f"one program is taken whose command is one of {', '.join(SERVERS)}, uwsgi, and there are "
            f"{len(servers)}: {', '.join(servers) or 'none'}"
            + ("; choose one with --application NAME" if len(servers) > 1 else "")
        )
    [(chosen, lines)] = wanted.items()
    imported = _command(lines["command"], "command=")
    for name, value in lines.items():
        if name == "environment":
            imported.environment.update(pair.partition("=")[::2] for pair in _comma_separated(value))
            imported.note(f"environment={value}", "replaced", "keep it in the program")
        elif name != "command" and not name.startswith(KEPT):
            apply(imported, SUPERVISOR, name, f"{name}={value}", value)
    for other in programs:
        if other != chosen:
            imported.note(f"[program:{other}]", "no counterpart", "it stays as it is")
    return imported


def _lines(text: str, section: str) -> list[tuple[str, str]]:
    """The lines of a section of a unit file, in lower case; a backslash joins two."""
    inside = False
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            found.append((name.strip().lower(), value.strip()))
    return found


def _comma_separated(text: str) -> list[str]:
    """``A="1",B="x y"``."""
    words = shlex.shlex(text, posix=True)
    words.whitespace, words.whitespace_split, words.commenters = ",", True, ""
    return [word.strip() for word in words]


def _starts_server(command: str) -> bool:
    try:
        gunicorn.from_command(gunicorn.split(command))
    except (ConfigurationError, ValueError):
        return False
    return True


def _command(command: str, where: str) -> Imported:
    if not command:
        raise ConfigurationError(f"there is no {where} in it")
    return gunicorn.from_command(gunicorn.split(command))
