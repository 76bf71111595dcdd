"""What a gateway in service says of the web server before it: one line for each kind of mistake, with its fix."""

from __future__ import annotations

import http.client
import tempfile
from pathlib import Path

import pytest

from ssgi_gateway.tools.config import installed_version

from .servers import Change, serving
from .test_doctor import without

UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
BEHIND_ANOTHER = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("front", "protocol", "websockets", "mistake", "headers", "said", "fix"),
    [
        (
            "nginx", "scgi", "in-band", without("X_FORWARDED_FOR"), BEHIND_ANOTHER,
            "REMOTE_ADDR is 127.0.0.1", "set_real_ip_from ADDRESS",
        ),
        (
            "nginx", "fastcgi", "off", without("X_FORWARDED_PROTO"), BEHIND_ANOTHER,
            "X-Forwarded-Proto says https", "$http_x_forwarded_proto",
        ),
        (
            "apache", "fastcgi", "same-path", without("unset X-Forwarded-"), BEHIND_ANOTHER,
            "REMOTE_ADDR is 127.0.0.1", "mod_remoteip",
        ),
        (
            "apache", "scgi", "off", without("unset Upgrade"), UPGRADE,
            "an upgrade came over SCGI from Apache", "direct port",
        ),
        (
            "lighttpd", "scgi", "off", lambda text: text, UPGRADE,
            "an upgrade came over SCGI from lighttpd", "direct port",
        ),
    ],
    ids=["address-of-a-proxy", "scheme-of-another-front", "apache-address", "apache-upgrade", "lighttpd-upgrade"],
)  # fmt: skip
def test_the_gateway_logs_what_a_request_gives_away(
    front: str, protocol: str, websockets: str, mistake: Change, headers: dict[str, str], said: str, fix: str
) -> None:
    if front == "lighttpd" and installed_version(front) >= (1, 4, 74):
        pytest.skip("from 1.4.74 on lighttpd makes a tunnel of it")
    with (
        tempfile.TemporaryDirectory(prefix="front-") as folder,
        serving(front, protocol, Path(folder), change=mistake, websockets=websockets) as running,
    ):
        for _ in range(2):
            connection = http.client.HTTPConnection(*running.address, timeout=30)
            connection.request("GET", "/ws/echo", headers=headers)
            connection.getresponse()
            connection.close()
        line = running.gateway.wait_for_log(said)
        assert "the web server's configuration" in line
        assert fix in line
        assert sum(said in line for line in running.gateway.log()) == 1, "each kind once"
