"""The TypeScript client: where it is, and how its programs are run."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.gateway import ROOT

__all__ = ["CLIENT", "build", "run"]

CLIENT = ROOT / "clients" / "typescript"


def build() -> Path:
    """Compile it by ``tsc --strict``, unless its sources are as they were; dependencies are installed if missing.

    The processes of one run of the tests share what is built, so one of them builds and the others wait for it.
    """
    if shutil.which("npm") is None:
        pytest.fail("npm is not installed (apt install npm)")
    sources = sorted([*CLIENT.glob("src/*.ts"), *CLIENT.glob("*.json"), CLIENT / "build.mjs"])
    wanted = hashlib.sha256(b"\0".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = CLIENT / "node_modules" / ".swill-built"
    with (CLIENT / "build.mjs").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (CLIENT / "node_modules" / "typescript").exists():
            run("npm", "ci", "--no-audit", "--no-fund")
        if not (CLIENT / "dist" / "cjs").exists() or not stamp.exists() or stamp.read_text() != wanted:
            run("node", "build.mjs")
            stamp.write_text(wanted)
    return CLIENT


def run(*command: str, env: dict[str, str] | None = None, cwd: Path = CLIENT) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
