"""Every recorded exchange over every route that carries WebSockets, in both builds, and under Uvicorn."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.harness import WEBSOCKET_ROUTES, Gateway, Route, Site
from tests.harness.client import Address
from tests.harness.gateway import ROOT
from tests.harness.process import Process, wait_until

from .raw import RawWebSocket
from .vectors import ALL, EXCHANGES, HANDSHAKES, RAISING, difference, play

APP = "tests.apps.swill_vectors:app"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, codec: str) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("swill")
    with Site(folder, APP, env={"SSGI_CODEC": codec}, routes=WEBSOCKET_ROUTES) as running:
        yield running


async def exchange(address: Address, name: str, subprotocol: str = "swill.1") -> str | None:
    vector = ALL[name]
    async with await RawWebSocket().connect(address, subprotocol=subprotocol) as ws:
        assert ws.status == 101, ws.head
        assert ws.header("sec-websocket-protocol") == subprotocol
        return difference(vector["right_frames"], await play(vector, ws))


async def exchanges(address: Address, names: list[str], subprotocol: str = "swill.1") -> dict[str, str]:
    """All at once, each on a connection of its own; what is wrong."""
    results = await asyncio.gather(*(exchange(address, name, subprotocol) for name in names))
    return {name: problem for name, problem in zip(names, results, strict=True) if problem}


@pytest.mark.nginx
@pytest.mark.parametrize("route", WEBSOCKET_ROUTES, ids=lambda route: route.name)
def test_every_exchange_on_every_route(site: Site, route: Route) -> None:
    assert asyncio.run(exchanges(site.address(route), EXCHANGES)) == {}


@pytest.mark.nginx
def test_the_original_name_of_the_subprotocol_is_understood(site: Site) -> None:
    for route in WEBSOCKET_ROUTES:
        assert asyncio.run(exchanges(site.address(route), ["single_call", "stream_response"], "swill/1")) == {}


@pytest.mark.nginx
@pytest.mark.parametrize("name", HANDSHAKES)
def test_handshakes(site: Site, name: str) -> None:
    vector = ALL[name]
    head, _, _ = vector["request"].partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)

    async def shake(address: Address) -> RawWebSocket:
        ws = await RawWebSocket().connect(
            address, first.split()[1], headers.get("Sec-WebSocket-Protocol"), upgrade="Upgrade" in headers
        )
        ws.abort()
        return ws

    for route in WEBSOCKET_ROUTES:
        ws = asyncio.run(shake(site.address(route)))
        assert ws.status == vector["right_status"], f"{route.name}: {ws.head} {ws.body!r}"
        if ws.status == 406:
            assert b"swill.1" in ws.body
            assert b"swill/1" in ws.body


@pytest.mark.parametrize("name", RAISING)
def test_hooks_that_raise(serve: Callable[..., Gateway], name: str, tmp_path: Path, codec: str) -> None:
    vector = ALL[name]
    notes = tmp_path / "notes"
    notes.touch()
    gateway = serve(
        "tests.apps.swill_vectors:hooked()",
        env={"SSGI_CODEC": codec, "SWILL_NOTES": str(notes), "SWILL_RAISED": name},
    )
    right = vector.get("right") or {}

    async def run() -> None:
        async with await RawWebSocket().connect(gateway.websocket[0]) as ws:
            if "status" in right:
                assert ws.status == right["status"]
                assert right.get("body", "").encode() in ws.body
                return
            ws.send(bytes.fromhex("9301920102a3616464"))
            frames = vector["right_frames"] or [{"hex": "95010300c0c0"}]
            await ws.expect(len(frames))
            assert difference(frames, ws.frames) is None

    asyncio.run(run())
    lines = notes.read_text().split()
    if "status" in right:
        assert "after_connection" not in lines
    else:
        wait_until(lambda: notes.read_text().split()[-1:] == ["after_connection"], "after_connection")
        assert notes.read_text().split().count("after_connection") == 1


def test_hooks_fire_in_order(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    gateway = serve(APP, env={"SWILL_NOTES": str(notes)})
    wrong = {}

    async def run(name: str) -> None:
        vector = ALL[name]
        async with await RawWebSocket().connect(gateway.websocket[0]) as ws:
            await play(vector, ws)

    for name in EXCHANGES:
        right = ALL[name].get("right_hooks")
        if right is None:
            continue
        notes.write_text("")
        asyncio.run(run(name))
        wait_until(lambda: "after_connection" in notes.read_text(), f"the end of {name}")
        fired = notes.read_text().split("\n")[:-1]
        if without_speed(fired) != without_speed(right):
            wrong[name] = fired
    assert wrong == {}


def without_speed(notes: list[str]) -> list[str]:
    """Hooks in their order; notes of how fast a handler read its items may stand elsewhere."""
    return [line for line in notes if not line.startswith(("total got", "patient got", "total saw"))]


def test_introspection_is_the_originals_byte_for_byte(serve: Callable[..., Gateway], codec: str) -> None:
    gateway = serve("tests.apps.swill_vectors:introspect_app", env={"SSGI_CODEC": codec})
    assert asyncio.run(exchanges(gateway.websocket[0], ["introspect_typed"])) == {}


@pytest.fixture(scope="module")
def uvicorn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("uvicorn")
    (folder / "swill_under_uvicorn.py").write_text(
        "from ssgi_gateway.adapters import as_asgi\nfrom tests.apps.swill_vectors import app\napp = as_asgi(app)\n"
    )
    path = os.pathsep.join([str(folder), str(ROOT)])
    command = [sys.executable, "-m", "uvicorn", "swill_under_uvicorn:app", "--port", "0", "--ws", "websockets-sansio"]
    server = Process(command, folder / "log", env={"PYTHONPATH": path}, cwd=folder)
    try:
        server.wait_for(lambda: "running on http://" in server.text(), "Uvicorn's start")
        port = server.text().partition("running on http://127.0.0.1:")[2].split()[0]
        yield ("127.0.0.1", int(port))
    finally:
        server.stop()


def test_every_exchange_under_uvicorn(uvicorn: Address) -> None:
    assert asyncio.run(exchanges(uvicorn, EXCHANGES)) == {}


def test_there_are_as_many_vectors_as_were_recorded() -> None:
    assert len(ALL) >= 120
    assert len(EXCHANGES) >= 84
    assert all(json.dumps(vector) for vector in ALL.values())
