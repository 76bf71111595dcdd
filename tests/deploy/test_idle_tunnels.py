"""The gateway's pings keep a WebSocket open through an nginx that closes silent connections, on both routes.

Silence may last a short time here, and the ping interval is shorter still, as 20 s are to nginx's own 60. Without pings
the same tunnel is cut, which shows that it is they that keep it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from wsproto.events import Ping

from tests.harness import Gateway, Nginx, WebSocketClient, to_nginx

pytestmark = pytest.mark.nginx

PATIENCE = 1.0

PASS = {"scgi": "scgi_pass ", "websocket": "proxy_pass http://"}


@contextmanager
def tunnel(directory: Path, protocol: str, ping_interval: float) -> Iterator[WebSocketClient]:
    """An open WebSocket through an nginx that waits ``PATIENCE`` seconds for a word from the gateway."""
    name = PASS[protocol].partition("_")[0]
    patience = f"{name}_read_timeout {PATIENCE * 1000:.0f}ms;"
    options = ["--websocket-ping-interval", str(ping_interval)]
    with Gateway("tests.apps.behaviour:app", directory, scgi=["unix"], websocket=["unix"], options=options) as gateway:
        upstream = f"upstream gateway {{ server {to_nginx(gateway.address(protocol, 'unix'))}; }}"
        location = f"location / {{ include ssgi/{protocol}.conf; {patience} {PASS[protocol]}gateway; }}"
        with (
            Nginx(directory / "nginx", {"site": location}, upstream) as nginx,
            WebSocketClient(nginx.address("site"), "/ws/echo") as client,
        ):
            yield client


@pytest.mark.parametrize("protocol", PASS)
def test_pings_keep_a_silent_tunnel_open(protocol: str, tmp_path: Path) -> None:
    with tunnel(tmp_path, protocol, ping_interval=0.3) as client:
        end = time.monotonic() + 2 * PATIENCE
        while time.monotonic() < end:
            assert isinstance(client.receive_event(), Ping)  # answered by the client as it comes
        client.send("still there")
        assert client.receive() == "still there"
        client.close()


@pytest.mark.parametrize("protocol", PASS)
def test_without_pings_nginx_cuts_a_silent_tunnel(protocol: str, tmp_path: Path) -> None:
    with tunnel(tmp_path, protocol, ping_interval=0) as client:
        assert client.receive_close() == (1006, "")
