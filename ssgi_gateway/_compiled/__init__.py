"""The hot modules, compiled: the same names as in ``ssgi_gateway``, built by ``setup.py`` where it can.

They are in one library and not in one file each, which Python's own import system does not look for; so this package
finds them, and makes the packages between. Where there is no library, for this Python, nothing is found, and the
portable build is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from types import ModuleType

_PORTABLE = os.path.dirname(os.path.dirname(__file__))


class Loader(ExtensionFileLoader):
    """Takes one module out of the library."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the module; its initialization is called ``PyInit_wire_scgi_codec``, as ``setup.py`` says."""
        inside = spec.name.removeprefix(f"{__name__}.").replace(".", "_")
        module = super().create_module(ModuleSpec(f"{spec.parent}.{inside}", self, origin=spec.origin))
        module.__name__ = spec.name
        return module


class Finder:
    """Finds everything below this package in the library; an ``importlib.abc.MetaPathFinder``."""

    def __init__(self, library: str) -> None:
        self.library = library

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the module is; None for what is none of ours."""
        if not name.startswith(f"{__name__}."):
            return None
        if os.path.isdir(os.path.join(_PORTABLE, *name.removeprefix(f"{__name__}.").split("."))):
            return ModuleSpec(name, None, is_package=True)
        return ModuleSpec(name, Loader(name, self.library), origin=self.library)


def _libraries() -> list[str]:
    """What was built for this Python."""
    names = (os.path.join(os.path.dirname(__file__), f"modules{suffix}") for suffix in EXTENSION_SUFFIXES)
    return [name for name in names if os.path.exists(name)]


# In front, so that a module of an older build, a file of its own, is not taken in its place.
sys.meta_path[:0] = map(Finder, _libraries())
