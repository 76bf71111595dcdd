"""``scripts/demo.sh``, which is ``make demo``: it ends with the page, and leaves nothing behind.

The tests run it with this Python's environment in place of one of its own (SETUP=skip), in a folder of their own.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import WebSocketClient, request, wait_until
from tests.harness.gateway import ROOT
from tests.harness.nginx import free_port
from tests.harness.process import DEADLINE, Process

pytestmark = pytest.mark.nginx

DEMO = ROOT / "scripts" / "demo.sh"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        "SETUP": "skip",
        "VENV": sys.prefix,
        "RUN_DIR": str(tmp_path / "run with a space"),
        "DEMO_PORT": str(free_port()),
    }


def leftovers(environment: dict[str, str]) -> list[str]:
    """Processes whose command or working files are in the demonstration's folder, and sockets that are still there."""
    run = Path(environment["RUN_DIR"])
    found = subprocess.run(["pgrep", "-af", re.escape(str(run))], capture_output=True, text=True, check=False)
    gateway = (run / "gateway.log").read_text()
    pid = json.loads(gateway.splitlines()[0])["pid"]
    still = [f"gateway {pid}"] if Path(f"/proc/{pid}").exists() else []
    sockets = re.findall(r"unix:(\S+\.sock)", gateway)
    assert sockets
    return [*found.stdout.splitlines(), *still, *(path for path in sockets if Path(path).exists())]


def test_once_it_ends_when_the_page_has_answered(environment: dict[str, str]) -> None:
    told = subprocess.run(
        [DEMO], env={**os.environ, **environment, "DEMO_ONCE": "1"},
        capture_output=True, text=True, check=False, timeout=2 * DEADLINE,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"https://localhost:{environment['DEMO_PORT']}\n" in told.stdout
    assert told.stderr == ""
    assert leftovers(environment) == []


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """A pseudo-terminal: the side of the person, and the side of the program."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


def test_it_serves_every_route_until_ctrl_c(environment: dict[str, str], terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    port = int(environment["DEMO_PORT"])
    # setsid --ctty makes the terminal its own, as a shell's child has it: Ctrl-C is then the kernel's doing.
    with subprocess.Popen(
        ["setsid", "--ctty", "--wait", DEMO],
        env={**os.environ, **environment}, stdin=theirs, stdout=theirs, stderr=theirs,
    ) as demo:  # fmt: skip
        said = b""
        while b"Ctrl-C ends" not in said:
            said += os.read(ours, 4096)
        trust = ssl.create_default_context(cafile=Path(environment["RUN_DIR"]) / "certificate" / "cert.pem")
        page = request(("127.0.0.1", port), "GET", "/", tls=trust)
        assert page.status == 200
        assert "<title>" in page.text
        for protocol in ("scgi", "fastcgi"):
            seen = request(("127.0.0.1", port), "GET", f"/{protocol}/seen", tls=trust).json()
            assert (seen["protocol"], seen["scheme"]) == (protocol, "https")
        for mount in ("scgi", "direct"):
            with WebSocketClient(("127.0.0.1", port), f"/{mount}/board", tls=trust) as client:
                assert json.loads(client.receive())[0]["type"] == "welcome"
        os.write(ours, b"\x03")
        assert demo.wait(DEADLINE) == 130
    wait_until(lambda: leftovers(environment) == [], "everything being gone")


def test_a_port_in_use_is_named_with_the_way_out(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment["DEMO_PORT"] = str(taken.getsockname()[1])
        demo = Process([DEMO], tmp_path / "output.log", env=environment)
        assert demo.wait(2 * DEADLINE) == 1
    assert f"is port {environment['DEMO_PORT']} in use? DEMO_PORT=9443 make demo" in demo.text()
    assert "Address already in use" in demo.text()
    assert leftovers(environment) == []


def test_sigterm_ends_it_as_well(environment: dict[str, str], tmp_path: Path) -> None:
    demo = Process([DEMO], tmp_path / "output.log", env=environment)
    demo.wait_for(lambda: "Ctrl-C ends" in demo.text(), "the page")
    assert demo.stop(signal.SIGTERM) == 143
    assert leftovers(environment) == []


def test_sigterm_to_make_ends_it_as_well(environment: dict[str, str], tmp_path: Path) -> None:
    make = Process(["make", "--no-print-directory", "demo"], tmp_path / "output.log", env=environment, cwd=ROOT)
    make.wait_for(lambda: "Ctrl-C ends" in make.text(), "the page")
    make.stop(signal.SIGTERM)
    wait_until(lambda: leftovers(environment) == [], "everything being gone")
