"""Which build of the code runs, and on which event loop.

The hot modules exist once as source and possibly twice as code: plain Python under ``ssgi_gateway`` and compiled
under ``ssgi_gateway._compiled``, with the same names below. Hot modules import their siblings relatively, so that
choosing the package for the first of them (``server.serve``) chooses it for all. Nothing here is remembered: the
same setting always gives the same build.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Final

from ssgi_gateway.errors import ConfigurationError

__all__ = ["PORTABLE", "describe", "event_loop", "load", "module"]

PORTABLE: Final = "ssgi_gateway"
COMPILED: Final = "ssgi_gateway._compiled"
ENTRY: Final = "server.serve"

BUILDING: Final = (
    "install a C compiler and Python's headers (Debian, Ubuntu: apt install gcc python3-dev), then "
    "pip install --force-reinstall --no-binary ssgi-gateway ssgi-gateway; or use --codec portable"
)


def load(codec: str = "auto") -> ModuleType:
    """The package that holds the chosen build.

    Args:
        codec: ``portable``, ``compiled``, or ``auto`` for compiled where it is installed.

    Raises:
        ConfigurationError: ``compiled`` was requested and is not there.
    """
    if codec == "portable":
        return importlib.import_module(PORTABLE)
    compiled, reason = _compiled()
    if compiled is not None:
        return compiled
    if codec == "compiled":
        raise ConfigurationError(f"the compiled codecs cannot be used: {reason}; {BUILDING}")
    return importlib.import_module(PORTABLE)


def module(name: str, codec: str = "auto") -> ModuleType:
    """A hot module, such as ``server.serve``, of the chosen build.

    Raises:
        ConfigurationError: as ``load``.
    """
    return importlib.import_module(f"{load(codec).__name__}.{name}")


def describe(codec: str = "auto") -> str:
    """The build in use, and for ``auto`` why it is not the compiled one."""
    if load(codec).__name__ == COMPILED:
        return "compiled"
    if codec == "portable":
        return "portable"
    return f"portable ({_compiled()[1]})"


def event_loop() -> str:
    """The event loop in use: uvloop where it is installed, asyncio's own where not."""
    try:
        import uvloop
    except ImportError:
        return "asyncio (uvloop is not installed: pip install uvloop)"
    return f"uvloop {getattr(uvloop, '__version__', '')}"


def _compiled() -> tuple[ModuleType | None, str]:
    """The compiled package, or why it cannot be used."""
    try:
        # The module that imports all the others: half a build, or one for another Python, is found out here.
        importlib.import_module(f"{COMPILED}.{ENTRY}")
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if f"{COMPILED}.{ENTRY}".startswith(missing):
            return None, "the compiled build is not installed"
        return None, f"the compiled build lacks {missing}"
    except ImportError as error:
        return None, f"the compiled build cannot be imported: {error}"
    except Exception as error:  # what Cython raises where classes do not fit, as after a change without a build
        return None, f"the compiled build is not that of these sources: {error!r}"
    return importlib.import_module(COMPILED), ""
