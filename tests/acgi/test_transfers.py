"""Large transfers, both ways: the process grows by less than 16 MiB, however much is moved.

``make test`` moves 100 MB; ``make transfers`` a gigabyte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from tests.acgi.servers import executable, gateway, running
from tests.harness.nginx import free_port

SIZE = int(os.environ.get("TRANSFER_BYTES", "100000000"))
GROWTH = 16 << 20
PIECE = bytes(65536)


async def app(type, server_address, remote_address, method, path, query_string, get_header, res):
    """Sends as many bytes as the query says; counts what a POST brings."""
    if method == "POST":
        size = 0
        while (chunk := await res.get_chunk()) is not None:
            size += len(chunk.read())
        res.send(str(size))
        return
    left = int(parse_qs(query_string)["size"][0])
    while left:
        part = min(left, len(PIECE))
        left -= part
        await res.send(PIECE[:part], has_more=True)
    res.send()


def transfer(direction, url, options):
    command = [sys.executable, "-m", "tests.acgi.transfers", direction, url, str(SIZE), json.dumps(options)]
    done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr.decode()
    said = json.loads(done.stdout)
    assert said["moved"] == SIZE
    assert said["grew"] < GROWTH


@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
def test_against_the_gateway(protocol, direction, tmp_path):
    with gateway("tests.acgi.test_transfers:app", tmp_path, protocol, "--max-body-size", "2000000000") as address:
        scheme = "scgi" if protocol == "scgi" else "fcgi"
        transfer(direction, f"{scheme}://{address}:/", {})


@pytest.mark.parametrize("kind", ["http/1.1", "http/2", "http/2, tls"])
def test_down_from_nginx(web, kind):
    name = f"sparse-{os.getpid()}.bin"
    path = Path(web.folder) / "files" / name
    with path.open("wb") as file:
        file.truncate(SIZE)
    try:
        ways = {
            "http/1.1": (f"http://{web.plain}", {}),
            "http/2": (f"http://{web.h2c}", {"http2": "prior-knowledge"}),
            "http/2, tls": (f"https://{web.secure}", {"ca": str(web.certificate)}),
        }
        base, options = ways[kind]
        transfer("down", f"{base}/files/{name}", options)
    finally:
        path.unlink()


def test_up_and_back_from_nghttpd(certificate, tmp_path):
    """It echoes an upload, so both directions flow at once, each within its windows."""
    program = executable("nghttpd")
    port = free_port()
    command = [program, "-a", "127.0.0.1", "-d", tmp_path, "--echo-upload", port, certificate[1], certificate[0]]
    code = "import asyncio, sys; from tests.acgi.transfers_echo import main;asyncio.run(main(*sys.argv[1:]))"
    with running(command, tmp_path, port):
        url = f"https://localhost:{port}/"
        arguments = [sys.executable, "-c", code, url, str(certificate[0]), str(SIZE)]
        done = subprocess.run(arguments, capture_output=True, timeout=600, check=False)
        assert done.returncode == 0, done.stderr.decode()
        said = json.loads(done.stdout)
        assert said["moved"] == SIZE
        assert said["grew"] < GROWTH
