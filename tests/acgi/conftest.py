"""What the client's tests share: a certificate for 127.0.0.1 and localhost."""

from __future__ import annotations

import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.acgi.web import web_server


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """The paths of a certificate and its key."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost"
        " -addext subjectAltName=IP:127.0.0.1,DNS:localhost -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture
def server_tls(certificate):
    """A context for a server that speaks HTTP/2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    context.set_alpn_protocols(["h2"])
    return context


@pytest.fixture(scope="session")
def web(tmp_path_factory, certificate):
    """A real nginx, for all tests of this process; its folder is short, because a socket lies in it."""
    with tempfile.TemporaryDirectory(prefix="web-") as folder, web_server(Path(folder), certificate) as running:
        yield running
