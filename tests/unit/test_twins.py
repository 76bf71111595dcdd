"""How much of what is ours is written twice by hand, and that it does not grow unnoticed.

A twin (a ``.pyx`` beside a ``.py``) is right where the other side is somebody else's library, a system call or a data
structure. Where it is our own rules, two texts by the same hand come to disagree, so there is as little of that as
speed allows. Counted are the lines of code of the portable module, without docstrings and comments, in functions and
classes that its twin does not import from there, directly or by a function that it imports: those are said twice.

Before this was counted there were 438 such lines, and at most two thirds of them were to remain.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import ssgi_gateway

PACKAGE = Path(ssgi_gateway.__file__).parent

NOT_OURS = {
    "wire/scgi/codec": "sioscgi",
    "wire/websocket/codec": "wsproto",
    "wire/http/head": "h11",
    "server/system": "system calls",
    "core/step": "CPython's own calls",
    "wire/variables": "a data structure: entries in one block",
    "observe/cells": "a data structure: words in shared memory",
}
TWINS = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.pyx"))

MAX_TWICE = 292

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def lines_of_code(node: ast.AST, text: list[str]) -> int:
    """Lines of a definition that are neither blank nor a comment nor a docstring."""
    lines = set(range(node.lineno, node.end_lineno + 1))
    for inner in ast.walk(node):
        if isinstance(inner, DEFINITIONS) and ast.get_docstring(inner) is not None:
            lines -= set(range(inner.body[0].lineno, inner.body[0].end_lineno + 1))
    return sum(bool(text[it - 1].strip()) and not text[it - 1].strip().startswith("#") for it in lines)


def said_twice(module: str, portable: str, compiled: str) -> dict[str, int]:
    """The definitions of a portable module that its twin makes anew, with their lines."""
    name = "ssgi_gateway." + module.replace("/", ".")
    definitions = {it.name: it for it in ast.parse(portable).body if isinstance(it, DEFINITIONS)}
    shared = set()
    for names in re.findall(rf"^from {re.escape(name)} import (\([^)]*\)|.*)", compiled, re.MULTILINE):
        shared |= set(re.findall(r"\w+", names))
    package, _, last = name.rpartition(".")
    if f"from {package} import {last} as portable" in compiled:
        shared |= set(re.findall(r"\bportable\.(\w+)", compiled))
    waiting = [it for it in definitions if it in shared]
    while waiting:
        for inner in ast.walk(definitions[waiting.pop()]):
            if isinstance(inner, ast.Name) and inner.id in definitions and inner.id not in shared:
                shared.add(inner.id)
                waiting.append(inner.id)
    text = portable.splitlines()
    return {it: lines_of_code(node, text) for it, node in definitions.items() if it not in shared}


def test_what_is_written_twice_by_hand_stays_little():
    found = {}
    for module in TWINS:
        if module not in NOT_OURS:
            portable, compiled = PACKAGE / f"{module}.py", PACKAGE / f"{module}.pyx"
            found[module] = said_twice(module, portable.read_text(), compiled.read_text())
    assert sum(lines for definitions in found.values() for lines in definitions.values()) <= MAX_TWICE, found


@pytest.mark.parametrize("module", NOT_OURS)
def test_what_is_not_ours_is_a_twin(module):
    assert module in TWINS


def test_what_a_twin_imports_is_written_once():
    portable = '''
def inner(text):
    """Not counted."""
    # nor this
    return text

def outer(text):
    return inner(text)

def twice(text):

    return text
'''
    assert said_twice("a/b", portable, "from ssgi_gateway.a.b import outer\n") == {"twice": 2}
    assert said_twice("a/b", portable, "from ssgi_gateway.a import b as portable\nportable.twice") == {
        "inner": 2,
        "outer": 2,
    }
