"""``ssgi-gateway import FILE``: reads the file, writes settings in TOML, each option's fate in comments."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ssgi_gateway.cli.arguments import parser, read
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings.sources import combine, options
from ssgi_gateway.tools.config import write

from . import gunicorn, services, unit, uwsgi
from .rules import Imported

__all__ = ["import_file", "main", "settings_file"]


def procfile(text: str) -> Imported:
    """Understand the line ``web:`` of a Procfile.

    Raises:
        ConfigurationError: there is none.
    """
    for line in text.splitlines():
        kind, _, command = line.partition(":")
        if kind.strip() == "web":
            words = gunicorn.split(command.replace("&&", " && ").replace(";", " ; "))
            # What comes before, a migration mostly, belongs before the start of the service.
            first = max((at for at, word in enumerate(words) if word in ("&&", ";")), default=-1) + 1
            imported = gunicorn.from_command(words[first:])
            if first > 1:
                before = " ".join(words[: first - 1])
                imported.note(before, "replaced", "ExecStartPre= of the systemd service")
            return imported
    raise ConfigurationError("there is no line 'web: ...' in it")


def from_json(text: str, application: str) -> Imported:
    """Understand NGINX Unit's configuration, or uWSGI's.

    Raises:
        ConfigurationError: it is no JSON, or nothing of both.
    """
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigurationError(f"it is no JSON: {error}") from None
    table = content.get("uwsgi") if isinstance(content, dict) else None
    return uwsgi.read_json(table) if isinstance(table, dict) else unit.read(content, application)


def _one(reader: Callable[[str], Imported]) -> Callable[[str, str], Imported]:
    """A reader of files that configure one application."""
    return lambda text, _: reader(text)


READERS: Final[Mapping[str, Callable[[str, str], Imported]]] = {
    ".ini": _one(uwsgi.read),
    ".xml": _one(uwsgi.read_xml),
    ".yaml": _one(uwsgi.read_yaml),
    ".yml": _one(uwsgi.read_yaml),
    ".py": _one(gunicorn.read),
    ".json": from_json,
    ".service": _one(services.read_service),
    ".conf": services.read_supervisor,
    "Procfile": _one(procfile),
}
"""By the end of the file's name."""


KNOWN: Final = (
    "uwsgi.ini (.xml, .yaml, .json), gunicorn.conf.py, unit.json, Procfile, a systemd .service, supervisord's .conf"
)


def main(words: list[str]) -> int:
    """``ssgi-gateway import``; ``words`` are the arguments behind it."""
    made = parser("ssgi-gateway import", "Turn another server's configuration into settings of this one.")
    made.add_argument("file", metavar="FILE", help=f"{KNOWN}.")
    made.add_argument("--application", metavar="NAME", default="", help="Of NGINX Unit's applications, this one.")
    made.add_argument("--output", metavar="FILE", default="", help="Write it there; over no other text.")
    given = read(made, words)
    text = settings_file(import_file(Path(given.file), given.application), given.file)
    if given.output:
        write(Path(given.output), text)
    else:
        sys.stdout.write(text)
    return 0


def import_file(path: Path, application: str = "") -> Imported:
    """Understand a file by its name; ``application`` is for those that configure several.

    Raises:
        ConfigurationError: it cannot be read, or is of no kind that is known.
    """
    name = "Procfile" if path.name.startswith("Procfile") else path.name  # Procfile.production, too
    reader = next((found for end, found in READERS.items() if name.endswith(end)), None)
    if reader is None:
        raise ConfigurationError(f"{path}: known by their names are {KNOWN}")
    try:
        return reader(path.read_text(encoding="utf-8"), application)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {getattr(error, 'strerror', error)}") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def settings_file(imported: Imported, source: str) -> str:
    """The settings in TOML: what was taken as keys, everything else as comments.

    Raises:
        ConfigurationError: a value cannot be used here.
    """
    known = {".".join(option.path).replace("_", "-"): option for option in options()}
    chosen: dict[str, tuple[str, Any]] = {}
    for name, value in imported.settings.items():
        if name not in known:
            continue
        try:
            combine({known[name].name: (f"{source}: {name}", value)})
        except ConfigurationError as error:
            imported.refuse(name, str(error))
        else:
            chosen[name] = (f"{source}: {name}", value)
    combine({known[name].name: pair for name, pair in chosen.items()})
    plain = {name: value for name, (_, value) in chosen.items() if "." not in name}
    grouped = {name: value for name, (_, value) in chosen.items() if "." in name}
    lines = [f"# Made of {source} by ssgi-gateway import. Try it: ssgi-gateway check --config THIS_FILE", ""]
    lines += [f"{name} = {_toml(value)}" for name, value in plain.items()]
    for group in dict.fromkeys(name.partition(".")[0] for name in grouped):
        lines += ["", f"[{group}]"]
        inside = {name.partition(".")[2]: it for name, it in grouped.items() if name.startswith(f"{group}.")}
        lines += [f"{name} = {_toml(value)}" for name, value in inside.items()]
    for outcome in ("replaced", "no counterpart", "taken"):
        notes = [note for note in imported.notes if note.outcome == outcome]
        if notes:
            lines += ["", f"# {outcome.capitalize()}:"]
            lines += [f"#   {note.option}\n#       {note.words}" for note in notes]
    if imported.environment:
        lines += ["", "# The application's environment, for the service that starts it:"]
        lines += [f"#   {name}={value}" for name, value in imported.environment.items()]
    return "\n".join(lines).rstrip() + "\n"


def _toml(value: Any) -> str:
    """A value in TOML; its strings, numbers, booleans and lists are written as in JSON."""
    return json.dumps(value, ensure_ascii=False)
