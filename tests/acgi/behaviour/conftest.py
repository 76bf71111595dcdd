"""The gateway's behaviour suite with this project's client in nginx's place.

The modules here take their tests from ``tests/behaviour``; the fixtures below give them other routes. Those that say
something of nginx, or start sites of their own, are left out, with the reason.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import ExitStack

import pytest

from tests.harness import Endpoint, Gateway, Route
from tests.harness.client import request as ask
from tests.harness.process import Process
from tests.harness.site import Site

HTTP = (Route("client-scgi", "scgi", "unix", websockets=True), Route("client-fastcgi", "fastcgi", "unix", kept=True))
WS = HTTP[:1]


class ClientSite(Site):
    """A gateway, and in front of it the client; a context manager that stops both."""

    def __init__(self, directory, app="tests.apps.behaviour:app", *, options=(), env=None):
        self.directory = directory
        self.stack = ExitStack()
        self.gateway = self.stack.enter_context(
            Gateway(app, directory, scgi=("unix",), fastcgi=("unix",), options=options, env=env)
        )
        self.fronts = {route.name: self.start(route) for route in HTTP}

    def start(self, route):
        path = self.gateway.address(route.protocol, "unix")
        log = self.directory / f"{route.name}.log"
        command = [sys.executable, "-m", "tests.acgi.front", route.protocol, f"unix:{path}"]
        front = Process(command, log)
        self.stack.callback(front.kill)
        front.wait_for(lambda: "listening on" in log.read_text(), "the client listening")
        return ("127.0.0.1", int(re.search(r"listening on (\d+)", log.read_text())[1]))

    def address(self, route):
        return self.fronts[route.name]

    def mark(self):
        return len(self.gateway.process.text()), 0

    def logs(self, since=(0, 0)):
        fronts = "\n".join((self.directory / f"{route.name}.log").read_text() for route in HTTP)
        return f"{self.gateway.process.text()[since[0] :]}\n{fronts}"

    def records(self, key):
        answer = ask(self.fronts["client-scgi"], "GET", f"/do/records?key={key}")
        return [(at, event, detail) for at, event, detail in answer.json()]

    def stop(self):
        self.stack.close()


DIFFERENT = {
    "test_statuses_and_reasons": "ACGI's messages have no reason phrase",
    "test_while_it_reads_a_body": "nginx collects a body for SCGI, this passes it on",
    "test_an_early_413_arrives_whole": "likewise",
    "test_a_nul_or_a_bad_escape_never_reaches_an_application": "it is nginx that refuses these",
    "test_an_upload_streams_to_the_application": "names a route of nginx's",
    "test_paths_with_every_kind_of_percent_encoding": "nginx refuses some of them, and normalizes others",
    "test_query_strings_are_not_decoded": "h11, which reads requests here, refuses what nginx passes on",
    "test_http_1_0_without_a_host": "nginx makes a host up",
}
"""What these tests say of nginx, and not of the gateway."""


def pytest_collection_modifyitems(config, items):
    """Those that start sites of their own, with nginx, are not about the client."""
    here = os.path.dirname(__file__)
    kept, left = [], []
    for item in items:
        mine = str(item.path).startswith(here)
        through = {"http", "ws"} & set(item.fixturenames) and not {"start", "site_with"} & set(item.fixturenames)
        different = getattr(item, "originalname", item.name) in DIFFERENT
        (left if mine and (not through or different) else kept).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


@pytest.fixture(scope="session")
def codec():
    """The portable build: what is tried here is the client."""
    return os.environ.get("SSGI_CODEC", "portable")


@pytest.fixture(scope="session")
def site(tmp_path_factory, codec):
    with ClientSite(tmp_path_factory.mktemp("client-site"), env={"SSGI_CODEC": codec}) as running:
        yield running


@pytest.fixture(params=HTTP, ids=lambda route: route.name)
def http(request, site):
    return Endpoint(site, request.param)


@pytest.fixture(params=WS, ids=lambda route: route.name)
def ws(request, site):
    return Endpoint(site, request.param)


@pytest.fixture
def key(request):
    return re.sub(r"\W+", "-", request.node.nodeid.partition("::")[2])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Beside a failure, show what the gateway and the client logged."""
    report = yield
    running = item.funcargs.get("site") if hasattr(item, "funcargs") else None
    if report.failed and isinstance(running, ClientSite):
        report.sections.append(("gateway and client", running.logs()))
    return report
