"""The compiled codecs under AddressSanitizer: the corpus and some of the equivalence tests. ``make asan`` does more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def has_sanitizers():
    if shutil.which("gcc") is None:
        return False
    libraries = [
        subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    return all(Path(library).is_absolute() for library in libraries)


@pytest.mark.slow
@pytest.mark.skipif(not has_sanitizers(), reason="gcc has no sanitizers here")
@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="this is the run under them")
def test_no_access_out_of_bounds():
    chosen = ["-k", "not masks and not second_byte and not try_again and not mirror"]
    done = subprocess.run(
        ["scripts/asan.sh", "tests/equivalence", *chosen],
        cwd=ROOT,
        env=os.environ
        | {"SETUP": "skip", "VENV": sys.prefix, "ASAN_TOOL": "asan", "ASAN_MODULES": "wire", "EQUIVALENCE": "0.1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-10_000:]
    assert " passed" in done.stdout
