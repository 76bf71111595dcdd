"""The scope an ASGI application gets, from what the web server says."""

from __future__ import annotations

import pytest

from ssgi_gateway.adapters.asgi.adapter import AsgiApplication
from ssgi_gateway.adapters.asgi.scope import encodable, server_pair
from ssgi_gateway.settings import Settings
from tests.unit.adapters.serving import in_loop, serving


async def scope_of(*args, settings=None, state=None, upgrade=False, **kwargs):
    """The scope that a request arrives with."""
    scopes = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            scopes.append(scope)
            await send({"type": "websocket.close"})
        else:
            scopes.append(scope)
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body"})

    async with serving(AsgiApplication(app), settings, state=state) as served:
        if upgrade:
            client = await served.upgrade(*args, **kwargs)
            await client.answer()
            await client.leave()
        else:
            await served.request(*args, **kwargs)
    (scope,) = scopes
    return scope


@in_loop
async def test_the_whole_scope():
    scope = await scope_of(
        "POST", "/a%20b/%C3%A9?x=%20&y", [("host", "example.org:8080"), ("x-a", "é")], b"body",
        variables=[("CONTENT_TYPE", "text/plain"), ("SERVER_PROTOCOL", "HTTP/2.0")],
    )  # fmt: skip
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "method": "POST",
        "scheme": "http",
        "path": "/a b/é",
        "raw_path": b"/a%20b/%C3%A9",
        "query_string": b"x=%20&y",
        "root_path": "",
        "headers": [
            (b"content-length", b"4"),
            (b"content-type", b"text/plain"),
            (b"host", b"example.org:8080"),
            (b"x-a", "é".encode("latin-1")),
        ],
        "client": ("192.0.2.7", 50007),
        "server": ("example.org", 8080),
        "state": {},
        "extensions": {"http.response.pathsend": {}, "http.response.zerocopysend": {}},
    }


@in_loop
async def test_the_whole_scope_of_a_websocket():
    scope = await scope_of("/chat?room=1", "a, b", upgrade=True, variables=[("HTTPS", "on")])
    headers = dict(scope.pop("headers"))
    assert headers[b"sec-websocket-protocol"] == b"a, b"
    assert scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "wss",
        "path": "/chat",
        "raw_path": b"/chat",
        "query_string": b"room=1",
        "root_path": "",
        "client": ("192.0.2.7", 50007),
        "server": ("example.org", 8080),
        "subprotocols": ["a", "b"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


@in_loop
async def test_the_method_is_in_capitals():
    assert (await scope_of("get"))["method"] == "GET"


@pytest.mark.parametrize(("https", "scheme"), [("on", "https"), ("off", "http"), ("", "http")])
@in_loop
async def test_the_scheme_is_the_clients(https, scheme):
    assert (await scope_of(variables=[("HTTPS", https)]))["scheme"] == scheme


@in_loop
async def test_the_path_has_the_root_path_in_front():
    scope = await scope_of(target="/mount/%C3%A9", settings=Settings(root_path="/mount"))
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/mount", "/mount/é", b"/mount/%C3%A9")


@pytest.mark.parametrize("target", ["/%FF", "/\xff"])
@in_loop
async def test_a_path_that_is_no_utf8_can_be_encoded(target):
    scope = await scope_of(target=target)
    assert scope["path"] == "/�"
    assert scope["raw_path"] == target.encode("latin-1")


@in_loop
async def test_nothing_is_shared_between_requests():
    first = await scope_of()
    for name, value in first.items():
        if isinstance(value, dict):
            value["spoilt"] = name
    first["extensions"]["http.response.pathsend"]["spoilt"] = True
    second = await scope_of()
    assert "spoilt" not in str({**second, "headers": None})


@in_loop
async def test_the_extensions_have_tls_when_the_web_server_passes_it():
    scope = await scope_of(
        variables=[("HTTPS", "on"), ("SSL_PROTOCOL", "TLSv1.3"), ("SSL_CIPHER", "TLS_AES_256_GCM_SHA384")]
    )
    assert scope["extensions"]["tls"] == {
        "server_cert": None,
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": 0x0304,
        "cipher_suite": 0x1302,
    }


@in_loop
async def test_the_extensions_have_no_tls_when_it_does_not():
    assert "tls" not in (await scope_of(variables=[("HTTPS", "on")]))["extensions"]


@in_loop
@pytest.mark.parametrize(
    ("host", "port", "pair"),
    [
        ("192.0.2.7", "50007", ("192.0.2.7", 50007)),
        ("192.0.2.7", "7", ("192.0.2.7", 7)),
        ("192.0.2.7", "", ("192.0.2.7", 0)),
        ("2001:db8::1", "443", ("2001:db8::1", 443)),
        ("2001:db8::1", "", ("2001:db8::1", 0)),
        ("unix:", "", None),
        ("unix:/run/client.sock", "", None),
    ],
)
async def test_the_clients_address(host, port, pair):
    assert (await scope_of(variables=[("REMOTE_ADDR", host), ("REMOTE_PORT", port)]))["client"] == pair


@pytest.mark.parametrize(
    ("address", "scheme", "pair"),
    [
        ("example.org:8080", "http", ("example.org", 8080)),
        ("example.org", "http", ("example.org", 80)),
        ("example.org", "https", ("example.org", 443)),
        ("[::1]:8080", "http", ("::1", 8080)),
        ("[::1]", "https", ("::1", 443)),
        ("/run/nginx.sock", "http", ("/run/nginx.sock", None)),
        ("", "http", None),
    ],
)
def test_the_servers_address(address, scheme, pair):
    assert server_pair(address, scheme) == pair


@pytest.mark.parametrize(("text", "shown"), [("/a", "/a"), ("/é", "/é"), ("/\udcff", "/�"), ("/é\udcff", "/é�")])
def test_text_that_can_be_encoded(text, shown):
    assert encodable(text) == shown
    shown.encode()
