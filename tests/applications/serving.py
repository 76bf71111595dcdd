"""One published application behind one nginx: by the gateway on every route, and by the server it is compared with.

Routes: ``scgi`` (WebSockets in-band), ``fastcgi`` (kept connections, WebSockets by the direct port on the same path),
``tls`` (as ``scgi``, over TLS); beside them ``reference`` and ``reference-tls`` (uvicorn or gunicorn behind
``proxy_pass``).
"""

from __future__ import annotations

import os
import re
import ssl
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
from websockets.sync.client import connect

from tests.harness.certificate import make_certificate
from tests.harness.gateway import Gateway
from tests.harness.nginx import Nginx, Server
from tests.harness.process import Process

ROOT = Path(__file__).parents[2]
REFERENCE = "reference"
ROUTES = {"scgi": REFERENCE, "fastcgi": REFERENCE, "tls": "reference-tls"}
"""Each with what it is compared with."""

START = 180.0
"""Seconds that an application may take to start: some make a database, all import a lot."""

TRUST = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE")
"""Variables by which clients of HTTPS find the certificates that they believe."""

HTTP = """\
client_max_body_size 0;
map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
upstream scgi {{ server {scgi}; }}
upstream fastcgi {{ server {fastcgi}; keepalive 8; }}
upstream direct {{ server {direct}; }}
upstream reference {{ server unix:{reference}; }}
"""

SERVERS = {
    "scgi": "location / { include ssgi/scgi.conf; scgi_pass scgi; }",
    "fastcgi": """\
location / {
    error_page 418 = @websocket;
    if ($http_upgrade ~* websocket) { return 418; }
    include ssgi/fastcgi.conf; fastcgi_pass fastcgi;
}
location @websocket { include ssgi/websocket.conf; proxy_pass http://direct; }""",
    REFERENCE: """\
location / {
    proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $http_host; proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme; proxy_request_buffering on; proxy_buffering off;
    proxy_pass http://reference;
}""",
}

SECURE = "ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem; "

ERRORS = re.compile(r'^Traceback \(most recent call last\)|"level": "error"|^\S* ?ERROR|\bERROR\b', re.M)

# What depends on the moment, the server or the front, and not on the application. An answer that is complete gets its
# length here, which uvicorn leaves to the application.
VARYING = {
    "content-length",
    "date",
    "server",
    "connection",
    "transfer-encoding",
    "keep-alive",
    "etag",
    "last-modified",
    "expires",
}


class Client:
    """An application, seen through one route."""

    def __init__(self, address: tuple[str, int], trusted: ssl.SSLContext | None) -> None:
        self.url = f"{'https' if trusted else 'http'}://{address[0]}:{address[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=60, follow_redirects=False, verify=trusted or True)
        self._trusted = trusted

    def websocket(self, path: str, **options: Any) -> Any:
        """An open WebSocket."""
        return connect(f"ws{self.url[4:]}{path}", open_timeout=60, close_timeout=30, ssl=self._trusted, **options)

    def close(self) -> None:
        """The end."""
        self.http.close()


def seen(answer: httpx.Response, *, body: bool = True) -> tuple[Any, ...]:
    """What has to be the same on every route."""
    length = answer.headers.get("content-length")
    if length is not None and answer.request.method != "HEAD" and "content-encoding" not in answer.headers:
        assert int(length) == len(answer.content)
    headers = sorted((k.lower(), v) for k, v in answer.headers.multi_items() if k.lower() not in VARYING)
    own = f"{answer.request.url.scheme}://{answer.request.url.netloc.decode()}"
    headers = [(k, v.partition("=")[0] if k == "set-cookie" else v.replace(own, "OWN")) for k, v in headers]
    return (answer.status_code, headers, answer.content if body else len(answer.content) > 0)


class Served:
    """The processes of one application."""

    def __init__(self, gateway: Gateway, reference: Process, nginx: Nginx, certificate: Path) -> None:
        self._gateway = gateway
        self._reference = reference
        self._nginx = nginx
        self._certificate = certificate

    def errors(self, route: str) -> list[str]:
        """The lines of the server's log that tell of an error."""
        text = self._reference.text() if route.startswith(REFERENCE) else "\n".join(self._gateway.log())
        return [line for line in text.splitlines() if ERRORS.search(line)]

    @contextmanager
    def through(self, route: str) -> Iterator[Client]:
        """A client of one route."""
        trusted = ssl.create_default_context(cafile=self._certificate) if route.endswith("tls") else None
        before = {name: os.environ.get(name) for name in TRUST}
        os.environ.update(dict.fromkeys(TRUST, str(self._certificate)))  # for clients that applications bring along
        client = Client(self._nginx.address(route), trusted)
        try:
            yield client
        finally:
            client.close()
            for name, value in before.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value


def check_end(status: int) -> None:
    """The gateway has to end well, whatever the application has left open."""
    assert status == 0


@contextmanager
def served(folder: Path, app: str, interface: str, reference: str, options: tuple[str, ...] = ()) -> Iterator[Served]:
    """Serve ``tests.applications.sites.<app>`` by both.

    Args:
        folder: for sockets, logs, and what the application stores.
        app: module and attribute below ``sites``.
        interface: what the gateway serves it as.
        reference: ``uvicorn``, ``gunicorn`` or ``granian``.
        options: further words of the gateway's command line.
    """
    where = f"tests.applications.sites.{app}"
    environment = {"APP_FOLDER": str(folder), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    socket = folder / "r"
    if reference == "uvicorn":
        command = [sys.executable, "-m", "uvicorn", where, "--uds", str(socket), "--forwarded-allow-ips", "*"]
    elif reference == "granian":
        command = [sys.executable, "-m", "granian", "--interface", "rsgi", "--uds", str(socket), where]
    else:
        command = [sys.executable, "-m", "gunicorn", "--threads", "50", "--bind", f"unix:{socket}", where]
    with ExitStack() as stack:
        other = Process(command, folder / "reference.log", env=environment, cwd=ROOT)
        stack.callback(other.kill)
        gateway = Gateway(
            where, folder, scgi=("unix",), fastcgi=("unix",), websocket=("unix",),
            options=("--interface", interface, *options), env=environment, patience=START,
        )  # fmt: skip
        # Not as a context manager, which fails for what Python complains of: that is the application's here.
        stack.callback(gateway.kill)  # behind its end: its folder
        stack.callback(lambda: check_end(gateway.process.stop()))
        other.wait_for(socket.exists, f"{reference} listening", START)
        names = {name: f"unix:{gateway.address(name, 'unix')}" for name in ("scgi", "fastcgi", "websocket")}
        http = HTTP.format(scgi=names["scgi"], fastcgi=names["fastcgi"], direct=names["websocket"], reference=socket)
        secure = SECURE.format(folder=make_certificate(folder))
        servers: dict[str, Server | str] = dict(SERVERS)
        servers |= {
            tls: Server(secure + SERVERS[plain], listen="ssl")
            for tls, plain in (("tls", "scgi"), ("reference-tls", REFERENCE))
        }
        nginx = stack.enter_context(Nginx(folder / "nginx", servers, http))
        yield Served(gateway, other, nginx, folder / "cert.pem")
