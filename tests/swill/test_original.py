"""The original's client against this server, and this project's clients against the original's server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ssgi_gateway.rpc import RpcError
from ssgi_gateway.rpc.client import Client
from tests.harness import Gateway

from .test_client import patience, url
from .test_generate import generate
from .typescript import CLIENT, run

HERE = Path(__file__).parent / "original"


@pytest.fixture(scope="module")
def compiled(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The original's client."""
    folder = tmp_path_factory.mktemp("client")
    tsc = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
    # What @msgpack/msgpack declares today is stricter than what the original was written for.
    words = ["--outDir", str(folder), "--target", "es2020", "--module", "commonjs", "--noCheck"]
    words += ["--lib", "dom,esnext", "--esModuleInterop"]
    run("node", str(tsc), *words, *(str(path) for path in sorted((HERE / "client").glob("*.ts"))))
    return folder


def test_its_client_against_this_server(compiled: Path, built: Path, serve: Callable[..., Gateway], codec: str) -> None:
    env = {
        "SWILL_URL": url(serve("tests.apps.swill_features:app", "--codec", codec)),
        "SWILL_SOCKET": str(built / "dist" / "cjs" / "node.js"),
        "NODE_PATH": str(CLIENT / "node_modules"),
    }
    heard = json.loads(run("node", str(HERE / "talk.cjs"), str(compiled), env=env))
    assert heard == {
        "sum": 3,
        "counted": list(range(100)),
        "total": 6,
        "doubled": [8, 10],
        "conflict": {"code": 409, "message": "conflict", "data": {"version": 3}},
        "nobody": {"code": 404, "message": "there is no procedure 'nobody'"},
        "add x,2": {
            "code": 422,
            "message": "Validation Error",
            "data": {"errors": [{"path": "$[0]", "description": "Expected `int`, got `str`"}]},
        },
        "fail": {"code": 500, "message": "An internal server error occurred"},
        "both": {"mine": True},
        "leading": {"lead": 1},
        "trailing": {"trail": 2},
        "cancelled": True,
        "introspected": True,
    }


@pytest.fixture
def original(serve: Callable[..., Gateway]) -> str:
    """The URL of the original's server, which the gateway serves as the ASGI application that it is."""
    return url(serve("tests.swill.original.served:app", "--interface", "asgi"))


def test_the_python_client_against_its_server(original: str) -> None:
    async def talk() -> None:
        async with patience(), Client(original) as client:
            assert await client.call("add", [1, 2], type=int, timeout=5) == 3
            assert await client.call("said", 0, metadata={"mine": 1}) == {"mine": 1}
            async with client.stream("count", 300, type=int) as numbers:
                assert [number async for number in numbers] == list(range(300))
            async with client.stream("total", type=int) as total:
                for number in range(4):
                    await total.send(number)
                await total.end()
                assert await total.result() == 6
            async with client.stream("double", type=int) as doubled:
                await doubled.send(1)
                assert await anext(doubled) == 2
                await doubled.send(7)
                assert await anext(doubled) == 14
                await doubled.end()
                assert [number async for number in doubled] == []
            with pytest.raises(RpcError) as caught:
                await client.call("conflict")
            assert (caught.value.code, caught.value.message) == (409, "conflict")
            with pytest.raises(RpcError) as caught:
                await client.call("nobody")
            assert caught.value.code == 404

    asyncio.run(talk())


def test_the_typescript_client_against_its_server(built: Path, original: str) -> None:
    run("node", str(HERE / "ours.mjs"), env={"SWILL_URL": original, "SWILL_CLIENT": str(built / "dist/esm/index.js")})


def test_a_client_is_generated_from_its_server(original: str) -> None:
    """From ``swill.introspect`` alone, which is all that it has."""
    written = generate(original, "python")
    assert "def add(" in written
    assert "def double(" in written
