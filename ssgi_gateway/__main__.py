"""The command ``ssgi-gateway``, and ``python -m ssgi_gateway``: loads what it is made of, then runs it."""

from __future__ import annotations

import gc
import sys

__all__ = ["main"]


def main() -> int:
    """``cli.main.main`` with the arguments of the process; returns its exit status."""
    # Modules are no garbage: looking for some while they load was a tenth of a start, and each later search for it,
    # while requests wait, would look through them again. What the application loads comes after this.
    gc.disable()
    from ssgi_gateway.cli.main import main as run

    return run(loaded=_keep)


def _keep() -> None:
    gc.freeze()
    gc.enable()


if __name__ == "__main__":
    sys.exit(main())
