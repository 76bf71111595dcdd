"""The doctor on real web servers: silent about what is shipped, right about each mistake in it."""

from __future__ import annotations

import functools
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


def without(*parts: str) -> Change:
    """Without the lines that hold one of ``parts``."""

    def change(text: str) -> str:
        lines = text.splitlines()
        kept = [line for line in lines if not any(part in line for part in parts)]
        assert len(kept) < len(lines), parts
        return "\n".join(kept) + "\n"

    return change


def both(*changes: Change) -> Change:
    return lambda text: functools.reduce(lambda changed, change: change(changed), changes, text)


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
    (IN_BAND, without("X_FORWARDED_FOR"), "forwarded-by-anybody", "HTTP_X_FORWARDED_FOR"),
    (IN_BAND, added("scgi_ignore_client_abort on"), "disconnects-unseen", "off"),
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
    (IN_BAND, added("scgi_param HTTP_HOST $host"), "host-without-port", "$http_host"),  # of two the last one counts
    (IN_BAND, replaced("$host$ssgi_port if_not_empty", "internal.example"), "host-changed", "$http_host"),
    (IN_BAND, replaced("$request_uri;", "/doctor/first;"), "uri-decoded", "$request_uri"),
    (IN_BAND, added("return 301 https://www.example.org$request_uri"), "redirected", "https://www.example.org/"),
    (KEPT, replaced("$content_length;", "1000;"), "upload-cut", "$content_length"),
    (KEPT, added("fastcgi_param CONTENT_LENGTH 1000"), "upload-refused", "reports"),
    (
        IN_BAND,
        both(
            replaced("$server_port;\n        scgi_param SERVER_N", "443;\n        scgi_param SERVER_N"),
            without("$https if", "REQUEST_SCHEME"),
        ),
        "scheme-unknown",
        "$https if_not_empty",
    ),
]

# Of the same kind, where several mistakes do not hide each other: one examination for all.
TOGETHER: list[tuple[tuple[str, str, str], Change, dict[str, str]]] = [
    (
        IN_BAND,
        replaced("$request_uri;", "$document_uri;"),
        {"uri-decoded": "$request_uri", "uri-without-query": "$request_uri"},
    ),
    (
        IN_BAND,
        without("REQUEST_URI", "REMOTE_ADDR", "SERVER_PORT"),
        {"no-request-uri": "REQUEST_URI", "no-remote-address": "$remote_addr", "no-server-port": "$server_port"},
    ),
    (
        IN_BAND,
        both(
            replaced("client_max_body_size 16m", "large_client_header_buffers 4 2k"),
            without("scgi_buffer"),
            added("scgi_ignore_headers X-Accel-Buffering; scgi_intercept_errors on; error_page 404 500 /none"),
        ),
        {
            "upload-limit": "client_max_body_size",
            "answer-head-limit": "scgi_buffer_size",
            "request-head-limit": "4 16k",
            "events-late": "X-Accel",
            "error-pages-replaced": "intercept_errors",
        },
    ),
    (
        LIGHTTPD,
        both(
            replaced("stream-request-body = 0", "stream-request-body = 1"),
            replaced('2f-decode" => "disable"', '2f-decode" => "disable", "url-path-2f-reject" => "enable"'),
            replaced("max-request-size = 16384", "max-request-size = 1000"),
            replaced("field-size = 32768", "field-size = 4096"),
        ),
        {
            "chunked-refused": "server.stream-request-body = 0",
            "slash-refused": "url-path-2f-reject",
            "upload-limit": "server.max-request-size",
            "request-head-limit": "server.max-request-field-size",
        },
    ),
    (
        LIGHTTPD_SCGI,
        both(
            without("fix-root-scriptname"),
            replaced(
                "server.port", 'server.error-intercept = "enable"\nserver.errorfile-prefix = "/none-"\nserver.port'
            ),
        ),
        {"script-name-is-the-first-segment": "fix-root-scriptname", "error-pages-replaced": "server.error-intercept"},
    ),
    (
        APACHE_SCGI,
        both(
            replaced("ProxyRequests", "RequestHeader set Host internal.example\nProxyRequests"),
            replaced("LimitRequestBody 16777216", "LimitRequestBody 1000000"),
            replaced("<VirtualHost", "LimitRequestFieldSize 2000\n<VirtualHost"),
        ),
        {
            "host-changed": "ProxyPreserveHost On",
            "upload-limit": "LimitRequestBody",
            "request-head-limit": "LimitRequestFieldSize",
        },
    ),
    (
        CADDY,
        both(
            replaced("max_size 16MiB", "max_size 1MiB"),
            replaced(
                "transport fastcgi\n",
                'transport fastcgi\n@own status 404 500\nhandle_response @own {\nrespond "none" 404\n}\n',
            ),
        ),
        {"upload-limit": "max_size", "error-pages-replaced": "handle_response"},
    ),
    (
        HAPROXY,
        replaced("tune.bufsize 32768", "tune.bufsize 6144"),
        {"answer-head-limit": "tune.bufsize 32768", "request-head-limit": "tune.bufsize 32768"},
    ),
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


@pytest.mark.parametrize(
    ("route", "mistakes", "kinds"), TOGETHER, ids=["-".join((*route[:2], *kinds)) for route, _, kinds in TOGETHER]
)
def test_each_of_several_mistakes_is_named_with_its_fix(
    examine: Examine, route: tuple[str, str, str], mistakes: Change, kinds: dict[str, str]
) -> None:
    found = {finding["kind"]: finding["fix"] for finding in examine(*route, mistakes)}
    assert {kind for kind, fix in kinds.items() if fix in found.get(kind, "")} == kinds.keys(), found


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
