"""A site whose application is one of those in ``tests.apps.wsgi`` or ``tests.apps.rsgi``."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from tests.behaviour.conftest import SITE
from tests.harness import ROUTES, Route, Site

__all__ = ["serve_app"]


@contextmanager
def serve_app(
    app: str,
    config: pytest.Config,
    folders: pytest.TempPathFactory,
    *options: str,
    routes: Sequence[Route] = ROUTES,
    needs: str = "",
    server: str = "",
) -> Iterator[Site]:
    """Serve ``tests.apps.<app>`` behind nginx.

    Args:
        app: module and attribute below ``tests.apps``.
        config: for the logs beside a failure.
        folders: where the site's folder is made.
        options: further words of the gateway's command line; ``APP_FOLDER`` as below.
        routes: those to set up.
        needs: a package without which the test is skipped.
        server: further lines of nginx's ``server { }``; ``APP_FOLDER`` in it is the application's own folder.
    """
    if needs and importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed: pip install ssgi-gateway[test-apps]")
    folder = folders.mktemp(app.replace(":", "-"))
    own = folder / "app"
    own.mkdir()
    with Site(
        folder,
        f"tests.apps.{app}",
        options=[word.replace("APP_FOLDER", str(own)) for word in options],
        routes=routes,
        env={"APP_FOLDER": str(own)},
        server=server.replace("APP_FOLDER", str(own)),
    ) as running:
        before = config.stash.get(SITE, None)
        config.stash[SITE] = running
        try:
            yield running
        finally:
            if before is None:
                del config.stash[SITE]
            else:
                config.stash[SITE] = before
