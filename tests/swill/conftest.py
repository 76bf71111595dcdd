"""Swill through real servers: both builds of the gateway, nginx in front, Uvicorn."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.builds import MISSING
from tests.harness import Gateway

from .typescript import build

ASKED = os.environ.get("SSGI_CODEC", "auto")
CODECS = ("portable", "compiled") if ASKED == "auto" else (ASKED,)


@pytest.fixture(scope="session", params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    """Which build of the codecs the gateways of this test run."""
    if request.param == "compiled" and MISSING:
        if os.environ.get("SSGI_REQUIRE_COMPILED") == "1":
            pytest.fail(f"SSGI_REQUIRE_COMPILED=1, but {MISSING}")
        pytest.skip(MISSING)
    return str(request.param)


@pytest.fixture(scope="session")
def built() -> Path:
    """The TypeScript client, compiled."""
    return build()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways: ``serve("tests.apps.swill_vectors:app")``; at the end they are stopped, and have to end well."""
    with ExitStack() as running:

        def begin(app: str, *options: str, env: dict[str, str] | None = None, **others: Any) -> Gateway:
            folder = tmp_path / f"gateway{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            addresses = {"websocket": ("tcp",)} | others
            return running.enter_context(Gateway(app, folder, options=options, env=env, **addresses))

        yield begin
