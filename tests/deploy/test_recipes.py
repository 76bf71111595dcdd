"""The recipes of ``docs/nginx.md`` in a real nginx with the shipped files.

WebSockets beside HTTP over FastCGI, subrequests, settings of a location's own, who may say what.
"""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import DEPLOY, Gateway, Nginx, WebSocketClient, request, to_nginx
from tests.harness.gateway import ROOT

pytestmark = pytest.mark.nginx

UPLOAD = b"x" * 100

SITES = {
    "scgi": "location / { include ssgi/scgi.conf; scgi_pass scgi_gateway; }",
    "fastcgi": "location / { include ssgi/fastcgi.conf; fastcgi_pass fastcgi_gateway; }",
    "stock": "location / { include STOCK; fastcgi_pass fastcgi_gateway; }",
    "both": """
        location / {
            error_page 418 = @websocket;
            if ($ssgi_upgrade) { return 418; }
            include ssgi/fastcgi.conf;
            fastcgi_pass fastcgi_gateway;
        }
        location @websocket { include ssgi/websocket.conf; proxy_pass http://websocket_gateway; }
    """,
    "subrequests": """
        location /scgi/ { auth_request /auth-scgi; include ssgi/scgi.conf; scgi_pass scgi_gateway; }
        location = /auth-scgi {
            internal;
            include ssgi/scgi.conf;
            scgi_param REQUEST_URI /do/hello;
            scgi_param CONTENT_LENGTH "";
            scgi_pass_request_body off;
            scgi_pass scgi_gateway;
        }
        location /fastcgi/ { auth_request /auth-fastcgi; include ssgi/fastcgi.conf; fastcgi_pass fastcgi_gateway; }
        location = /auth-fastcgi {
            internal;
            include ssgi/fastcgi.conf;
            fastcgi_param REQUEST_URI /do/hello;
            fastcgi_param CONTENT_LENGTH "";
            fastcgi_pass_request_body off;
            fastcgi_pass fastcgi_gateway;
        }
        location /forgotten/ { auth_request /auth-forgotten; include ssgi/fastcgi.conf; fastcgi_pass fastcgi_gateway; }
        location = /auth-forgotten {
            internal;
            include ssgi/fastcgi.conf;
            fastcgi_param REQUEST_URI /do/hello;
            fastcgi_pass_request_body off;
            fastcgi_pass fastcgi_gateway;
        }
        location /mirrored/ {
            mirror /mirror-scgi; mirror /mirror-fastcgi; mirror_request_body off;
            include ssgi/fastcgi.conf; fastcgi_pass fastcgi_gateway;
        }
        location = /mirror-scgi {
            internal;
            include ssgi/scgi.conf; scgi_param REQUEST_URI /do/note?key=scgi; scgi_param CONTENT_LENGTH "";
            scgi_pass_request_body off; scgi_pass scgi_gateway;
        }
        location = /mirror-fastcgi {
            internal;
            include ssgi/fastcgi.conf; fastcgi_param REQUEST_URI /do/note?key=fastcgi;
            fastcgi_param CONTENT_LENGTH ""; fastcgi_pass_request_body off; fastcgi_pass fastcgi_gateway;
        }
        location /broken {
            scgi_intercept_errors on;
            error_page 404 = @sorry;
            include ssgi/scgi.conf; scgi_param REQUEST_URI /do/nowhere; scgi_pass scgi_gateway;
        }
        location @sorry { include ssgi/scgi.conf; scgi_param REQUEST_URI /sorry; scgi_pass scgi_gateway; }
    """,
    "mount": """
        location /scgi { include ssgi/scgi.conf; scgi_param SCRIPT_NAME /scgi; scgi_pass scgi_gateway; }
        location /fastcgi {
            include ssgi/fastcgi.conf; fastcgi_param SCRIPT_NAME /fastcgi; fastcgi_pass fastcgi_gateway;
        }
    """,
    "own": """
        location / {
            include ssgi/scgi.conf;
            scgi_param REQUEST_URI /of-my-own;
            scgi_buffer_size 64k;
            scgi_buffers 4 64k;
            scgi_read_timeout 20m;
            scgi_request_buffering on;
            scgi_pass scgi_gateway;
        }
        location /fastcgi {
            include ssgi/fastcgi.conf;
            fastcgi_param HTTP_HOST of.my.own;
            fastcgi_request_buffering on;
            fastcgi_read_timeout 20m;
            fastcgi_keep_conn off;
            fastcgi_pass fastcgi_gateway;
        }
    """,
}


@pytest.fixture(scope="module", params=["portable", "compiled"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    from tests.builds import MISSING
    from tests.harness.nginx import stock_file

    if request.param == "compiled" and MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("recipes")
    kinds = {"scgi": ("unix",), "fastcgi": ("unix",), "websocket": ("unix",)}
    with Gateway("tests.apps.behaviour:app", folder, options=("--codec", request.param), **kinds) as gateway:
        upstreams = "".join(
            f"upstream {name}_gateway {{ server {to_nginx(gateway.address(name, 'unix'))}; keepalive 4; }}\n"
            for name in kinds
        )
        stock = {name: body.replace("STOCK", stock_file("fastcgi_params")) for name, body in SITES.items()}
        servers = {
            name: body if name == "stock" else f"server_name www.example.org; include ssgi/tuning.conf;\n{body}"
            for name, body in stock.items()
        }
        with Nginx(folder / "nginx", servers, upstreams) as nginx:
            yield nginx


def told(site: Nginx, name: str, target: str = "/", headers: Any = (), **more: Any) -> Any:
    """What the application was told of a request."""
    answer = request(site.address(name), "GET", target, headers, **more)
    assert answer.status == 200, answer
    return answer.json()


def raw(site: Nginx, name: str, head: str) -> str:
    """A request as it is written here, and the whole answer."""
    address = site.address(name)
    with socket.create_connection(address, timeout=20) as client:
        client.sendall(head.replace("\n", "\r\n").encode())
        received = b""
        while data := client.recv(65536):
            received += data
    return received.decode("latin-1")


# -- the files -------------------------------------------------------------------------------------------------------


def test_the_files_in_the_package_are_the_shipped_ones() -> None:
    packaged = ROOT / "ssgi_gateway" / "tools" / "nginx"
    files = {path.name: path.read_text() for path in Path(DEPLOY).glob("*.conf")}
    assert {path.name: path.read_text() for path in packaged.glob("*.conf")} == files


def test_a_location_may_have_settings_of_its_own(site: Nginx) -> None:
    assert told(site, "own")["path"] == "/of-my-own"
    assert told(site, "own", "/fastcgi")["headers"]["host"] == ["of.my.own"]


def test_a_mount_by_script_name(site: Nginx) -> None:
    def mount(target: str) -> str:
        extensions = told(site, "mount", target)["extensions"]
        return str(extensions["root_path"])

    for name in ("scgi", "fastcgi"):
        assert mount(f"/{name}/a") == mount(f"/{name}/") == f"/{name}"
        assert mount(f"/{name}shop") == ""
    assert mount("/scgi") == mount("/scgi?a=b") == "/scgi"
    assert mount("/fastcgi") == "", "there SCRIPT_NAME may be the path, as in nginx's own fastcgi_params"


# -- WebSockets beside HTTP over FastCGI -----------------------------------------------------------------------------


def test_http_over_fastcgi_and_websockets_on_one_path(site: Nginx) -> None:
    assert told(site, "both", "/any/path?a=b")["extensions"]["protocol"] == "fastcgi"
    with WebSocketClient(site.address("both"), "/ws/echo?a=b") as socket:
        socket.send("hello")
        assert socket.receive() == "hello"
    assert request(site.address("both"), "POST", "/do/echo", body=UPLOAD).body == UPLOAD


# -- subrequests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi", "forgotten"])
def test_auth_request_of_an_upload(site: Nginx, protocol: str) -> None:
    """The subrequest has the headers of the upload and no body. ``forgotten``: nor a CONTENT_LENGTH of its own."""
    for method, body in (("GET", None), ("POST", UPLOAD)):
        answer = request(site.address("subrequests"), method, f"/{protocol}/x", body=body)
        assert (answer.status, answer.json()["path"]) == (200, f"/{protocol}/x")


def test_mirrored_uploads(site: Nginx) -> None:
    before = site.error_log()
    answer = request(site.address("subrequests"), "POST", "/mirrored/x", body=UPLOAD)
    assert answer.json()["path"] == "/mirrored/x"
    # That "client prematurely closed connection" may be there: ours does not wait for the subrequests.
    assert "upstream prematurely" not in site.error_log().removeprefix(before)


def test_an_error_page_that_the_application_makes(site: Nginx) -> None:
    answer = request(site.address("subrequests"), "GET", "/broken")
    assert answer.json()["path"] == "/sorry"


# -- who may say what ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["scgi", "fastcgi"])
def test_what_a_proxy_sends_is_not_the_clients(site: Nginx, name: str) -> None:
    lies = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "1",
        "X-Forwarded-Prefix": "/evil",
        "X-Forwarded-Ssl": "on",
        "X-Forwarded-Scheme": "https",
        "X-Forwarded-Server": "evil",
        "X-Real-IP": "6.6.6.6",
        "X-Script-Name": "/evil",
        "Forwarded": "for=6.6.6.6",
        "Proxy": "evil",
    }
    headers = told(site, name, "/", list(lies.items()))["headers"]
    port = site.address(name)[1]
    seen = {key.lower(): headers.get(key.lower()) for key in lies}
    assert seen == {
        "x-forwarded-for": ["127.0.0.1"],
        "x-forwarded-proto": ["http"],
        "x-forwarded-host": headers["host"],
        "x-forwarded-port": [str(port)],
        "x-forwarded-prefix": None,
        "x-forwarded-ssl": None,
        "x-forwarded-scheme": None,
        "x-forwarded-server": None,
        "x-real-ip": ["127.0.0.1"],
        "x-script-name": None,
        "forwarded": None,
        "proxy": None,
    }


@pytest.mark.parametrize("name", ["scgi", "fastcgi", "both"])
def test_the_host_is_the_one_that_nginx_goes_by_with_its_port(site: Nginx, name: str) -> None:
    for sent, seen in (
        ("www.example.org", "www.example.org"),
        ("www.example.org:8443", "www.example.org:8443"),
        ("WWW.example.org:80", "www.example.org:80"),
        ("[::1]:8080", "[::1]:8080"),
        ("[::1]", "[::1]"),
    ):
        assert told(site, name, host=sent)["headers"]["host"] == [seen]
    # RFC 9112 3.2.2: the received Host is to be ignored where the target has one.
    answer = raw(site, name, "GET http://www.example.org/ HTTP/1.1\nHost: evil.example\nConnection: close\n\n")
    assert '"host": ["www.example.org"]' in answer
    # Without a Host header: the name and the port of the server that was asked.
    port = site.address(name)[1]
    assert f'"host": ["www.example.org:{port}"]' in raw(site, name, "GET / HTTP/1.0\n\n")


@pytest.mark.parametrize("name", ["stock", "scgi", "fastcgi"])
def test_a_user_whom_nobody_checked_is_nobody(site: Nginx, name: str) -> None:
    """nginx's stock fastcgi_params pass on the name that any client claims."""
    claim = "Basic " + base64.b64encode(b"admin:anything").decode()
    environ = told(site, name, "/", [("Authorization", claim)])["environ"]
    assert "REMOTE_USER" not in environ
    assert "AUTH_TYPE" not in environ
    assert environ["HTTP_AUTHORIZATION"] == claim
