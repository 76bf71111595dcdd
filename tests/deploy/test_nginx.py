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
from tests.harness.nginx import free_port, main_configuration

pytestmark = pytest.mark.nginx

UPSTREAMS = "include ssgi/upstreams.conf;"

HANDSHAKE = (("Upgrade", "websocket"),)
"""As much of one as makes websocket.conf pass a request on."""

IN_A_SERVER = {
    "scgi.conf": "location / { include ssgi/scgi.conf; scgi_pass ssgi_scgi; }",
    "fastcgi.conf": "location / { include ssgi/fastcgi.conf; fastcgi_pass ssgi_fastcgi; }",
    "websocket.conf": "location / { include ssgi/websocket.conf; proxy_pass http://ssgi_websocket; }",
    "static.conf": "location /static/ { root /srv; include ssgi/static.conf; }",
    "errors.conf": "include ssgi/errors.conf;",
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
    assert shipped == {*IN_A_SERVER, "upstreams.conf", "example.conf"}


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
        self.plain, self.tls = free_port(), free_port()
        http = render_example(directory, certificate, self.plain, self.tls)
        self.nginx = Nginx(directory, {"unused": "return 204;"}, http)
        self.certificate = certificate / "cert.pem"

    def get(self, target: str, *headers: tuple[str, str]) -> Response:
        """Ask over TLS with HTTP/1.1."""
        trust = ssl.create_default_context(cafile=self.certificate)
        return request(("127.0.0.1", self.tls), "GET", target, headers, host="example.org", tls=trust)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[Example]:
    # Its ports are in the text, so a clash cannot be mended by the harness: it is a failure that names the port.
    running = Example(tmp_path_factory.mktemp("example"), certificate)
    with running.nginx:
        yield running


def test_example_says_nothing_but_that_http2_moved(tmp_path: Path, certificate: Path) -> None:
    (tmp_path / "www").mkdir()
    told = check(tmp_path, render_example(tmp_path, certificate, free_port(), free_port()))
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
    answer = example.get(target, *HANDSHAKE)
    assert answer.status == 502
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert answer.header("retry-after") == "10"
    assert answer.header("cache-control") == "no-store"
    assert "Back in a moment" in answer.text
    assert answer.text.rstrip().endswith("</html>")


def ask_over_http2(protocol: str, target: str, directory: Path, certificate: Path) -> tuple[str, int]:
    """What curl got of the behaviour application through the shipped file for ``protocol``, and nginx's port."""
    tls = f"ssl_certificate {certificate}/cert.pem; ssl_certificate_key {certificate}/key.pem; include ssgi/tls.conf;"
    listeners: dict[str, list[str]] = {protocol: ["unix"]}
    with Gateway("tests.apps.behaviour:app", directory, **listeners) as gateway:
        upstream = f"upstream ssgi_{protocol} {{ server {to_nginx(gateway.address(protocol, 'unix'))}; }}"
        server = Server(tls + IN_A_SERVER[f"{protocol}.conf"], listen="ssl http2")
        with Nginx(directory / "nginx", {"site": server}, upstream) as nginx:
            port = nginx.ports["site"]
            command = ["curl", "--silent", "--show-error", "--http2", "--cacert", str(certificate / "cert.pem")]
            command += ["--write-out", "%{stderr}%{http_version} %{http_code} %{content_type}"]
            url = f"https://localhost:{port}{target}"
            told = subprocess.run([*command, url], capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert told.returncode == 0, told.stderr
    return told.stderr + "\n" + told.stdout, port


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
def test_http2_requests_arrive_with_their_host_and_scheme(protocol: str, tmp_path: Path, certificate: Path) -> None:
    told, port = ask_over_http2(protocol, "/path?query", tmp_path, certificate)
    facts = json.loads(told.partition("\n")[2])
    assert facts["extensions"]["http_version"] == "2"
    assert facts["extensions"]["scheme"] == "https"
    assert facts["headers"]["host"] == [f"localhost:{port}"]
    assert facts["path"] == "/path"


def test_a_plain_http2_request_to_the_direct_port_is_426_in_words(tmp_path: Path, certificate: Path) -> None:
    # The Upgrade header of the gateway's own 426 would be a protocol error to a client that speaks HTTP/2.
    told, _ = ask_over_http2("websocket", "/ws/echo", tmp_path, certificate)
    assert told.startswith("2 426 text/plain\n426 Upgrade Required\n")
    assert "WebSockets are served here" in told


@pytest.mark.parametrize("name", ["scgi.conf", "fastcgi.conf", "websocket.conf"])
def test_a_gateway_that_says_nothing_is_a_504_with_the_same_page(name: str, tmp_path: Path) -> None:
    # The shipped file with a shorter patience: everything else as it is.
    shipped = (DEPLOY / name).read_text()
    assert shipped.count("_read_timeout 300s;") == 1
    impatient = tmp_path / name
    impatient.write_text(shipped.replace("_read_timeout 300s;", "_read_timeout 200ms;"))
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        upstreams = re.sub(
            r"/run/ssgi-gateway/\w+\.sock", f"{tmp_path}/silent.sock", (DEPLOY / "upstreams.conf").read_text()
        )
        location = IN_A_SERVER[name].replace(f"ssgi/{name}", str(impatient))
        with Nginx(tmp_path / "nginx", {"site": location + "include ssgi/errors.conf;"}, upstreams) as nginx:
            answer = request(nginx.address("site"), "GET", "/", HANDSHAKE)
    assert answer.status == 504
    assert "Back in a moment" in answer.text
