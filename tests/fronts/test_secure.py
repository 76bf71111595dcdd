"""Each web server with TLS and HTTP/2, as its file has them, and below a path of the site."""

from __future__ import annotations

import json
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.client import request
from tests.harness.process import DEADLINE
from tests.harness.websocket import WebSocketClient

from .servers import Running, serving

APP = "tests.apps.mounted:app"

FRONTS = [
    ("nginx", "scgi"),
    ("nginx", "fastcgi"),
    ("apache", "fastcgi"),
    ("lighttpd", "scgi"),
    ("caddy", "fastcgi"),
    ("haproxy", "fastcgi"),
]


@pytest.fixture(scope="module", params=FRONTS, ids=["-".join(front) for front in FRONTS])
def secure(request: pytest.FixtureRequest, certificate: Path) -> Iterator[Running]:
    """A web server with TLS, and the application at /shop."""
    name, protocol = request.param
    with tempfile.TemporaryDirectory(prefix="front-") as text:
        folder = Path(text)
        chain, key = folder / "cert.pem", folder / "key.pem"
        chain.write_bytes((certificate / "cert.pem").read_bytes())
        key.write_bytes((certificate / "key.pem").read_bytes())
        if name == "haproxy":  # which reads both from one file
            chain.write_bytes(chain.read_bytes() + key.read_bytes())
            key = chain
        websockets = "in-band" if (name, protocol) == ("nginx", "scgi") else "same-path"
        with serving(
            name, protocol, folder, APP, websockets=websockets, tls=(str(chain), str(key)), mount="/shop"
        ) as running:
            yield running


def test_http2_below_a_path_over_tls(secure: Running, certificate: Path) -> None:
    url = f"https://localhost:{secure.site.listen}/shop/a%2Fb?c=d"
    command = ["curl", "-sS", "--http2", "--cacert", str(certificate / "cert.pem"), "-w", "\n%{http_version}", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout
    body, _, version = told.rpartition("\n")
    facts = json.loads(body)
    assert version == "2"
    assert facts["extensions"]["scheme"] == "https"
    assert facts["extensions"]["root_path"] == "/shop"
    assert facts["path"] == "/shop/a/b"
    assert facts["extensions"]["raw_path"] == "/shop/a%2Fb"
    assert facts["query_string"] == "c=d"
    assert facts["headers"]["host"] == [f"localhost:{secure.site.listen}"]


def test_a_websocket_over_tls(secure: Running, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    with WebSocketClient(secure.address, "/shop/ws/echo", tls=context) as client:
        client.send("over TLS")
        assert client.receive() == "over TLS"


def test_the_mount_without_its_slash_is_redirected(secure: Running, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    host = f"localhost:{secure.site.listen}"
    for target, wanted in (("/shop?a=b", "/shop/?a=b"), ("/shop", "/shop/")):
        answer = request(secure.address, "GET", target, tls=context, host=host)
        location = answer.header("location").removeprefix(f"https://{host}").removesuffix("?")
        assert (answer.status, location) == (308, wanted)


def test_other_paths_are_not_the_applications(secure: Running, certificate: Path) -> None:
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    answer = request(secure.address, "GET", "/shopping", tls=context)
    assert b"root_path" not in answer.body
