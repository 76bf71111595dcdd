"""That there are two builds to compare, and that they offer the same."""

from __future__ import annotations

import importlib
from importlib.machinery import EXTENSION_SUFFIXES

import pytest

from fuzz.compare import both
from ssgi_gateway import engine
from tests.builds import MISSING, twins
from tests.harness.gateway import ROOT

CLASSES = [
    ("wire.variables", "Variables"),
    ("wire.scgi.codec", "ScgiCodec"),
    ("wire.uwsgi.codec", "UwsgiCodec"),
    ("wire.fastcgi.codec", "FastcgiCodec"),
    ("wire.websocket.codec", "WebSocketCodec"),
    ("wire.http1", "UpgradeCodec"),
    ("wire.cgi", "RequestHead"),
    ("wire.response_head", "ResponseHead"),
]
CONSTANTS = [
    ("wire.websocket.codec", "MAX_PONGS"),
    ("wire.fastcgi.codec", "MAX_FUTILE"),
    ("wire.scgi.codec", "MAX_JOINED"),
    ("wire.websocket.codec", "MAX_JOINED"),
]


@pytest.mark.parametrize("name", [] if MISSING else sorted(twins()))
def test_every_module_of_the_mirror_is_machine_code(name):
    file = importlib.import_module(name.replace(engine.PORTABLE, engine.COMPILED, 1)).__file__
    assert file.endswith(tuple(EXTENSION_SUFFIXES))


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("module", "name"), CLASSES)
def test_classes_offer_the_same(module, name):
    portable, compiled = map(public, both(module, name))
    assert portable <= compiled
    assert compiled <= portable, "what only one build has cannot be used"


@pytest.mark.parametrize(("module", "name"), CONSTANTS)
def test_bounds_are_the_same(module, name):
    portable, compiled = both(module, name)
    assert portable == compiled


def test_no_compiled_method_is_passed_on_as_an_object():
    """Of ``self.protocol.data_received`` without a call, where that is typed, Cython makes a pointer of a wrong type.

    C compilers warned of it; from GCC 14 on it is an error, and an installation goes on without the compiled build.
    """
    translated = sorted((ROOT / "build" / "mirror").rglob("*.c"))
    wrong = [path.name for path in translated if "__Pyx_CFunc_" in path.read_text(errors="replace")]
    assert wrong == []
