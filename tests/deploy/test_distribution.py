"""What a release consists of: the source distribution has all that the build reads, the wheel all that is typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.harness.gateway import ROOT
from tests.harness.process import DEADLINE

DATA = (".conf", ".html")
"""What is read while the package runs: nginx's files, pages."""

SOURCES = {".py", ".pyx", ".pxd", ".typed", *DATA}


def package(folder: Path) -> set[str]:
    """The sources of the package below ``folder``."""
    files = (path for path in (folder / "ssgi_gateway").rglob("*") if path.suffix in SOURCES)
    return {path.relative_to(folder).as_posix() for path in files}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a build reads: it writes beside it."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(
        ROOT / "ssgi_gateway", folder / "ssgi_gateway", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    return folder


def build(kind: str, checkout: Path, into: Path) -> Path:
    """Build what a release has, without the compiler; returns the file."""
    call = f"from setuptools import build_meta; build_meta.build_{kind}({str(into)!r})"
    told = subprocess.run(
        [sys.executable, "-c", call], cwd=checkout, env={**os.environ, "SSGI_GATEWAY_PURE": "1"},
        capture_output=True, text=True, check=False, timeout=2 * DEADLINE,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    [built] = into.iterdir()
    return built


def test_the_source_distribution_has_what_the_build_reads(checkout: Path, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", checkout, tmp_path)) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert package(checkout) <= names
    assert {"setup.py", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE"} <= names


def test_the_wheel_has_the_package_its_types_and_nothing_else(checkout: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build("wheel", checkout, tmp_path)) as archive:
        names = {
            name.partition(".data/purelib/")[2] or name for name in archive.namelist() if ".dist-info/" not in name
        }
        [metadata] = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    assert names == {name for name in package(checkout) if name.endswith((".py", ".typed", *DATA))}
    assert "ssgi_gateway/py.typed" in names
    assert "\n# ssgi-gateway\n" in metadata  # the README is the description
