"""``-w``: the facts of a call in the user's own words."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from .failure import READ, CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FACTS", "print_facts"]

FACTS: Final[dict[str, Any]] = {
    "content_type": "", "errormsg": "", "exitcode": 0, "http_code": 0, "http_version": "", "method": "",
    "num_connects": 0, "num_redirects": 0, "redirect_url": "", "remote_ip": "", "remote_port": "", "response_code": 0,
    "scheme": "", "size_download": 0, "size_header": 0, "size_request": 0, "size_upload": 0, "speed_download": 0,
    "time_appconnect": 0.0, "time_connect": 0.0, "time_pretransfer": 0.0, "time_starttransfer": 0.0,
    "time_total": 0.0, "url": "", "url_effective": "",
}  # fmt: skip
"""What can be asked for, and what it is where a call did not come so far; the names are curl's."""

_WORD: Final = re.compile(r"%\{(\w+)\}|\\[ntr]|%%")
_ESCAPES: Final = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "%%": "%"}


def print_facts(form: str, facts: dict[str, Any], warn: Callable[[str], None]) -> None:
    """Print ``form`` with its ``%{name}`` replaced; ``%{stderr}`` and ``%{stdout}`` say where what follows goes.

    Args:
        form: of ``-w``; ``@FILE`` reads it, ``@-`` from standard input.
        facts: by name; those that are missing are as in ``FACTS``.
        warn: called for a name that there is not, which prints nothing.

    Raises:
        CallFailed: the file cannot be read.
    """
    form = _content(form[1:]) if form.startswith("@") else form
    known = {**FACTS, **facts}
    known["response_code"] = known["http_code"]
    known["speed_download"] = int(known["size_download"] / (known["time_total"] or 1e-9))
    out = sys.stdout
    start = 0
    for match in _WORD.finditer(form):
        out.write(form[start : match.start()])
        start = match.end()
        name = match[1]
        if name in ("stdout", "stderr"):
            out.flush()
            out = sys.stderr if name == "stderr" else sys.stdout
        else:
            out.write(_ESCAPES[match[0]] if name is None else _shown(name, known, warn))
    out.write(form[start:])
    out.flush()


def _content(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read()
        with open(name, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as error:
        raise CallFailed(READ, f"-w: cannot read {name!r}: {error.strerror}") from None


def _shown(name: str, facts: dict[str, Any], warn: Callable[[str], None]) -> str:
    if name == "json":
        import json

        return json.dumps(facts)
    if name not in facts:
        from ssgi_gateway.settings.values import did_you_mean  # only a mistake needs it

        warn(f"-w: there is no %{{{name}}}{did_you_mean(name, list(facts))}")
        return ""
    value = facts[name]
    if isinstance(value, float):
        return f"{value:.6f}"
    return f"{value:03d}" if name in ("http_code", "response_code") else str(value)
