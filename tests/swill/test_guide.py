"""docs/swill.md as a stranger follows it: its blocks are run, in their order, in an empty folder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.harness.gateway import ROOT, Gateway

from .test_pages import Browser, browser
from .typescript import CLIENT, run

__all__ = ["browser"]

GUIDE = (ROOT / "docs" / "swill.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def block(language: str, holds: str) -> str:
    """The first block of a language with these words in it."""
    return next(text for kind, text in BLOCKS if kind == language and holds in text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The server and its page."""
    server = block("python", "async def count") + block("py", "app.static(")
    (tmp_path / "example.py").write_text(server)
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text(block("html", "<title>Sums"))
    (tmp_path / "page.ts").write_text(block("ts", "new Api("))
    return tmp_path


def command(*words: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ssgi_gateway", *words], cwd=folder, capture_output=True, text=True, timeout=60,
        check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.browser
def test_the_page(folder: Path, built: Path, serve: Callable[..., Gateway], browser: Browser) -> None:
    """Generated, checked by ``tsc --strict``, and opened; in place of a bundler the browser maps the names."""
    command("rpc", "generate", "--lang", "typescript", "example:app", "-o", "api.ts", folder=folder)
    config = {
        "compilerOptions": {
            "strict": True, "target": "ES2022", "module": "ES2022", "moduleResolution": "bundler",
            "lib": ["ES2022", "DOM"], "types": [], "outDir": "public",
            "paths": {"@ssgi-gateway/swill": [str(CLIENT / "dist/esm/index.d.ts")]},
        },
        "files": ["page.ts"],
    }  # fmt: skip
    (folder / "tsconfig.json").write_text(json.dumps(config))
    run("node", "node_modules/typescript/bin/tsc", "-p", str(folder))
    shutil.copytree(ROOT / "examples" / "chat" / "static" / "lib", folder / "public" / "lib")
    page = folder / "public" / "index.html"
    names = {"@ssgi-gateway/swill": "./lib/swill/index.js", "@msgpack/msgpack": "./lib/msgpack/index.mjs"}
    mapped = f'<script type="importmap">{json.dumps({"imports": names})}</script>'
    page.write_text(page.read_text().replace("<title", mapped + "<title", 1))
    gateway = serve("example:app", "--chdir", str(folder), http=("tcp",))
    host, port = gateway.address("http", "tcp")
    page = browser.visitor(f"http://{host}:{port}/")
    page.wait_for_selector("#sum:text-is('3')")
    page.wait_for_selector("#numbers:text-is('0 1 2')")
    page.fill("#one", "4")
    page.press("#one", "Tab")
    page.wait_for_selector("#numbers:text-is('0 1 2 3 4 5')")


def test_the_other_clients(folder: Path, tmp_path_factory: Any) -> None:
    """Python's, curl's bytes and the command's."""
    log = tmp_path_factory.mktemp("gateway")
    with Gateway("example:app", log, http=["tcp"], options=["--chdir", str(folder)]) as gateway:
        host, port = gateway.address("http", "tcp")
        place = f"{host}:{port}"
        told = command("call", f"http://{place}/ws", "--rpc", "count", "3", folder=folder)
        assert told == "0\n1\n2\n"
        words = block("sh", "curl -d").replace("localhost:8000", place)
        assert subprocess.run(["sh", "-c", f"{words.strip()} -s"], capture_output=True, check=True).stdout == b"3"
        body = block("py", "async with Client").replace("localhost:8000", place)
        program = "import asyncio\n\nasync def main():\n" + "".join(f"    {line}\n" for line in body.splitlines())
        (folder / "use.py").write_text(program + "\nasyncio.run(main())\n")
        done = subprocess.run(
            [sys.executable, "use.py"], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout == "3\n0\n1\n2\n", done.stderr
