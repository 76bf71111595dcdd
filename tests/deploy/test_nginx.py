"""The configuration files in deploy/nginx, in a real nginx: each alone, and the complete example as it is shipped.

What they do to a request on its way to the gateway is in tests/behaviour, which runs on the same files.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.harness import (
    DEADLINE,
    DEPLOY,
    Gateway,
    Nginx,
    Server,
    check_configuration,
    nginx_version,
    request,
    to_nginx,
)
from tests.harness.client import Response
from tests.harness.nginx import free_port, free_ports, main_configuration

pytestmark = pytest.mark.nginx

UPSTREAMS = "include ssgi/upstreams.conf;"

IN_A_SERVER = {
    "scgi.conf": "location / { include ssgi/scgi.conf; scgi_pass ssgi_scgi; }",
    "fastcgi.conf": "location / { include ssgi/fastcgi.conf; fastcgi_pass ssgi_fastcgi; }",
    "websocket.conf": "location / { include ssgi/websocket.conf; proxy_pass http://ssgi_websocket; }",
    "static.conf": "location /static/ { root /srv; include ssgi/static.conf; }",
    "errors.conf": "include ssgi/errors.conf;",
    "tuning.conf": "include ssgi/tuning.conf;",
    "tls.conf": "ssl_certificate cert.pem; ssl_certificate_key key.pem; include ssgi/tls.conf;",
}


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem for localhost and example.org."""
    folder = tmp_path_factory.mktemp("certificate")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
        "-addext subjectAltName=DNS:localhost,DNS:example.org,IP:127.0.0.1 -keyout key.pem -out cert.pem"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def check(directory: Path, servers: str, http: str = "") -> str:
    """``nginx -t`` on a configuration in ``directory``, with deploy/nginx beside it as a user would have it."""
    (directory / "ssgi").symlink_to(DEPLOY)
    configuration = directory / "nginx.conf"
    configuration.write_text(main_configuration(http, servers))
    return check_configuration(directory, configuration)


def test_every_file_is_covered() -> None:
    shipped = {path.name for path in DEPLOY.glob("*.conf")}
    assert shipped == {*IN_A_SERVER, "http.conf", "upstreams.conf", "example.conf"}


@pytest.mark.parametrize("name", IN_A_SERVER)
def test_nginx_accepts_each_file_alone(name: str, tmp_path: Path, certificate: Path) -> None:
    for file in certificate.iterdir():
        (tmp_path / file.name).symlink_to(file)
    server = Server(IN_A_SERVER[name], listen="ssl" if name == "tls.conf" else "")
    told = check(tmp_path, server.render(free_port()), UPSTREAMS)
    assert "[warn]" not in told


def test_nginx_accepts_the_files_together(tmp_path: Path, certificate: Path) -> None:
    for file in certificate.iterdir():
        (tmp_path / file.name).symlink_to(file)
    blocks = [block.replace("location / ", f"location /{i}/ ") for i, block in enumerate(IN_A_SERVER.values())]
    told = check(tmp_path, Server("\n".join(blocks), listen="ssl").render(free_port()), UPSTREAMS)
    assert "[warn]" not in told


def render_example(directory: Path, certificate: Path, plain: int, tls: int) -> str:
    """example.conf with what its head tells users to edit; everything else stays as shipped."""
    text = (DEPLOY / "example.conf").read_text()
    upstreams = (DEPLOY / "upstreams.conf").read_text()
    changes = {
        "include ssgi/upstreams.conf;": upstreams.replace("/run/ssgi-gateway", str(directory)),
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen [::]:80;": "",
        "listen 443 ssl http2;": f"listen 127.0.0.1:{tls} ssl http2;",
        "listen [::]:443 ssl http2;": "",
        "/etc/letsencrypt/live/example.org/fullchain.pem": f"{certificate}/cert.pem",
        "/etc/letsencrypt/live/example.org/privkey.pem": f"{certificate}/key.pem",
        "/var/www/example": f"{directory}/www",
    }  # fmt: skip
    for shipped, ours in changes.items():
        assert text.count(shipped) >= 1, shipped
        text = text.replace(shipped, ours)
    return text


class Example:
    """The example, running: no gateway behind it."""

    def __init__(self, directory: Path, certificate: Path) -> None:
        (directory / "www" / "static").mkdir(parents=True)
        (directory / "www" / "static" / "app.css").write_text("body { color: #223 }\n" * 100)
        self.directory = directory
        self.plain, self.tls = free_ports(2)
        http = render_example(directory, certificate, self.plain, self.tls)
        self.nginx = Nginx(directory, {"unused": "return 204;"}, http)
        self.certificate = certificate / "cert.pem"

    def get(self, target: str) -> Response:
        """Ask over TLS with HTTP/1.1."""
        trust = ssl.create_default_context(cafile=self.certificate)
        return request(("127.0.0.1", self.tls), "GET", target, host="example.org", tls=trust)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Example]:
    # Its ports are in the text, so a clash cannot be mended by the harness: it is a failure that names the port.
    running = Example(tmp_path_factory.mktemp("example"), certificate)
    with running.nginx:
        yield running


def test_example_warns_of_nothing_but_that_http2_moved(tmp_path: Path, certificate: Path) -> None:
    (tmp_path / "www").mkdir()
    told = check(tmp_path, render_example(tmp_path, certificate, *free_ports(2)))
    warnings = [line for line in told.splitlines() if "[warn]" in line]
    if nginx_version() < (1, 25, 1):
        assert warnings == []
    else:
        assert all('"listen ... http2" directive is deprecated' in line for line in warnings)


def test_example_negotiates_http2_over_modern_tls(example: Example) -> None:
    context = ssl.create_default_context(cafile=example.certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", example.tls), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="example.org") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() == "TLSv1.3"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_example_refuses_old_tls(example: Example, version: ssl.TLSVersion) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")  # or our own side would refuse first
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", example.tls), timeout=10) as raw,
        pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"),
    ):
        context.wrap_socket(raw)


def test_example_sends_plain_http_to_https(example: Example) -> None:
    answer = request(("127.0.0.1", example.plain), "GET", "/a?b=c", host="example.org")
    assert answer.status == 301
    assert answer.header("location") == "https://example.org/a?b=c"


def test_example_serves_files_itself(example: Example) -> None:
    answer = example.get("/static/app.css")
    assert answer.status == 200
    assert answer.text.startswith("body {")
    assert answer.header("content-type") == "text/css"
    assert answer.header("etag")
    assert answer.header("cache-control") == "max-age=3600"
    assert example.get("/static/missing.css").status == 404


@pytest.mark.parametrize("target", ["/", "/upload", "/ws/board"])
def test_example_shows_a_page_while_the_gateway_is_down(example: Example, target: str) -> None:
    answer = example.get(target)
    assert answer.status == 502
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("retry-after") == "10"
    assert answer.header("cache-control") == "no-store"
    assert "Back in a moment" in answer.text
    assert answer.text.rstrip().endswith("</html>")


@contextmanager
def http2_site(protocol: str, directory: Path, certificate: Path) -> Iterator[int]:
    """The behaviour application through the shipped file for ``protocol``, with HTTP/2: the port of nginx."""
    tls = f"ssl_certificate {certificate}/cert.pem; ssl_certificate_key {certificate}/key.pem; include ssgi/tls.conf;"
    listeners: dict[str, list[str]] = {protocol: ["unix"]}
    with Gateway("tests.apps.behaviour:app", directory, **listeners) as gateway:
        upstream = f"upstream ssgi_{protocol} {{ server {to_nginx(gateway.address(protocol, 'unix'))}; }}"
        server = Server(tls + IN_A_SERVER[f"{protocol}.conf"], listen="ssl http2")
        with Nginx(directory / "nginx", {"site": server}, upstream) as nginx:
            yield nginx.ports["site"]


def curl_http2(url: str, certificate: Path, *options: str) -> str:
    """What curl got over HTTP/2."""
    command = ["curl", "--silent", "--show-error", "--http2", "--cacert", str(certificate / "cert.pem"), *options, url]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE).stdout


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
def test_http2_requests_arrive_with_their_host_and_scheme(protocol: str, tmp_path: Path, certificate: Path) -> None:
    with http2_site(protocol, tmp_path, certificate) as port:
        facts = json.loads(curl_http2(f"https://localhost:{port}/path?query", certificate))
    assert facts["extensions"]["http_version"] == "2"
    assert facts["extensions"]["scheme"] == "https"
    assert facts["headers"]["host"] == [f"localhost:{port}"]
    assert facts["path"] == "/path"


def test_a_plain_http2_request_to_the_direct_port_is_426_in_words(tmp_path: Path, certificate: Path) -> None:
    # The Upgrade header of the gateway's own 426 would be a protocol error to a client that speaks HTTP/2.
    with http2_site("websocket", tmp_path, certificate) as port:
        told = curl_http2(
            f"https://localhost:{port}/ws/echo", certificate, "--write-out", "%{http_version} %{http_code}"
        )
    assert told == "426 Upgrade Required\nWebSockets are served here, over HTTP/1.1\n2 426"


def http2_upgrade(port: int, certificate: Path, wanted: bytes) -> bytes:
    """What nginx sends, up to ``wanted``, when an HTTP/2 request asks for an upgrade, which no decent client does."""
    headers = {
        ":method": "GET", ":scheme": "https", ":authority": f"localhost:{port}", ":path": "/ws/echo",
        "upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    # Literal fields without indexing and without Huffman coding (RFC 7541, 6.2.2).
    block = b"".join(
        b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in headers.items()
    )
    context = ssl.create_default_context(cafile=certificate / "cert.pem")
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        settings, end_stream_and_headers = b"\0\0\0\4\0\0\0\0\0", 0x05
        frame = len(block).to_bytes(3, "big") + bytes([1, end_stream_and_headers]) + (1).to_bytes(4, "big") + block
        secure.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + frame)
        told = b""
        while wanted not in told and (piece := secure.recv(65536)):
            told += piece
    return told


@pytest.mark.parametrize(
    ("protocol", "words"), [("scgi", b"needs HTTP/1.1"), ("websocket", b"served here, over HTTP/1.1")]
)
def test_http2_has_no_upgrade(protocol: str, words: bytes, tmp_path: Path, certificate: Path) -> None:
    # A 101 would make nginx 1.22 take the whole connection for a tunnel, and complain of itself.
    with http2_site(protocol, tmp_path, certificate) as port:
        assert words in http2_upgrade(port, certificate, words)


@pytest.mark.parametrize("name", ["scgi.conf", "fastcgi.conf", "websocket.conf"])
def test_a_silent_gateway_is_a_504_with_the_same_page(name: str, tmp_path: Path) -> None:
    # With a shorter patience in the location, which is how anybody overrides tuning.conf.
    directive = "proxy" if name == "websocket.conf" else name.removesuffix(".conf")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        upstreams = re.sub(
            r"/run/ssgi-gateway/\w+\.sock", f"{tmp_path}/silent.sock", (DEPLOY / "upstreams.conf").read_text()
        )
        location = IN_A_SERVER[name].replace(" }", f" {directive}_read_timeout 200ms; }}")
        body = f"{location} include ssgi/tuning.conf; include ssgi/errors.conf;"
        with Nginx(tmp_path / "nginx", {"site": body}, upstreams) as nginx:
            answer = request(nginx.address("site"), "GET", "/")
    assert answer.status == 504
    assert "Back in a moment" in answer.text
