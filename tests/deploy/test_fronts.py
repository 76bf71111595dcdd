"""What of deploy is made by ``ssgi-gateway config`` is what it makes; that it works is shown by tests/fronts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.deploy_files import FOLDERS, NAMES, site
from ssgi_gateway.tools.fronts import FRONTS
from tests.fronts.servers import PATH, PROGRAMS, program
from tests.harness.gateway import ROOT
from tests.harness.process import DEADLINE

DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("folder", FOLDERS)
def test_each_file_is_what_the_command_prints(folder: str) -> None:
    there = {path.name: path.read_text() for path in (DEPLOY / folder).iterdir()}
    assert there == FOLDERS[folder](), "python scripts/deploy_files.py"


@pytest.mark.parametrize("front", [front for front, about in FRONTS.items() if about.check and front in PROGRAMS])
def test_the_web_server_accepts_it(front: str, tmp_path: Path) -> None:
    program(front)
    plain = site(front)._replace(tls=None, port=8080, static=())
    file = tmp_path / NAMES[front]
    file.write_text(FRONTS[front].render(plain))
    command = [str(file) if word == "FILE" else word for word in FRONTS[front].check]
    environ = {"PATH": PATH, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_command_prints_it_within_its_time() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ssgi_gateway", "config", "nginx"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    for module in ("asyncio", "h11", "wsproto", "uvloop"):  # what would make it slow
        assert f" {module}\n" not in done.stderr
