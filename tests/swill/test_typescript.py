"""The TypeScript client: built, its own tests against real gateways, and in Chromium."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.harness import Gateway

from .test_client import url
from .typescript import run


def test_its_own_tests(built: Path, serve: Callable[..., Gateway]) -> None:
    env = {
        "SWILL_URL": url(serve("tests.apps.swill_vectors:app")),
        "SWILL_FEATURES_URL": url(serve("tests.apps.swill_features:app")),
        "SWILL_ORIGINAL_URL": url(serve("tests.apps.swill_original:app")),
    }
    tests = sorted(str(path) for path in (built / "test").glob("*.test.mjs"))
    said = run("node", "--test", "--test-timeout=60000", "--test-force-exit", *tests, env=env)
    assert "# fail 0" in said
