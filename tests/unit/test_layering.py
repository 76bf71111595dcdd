"""Who may import whom, from left to right.

Each imports leftwards only, and the hot modules, which exist once as source and twice as code, reach each other in a
way that stays within their build.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import ssgi_gateway
from tests.builds import HOT, MISSING

ROOT = Path(ssgi_gateway.__file__).parent
NAME = ssgi_gateway.__name__

LAYERS = (
    ("errors", "ssgi", "settings", "engine", "linux"),
    ("wire",),
    ("core",),
    ("adapters", "rpc", "observe"),
    ("server",),
    ("process", "client"),
    ("cli", "__main__", "testing", "tools", "flup"),
)
"""From left to right. ``cli`` is what a user starts."""

RANK = {part: rank for rank, parts in enumerate(LAYERS) for part in parts}
FOUNDATION, COMMAND = 0, len(LAYERS) - 1


def sources(pattern: str = "*.py") -> dict[str, Path]:
    """Every module by its name within the package, the compiled mirror apart."""
    found = {}
    for path in sorted(ROOT.rglob(pattern)):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] != "_compiled":
            found[".".join(parts)] = path
    return found


MODULES = sources()


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST, *, types: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import anywhere below ``node``; ``types`` for those that only type checkers run, too."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif types or not is_type_checking(child):
            yield from statements(child, types=types)


def imported(module: str, *, types: bool = True) -> Iterator[tuple[str, bool]]:
    """The modules of this package that ``module`` imports, each with whether it does so relatively."""
    for node in statements(ast.parse(MODULES[module].read_text()), types=types):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
            relative = False
        else:
            relative = node.level > 0
            base = f"{NAME}.{module}".split(".")[: -node.level] if relative else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # ``from . import system`` names modules, ``from .system import send`` names what is in one.
            targets = [f"{origin}.{alias.name}" for alias in node.names]
            targets = [target if known(target) else origin for target in targets]
        for target in targets:
            if target.startswith(f"{NAME}."):
                yield target.removeprefix(f"{NAME}."), relative


def known(target: str) -> bool:
    return target.removeprefix(f"{NAME}.") in MODULES


def part(module: str) -> str:
    return module.partition(".")[0]


def test_every_part_of_the_package_has_its_place():
    assert {part(module) for module in MODULES} - {"__init__"} <= RANK.keys()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_imports_go_leftwards(module):
    for target, _ in imported(module):
        here, there = part(module), part(target)
        # Neighbours are strangers to each other, but for the modules at both ends.
        limit = RANK[here] + (RANK[here] in (FOUNDATION, COMMAND))
        assert here == there or RANK[there] < limit, f"{module} imports {target}"


def test_no_modules_import_each_other_in_a_circle():
    """Only names for type checkers may come from whoever imports this one."""
    names = {f"{NAME}.{module}".removesuffix(".__init__"): module for module in MODULES}
    below = {
        module: {
            names[f"{NAME}.{target}"] for target, _ in imported(module, types=False) if f"{NAME}.{target}" in names
        }
        for module in MODULES
    }
    left = dict(below)
    while free := [module for module, targets in left.items() if not (targets - {module}) & left.keys()]:
        for module in free:
            del left[module]
    assert not left, "a circle, or above one: " + ", ".join(left)


def test_the_interface_imports_nothing_of_the_project():
    assert list(imported("ssgi")) == []


@pytest.mark.parametrize("module", sorted(name for name in MODULES if part(name) == "wire"))
def test_the_wire_knows_no_sockets_no_clocks_no_loop_and_no_log(module):
    found = set()
    for node in statements(ast.parse(MODULES[module].read_text()), types=True):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        found |= {name.partition(".")[0] for name in names}
    assert not found & {"socket", "select", "selectors", "time", "asyncio", "logging", "threading", "uvloop"}


# -- hot modules ---------------------------------------------------------------------------------------------------

TWINS = sources("*.pyx")


def test_every_hot_module_is_there():
    assert set(MODULES) >= HOT
    assert set(TWINS) <= HOT


@pytest.mark.parametrize("module", sorted(HOT - TWINS.keys()))
def test_hot_modules_import_hot_ones_relatively_and_cold_ones_absolutely(module):
    for target, relative in imported(module, types=False):
        assert relative == (target in HOT), f"{module} imports {target} {'relatively' if relative else 'absolutely'}"


IMPORT = re.compile(r"^ *from +(\.*)([\w.]*) +c?import +\(?([^)\n]*)", re.MULTILINE)
CLASS = re.compile(r"[A-Z]\w*[a-z]\w*")


def reached(module: str, text: str) -> Iterator[tuple[str, bool, list[str]]]:
    """What Cython source imports of this package: the module, whether relatively, and the names."""
    for dots, name, listed in IMPORT.findall(text):
        names = re.findall(r"\w+", listed)
        if dots:
            base = module.split(".")[: -len(dots)]
            yield ".".join([*base, name or names[0]]), True, names
        elif name.startswith(f"{NAME}."):
            yield name.removeprefix(f"{NAME}."), False, names


CYTHON = [(name, path) for suffix in ("*.pyx", "*.pxd") for name, path in sources(suffix).items()]


@pytest.mark.parametrize(("module", "path"), CYTHON, ids=[path.name for _, path in CYTHON])
def test_what_is_written_in_cython_keeps_to_the_same_rule(module, path):
    for target, relative, names in reached(module, path.read_text()):
        # What a twin does not make anew it takes from the portable module: functions on plain values, never a class,
        # of which there would then be two.
        shared = target in TWINS and not relative and not any(map(CLASS.fullmatch, names))
        assert shared or relative == (target in HOT), f"{path.name} imports {target}"


def test_imports_in_cython_are_read():
    text = (
        "from .hints import hint\n    from ssgi_gateway.wire.variables cimport (A, b)\nfrom . import system\nimport os"
    )
    assert list(reached("wire.http1", text)) == [
        ("wire.hints", True, ["hint"]),
        ("wire.variables", False, ["A", "b"]),
        ("wire.system", True, ["system"]),
    ]


# -- both builds ---------------------------------------------------------------------------------------------------


def test_the_compiled_build_is_tested_too():
    if not MISSING:
        return
    if os.environ.get("SSGI_REQUIRE_COMPILED") == "1":
        pytest.fail(MISSING)
    pytest.skip(MISSING)


# -- what is whose -------------------------------------------------------------------------------------------------

STANDARD_LIBRARY = {
    "_asdict", "_fields", "_replace",  # named tuples: public, whatever their names
    "_ArgumentGroup", "_Compress", "_Decompress",  # the types of public objects
}  # fmt: skip
PRIVATE = {
    ("core.spare_task", "_callbacks"), ("core.spare_task", "_must_cancel"), ("core.spare_task", "_log_destroy_pending"),
    ("process.worker", "_run_exitfuncs"), ("cli.arguments", "_actions"),
    ("server.exclusive", "_get_backend_id"), ("server.exclusive", "_selector"),
}  # fmt: skip
"""What of the standard library's own is used, each with its reason where it is used."""


def underscored(tree: ast.AST) -> Iterator[tuple[str, int, str]]:
    """Every use of an underscored attribute of anything but ``self``, ``cls``, ``super()`` and modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and re.match(r"_[a-zA-Z]", node.attr):
            owner = ast.unparse(node.value)
            if owner not in ("self", "cls", "super()", "sys", "os"):
                yield node.attr, node.lineno, owner


def own(tree: ast.AST) -> set[str]:
    """The underscored names that a module's classes define: an object may look into others of its kind."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            names.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)  # __slots__
    return names


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nobody_reaches_into_another_modules_objects(module):
    tree = ast.parse(MODULES[module].read_text())
    mine = own(tree) | STANDARD_LIBRARY
    foreign = [
        f"{owner}.{name} (line {line})"
        for name, line, owner in underscored(tree)
        if name not in mine and (module, name) not in PRIVATE
    ]
    assert foreign == [], f"{module} uses what is another module's own"


def test_reaching_into_others_is_noticed():
    tree = ast.parse("class A:\n    def __init__(self, b):\n        self._c = b._d\n        self._e = b._c\n")
    assert [name for name, _, _ in underscored(tree) if name not in own(tree)] == ["_d"]
