"""The behaviour suite's site: one nginx and one gateway for the whole session (of each xdist worker), every route.

A test takes ``http`` or ``ws`` and runs once on each route that carries it; ``key`` is a name of its own for what the
application notes. A test that needs other settings starts a ``Site`` itself, with ``site_with``, or a ``Gateway`` alone
with ``start``.

All of them run once for each build of the codecs. SSGI_CODEC in the environment chooses one; where the compiled build
is missing its half is skipped, and with SSGI_REQUIRE_COMPILED=1 it fails.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.builds import MISSING
from tests.harness import HTTP_ROUTES, ROUTES, UWSGI, WEBSOCKET_ROUTES, Endpoint, Gateway, Route, Site

SITE = pytest.StashKey[Site]()
MARK = pytest.StashKey[tuple[int, int]]()


ASKED = os.environ.get("SSGI_CODEC", "auto")
CODECS = ("portable", "compiled") if ASKED == "auto" else (ASKED,)
APP = "tests.apps.behaviour:app"
BOTH = ("unix", "tcp")


@pytest.fixture(scope="session", params=CODECS)
def codec(request: pytest.FixtureRequest) -> str:
    """Which build of the codecs the gateways of this test run."""
    if request.param == "compiled" and MISSING:
        if os.environ.get("SSGI_REQUIRE_COMPILED") == "1":
            pytest.fail(f"SSGI_REQUIRE_COMPILED=1, but {MISSING}")
        pytest.skip(MISSING)
    return str(request.param)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, codec: str) -> Iterator[Site]:
    """The application ``tests.apps.behaviour`` behind nginx, on every route."""
    routes = (*ROUTES, UWSGI)
    with Site(tmp_path_factory.mktemp("site"), env={"SSGI_CODEC": codec}, routes=routes) as running:
        assert f"({codec} codecs" in running.gateway.log()[0]
        request.config.stash[SITE] = running
        yield running
        if request.config.stash.get(SITE, None) is running:  # the other build's site may have followed already
            del request.config.stash[SITE]


@pytest.fixture(params=(*HTTP_ROUTES, UWSGI), ids=lambda route: route.name)
def http(request: pytest.FixtureRequest, site: Site) -> Endpoint:
    """The site, seen through each route that carries HTTP requests."""
    route: Route = request.param
    return site.through(route)


@pytest.fixture(params=(*WEBSOCKET_ROUTES, UWSGI), ids=lambda route: route.name)
def ws(request: pytest.FixtureRequest, site: Site) -> Endpoint:
    """The site, seen through each route that carries WebSockets."""
    route: Route = request.param
    return site.through(route)


@pytest.fixture
def start(codec: str, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways of the test's own, with more words of the command line: ``start("--max-connections", "3")``.

    They listen for every protocol, on a unix socket and a port each, unless told otherwise (``scgi=``, ``fastcgi=``,
    ``websocket=``). At the end they are stopped, and have to end well.
    """
    with ExitStack() as running:

        def begin(*options: str, app: str = APP, **others: Any) -> Gateway:
            folder = tmp_path / f"gateway{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            addresses = {"scgi": BOTH, "fastcgi": BOTH, "websocket": BOTH} | others
            gateway = Gateway(app, folder, options=options, env={"SSGI_CODEC": codec}, **addresses)
            return running.enter_context(gateway)

        yield begin


@pytest.fixture
def site_with(codec: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts sites of the test's own: ``site_with("--max-connections", "9", http="client_max_body_size 0;")``."""
    with ExitStack() as running:

        def begin(*options: str, **others: Any) -> Site:
            folder = tmp_path / f"site{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return running.enter_context(Site(folder, options=options, env={"SSGI_CODEC": codec}, **others))

        yield begin


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A name for this test's notes that fits into a query string."""
    return re.sub(r"\W+", "-", request.node.nodeid.partition("::")[2])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Remember how much was logged before the test."""
    running = item.config.stash.get(SITE, None)
    item.stash[MARK] = running.mark() if running else (0, 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Beside a failure, show what the gateway and nginx logged since the test began."""
    report = yield
    running = item.config.stash.get(SITE, None)
    if report.failed and running:
        report.sections.append(("gateway and nginx", running.logs(item.stash[MARK])))
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Over uwsgi the site of this module alone: what interfaces make of a request is the same as over SCGI."""
    kept: list[pytest.Item] = []
    others: list[pytest.Item] = []
    for item in items:
        (others if _is_another_site_over_uwsgi(item) else kept).append(item)
    config.hook.pytest_deselected(items=others)
    items[:] = kept


def _is_another_site_over_uwsgi(item: pytest.Item) -> bool:
    if UWSGI not in getattr(getattr(item, "callspec", None), "params", {}).values():
        return False
    made_by = item._fixtureinfo.name2fixturedefs["site"][-1].func  # type: ignore[attr-defined]
    return made_by.__module__ != __name__
