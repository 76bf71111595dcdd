"""A script for a shared host, ``app.fcgi``: what makes the web server log "End of script output before headers"."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.diagnosis import Finding

__all__ = ["examine"]

WHY = "the web server cannot start it, and reports it in its error log only"


def examine(path: Path) -> Iterator[Finding]:
    """All that can be found without running it.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        data, mode = path.read_bytes(), path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"--script: {path}: {error.strerror}") from None
    if not mode & stat.S_IXUSR or not mode & stat.S_IXOTH:
        yield Finding("script-not-executable", f"{path} has mode {stat.S_IMODE(mode):o}", WHY, f"chmod 755 {path}")
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        yield Finding(
            "script-writable", f"{path} has mode {stat.S_IMODE(mode):o}",
            "suexec starts no program that others may change", f"chmod 755 {path}",
        )  # fmt: skip
    if data.startswith(b"\xef\xbb\xbf"):
        yield Finding("script-bom", "it begins with a byte order mark", WHY, "Save it as UTF-8 without one")
        data = data[3:]
    first = data.partition(b"\n")[0]
    if b"\r" in data:
        yield Finding("script-line-ends", "its lines end with CR LF", WHY, f"sed -i 's/\\r$//' {path}")
    if not first.startswith(b"#!"):
        yield Finding("script-interpreter", "its first line names no interpreter", WHY, "Begin it with #!/bin/sh")
        return
    yield from _interpreter(first.rstrip(b"\r").removeprefix(b"#!").decode(errors="replace").split())


def _interpreter(words: list[str]) -> Iterator[Finding]:
    if not words or not words[0].startswith("/"):
        yield Finding(
            "script-interpreter", f"its interpreter is {' '.join(words)!r}, which is no absolute path", WHY,
            "Write its whole path: #!/bin/sh",
        )  # fmt: skip
    elif not os.access(words[0], os.X_OK):
        yield Finding("script-interpreter", f"its interpreter {words[0]} is not here", WHY, "Write one that is")
    elif os.path.basename(words[0]) == "env" and len(words) > 1 and shutil.which(words[-1]) is None:
        yield Finding(
            "script-interpreter", f"env finds no {words[-1]}", WHY, "Write the whole path of the interpreter",
        )  # fmt: skip
