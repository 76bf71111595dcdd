"""Both builds of the hot modules under the same tests.

A test module names the portable modules (``from ssgi_gateway.wire.scgi import ScgiCodec``). Where the compiled build
is there, ``CompiledModule`` imports the same file once more with the compiled modules in the places of the portable
ones, and so do the helpers under ``tests`` that it imports. Such tests are called ``test_cgi.py[compiled]::...``;
``-k compiled`` selects them. What a test module imports and has no twin (``wire.websocket.deflate``, ``errors``, a
constant of ``wire.websocket.codec``) is the same object for both. A test of how the portable build does it, and not of
what it does, is marked ``@pytest.mark.portable`` and runs once.

A ``conftest.py`` that wants this for its directory imports the hooks from here.
"""

from __future__ import annotations

import ast
import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ssgi_gateway import engine

__all__ = [
    "HOT",
    "MISSING",
    "CompiledModule",
    "pytest_collect_file",
    "pytest_collection_modifyitems",
    "pytest_configure",
]


def _hot() -> frozenset[str]:
    tree = ast.parse((Path(__file__).parents[1] / "setup.py").read_text())
    [value] = [it.value for it in tree.body if isinstance(it, ast.Assign) and ast.unparse(it.targets[0]) == "HOT"]
    return frozenset(ast.literal_eval(value))


HOT = _hot()
"""The modules that are compiled, such as ``wire.scgi.codec``: the list in ``setup.py``, read without running it."""


def _missing() -> str:
    try:
        engine.load("compiled")
    except engine.ConfigurationError as error:
        return str(error)
    return ""


MISSING = _missing()
"""Why there is no compiled build to test; empty where there is one."""

if MISSING and os.environ.get("SSGI_CODEC") == "compiled":
    raise pytest.UsageError(f"SSGI_CODEC=compiled, but {MISSING}")


@cache
def twins() -> dict[str, ModuleType]:
    """The modules of the compiled build, under the names of their portable twins."""
    compiled = {f"{engine.PORTABLE}.{name}": engine.module(name, "compiled") for name in HOT}
    return {name: Twin(importlib.import_module(name), compiled) for name in compiled}


class Twin(ModuleType):
    """A compiled module with all the names of its portable twin.

    What the compiled one lacks is what it does not make anew: constants, and classes it knows by their C names only.
    """

    def __init__(self, portable: ModuleType, compiled: dict[str, ModuleType]) -> None:
        super().__init__(compiled[portable.__name__].__name__, portable.__doc__)
        self.__dict__["_compiled"] = own = compiled[portable.__name__]
        self.__dict__["_replaced"] = {}
        for name, value in vars(portable).items():
            if not hasattr(own, name):
                origin = compiled.get(getattr(value, "__module__", None) or "")
                self.__dict__[name] = getattr(origin, name, value)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *dir(self._compiled)]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._compiled, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._replaced:
            self._replaced[name] = getattr(self._compiled, name)
        setattr(self._compiled, name, value)

    def __delattr__(self, name: str) -> None:
        """What monkeypatch does in the end: here it has found nothing to put back."""
        setattr(self._compiled, name, self._replaced.pop(name))


_helpers: dict[str, ModuleType] = {}  # tests.* as imported over the compiled build


def _is_helper(name: str) -> bool:
    return name.startswith("tests.") and name != __name__ and not name.endswith("conftest")


@contextmanager
def _compiled_in_place() -> Iterator[None]:
    """Imports within meet the compiled build, and helpers of their own."""
    substitutes = {**twins(), **_helpers}
    before = {name: module for name, module in sys.modules.items() if name in substitutes or _is_helper(name)}
    for name in before:
        del sys.modules[name]
    _install(substitutes)
    try:
        yield
    finally:
        _helpers.update({name: module for name, module in sys.modules.items() if _is_helper(name)})
        for name in {*_helpers, *substitutes}:
            sys.modules.pop(name, None)
        _install(before)


def _install(modules: dict[str, ModuleType]) -> None:
    """As the import system leaves them: listed, and known to their packages."""
    for name, module in modules.items():
        sys.modules[name] = module
        package, _, attribute = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], attribute, module)


class CompiledModule(pytest.Module):
    """A test module, imported over the compiled build."""

    _imported: Any = None

    def _getobj(self) -> Any:
        if self._imported is None:
            with _compiled_in_place():
                self._imported = super()._getobj()
        return self._imported

    def collect(self) -> Any:
        """The tests; none where nothing that is tested comes from the compiled build."""
        return super().collect() if _reaches_compiled(self.obj) else []


def _reaches_compiled(module: ModuleType) -> bool:
    names = {getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in vars(module).values()}
    if any(isinstance(name, str) and name.startswith(engine.COMPILED) for name in names):
        return True
    return any(_reaches_compiled(_helpers[name]) for name in names if name in _helpers and name != module.__name__)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """A second module for each test file, beside the one pytest makes."""
    if MISSING or not file_path.match("test_*.py"):
        return None
    name = f"{file_path.name}[compiled]"
    nodeid = f"{file_path.relative_to(parent.session.path).as_posix()}[compiled]"
    return CompiledModule.from_parent(parent, path=file_path, name=name, nodeid=nodeid)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked ``portable`` run over the portable build only."""
    items[:] = [item for item in items if not (item.get_closest_marker("portable") and item.getparent(CompiledModule))]


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line("markers", "portable: tests how the portable build works, and not what both have in common")
