"""What an import is made of, and how options of other servers become settings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

__all__ = ["Imported", "Note", "Rule", "Rules", "address", "apply", "ignored", "replaced", "taken"]

TAKEN, REPLACED, NONE = "taken", "replaced", "no counterpart"


class Note(NamedTuple):
    """What became of one option.

    Args:
        option: as it was written.
        outcome: ``taken``, ``replaced`` or ``no counterpart``.
        words: what it is here, or why it is nothing.
    """

    option: str
    outcome: str
    words: str


class Imported:
    """What was understood of a file: settings by their name on the command line without dashes, and notes."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.notes: list[Note] = []
        self.environment: dict[str, str] = {}

    def take(self, option: str, setting: str, value: Any) -> None:
        """Set ``setting``; of one that is repeatable the values are collected."""
        if isinstance(value, list):
            self.settings.setdefault(setting, []).extend(value)
        else:
            self.settings[setting] = value
        self.note(option, TAKEN, f"{setting} = {value!r}")

    def refuse(self, setting: str, words: str) -> None:
        """A value that was taken cannot be used: note it at its option."""
        for at, note in enumerate(self.notes):
            if note.outcome == TAKEN and note.words.partition(" ")[0] == setting:
                self.notes[at] = note._replace(outcome=NONE, words=f"its value cannot be used: {words}")

    def note(self, option: str, outcome: str, words: str) -> None:
        """Note what became of an option."""
        self.notes.append(Note(option, outcome, words))


class Rule(NamedTuple):
    """What an option becomes.

    Args:
        act: takes what is imported, the option as written, and its value.
        takes: the setting that the value goes into; empty where it goes into none.
    """

    act: Callable[[Imported, str, str], None]
    takes: str = ""


Rules = Mapping[str, Rule]


def taken(setting: str, convert: Callable[[str], Any] = str) -> Rule:
    """The option is a setting here."""

    def rule(imported: Imported, option: str, value: str) -> None:
        imported.take(option, setting, convert(value))

    return Rule(rule, setting)


def replaced(words: str) -> Rule:
    """Something else does what the option did."""
    return Rule(lambda imported, option, value: imported.note(option, REPLACED, words))


def ignored(words: str) -> Rule:
    """There is nothing of the kind here, for a reason."""
    return Rule(lambda imported, option, value: imported.note(option, NONE, words))


def apply(imported: Imported, rules: Rules, name: str, option: str, value: str) -> None:
    """What ``name`` means by these rules; an option that is not known is listed as unknown."""
    rule = rules.get(name)
    if rule is None:
        imported.note(option, NONE, "not known to this importer")
        return
    if rule.takes and "$" in value:
        imported.note(
            option, REPLACED, f'{rule.takes}: give it as an option at the start, "{value}" for the shell to fill in'
        )
        return
    try:
        rule.act(imported, option, value)
    except ValueError as error:
        imported.note(option, NONE, f"its value cannot be used: {error}")


def number(text: str) -> int:
    """A whole number, with K, M or G where servers allow them."""
    match = re.fullmatch(r"(\d+)\s*([KMGkmg]?)[bB]?", text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no number")
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30}[match[2].lower()]


def seconds(text: str) -> float:
    """Seconds."""
    return float(text)


def listed(text: str) -> list[str]:
    """A value of a repeatable setting."""
    return [text.strip()]


_PORT: Final = re.compile(r":?(\d+)")


def address(text: str) -> str:
    """An address as this server takes it; ``unix:`` before a path, nothing before a host.

    Raises:
        ValueError: it holds what only a shell can fill in.
    """
    text = text.strip().split(",")[0]
    text = re.sub(r"^(tcp|http|https)://", "", text)
    if "$" in text:
        raise ValueError(f"{text!r} is for a shell to fill in")
    if text.startswith("unix:"):
        return "unix:" + text.removeprefix("unix:").removeprefix("//")
    if text.startswith(("/", "./", "@")):
        return f"unix:{text}"
    if text.startswith("fd://"):
        return "fd:" + text.removeprefix("fd://")
    port = _PORT.fullmatch(text)
    return f":{port[1]}" if port else text.replace("*:", ":")


def addresses(text: str) -> list[str]:
    """The same, for a repeatable setting."""
    return [address(text)]


PROXY: Final = (
    "over FastCGI and SCGI the client's address, the scheme and the host come with each request, so nothing has to be "
    "believed; over HTTP trusted-peers says who is"
)
"""Why options about X-Forwarded-* have no counterpart."""
