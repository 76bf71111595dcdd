"""Writes docs/settings.md from the settings: ``python scripts/settings_reference.py``.

Everything on the page but its introduction comes from the fields of ``ssgi_gateway.settings``, as the options of the
command line do. ``--check`` writes nothing and says with its exit status whether the page is up to date; so does
``tests/unit/test_settings_reference.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the page belongs to the source beside it, not to an installed release

from ssgi_gateway.settings.sources import CONFIG_VARIABLE, Option, options  # noqa: E402
from ssgi_gateway.settings.values import show  # noqa: E402

PAGE = ROOT / "docs" / "settings.md"

INTRODUCTION = f"""\
# Settings

*Written by `python scripts/settings_reference.py`; edit the fields in `ssgi_gateway/settings/schema.py` instead.*

Every setting can be given in four places. For each one the first place that has it decides:

1. the command line of `ssgi-gateway serve`: `--max-connections 500`;
2. the environment: `SSGI_MAX_CONNECTIONS=500`;
3. a TOML file, named with `--config FILE` or `{CONFIG_VARIABLE}=FILE`: `max_connections = 500`;
4. the default below.

The names follow one rule. An option's name in capitals, with underscores and `SSGI_` before it, is its variable. In the
file a setting is called by its key; where the key has a dot, the part before it is a table:

```toml
scgi = ["unix:/run/ssgi-gateway/scgi.sock"]
socket_mode = 0o660

[websockets]
origins = ["same"]
ping_interval = 20
```

Values:

* Sizes are bytes, or a number with `k`, `m` or `g` (powers of 1024): `64k`. Times are seconds: `30`, `0.5`.
* Permissions are octal: `660`, and `0o660` in the file.
* On and off: `--websocket-deflate` and `--no-websocket-deflate`; `1` or `0` in the environment; `true` or `false` in
  the file.
* What is repeatable is given several times on the command line, with commas in the environment, and as an array in the
  file.
* An empty variable counts as not given, so that `SSGI_BACKLOG=${{BACKLOG:-}}` does what it looks like. Only a plain
  text, such as the root path, may be empty.

What cannot be used stops the start with one line that says where it was written and what to write instead. An option or
a key that does not exist is an error; a variable that looks like a misspelt one is a warning.

Addresses are written in one of these forms:

| address | what it is |
|---|---|
| `unix:/run/app.sock`, `/run/app.sock` | a unix socket |
| `127.0.0.1:9000`, `localhost:9000`, `[::1]:9000` | an address of this machine; port 0 lets the kernel choose |
| `:9000` | all addresses of this machine, IPv6 and IPv4 |
| `fd:3` | a listening socket that is open already |
"""


def render() -> str:
    """The page."""
    sections: dict[str, list[Option]] = {}
    for option in options():
        sections.setdefault(option.section, []).append(option)
    return INTRODUCTION + "".join("\n" + "\n".join(section(*it)) + "\n" for it in sections.items())


def section(name: str, members: list[Option]) -> Iterator[str]:
    """A heading and its table."""
    yield f"## {name[0].upper()}{name[1:]}"
    yield ""
    yield "| option | variable | key in the file | default | what it does |"
    yield "|---|---|---|---|---|"
    for option in members:
        cells = (flag(option), f"`{option.variable}`", f"`{'.'.join(option.path)}`", default(option), meaning(option))
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def flag(option: Option) -> str:
    """How the option is written on the command line."""
    if option.kind is bool:
        return f"`{option.flag.replace('--', '--[no-]', 1)}`"
    return f"`{option.flag}`"


def default(option: Option) -> str:
    """The first value; with its unit where the value alone does not say it."""
    shown = show(option.default, option.metadata)
    unit = option.metadata["unit"]
    return f"{shown} s" if unit == "seconds" else shown or "not given"


def meaning(option: Option) -> str:
    """The setting's documentation, and the values it may have."""
    choices, least = option.metadata["choices"], option.metadata["minimum"]
    text: str = option.metadata["help"]
    if choices:
        text += " One of " + ", ".join(f"`{choice}`" for choice in choices if choice) + "."
    if least:
        text += f" At least {show(int(least), option.metadata) if least >= 1 else f'{least:g}'}."
    return text


def main() -> int:
    """Write the page, or check it."""
    page = render()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page:
        return 0
    print("docs/settings.md is out of date; write it with: python scripts/settings_reference.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
