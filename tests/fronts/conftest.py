from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.certificate import make_certificate

from .servers import Running, serving

# What ``config`` prints for each, in the ways that HTTP and WebSockets can go.
ROUTES = [
    ("nginx", "scgi", "in-band"),
    ("nginx", "uwsgi", "in-band"),
    ("nginx", "fastcgi", "same-path"),
    ("apache", "scgi", "/ws/"),
    ("apache", "fastcgi", "same-path"),
    ("lighttpd", "scgi", "same-path"),
    ("lighttpd", "fastcgi", "/ws/"),
    ("caddy", "fastcgi", "same-path"),
    ("haproxy", "fastcgi", "same-path"),
]


@pytest.fixture(scope="session", params=ROUTES, ids=["-".join(route).replace("/", "") for route in ROUTES])
def front(request: pytest.FixtureRequest) -> Iterator[Running]:
    """A web server in front of the behaviour application, for all tests of this process."""
    name, protocol, websockets = request.param
    # Not pytest's folder, which other users than ours cannot look into.
    with (
        tempfile.TemporaryDirectory(prefix="front-") as folder,
        serving(name, protocol, Path(folder), websockets=websockets) as running,
    ):
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``cert.pem`` and ``key.pem`` for localhost."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))
