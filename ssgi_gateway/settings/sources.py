"""Where settings come from: the command line, else the environment, else a TOML file, else the default.

The file is named by ``--config`` or ``SSGI_CONFIG``, or found in the application's directory.

Everything is made from the fields of ``Settings``; their names follow the rule that ``settings.schema`` states. A
source is a dict from a setting's name to ``(where it was written, what was written)``; ``combine`` picks for each
setting the first source that has it, and what it cannot use becomes one line with the place and what to write instead.

In the environment a list is written with commas, and an empty variable counts as not given, so that
``SSGI_BACKLOG=${BACKLOG:-}`` does what it looks like; only a plain text, such as the root path, may be empty.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.settings.fields import Group
from ssgi_gateway.settings.schema import Settings
from ssgi_gateway.settings.values import convert, did_you_mean, show

if TYPE_CHECKING:
    import argparse

__all__ = [
    "Option",
    "Source",
    "add_options",
    "combine",
    "find_file",
    "from_command_line",
    "from_environment",
    "from_file",
    "options",
    "plain_words",
    "read",
    "read_all",
    "unknown_variables",
]

G = TypeVar("G", bound=Group)

Source: TypeAlias = Mapping[str, tuple[str, Any]]

OWN_FILE: Final = "ssgi-gateway.toml"
PROJECT_FILE: Final = "pyproject.toml"
_PROJECT_TABLE: Final = rb"""(?m)^[ \t]*\[[ \t]*tool[ \t]*\.[ \t]*["']?ssgi-gateway\b"""

CONFIG_VARIABLE: Final = "SSGI_CONFIG"
POSITIONAL: Final = "app"
"""The one setting that is written without its name."""


class Option:
    """One setting as people meet it. No named tuple: see ``settings.fields.Group``.

    Args:
        path: the fields that lead to it: ``("websockets", "ping_interval")``.
        name: unique among all settings, with the group's prefix: ``websocket_ping_interval``.
        kind: the type of the field.
        default: the first value.
        section: the heading it belongs under.
        metadata: what ``settings.fields.setting`` was given.
    """

    __slots__ = ("default", "kind", "metadata", "name", "path", "section")

    def __init__(
        self, path: tuple[str, ...], name: str, kind: Any, default: Any, section: str, metadata: Mapping[str, Any]
    ) -> None:
        self.path = path
        self.name = name
        self.kind = kind
        self.default = default
        self.section = section
        self.metadata = metadata

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return self.metadata["metavar"] if self.name == POSITIONAL else "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return "SSGI_" + self.name.upper()

    @property
    def repeatable(self) -> bool:
        """Whether it holds several values."""
        return self.kind in (tuple[str, ...], tuple[str, ...] | None)

    @property
    def text(self) -> bool:
        """Whether it holds any text, the empty one included."""
        return self.kind in (str, str | None) and not self.metadata["choices"]


@functools.cache
def options() -> tuple[Option, ...]:
    """Every setting, in the order of the fields."""
    return tuple(_walk(Settings, (), "", ""))


def _walk(kind: type[Group], path: tuple[str, ...], prefix: str, section: str) -> Iterable[Option]:
    for key, field in kind.FIELDS.items():
        where = (*path, key)
        if "prefix" in field.metadata:
            yield from _walk(field.kind, where, field.metadata["prefix"], field.metadata["section"])
        else:
            name = f"{prefix}_{key}" if prefix else key
            yield Option(where, name, field.kind, field.default, section or field.metadata["section"], field.metadata)


# -- the command line --------------------------------------------------------------------------------------------


def add_options(parser: argparse.ArgumentParser) -> None:
    """Give ``parser`` one argument for each setting, under the settings' headings, and ``--config``."""
    import argparse  # most starts are without: see plain_words

    file = "Read settings from this TOML file, too."
    parser.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help=file)
    sections: dict[str, argparse._ArgumentGroup] = {}
    for option in options():
        group = sections.get(option.section)
        if group is None:
            group = sections[option.section] = parser.add_argument_group(option.section)
        _add(group, option)


def _add(group: argparse._ArgumentGroup, option: Option) -> None:
    import argparse

    shown = show(option.default, option.metadata)
    help_text = option.metadata["help"] + (f" [{shown}]" if shown else "")
    about: dict[str, Any] = {"help": help_text.replace("%", "%%"), "default": argparse.SUPPRESS}
    if option.kind is bool:
        group.add_argument(option.flag, dest=option.name, action=argparse.BooleanOptionalAction, **about)
    elif option.name == POSITIONAL:
        group.add_argument(option.name, nargs="?", metavar=option.metadata["metavar"], **about)
    else:
        action = "append" if option.repeatable else "store"
        group.add_argument(option.flag, dest=option.name, action=action, metavar=_metavar(option), **about)


def _metavar(option: Option) -> str:
    choices, unit = option.metadata["choices"], option.metadata["unit"]
    named = {"bytes": "SIZE", "seconds": "SECONDS"}.get(unit, "N" if unit else "TEXT")
    return option.metadata["metavar"] or ("|".join(filter(None, choices)) if choices else named)


def plain_words(words: Sequence[str]) -> dict[str, Any] | None:
    """The settings in the words behind ``serve``, as the parser of ``add_options`` gives them.

    It knows ``--option value``, ``--option=value``, ``--switch``, ``--no-switch`` and the application, which is what
    a service is started with. ``None`` for everything else, from ``--help`` to mistakes: that is the parser's.
    """
    known = {"--config": ("config", False)}
    switches = {}
    for option in options():
        if option.kind is bool:
            switches[option.flag] = (option.name, True)
            switches[option.flag.replace("--", "--no-", 1)] = (option.name, False)
        elif option.name != POSITIONAL:
            known[option.flag] = (option.name, option.repeatable)
    given: dict[str, Any] = {}
    left = iter(words)
    for word in left:
        flag, equals, value = word.partition("=")
        if word in switches:
            name, on = switches[word]
            given[name] = on
        elif flag in known:
            name, repeatable = known[flag]
            value = value if equals else next(left, "-")
            if value.startswith("-") and not equals:
                return None
            given[name] = [*given.get(name, ()), value] if repeatable else value
        elif word.startswith("-") or not word or POSITIONAL in given:
            return None
        else:
            given[POSITIONAL] = word
    return given


def from_command_line(given: Mapping[str, Any]) -> Source:
    """The settings in the arguments of ``add_options`` or ``plain_words``."""
    return {option.name: (option.flag, given[option.name]) for option in options() if option.name in given}


# -- the environment ---------------------------------------------------------------------------------------------


def from_environment(environ: Mapping[str, str]) -> Source:
    """The settings in the ``SSGI_...`` variables."""
    found: dict[str, tuple[str, Any]] = {}
    for option in options():
        value = environ.get(option.variable)
        if value is not None and (value.strip() or option.text):
            found[option.name] = (option.variable, value)
    return found


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A warning for each variable that is like a setting's and is none; others with this prefix are not ours."""
    known = [option.variable for option in options()] + [CONFIG_VARIABLE]
    wrong = [name for name in environ if name.startswith("SSGI_") and name not in known]
    hints = {name: did_you_mean(name, known) for name in sorted(wrong)}
    return [f"{name} in the environment is not a setting{hint}" for name, hint in hints.items() if hint]


# -- the file ----------------------------------------------------------------------------------------------------


def read(given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> Settings:
    """The settings, of the command line, the environment and a file.

    The file is the one that the command line or the environment names, otherwise the one that is found in the
    application's directory (``find_file``).

    Args:
        given: the command line's settings, as ``plain_words`` gives them.
        defaults: what counts where none of them has a value, written in the same way.

    Raises:
        ConfigurationError: as ``from_file`` and ``combine``.
    """
    return read_all(given, defaults)[0]


def read_all(
    given: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> tuple[Settings, dict[str, str], list[str]]:
    """As ``read``; the settings, where each one that was given was written, and the files that were read."""
    named: Source = from_command_line(given)
    variables = from_environment(os.environ)
    path = given.get("config") or os.environ.get(CONFIG_VARIABLE)
    if not path:
        chdir = named.get("chdir", variables.get("chdir", ("", "")))[1]
        path = find_file(str(chdir) or ".")
    sources = (named, variables, from_file(path) if path else {}, from_command_line(defaults or {}))
    origins: dict[str, str] = {}
    for source in reversed(sources):
        origins |= {name: label for name, (label, _) in source.items()}
    return combine(*sources), origins, [path] if path else []


def find_file(directory: str) -> str:
    """The settings file of an application's directory; empty where there is none.

    It is ``ssgi-gateway.toml``, else ``pyproject.toml`` if that has a table ``[tool.ssgi-gateway]``.
    """
    own = os.path.join(directory, OWN_FILE)
    if os.path.exists(own):
        return own
    project = os.path.join(directory, PROJECT_FILE)
    try:
        with open(project, "rb") as file:
            # Most have no such table, and a look is a hundredth of what a parser costs.
            return project if re.search(_PROJECT_TABLE, file.read()) else ""
    except PermissionError:
        return project  # nobody can see whether it has settings, so they are not passed over: ``from_file`` says why
    except OSError:
        return ""


def from_file(path: str) -> Source:
    """The settings in a TOML file: groups are tables; in a pyproject.toml all are below ``tool.ssgi-gateway``.

    Raises:
        ConfigurationError: it cannot be read, is no TOML, or holds something that is no setting.
    """
    import tomllib  # most starts have no file

    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigurationError(f"--config: {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not TOML: {error}") from None
    if os.path.basename(path) == PROJECT_FILE:
        tool = content.get("tool", {})
        return dict(_from_table(tool.get("ssgi-gateway", {}), (), f"{path}: tool.ssgi-gateway"))
    return dict(_from_table(content, (), path))


def _from_table(table: Mapping[str, Any], path: tuple[str, ...], file: str) -> Iterable[tuple[str, tuple[str, Any]]]:
    here = {option.path[len(path)]: option for option in options() if option.path[: len(path)] == path}
    for key, value in table.items():
        label = f"{file}: {'.'.join((*path, key))}"
        option = here.get(key.replace("-", "_"))
        if option is None:
            raise ConfigurationError(f"{label} is not a setting{did_you_mean(key, list(here))}")
        if len(option.path) > len(path) + 1:
            if not isinstance(value, dict):
                raise ConfigurationError(f"{label} is a group of settings; write [{key}] and its settings below")
            yield from _from_table(value, (*path, option.path[len(path)]), file)
        else:
            yield option.name, (label, value)


# -- together ----------------------------------------------------------------------------------------------------


def combine(*sources: Source) -> Settings:
    """The settings; for each one the first source that has it decides.

    Raises:
        ConfigurationError: a value cannot be used, or two contradict each other.
    """
    values: dict[tuple[str, ...], Any] = {}
    for option in options():
        for source in sources:
            if option.name in source:
                label, raw = source[option.name]
                try:
                    values[option.path] = convert(raw, option.kind, option.metadata)
                except ValueError as error:
                    raise ConfigurationError(f"{label}: {error}") from None
                break
    settings = _build(Settings, (), values)
    _check(settings)
    return settings


def _build(kind: type[G], path: tuple[str, ...], values: Mapping[tuple[str, ...], Any]) -> G:
    arguments = {}
    for name, field in kind.FIELDS.items():
        where = (*path, name)
        if "prefix" in field.metadata:
            arguments[name] = _build(field.kind, where, values)
        elif where in values:
            arguments[name] = values[where]
    return kind(**arguments)


def _check(settings: Settings) -> None:
    """What no setting can know alone."""
    if settings.status and not settings.metrics:
        raise ConfigurationError("--status shows what --metrics counts; do not turn that off")
    flow = settings.flow
    if flow.low_water >= flow.high_water:
        raise ConfigurationError(
            f"--flow-low-water ({flow.low_water}) must be less than --flow-high-water ({flow.high_water})"
        )
    if settings.root_path and (not settings.root_path.startswith("/") or settings.root_path.endswith("/")):
        raise ConfigurationError(
            f"--root-path: {settings.root_path!r} does not begin with a slash, or ends with one; write it like /shop, "
            "or '' for the top"
        )
