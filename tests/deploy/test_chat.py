"""examples/chat/compose.yaml: what it names is there, and what it starts works, as processes in place of containers."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from ssgi_gateway.rpc.client import Client
from ssgi_gateway.settings.sources import options, plain_words
from tests.harness import Gateway
from tests.harness.gateway import ROOT, to_nginx
from tests.harness.nginx import Nginx, Server
from tests.swill.services import Redis

FOLDER = ROOT / "examples" / "chat"
CONF = FOLDER / "compose-nginx.conf"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
    return loaded


def words(service: dict[str, Any]) -> list[str]:
    """Of the gateway's command line, behind ``serve``."""
    *_, line = service["command"][-1].strip().splitlines()
    found = re.fullmatch(r"\s*exec ssgi-gateway serve (.*)", line)
    assert found, line
    return found[1].split()


def test_what_it_names_is_there(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (FOLDER / source).exists() if source.startswith(".") else source in compose["volumes"], source
        for other in service.get("depends_on", ()):
            assert other in compose["services"]
    for name in re.findall(r"server (\w+):4000;", CONF.read_text()):
        assert name in compose["services"]


def test_the_gateways_words_are_options(compose: dict[str, Any]) -> None:
    for name in ("one", "two"):
        given = plain_words(words(compose["services"][name]))
        assert given is not None
        assert given.keys() <= {option.name for option in options()}
        assert given["app"] == "examples.chat.app:app"
        assert given["workers"] == "2"
        for variable in compose["services"][name]["environment"]:
            assert f'"{variable}"' in (FOLDER / "app.py").read_text()


def test_docker_reads_it() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("there is no docker compose")
    command = [docker, "compose", "--file", str(FOLDER / "compose.yaml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.nginx
def test_two_gateways_behind_one_nginx(compose: dict[str, Any], tmp_path: Path) -> None:
    """With the configuration that nginx gets there, the same words and a Redis; then one of the gateways is stopped."""
    text = CONF.read_text()
    upstream = re.search(r"^upstream .*$", text, re.MULTILINE)
    server = re.search(r"server \{\n    listen 80;\n(.*)\n\}", text, re.DOTALL)
    assert upstream
    assert server
    with ExitStack() as stack:
        redis = stack.enter_context(Redis(tmp_path))
        env = {"REDIS_URL": redis.url, "CHAT_FILES": str(tmp_path / "files")}
        given = words(compose["services"]["one"])
        given = [word for word in given if word not in ("examples.chat.app:app", "--scgi", "0.0.0.0:4000")]
        gateways = {}
        for name in ("one", "two"):
            folder = tmp_path / name
            folder.mkdir()
            gateways[name] = stack.enter_context(
                Gateway("examples.chat.app:app", folder, scgi=["unix"], options=given, env=env)
            )
        upstreams = upstream[0]
        for name, gateway in gateways.items():
            upstreams = upstreams.replace(f"server {name}:4000;", f"server {to_nginx(gateway.scgi[0])};")
        assert ":4000" not in upstreams
        nginx = stack.enter_context(Nginx(tmp_path / "nginx", {"chat": Server(server[1])}, upstreams))
        asyncio.run(talk(nginx.address("chat"), gateways["one"]))


async def talk(address: Any, stopped: Gateway) -> None:
    """Eight visitors, some on either gateway; what one says everybody hears, also after one has gone."""
    url = f"ws://{address[0]}:{address[1]}/ws"
    async with asyncio.timeout(60):
        visitors = [await Client(url).__aenter__() for _ in range(8)]
        places = set()
        for number, visitor in enumerate(visitors):
            await visitor.call("chat.enter", {"id": str(number), "name": f"Visitor {number}"})
            places.add((await visitor.call("chat.where"))["pid"])
        assert len(places) > 1
        rooms = [visitor.subscribe("room.lobby") for visitor in visitors]
        for room in rooms:
            await room.__aenter__()
        await visitors[0].call("chat.say", {"room": "lobby", "text": "before"})
        stopped.stop()
        for number, visitor in enumerate(visitors):  # wherever they are now
            await visitor.call("chat.enter", {"id": str(number), "name": f"Visitor {number}"}, idempotent=True)
        await visitors[-1].call("chat.say", {"room": "lobby", "text": "after"})
        for room in rooms:
            assert [(await anext(room)).data["text"] for _ in range(2)] == ["before", "after"]
            await room.__aexit__(None, None, None)
        for visitor in visitors:
            await visitor.close()
