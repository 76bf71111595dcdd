"""``python -m ssgi_gateway.flup script.fcgi [arguments]``: run a script for flup as it is."""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from typing import Final

USAGE: Final = "usage: python -m ssgi_gateway.flup SCRIPT [ARGUMENT ...]\n"

SERVERS: Final = ("fcgi", "fcgi_fork", "fcgi_single", "scgi", "scgi_fork")


def main(arguments: list[str]) -> int:
    """Run the script; returns the exit status where the script leaves it to us."""
    if not arguments or arguments[0].startswith("-"):
        sys.stderr.write(USAGE)
        return 2
    install()
    script = arguments[0]
    sys.argv = arguments
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


def install() -> None:
    """Let ``import flup`` find our modules under flup's names."""
    for name in ("", ".server", *(f".server.{server}" for server in SERVERS)):
        sys.modules[f"flup{name}"] = importlib.import_module(f"ssgi_gateway.flup{name}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
