"""A thousand clients that disconnect in the middle, over SCGI and over FastCGI: no task, thread, descriptor or
connection to a database is left of them, of applications as people write them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.behaviour.app_site import serve_app
from tests.harness import HTTP_ROUTES, Endpoint, Site, wait_until

pytestmark = [pytest.mark.nginx, pytest.mark.slow]

CASES = {
    "django-asgi": ("asgi.django:app", ("stream", "wait"), ()),
    "django-threads": ("wsgi.django:app", ("stream", "read"), ("--threads", "4")),
    "django-inline": ("wsgi.django:app", ("stream",), ("--threads", "0")),
    "flask": ("wsgi.flask:app", ("stream",), ("--threads", "4")),
    "fastapi": ("asgi.fastapi:app", ("stream",), ()),
    "rsgi": ("rsgi.raw:app", ("stream",), ()),
}
"""What is served, what its clients are in the middle of, and the words of the command line."""

TOGETHER = 4
"""Clients at once: no more than there are threads, for all of them are to be in the middle of something."""

EACH = 500

ROUTES = [route for route in HTTP_ROUTES if route.name in ("scgi-unix", "fastcgi-unix-kept")]


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest) -> str:
    """Which application."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def site(case: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """It, behind nginx."""
    app, _, options = CASES[case]
    framework = app.partition(".")[2].partition(":")[0]
    needs = "" if framework == "raw" else framework
    with serve_app(app, request.config, tmp_path_factory, *options, routes=HTTP_ROUTES, needs=needs) as running:
        yield running


@pytest.fixture(params=ROUTES, ids=lambda route: route.name)
def http(request: pytest.FixtureRequest, site: Site) -> Endpoint:
    return site.through(request.param)


def leave(http: Endpoint, how: str, key: str) -> None:
    """As many clients as there may be at once, all in the middle of it, go."""
    before = started(http, key)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(http.connection()) for _ in range(TOGETHER)]
        for client in clients:
            if how == "read":
                client.send_head("POST", f"/held?how=read&key={key}", [("Content-Length", "1000000")])
                client.send_body(bytes(1000))
            else:
                client.send_head("GET", f"/held?how={how}&key={key}")
        if how == "stream":
            for client in clients:
                client.read_head()
        elif how == "wait":
            wait_until(lambda: started(http, key) == before + TOGETHER, "all of them to have begun")
        for number, client in enumerate(clients):
            client.abort() if number % 2 else client.close()


def started(http: Endpoint, key: str) -> int:
    return sum(event == "started" for _, event, _ in http.site.records(key))


def test_a_thousand_that_disconnect_leave_nothing_behind(http: Endpoint, case: str, key: str) -> None:
    kinds = [how for how in CASES[case][1] if how != "read" or http.route.streams_uploads]

    def look() -> dict[str, int]:
        told: dict[str, int] = http.get("/do/process").json()
        return told

    def settled() -> bool:
        now = look()
        return all(now[what] <= before[what] for what in now)

    idle = look()
    for how in kinds:
        leave(http, how, f"{key}-first")  # what is made once is made now, such as the threads of a pool
    last: list[dict[str, int]] = []

    def at_rest() -> bool:
        last.append(look())
        return last[-1].get("tasks", 0) <= idle.get("tasks", 0) and last[-3:] == [last[-1]] * 3

    wait_until(at_rest, "the first ones to be gone")
    before = last[-1]
    before["descriptors"] += 8  # the connections that nginx may keep
    for how in kinds:
        for _ in range(EACH // len(kinds) // TOGETHER):
            leave(http, how, f"{key}-{how}")
    wait_until(settled, f"no more than before, {before}")
    assert http.get("/do/process").status == 200


def test_it_was_in_the_middle_that_they_left(site: Site, case: str) -> None:
    """Runs last: the applications were told, and found nothing to complain about."""
    log = "\n".join(site.gateway.log())
    for complaint in ("ResourceWarning", "never retrieved", "never awaited", "database is locked"):
        assert complaint not in log
