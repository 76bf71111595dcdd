"""What a start prints; nginx itself judges the lines meant for it."""

from __future__ import annotations

import shutil
import socket
import subprocess

import pytest

from ssgi_gateway.cli.banner import banner, listening, nginx_line
from ssgi_gateway.server.address import Address
from ssgi_gateway.server.listeners import Listener

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")

LINES = [
    ("scgi", "unix:/run/app.sock", "scgi_pass unix:/run/app.sock;"),
    ("scgi", "127.0.0.1:9000", "scgi_pass 127.0.0.1:9000;"),
    ("scgi", "0.0.0.0:9000", "scgi_pass 127.0.0.1:9000;"),
    ("scgi", "[::]:9000", "scgi_pass [::1]:9000;"),
    ("fastcgi", "/run/two words;.sock", 'fastcgi_pass "unix:/run/two words;.sock";'),
    ("fastcgi", "[::1]:9000", "fastcgi_pass [::1]:9000;"),
    ("websocket", "unix:/run/ws.sock", "proxy_pass http://unix:/run/ws.sock;"),
    ("websocket", "127.0.0.1:9001", "proxy_pass http://127.0.0.1:9001;"),
    ("websocket", "[::1]:9001", "proxy_pass http://[::1]:9001;"),
]


def app(*arguments): ...


@pytest.mark.parametrize(("protocol", "address", "line"), LINES)
def test_the_line_for_nginx(protocol, address, line):
    assert nginx_line(protocol, Address.parse(address)) == line


def test_a_descriptor_without_a_name_has_no_line():
    assert "the process that opened the socket" in nginx_line("scgi", Address.parse("fd:3"))


@pytest.mark.nginx
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_nginx_takes_every_line(tmp_path):
    locations = "\n".join(f"location /{n} {{ {line} }}" for n, (_, _, line) in enumerate(LINES))
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; server {{ listen unix:{tmp_path}/front.sock; {locations} }} }}\n"
    )
    command = [NGINX, "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.fixture
def listeners():
    with socket.socket() as unused:
        yield [
            Listener(unused, Address.parse("unix:/run/a.sock"), "scgi"),
            Listener(unused, Address.parse("127.0.0.1:9000"), "fastcgi"),
            Listener(unused, Address.parse("[::1]:9001"), "websocket"),
        ]


def test_one_glance(listeners):
    text = banner(listeners, True, True, "board:app", "portable", "uvloop 1.0")
    title, *table = text.splitlines()
    assert "serves board:app (portable codecs, uvloop 1.0, process " in title
    assert table == [
        "  protocol    listens on         carries            in nginx",
        "  SCGI        unix:/run/a.sock   HTTP, WebSockets   scgi_pass unix:/run/a.sock;",
        "  FastCGI     127.0.0.1:9000     HTTP               fastcgi_pass 127.0.0.1:9000;",
        "  WebSocket   [::1]:9001         WebSockets         proxy_pass http://[::1]:9001;",
    ]


def test_what_is_not_served_is_not_carried(listeners):
    rows = banner(listeners, False, True, "x", "", "").splitlines()
    assert [row.split()[-3] for row in rows[2:]] == ["WebSockets", "nothing", "WebSockets"]
    rows = banner(listeners[:2], True, False, "x", "", "").splitlines()
    assert [row.split()[-3] for row in rows[2:]] == ["HTTP", "HTTP"]


def test_the_same_for_programs(listeners):
    assert listening(listeners[1:], True, False) == [
        {
            "protocol": "fastcgi",
            "address": "127.0.0.1:9000",
            "carries": "HTTP",
            "nginx": "fastcgi_pass 127.0.0.1:9000;",
        },
        {
            "protocol": "websocket",
            "address": "[::1]:9001",
            "carries": "nothing",
            "nginx": "proxy_pass http://[::1]:9001;",
        },
    ]
