"""Builds a part of the mirror again, as ``setup.py`` does, in the current directory.

Arguments: what the modules' names begin with, behind ``ssgi_gateway._compiled.``; none for all of them. CFLAGS and
LDFLAGS say how; ``asan.sh`` sets them. What is not built again stays as it is.
"""

from __future__ import annotations

import os
import sys
from distutils.core import run_setup

import setuptools  # noqa: F401 - before distutils, which it provides

PACKAGE = "ssgi_gateway._compiled."


def main(prefixes: tuple[str, ...]) -> None:
    """Build."""
    os.environ["SSGI_GATEWAY_COMPILED"] = "1"  # or an error
    distribution = run_setup("setup.py", stop_after="init")
    command = distribution.get_command_obj("build_ext")
    command.inplace = True
    command.ensure_finalized()
    wanted = tuple(PACKAGE + prefix for prefix in prefixes or ("",))
    command.extensions = [extension for extension in command.extensions if extension.name.startswith(wanted)]
    command.run()
    print(f"{len(command.extensions)} modules")


main(tuple(sys.argv[1:]))
