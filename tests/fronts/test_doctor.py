"""The doctor on real web servers: silent about what is shipped, right about each mistake in it."""

from __future__ import annotations

import json
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.server.address import Address
from ssgi_gateway.tools.config import installed_version
from ssgi_gateway.tools.doctor.command import main
from ssgi_gateway.tools.fronts import Site
from tests.harness.nginx import free_port

from .conftest import ROUTES
from .servers import Change, program, started

Examine = Callable[..., list[dict[str, str]]]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="doctor-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def examine(folder: Path, capsys: pytest.CaptureFixture[str]) -> Examine:
    """Start a web server with a changed configuration and let the doctor look at it; returns what it found."""

    def run(
        front: str, protocol: str, websockets: str, change: Change = lambda text: text, mode: str = "666"
    ) -> list[dict[str, str]]:
        sockets = {name: Address("unix", path=str(folder / f"{name}.sock")) for name in (protocol, "websocket")}
        site = Site(
            domain="localhost", tls=None, protocol=protocol, address=sockets[protocol], direct=sockets["websocket"],
            websockets=websockets, static=(), version=installed_version(front),
        )  # fmt: skip
        settings = folder / "settings.toml"
        listening = [(protocol, sockets[protocol]), *([("websocket", sockets["websocket"])] if site.has_direct else [])]
        settings.write_text("".join(f'{name} = ["{at}"]\n' for name, at in listening) + f'socket-mode = "{mode}"\n')
        with started(front, program(front), site, folder, change) as (site, _):
            path = "/ws/" if websockets == "/ws/" else "/"
            url = f"http://localhost:{site.listen}/"
            status = main([url, "--config", str(settings), "--json", "--websocket-path", path])
        found: list[dict[str, str]] = json.loads(capsys.readouterr().out)
        assert status == (1 if found else 0)
        return found

    return run


@pytest.mark.parametrize(
    ("front", "protocol", "websockets"), ROUTES, ids=["-".join(r).replace("/", "") for r in ROUTES]
)
def test_nothing_is_wrong_with_what_is_shipped(examine: Examine, front: str, protocol: str, websockets: str) -> None:
    found = examine(front, protocol, websockets)
    if (front, protocol) == ("apache", "scgi"):  # the one limit that no directive mends
        found = [finding for finding in found if finding["kind"] != "chunked-refused"]
    assert found == []


def replaced(old: str, new: str) -> Change:
    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new)

    return change


def without(part: str) -> Change:
    """Without the lines that hold ``part``."""

    def change(text: str) -> str:
        lines = text.splitlines()
        kept = [line for line in lines if part not in line]
        assert len(kept) < len(lines), part
        return "\n".join(kept) + "\n"

    return change


def added(text: str) -> Change:
    """With more in nginx's location."""
    return lambda configuration: re.sub(r"\w+_pass ssgi_gateway", rf"{text};\n\g<0>", configuration)


IN_BAND, KEPT = ("nginx", "scgi", "in-band"), ("nginx", "fastcgi", "same-path")
APACHE, APACHE_SCGI = ("apache", "fastcgi", "same-path"), ("apache", "scgi", "/ws/")
LIGHTTPD, LIGHTTPD_SCGI = ("lighttpd", "fastcgi", "/ws/"), ("lighttpd", "scgi", "same-path")
HAPROXY, CADDY = ("haproxy", "fastcgi", "same-path"), ("caddy", "fastcgi", "same-path")

# the route, the mistake, what is found, a word of the fix
MISTAKES: list[tuple[tuple[str, str, str], Change, str, str]] = [
    (IN_BAND, replaced("$host$ssgi_port if_not_empty", "$host"), "host-without-port", "$http_host"),
    (IN_BAND, replaced("$request_uri;", "$document_uri;"), "uri-decoded", "$request_uri"),
    (IN_BAND, without("REQUEST_URI"), "no-request-uri", "REQUEST_URI"),
    (IN_BAND, without("REMOTE_ADDR"), "no-remote-address", "$remote_addr"),
    (IN_BAND, without("SERVER_PORT"), "no-server-port", "$server_port"),
    (IN_BAND, without("X_FORWARDED_FOR"), "forwarded-by-anybody", "HTTP_X_FORWARDED_FOR"),
    (IN_BAND, without("client_max_body_size"), "upload-limit", "client_max_body_size"),
    (IN_BAND, without("scgi_buffer"), "answer-head-limit", "scgi_buffer_size"),
    (IN_BAND, added("scgi_ignore_client_abort on"), "disconnects-unseen", "off"),
    (IN_BAND, added("scgi_ignore_headers X-Accel-Buffering"), "events-late", "X-Accel"),
    (IN_BAND, added("scgi_intercept_errors on; error_page 404 500 /none"), "error-pages-replaced", "intercept_errors"),
    (IN_BAND, replaced("client_max", "large_client_header_buffers 4 2k;\nclient_max"), "request-head-limit", "4 16k"),
    (IN_BAND, replaced("$https if_not_empty", "on"), "scheme-wrong", "$https"),
    (KEPT, without("~*websocket"), "websocket-refused", "direct port"),
    (KEPT, added("fastcgi_param REMOTE_USER $remote_user"), "user-unchecked", "REMOTE_USER"),
    (APACHE, without("CGIPassAuth"), "authorization-lost", "CGIPassAuth On"),
    (APACHE, without("AllowEncodedSlashes"), "slash-refused", "AllowEncodedSlashes NoDecode"),
    (APACHE, without("ap_trust_cgilike_cl"), "length-lost", "ap_trust_cgilike_cl"),
    (APACHE, replaced("flushpackets=on retry", "retry"), "events-late", "flushpackets=on"),
    (APACHE, replaced("ErrorOverride Off", "ErrorOverride On"), "error-pages-replaced", "ProxyErrorOverride Off"),
    (APACHE_SCGI, without("unset X-Forwarded-For"), "forwarded-by-anybody", "RequestHeader set"),
    (LIGHTTPD, without("server.stream-response-body"), "events-late", "server.stream-response-body = 1"),
    (LIGHTTPD, without("fix-root-scriptname"), "root-path-wrong", "fix-root-scriptname"),
    (LIGHTTPD_SCGI, replaced('"X_Forwarded_For" => "", ', ""), "underscores", "X_Forwarded_For"),
    (
        IN_BAND,
        replaced("request_buffering on", "request_buffering off"),
        "uploads-unbuffered",
        "scgi_request_buffering on",
    ),
    (IN_BAND, added("scgi_pass_request_body off"), "body-lost", "scgi_pass_request_body on"),
    (KEPT, added("fastcgi_pass_request_body off"), "body-lost", "fastcgi_param CONTENT_LENGTH"),
    (KEPT, without("    keepalive"), "connections-not-kept", "keepalive 16"),
    (KEPT, without("fastcgi_keep_conn"), "connections-not-kept", "fastcgi_keep_conn on"),
    (KEPT, replaced("fastcgi_pass ssgi_gateway", "scgi_pass ssgi_gateway"), "not-understood", "fastcgi_pass"),
    (IN_BAND, without("scgi_param SCGI "), "not-understood", "include"),
    (IN_BAND, replaced("scgi_pass ssgi_gateway", "scgi_pass unix:/nowhere"), "not-connected", "error log"),
    (IN_BAND, replaced("location / {", "location /elsewhere/ {"), "answered-by-another", "location"),
    (APACHE, replaced("enablereuse=on ", ""), "connections-not-kept", "enablereuse=on"),
    (APACHE_SCGI, lambda text: text, "chunked-refused", "FastCGI in place of SCGI"),
    (APACHE_SCGI, without("upgrade=websocket"), "websocket-refused", "direct port"),
    (LIGHTTPD, replaced('"disable-time" => 0', '"disable-time" => 5'), "restart-window", "disable-time"),
    (HAPROXY, without("pass-header authorization"), "authorization-lost", "pass-header"),
    (HAPROXY, without("set-param REMOTE_USER"), "user-unchecked", "set-param REMOTE_USER"),
    (HAPROXY, without("option abortonclose"), "disconnects-unseen", "option abortonclose"),
]


@pytest.mark.parametrize(
    ("route", "mistake", "kind", "fix"),
    MISTAKES,
    ids=[f"{route[0]}-{route[1]}-{kind}" for route, _, kind, _ in MISTAKES],
)
def test_each_mistake_is_named_with_its_fix(
    examine: Examine, route: tuple[str, str, str], mistake: Change, kind: str, fix: str
) -> None:
    found = {finding["kind"]: finding for finding in examine(*route, mistake)}
    assert kind in found
    assert fix in found[kind]["fix"]


def test_php_fastcgi_of_caddy_is_named(examine: Examine) -> None:
    def mistake(text: str) -> str:
        changed, count = re.subn(r"reverse_proxy (\S+fastcgi\.sock) \{[^}]*\}", r"php_fastcgi \1", text)
        assert count == 1
        return changed

    kinds = {finding["kind"]: finding["fix"] for finding in examine(*CADDY, mistake)}
    assert "transport fastcgi" in kinds["php-fastcgi"]


def test_a_handler_of_apache_that_makes_up_a_mount_is_named(examine: Examine) -> None:
    def mistake(text: str) -> str:
        changed, count = re.subn(
            r'ProxyPass "/" "(unix:[^|]*fastcgi\.sock\|fcgi://localhost)/".*',
            r'<FilesMatch ".*">\n    SetHandler "proxy:\1"\n</FilesMatch>',
            text,
        )
        assert count == 1
        return changed

    kinds = {finding["kind"]: finding["fix"] for finding in examine(*APACHE, mistake)}
    assert "ProxyPass" in kinds["root-path-wrong"]


def test_a_socket_that_the_web_server_may_not_open_is_named(examine: Examine, folder: Path) -> None:
    found = {finding["kind"]: finding["fix"] for finding in examine(*IN_BAND, lambda text: text, mode="600")}
    assert "--socket-owner :www-data" in found["socket-closed"]


def test_a_web_server_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [f"http://localhost:{free_port()}/", "--scgi", f"unix:{folder}/scgi.sock", "--json"]
    assert main(words) == 1
    assert "unreachable" in [finding["kind"] for finding in json.loads(capsys.readouterr().out)]


def test_a_gateway_that_runs_is_not_replaced(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(f"{folder}/scgi.sock")
        served.listen()
        with pytest.raises(ConfigurationError, match="a gateway is running"):
            main(["http://localhost/", "--scgi", f"unix:{folder}/scgi.sock"])
