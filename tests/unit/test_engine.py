"""Which build runs."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import ssgi_gateway
from ssgi_gateway import engine
from ssgi_gateway.errors import ConfigurationError

ROOT = Path(ssgi_gateway.__file__).parent.parent


def is_built() -> bool:
    try:
        importlib.import_module("ssgi_gateway._compiled.server.serve")
    except ImportError:
        return False
    return True


def test_portable_is_this_package():
    assert engine.load("portable") is ssgi_gateway
    assert engine.module("server.listeners", "portable").__name__ == "ssgi_gateway.server.listeners"
    assert engine.describe("portable") == "portable"


@pytest.mark.skipif(not is_built(), reason="the compiled build is not installed")
def test_compiled_is_preferred_where_it_is_built():
    for codec in ("auto", "compiled"):
        assert engine.load(codec).__name__ == "ssgi_gateway._compiled"
        assert engine.module("server.serve", codec).__name__ == "ssgi_gateway._compiled.server.serve"
        assert engine.describe(codec) == "compiled"


@pytest.fixture
def another_process(tmp_path):
    """Runs code against a copy of the package whose compiled half is what the test makes it."""
    (tmp_path / "ssgi_gateway").mkdir()
    for entry in (ROOT / "ssgi_gateway").iterdir():
        if entry.name not in ("_compiled", "__pycache__"):
            (tmp_path / "ssgi_gateway" / entry.name).symlink_to(entry)
    compiled = tmp_path / "ssgi_gateway" / "_compiled"

    def run(code: str, **files: str) -> str:
        for name, source in files.items():
            path = compiled.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        command = [sys.executable, "-c", f"{ALONE}\nfrom ssgi_gateway import engine\n{code}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


# An editable installation finds the parts that the copy lacks in the original.
ALONE = """
import sys
sys.meta_path = [it for it in sys.meta_path if not getattr(it, "__module__", "").startswith("__editable__")]
"""
WHICH = "print(engine.load().__name__, '|', engine.describe())"
REFUSAL = """
try:
    engine.load("compiled")
except engine.ConfigurationError as error:
    print(error)
"""


def test_auto_without_a_compiled_build_is_portable_with_the_reason(another_process):
    assert another_process(WHICH) == "ssgi_gateway | portable (the compiled build is not installed)"


def test_compiled_without_a_compiled_build_names_how_to_get_it(another_process):
    message = another_process(REFUSAL)
    assert "the compiled codecs cannot be used: the compiled build is not installed" in message
    assert "install a C compiler and Python's headers" in message
    assert "--codec portable" in message


def test_a_compiled_build_is_used(another_process):
    files = {"package": "", "server__serve": "here = 1"}
    assert another_process(WHICH, **files) == "ssgi_gateway._compiled | compiled"
    assert another_process("print(engine.module('server.serve').here)", **files) == "1"


def test_half_a_build_is_not_used(another_process):
    """A directory that an interrupted build left behind imports as a namespace."""
    assert "the compiled build is not installed" in another_process(WHICH, wire__scgi="")
    broken = another_process(WHICH, server__serve="import ssgi_gateway._compiled.wire.absent")
    assert broken == "ssgi_gateway | portable (the compiled build lacks ssgi_gateway._compiled.wire.absent)"


def test_a_build_for_another_python_is_reported(another_process):
    message = another_process(REFUSAL, server__serve="raise ImportError('undefined symbol: PyX')")
    assert "the compiled build cannot be imported: undefined symbol: PyX" in message


def test_an_unknown_module_is_not_hidden():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        engine.module("server.no_such_module", "portable")


def test_the_event_loop_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvloop", None)  # what makes ``import uvloop`` an ImportError
    assert engine.event_loop() == "asyncio (uvloop is not installed: pip install uvloop)"


def test_uvloop_is_named_with_its_version():
    uvloop = pytest.importorskip("uvloop")
    assert engine.event_loop() == f"uvloop {uvloop.__version__}"


def test_errors_are_configuration_errors():
    assert issubclass(engine.ConfigurationError, ConfigurationError)


def test_a_build_of_other_sources_is_reported(another_process):
    broken = another_process(WHICH, server__serve="raise KeyError('__reduce_cython__')")
    assert broken == (
        "ssgi_gateway | portable (the compiled build is not that of these sources: KeyError('__reduce_cython__'))"
    )
