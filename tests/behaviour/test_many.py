"""A thousand at once: every one of them is there at the same moment, and every one is answered."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.apps.behaviour import HELLO
from tests.harness import ROUTES, Endpoint, Route, Site, wait_until

pytestmark = [pytest.mark.nginx, pytest.mark.slow]

COUNT = 1000
ROOM = 4096
"""Descriptors this process may need; the soft limit is 1024 on most machines."""

TUNNELS = [route for route in ROUTES if route.websockets]


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ROOM if hard == resource.RLIM_INFINITY else min(ROOM, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def tasks(site: Site) -> int:
    """How many asyncio tasks the gateway has; the one that answers is not among them."""
    found = site.through(ROUTES[0]).get("/do/process").json()["tasks"]
    assert isinstance(found, int)
    return found


def test_a_thousand_requests_at_once_are_answered(http: Endpoint, key: str) -> None:
    before = http.site.gateway.process.descriptors()
    with ExitStack() as opened:
        clients = [opened.enter_context(http.connection()) for _ in range(COUNT)]
        for client in clients:
            client.send_head("GET", f"/do/barrier?key={key}&count={COUNT}")
        for client in clients:  # none is answered before the last has arrived
            answer = client.read_response()
            assert (answer.status, answer.body) == (200, HELLO)
    kept = 8 if http.route.kept else 0
    wait_until(lambda: http.site.gateway.process.descriptors() <= before + kept, "the descriptors to be given back")


@pytest.mark.parametrize("route", TUNNELS, ids=lambda route: route.name)
def test_a_thousand_websockets_at_once_talk(site: Site, route: Route) -> None:
    ws = site.through(route)
    before, running = site.gateway.process.descriptors(), tasks(site)
    with ExitStack() as opened:
        clients = [opened.enter_context(ws.websocket("/ws/echo")) for _ in range(COUNT)]
        assert site.gateway.process.descriptors() >= before + COUNT
        for turn in range(3):
            for index, client in enumerate(clients):
                client.send(f"{turn} from {index}")
            for index, client in enumerate(clients):
                assert client.receive() == f"{turn} from {index}"
        for client in clients[::2]:
            assert client.close(1000) == (1000, "")
        for index, client in enumerate(clients[1::2]):
            client.send(str(index))
            assert client.receive() == str(index)
    # The other half leaves without a word.
    wait_until(lambda: site.gateway.process.descriptors() <= before, "the descriptors to be given back")
    wait_until(lambda: tasks(site) <= running, "the tasks to end")
