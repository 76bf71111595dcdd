"""The containers of ``deploy``, built and run by a real Docker daemon."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ssgi_gateway.rpc import Client
from ssgi_gateway.tools.fronts import Site, compose
from ssgi_gateway.tools.fronts.site import Static
from tests.harness.client import request
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until
from tests.harness.websocket import WebSocketClient

from .compose import MINUTES, Project, up

DEPLOY = ROOT / "deploy"


@pytest.fixture(scope="module")
def board() -> Iterator[Project]:
    with up(DEPLOY / "compose.yaml") as project:
        yield project


def anybodys() -> ssl.SSLContext:
    """The certificate in the containers is signed by nobody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_the_page_comes_through_nginx(board: Project) -> None:
    answer = request(("localhost", board.port), "GET", "/", tls=anybodys(), host=f"localhost:{board.port}")
    assert answer.status == 200
    assert "<html" in answer.text
    script = request(("localhost", board.port), "GET", "/static/board.js", tls=anybodys())
    assert script.status == 200


def test_a_websocket_goes_in_band(board: Project) -> None:
    with WebSocketClient(("localhost", board.port), "/board", tls=anybodys()) as client:
        assert json.loads(client.receive())


def test_the_gateway_has_compiled_codecs(board: Project) -> None:
    told = board.inside("gateway", "ssgi-gateway", "--version")
    assert "codecs: compiled\n" in told, told
    assert "event loop: uvloop" in told, told


def test_the_gateway_is_nobody_and_can_write_nothing_of_its_own(board: Project) -> None:
    assert board.inside("gateway", "id", "-u").strip() == "10001"
    status = board.inside("gateway", "cat", "/proc/1/status")
    assert re.search(r"CapEff:\s0+$", status, re.MULTILINE)
    assert re.search(r"NoNewPrivs:\s1$", status, re.MULTILINE)
    told = board.inside("gateway", "sh", "-c", "touch /app/mine 2>&1; command -v gcc || echo no compiler")
    assert "Read-only file system" in told
    assert "no compiler" in told


def test_the_health_check_calls_the_gateway(board: Project) -> None:
    [told] = [json.loads(line) for line in board.run("ps", "--format", "json", "gateway").splitlines()]
    assert told["Health"] == "healthy"
    about = json.loads(inspect("image", "ssgi-gateway-board"))[0]
    assert about["Config"]["Healthcheck"]["Test"] == ["CMD-SHELL", "ssgi-gateway call ${HEALTH} -fsm 2"]


def inspect(kind: str, name: str) -> str:
    return subprocess.run(["docker", kind, "inspect", name], capture_output=True, text=True, check=True).stdout


def test_the_image_adds_little_to_pythons(board: Project) -> None:
    sizes = [json.loads(inspect("image", name))[0]["Size"] for name in ("ssgi-gateway-board", "python:3.14-slim")]
    assert sizes[0] - sizes[1] < 60 << 20


# -- several gateways ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chat() -> Iterator[Project]:
    with up(DEPLOY / "compose-scaled.yaml", options=("--scale", "gateway=3")) as project:
        yield project


def visitors(project: Project, count: int, work: Any) -> Any:
    """Run ``work`` with connected clients."""

    async def run() -> Any:
        async with asyncio.timeout(120):
            clients = [Client(f"ws://localhost:{project.port}/ws") for _ in range(count)]
            for number, client in enumerate(clients):
                await client.__aenter__()
                await client.call("chat.enter", {"id": str(number), "name": f"visitor {number}"})
            try:
                return await work(clients)
            finally:
                for client in clients:
                    await client.__aexit__(None, None, None)

    return asyncio.run(run())


def test_what_is_sent_on_one_gateway_is_received_on_the_others(chat: Project) -> None:
    async def work(clients: list[Client]) -> set[str]:
        hosts = {(await client.call("chat.where"))["host"] for client in clients}
        subscriptions = [client.subscribe("room.lobby") for client in clients]
        heard = [await it.__aenter__() for it in subscriptions]
        await clients[0].call("chat.say", {"room": "lobby", "text": "good morning"})
        for messages in heard:
            assert (await anext(messages)).data["text"] == "good morning"
        return hosts

    assert len(visitors(chat, 12, work)) == 3


def test_a_gateway_that_goes_takes_nobody_with_it(chat: Project) -> None:
    first = chat.run("ps", "--quiet", "gateway").split()[0]

    async def work(clients: list[Client]) -> None:
        await asyncio.to_thread(subprocess.run, ["docker", "kill", first], capture_output=True, check=True)
        for client in clients:
            assert await client.call("chat.where", idempotent=True)

    visitors(chat, 12, work)


BUILT = "ssgi-gateway-build"
"""The stage of ``deploy/Dockerfile`` that has the wheels; what it takes is in the builder's cache by then."""

# -- what config compose prints ------------------------------------------------------------------------------------

APP = """\
def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    if type == "websocket":
        res.on_receive(lambda ws, message: ws.send(message))
        return res.accept()
    res.send(f"{method} {path} of {get_header('host')}")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A user's own folder, with what ``config compose`` writes.

    What comes from a registry of packages elsewhere is here the wheel that ``deploy/Dockerfile`` builds: the gateway.
    """
    static = tmp_path / "static"
    static.mkdir()
    (static / "app.css").write_text("body { color: #223 }\n")
    site = Site(app="site_app:app", domain="localhost", tls=None, static=(Static("/static/", str(static)),))
    for name, text in compose.files(site).items():
        (tmp_path / name).write_text(text)
    (tmp_path / "site_app.py").write_text(APP)
    (tmp_path / "requirements.txt").write_text("itsdangerous\n")
    stage = {"context": str(ROOT), "dockerfile": str(DEPLOY / "Dockerfile"), "target": "build"}
    (tmp_path / "built.yaml").write_text(json.dumps({"services": {"built": {"image": BUILT, "build": stage}}}))
    command = ["docker", "compose", "--file", str(tmp_path / "built.yaml"), "build", "--quiet"]
    subprocess.run(command, check=True, timeout=MINUTES)
    text = (tmp_path / "Dockerfile").read_text()
    for before, after in (
        ("COPY requirements.txt /src/\n", f"COPY requirements.txt /src/\nCOPY --from={BUILT} /wheels /wheels\n"),
        ("pip wheel --no-cache-dir ", "pip wheel --no-cache-dir --find-links /wheels "),
    ):
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "Dockerfile").write_text(text)
    return tmp_path


def test_config_compose_serves_an_application(project: Path) -> None:
    with up(project / "compose.yaml", variable="HTTP_PORT") as running:
        address = ("localhost", running.port)
        assert request(address, "GET", "/a%20b", host=f"localhost:{running.port}").text == (
            f"GET /a b of localhost:{running.port}"
        )
        assert request(address, "GET", "/static/app.css").text.startswith("body {")
        with WebSocketClient(address, "/") as client:
            client.send("hello")
            assert client.receive() == "hello"
        assert "codecs: compiled\n" in running.inside("gateway", "ssgi-gateway", "--version")
        running.run("restart", "gateway")
        wait_until(lambda: request(address, "GET", "/").status == 200, "the gateway after a restart")
