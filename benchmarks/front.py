"""The one nginx in front of all: a location for each server, at ``/its name``.

The files that ``deploy/nginx`` has for this project serve its peers of the same protocol as well. Whatever differs by
protocol is set alike: streaming uploads where the protocol can, answers through memory only, kept connections for all
that can keep them. nginx writes its access log, as it does on most machines; its own CPU time is not measured.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path

from .machine import BenchmarkError, Process
from .peers import Server

DEPLOY = Path(__file__).resolve().parent.parent / "deploy" / "nginx"

MAIN = """\
{user}daemon off;
pid nginx.pid;
error_log error.log;
worker_processes 1;
worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
    access_log access.log;
    client_max_body_size 0;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    scgi_temp_path scgi;
    uwsgi_temp_path uwsgi;
    keepalive_requests 1000000000;
    include {deploy}/http.conf;
{upstreams}
    server {{
        listen 127.0.0.1:{port};
        include {deploy}/tuning.conf;
{locations}
    }}
}}
"""

# Kept connections: more than the load has, so that none is closed for lack of room.
UPSTREAM = """\
    upstream {name} {{ server unix:{socket}; keepalive 256; keepalive_requests 1000000000; }}
"""

PASS = {
    "scgi": "include {deploy}/scgi.conf; scgi_pass {name};",
    "fastcgi": "include {deploy}/fastcgi.conf; fastcgi_pass {name};",
    "uwsgi": "include {stock}/uwsgi_params; uwsgi_pass {name};"
    " uwsgi_request_buffering off; uwsgi_max_temp_file_size 0; uwsgi_buffer_size 32k; uwsgi_buffers 8 32k;",
    # No "Connection: close", nginx's first value, but what the client says about upgrading.
    "http": "proxy_pass http://{name}; proxy_http_version 1.1; proxy_set_header Host $http_host;"
    " proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $http_connection;"
    " proxy_request_buffering off; proxy_max_temp_file_size 0; proxy_buffer_size 32k; proxy_buffers 8 32k;",
}


def start(servers: Iterable[Server], folder: Path, port: int) -> Process:
    """Start nginx in an empty folder and wait until it listens.

    Raises:
        BenchmarkError: nginx is missing, or would not start; with what it said.
    """
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not nginx:
        raise BenchmarkError("nginx is missing")
    (folder / "nginx.conf").write_text(configuration(servers, folder, port))
    process = Process([nginx, "-p", f"{folder}/", "-c", f"{folder}/nginx.conf"], folder / "nginx.output")
    try:
        while True:
            process.check()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return process
            except ConnectionRefusedError:
                time.sleep(0.01)
    except BaseException:
        process.stop()
        raise


def configuration(servers: Iterable[Server], sockets: Path, port: int, stock: str = "/etc/nginx") -> str:
    """The text of nginx.conf.

    Args:
        servers: those with a location.
        sockets: the folder of their unix sockets.
        port: where nginx listens.
        stock: the folder of nginx's own parameter files.
    """
    upstreams, locations = [], []
    for server in (server for server in servers if server.route in PASS):
        upstreams.append(UPSTREAM.format(name=server.name, socket=socket_path(server, sockets)))
        words = PASS[server.route].format(name=server.name, deploy=DEPLOY, stock=stock)
        locations.append(f"        location /{server.name} {{ {words} }}\n")
    return MAIN.format(
        deploy=DEPLOY,
        user="user root;\n" if os.geteuid() == 0 else "",
        port=port,
        upstreams="".join(upstreams),
        locations="".join(locations),
    )


def socket_path(server: Server, sockets: Path) -> Path:
    """Where a server listens for nginx."""
    return sockets / f"{server.name}.sock"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, and that no client gets: those come from another range (ip(7))."""
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.randrange(min(10000, lowest // 2), lowest)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # what has only just ended is no matter
            probe.bind(("127.0.0.1", port))
            return port
