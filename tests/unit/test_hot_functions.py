"""The order of the functions in the compiled library names functions that exist (``ssgi_gateway/hot.ld``)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.builds import HOT

PACKAGE = Path(__file__).parents[2] / "ssgi_gateway"
LINES = re.findall(r"^    \*(\w+)\.o\(\.text\.(\S+)\)$", (PACKAGE / "hot.ld").read_text(), re.MULTILINE)
UNITS = {module.replace(".", "_"): module for module in HOT}

PARTS = {  # of the way of a request
    ("server_connection", "Connection__read"),
    ("wire_fastcgi_codec", "FastcgiCodec_next_event"),
    ("wire_scgi_codec", "ScgiCodec_next_event"),
    ("server_output", "Output_write_many"),
    ("adapters_asgi_scope", "http_scope"),
}


def own_name(unit: str, name: str) -> str | None:
    """A function of the module's own, as ``Class_method``; None for one of Cython's helpers."""
    path = "".join(f"{len(part)}{part}_" for part in ("ssgi_gateway", "_compiled", *UNITS[unit].split(".")))
    match = re.fullmatch(rf"__pyx_f_{path}(?:\d+(?=[A-Z]))?(\w+?)(\.\w+)*", name)
    return match[1] if match else None


OWN = [(unit, own) for unit, name in LINES if (own := own_name(unit, name))]


def test_it_names_the_way_of_a_request() -> None:
    assert set(OWN) >= PARTS


def test_every_module_in_it_is_compiled() -> None:
    assert {unit for unit, _ in LINES} <= UNITS.keys()


@pytest.mark.parametrize("unit", sorted({unit for unit, _ in OWN}))
def test_every_function_in_it_exists(unit: str) -> None:
    stem = PACKAGE / UNITS[unit].replace(".", "/")
    source = "".join(path.read_text() for path in (stem.with_suffix(".pyx"), stem.with_suffix(".py")) if path.exists())
    names = set(re.findall(r"\bdef (\w+)\(|\b(?:cdef|cpdef)\b[^=\n]*?(\w+)\(", source))
    functions = {name for pair in names for name in pair if name}
    classes = set(re.findall(r"\bclass (\w+)", source))
    possible = functions | {f"{owner}_{name}" for owner in classes for name in functions}
    missing = {own for of, own in OWN if of == unit} - possible
    assert not missing, "scripts/hot_functions.py writes the list anew"
