"""``ssgi-gateway rpc generate``: what it writes compiles under ``tsc --strict`` and ``mypy --strict``, and works."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssgi_gateway.rpc.client import Client
from tests.harness import Gateway
from tests.harness.gateway import ROOT

from .test_client import patience, url
from .typescript import CLIENT, run

APPS = ("swill_types", "swill_features", "swill_vectors")


def generate(source: str, language: str, *more: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "ssgi_gateway", "rpc", "generate", "--lang", language, source, *more]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stderr if status else done.stdout


def test_typescript_compiles(built: Path, tmp_path: Path) -> None:
    for app in APPS:
        generate(f"tests.apps.{app}:app", "typescript", "-o", str(tmp_path / f"{app}.ts"))
    (tmp_path / "use.ts").write_text(
        'import { Client } from "@ssgi-gateway/swill";\nimport { Api, type Tree } from "./swill_types";\n'
        "const api = new Api(new Client());\n"
        'export const names: Promise<string[]> = api.tree.walk({ name: "a", children: [] });\n'
        'export const area: Promise<number> = api.shape.area({ type: "circle", radius: 1 });\n'
        "export async function trees(): Promise<Tree[]> {\n"
        "  const found: Tree[] = [];\n"
        '  for await (const { data } of api.subscribe("trees.oak.new")) found.push(data);\n'
        "  return found;\n}\n"
        "// @ts-expect-error a radius is a number\n"
        'api.shape.area({ type: "circle", radius: "1" });\n'
    )
    config = {
        "compilerOptions": {
            "strict": True,
            "noEmit": True,
            "target": "ES2020",
            "module": "ES2020",
            "moduleResolution": "bundler",
            "lib": ["ES2020", "DOM"],
            "types": [],
            "paths": {"@ssgi-gateway/swill": [str(CLIENT / "dist/esm/index.d.ts")]},
        },
        "include": ["*.ts"],
    }
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    run("node", "node_modules/typescript/bin/tsc", "-p", str(tmp_path))


def test_python_checks(tmp_path: Path) -> None:
    files = []
    for app in APPS:
        files.append(tmp_path / f"{app}_client.py")
        generate(f"tests.apps.{app}:app", "python", "-o", str(files[-1]))
    options = ["--strict", "--follow-imports", "silent", "--cache-dir", str(tmp_path / "cache")]
    command = [sys.executable, "-m", "mypy", *options, *map(str, files)]
    env = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
    for file in files:
        compile(file.read_text(), str(file), "exec")


def test_the_same_from_a_server_and_from_the_application(serve: Callable[..., Gateway], tmp_path: Path) -> None:
    gateway = serve("tests.apps.swill_features:app")
    for language in ("typescript", "python"):
        from_server = generate(url(gateway), language)
        assert from_server == generate("tests.apps.swill_features:app", language)
        assert from_server == generate(url(gateway), language)
    (tmp_path / "generated.py").write_text(generate(url(gateway), "python", "--class", "Features"))
    spec = importlib.util.spec_from_file_location("generated", tmp_path / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["generated"] = module
    spec.loader.exec_module(module)

    async def use() -> None:
        async with patience(), Client(url(gateway)) as client:
            api = module.Features(client)
            assert await api.add((1, 2)) == 3
            async with api.count(3) as numbers:
                assert [number async for number in numbers] == [0, 1, 2]
            async with api.total() as total:
                await total.send(4)
                assert await total.result() == 4
            async with api.subscribe_news("x") as news:
                await api.publish(("news.x", module.Note(text="hello")))
                assert (await anext(news)).data == module.Note(text="hello")
            assert await api.metas.both(metadata={"k": 1}) == {"k": 1}

    asyncio.run(use())
    del sys.modules["generated"]


def test_from_introspection_alone(serve: Callable[..., Gateway], built: Path) -> None:
    """As an original server has it: no schema, and no names but those of types."""
    gateway = serve("tests.apps.swill_original:described")
    text = generate(url(gateway), "typescript")
    assert "older(args: User, options?: CallOptions): Promise<User>" in text.replace(" =>", "").replace(": (", "(")
    assert "export interface User {\n  name: string;\n  age: number;\n}" in text


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("tests.apps.small:app", "no Swill application"),
        ("ws://127.0.0.1:1/ws", "ws://127.0.0.1:1/ws"),
        ("tests.apps.nothing:app", "tests.apps.nothing"),
    ],
)
def test_what_cannot_be_is_refused(source: str, words: str) -> None:
    assert words in generate(source, "python", status=2)
