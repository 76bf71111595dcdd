"""Published applications behave as by uvicorn or gunicorn behind the same nginx, on every route.

Status, headers, bodies and the number of errors in the log are the same, or a named reason stands in ``REASONS``.
``make test-apps`` runs all of them, in an environment of its own; ``make test`` those that are installed in its own.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytest.importorskip("httpx")
pytest.importorskip("websockets.sync.client")

from tests.applications import uses
from tests.applications.serving import ROUTES, Served, served

# What the libraries of others warn of, and leave open, is theirs.
pytestmark = [pytest.mark.nginx, pytest.mark.filterwarnings("ignore")]

ALL = os.environ.get("SSGI_ALL_APPLICATIONS") == "1"
"""Whether an application that is not installed is a failure."""


class Application(NamedTuple):
    """One of them.

    Args:
        site: module and attribute below ``sites``.
        interface: what the gateway serves it as.
        needs: the packages it is made of.
        use: what is done with it.
        reference: what it is compared with.
        browser: whether the use is in a browser.
        options: of the gateway.
    """

    site: str
    interface: str
    needs: tuple[str, ...]
    use: Callable[..., list[Any]]
    reference: str = "uvicorn"
    browser: bool = False
    options: tuple[str, ...] = ()


APPLICATIONS = {
    "fastapi": Application("fastapi_site:app", "asgi", ("fastapi", "brotli_asgi"), uses.fastapi),
    "gradio": Application("gradio_site:app", "asgi", ("gradio",), uses.gradio, browser=True),
    "nicegui": Application("nicegui_site:app", "asgi", ("nicegui",), uses.nicegui, browser=True),
    "streamlit": Application("streamlit_site:app", "asgi", ("streamlit",), uses.streamlit, browser=True),
    "datasette": Application("datasette_site:app", "asgi", ("datasette",), uses.datasette),
    "mcp": Application("mcp_site:app", "asgi", ("mcp",), uses.mcp),
    "socketio": Application("socketio_site:app", "asgi", ("socketio", "websocket"), uses.socketio),
    "strawberry": Application("strawberry_site:app", "asgi", ("strawberry",), uses.strawberry),
    "channels": Application("django_site:asgi", "asgi", ("django", "channels"), uses.channels),
    "django": Application("django_site:wsgi", "wsgi", ("django", "channels"), uses.django, "gunicorn"),
    "wagtail": Application("wagtail_site:app", "wsgi", ("wagtail",), uses.wagtail, "gunicorn"),
    "trac": Application("trac_site:app", "wsgi", ("trac",), uses.trac, "gunicorn"),
    "wsgidav": Application("wsgidav_site:app", "wsgi", ("wsgidav",), uses.wsgidav, "gunicorn"),
    "radicale": Application("radicale_site:app", "wsgi", ("radicale",), uses.radicale, "gunicorn"),
    "pypiserver": Application("pypiserver_site:app", "wsgi", ("pypiserver",), uses.pypiserver, "gunicorn"),
    "hgweb": Application("hgweb_site:app", "wsgi", ("mercurial",), uses.hgweb, "gunicorn"),
    "dash": Application("dash_site:app", "wsgi", ("dash",), uses.dash, "gunicorn", browser=True),
    "flask-sock": Application("flask_sock_site:app", "wsgi", ("flask_sock",), uses.flask_sock, "gunicorn"),
    "flask-socketio": Application(
        "flask_socketio_site:app", "wsgi", ("flask_socketio", "websocket"), uses.socketio, "gunicorn"
    ),
    "emmett": Application("emmett_site:app", "rsgi", ("emmett",), uses.emmett, "granian"),
}

REASONS: dict[tuple[str, str], str] = {}
"""By application and route, why it is not the same there: ``{(name, route): reason}``."""


@pytest.fixture(scope="module", params=APPLICATIONS)
def application(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    missing = [package for package in APPLICATIONS[name].needs if importlib.util.find_spec(package) is None]
    if missing:
        (pytest.fail if ALL else pytest.skip)(f"not installed: {', '.join(missing)} (make test-apps installs them)")
    return name


@pytest.fixture(scope="module")
def running(application: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    it = APPLICATIONS[application]
    folder: Path = tmp_path_factory.mktemp(application)
    with served(folder, it.site, it.interface, it.reference, it.options) as both:
        yield both


Expected = Callable[[str], tuple[list[Any], int]]


@pytest.fixture(scope="module")
def expected(application: str, running: Served) -> Expected:
    """What the reference does on a route of its own, and how many errors it logs."""
    return cache(lambda route: used(running, application, route))


def used(running: Served, name: str, route: str) -> tuple[list[Any], int]:
    it = APPLICATIONS[name]
    before = len(running.errors(route))
    with running.through(route) as client:
        if not it.browser:
            said = it.use(client)
        else:
            said = in_browser(it.use, client)
    return said, len(running.errors(route)) - before


def in_browser(use: Callable[..., list[Any]], client: Any) -> list[Any]:
    """With what went wrong on the page: answers with an error's status, and errors of scripts."""
    playwright = pytest.importorskip("playwright.sync_api")
    wrong: set[str] = set()
    with playwright.sync_playwright() as kind:
        browser = kind.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(ignore_https_errors=True)
        page.set_default_timeout(60_000)
        page.on("response", lambda answer: note(wrong, client, answer))
        page.on("pageerror", lambda error: wrong.add(f"script: {error}"))
        page.goto(client.url)
        said = use(client, page)
        browser.close()
    return [*said, *sorted(wrong)]


def note(wrong: set[str], client: Any, answer: Any) -> None:
    if answer.status >= 400 and answer.url.startswith(client.url):
        wrong.add(f"{answer.status} {answer.url.removeprefix(client.url)}")


@pytest.mark.parametrize("route", ROUTES)
def test_it_is_as_by_the_reference(application: str, running: Served, expected: Expected, route: str) -> None:
    reference, logged = expected(ROUTES[route])
    said, errors = used(running, application, route)
    if (application, route) in REASONS:
        pytest.xfail(REASONS[application, route])
    assert said == reference
    assert errors == logged, running.errors(route)
