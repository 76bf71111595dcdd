"""A site whose application is one of those in ``tests.apps.asgi``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.behaviour.conftest import SITE
from tests.harness import Site

__all__ = ["app_site"]


@contextmanager
def app_site(framework: str, config: pytest.Config, folders: pytest.TempPathFactory) -> Iterator[Site]:
    """Serve ``tests.apps.asgi.<framework>`` behind nginx, on every route; skip without that framework."""
    if framework != "raw" and importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed: pip install ssgi-gateway[test-apps]")
    folder = folders.mktemp(framework)
    own = folder / "app"
    own.mkdir()
    with Site(folder, f"tests.apps.asgi.{framework}:app", env={"APP_FOLDER": str(own)}) as running:
        config.stash[SITE] = running  # for the logs beside a failure
        yield running
        del config.stash[SITE]
