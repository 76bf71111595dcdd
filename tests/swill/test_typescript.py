"""The TypeScript client: built, its own tests against real gateways, and in Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness import Gateway
from tests.harness.gateway import ROOT

from .test_client import url

CLIENT = ROOT / "clients" / "typescript"


@pytest.fixture(scope="session")
def built() -> Path:
    """The client, compiled by ``tsc --strict``; its dependencies are installed if they are not there."""
    if shutil.which("npm") is None:
        pytest.fail("npm is not installed (apt install npm)")
    if not (CLIENT / "node_modules" / "typescript").exists():
        run("npm", "ci", "--no-audit", "--no-fund")
    run("node", "build.mjs")
    return CLIENT


def run(*command: str, env: dict[str, str] | None = None, cwd: Path = CLIENT) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_own_tests(built: Path, serve: Callable[..., Gateway]) -> None:
    env = {
        "SWILL_URL": url(serve("tests.apps.swill_vectors:app")),
        "SWILL_FEATURES_URL": url(serve("tests.apps.swill_features:app")),
        "SWILL_ORIGINAL_URL": url(serve("tests.apps.swill_original:app")),
    }
    tests = sorted(str(path) for path in (built / "test").glob("*.test.mjs"))
    said = run("node", "--test", "--test-timeout=60000", "--test-force-exit", *tests, env=env)
    assert "# fail 0" in said
