"""``res.extensions`` (SSGI 1.0): all that the eight arguments leave out."""

from __future__ import annotations

import pytest

from tests.unit.core.talk import body_of, http, request, websocket

VARIABLES = {
    "REQUEST_SCHEME": "https",
    "SERVER_PROTOCOL": "HTTP/2.0",
    "SCRIPT_NAME": "/app",
    "PATH_INFO": "/a b",
    "HTTP_X_NAME": "J\xfcrgen",
    "HTTP_COOKIE": "a=1",
    "QUERY_STRING": "x=%20",
}


async def test_an_http_request():
    res, channel = http("GET", "/app/a%20b?x=%20", **VARIABLES)
    state = {"pool": object()}
    channel.description = {"protocol": "fastcgi", "state": state}
    assert res.extensions == {
        "scheme": "https",
        "http_version": "2",
        "root_path": "/app",
        "raw_path": "/app/a%20b",
        "headers": [(b"x-name", b"J\xfcrgen"), (b"cookie", b"a=1")],
        "environ": {"REQUEST_METHOD": "GET", "REQUEST_URI": "/app/a%20b?x=%20"} | VARIABLES,
        "protocol": "fastcgi",
        "state": state,
        "request_id": res.request_id(),
    }
    assert res.extensions["state"] is state, "the worker's own, not a copy"


@pytest.mark.parametrize(("variables", "scheme"), [({}, "ws"), ({"REQUEST_SCHEME": "https"}, "wss")])
async def test_a_websocket_has_its_own_scheme_and_the_offered_subprotocols(variables, scheme):
    ws, _ = websocket(("a", "b"))
    ws.request = request(**variables)
    assert ws.extensions["scheme"] == scheme
    assert ws.extensions["subprotocols"] == ["a", "b"]
    assert ws.extensions["protocol"] == "scgi"


async def test_an_http_request_has_no_subprotocols():
    res, _ = http()
    assert "subprotocols" not in res.extensions


async def test_each_request_has_a_mapping_of_its_own():
    first, _ = http()
    second, _ = http()
    first.extensions["mine"] = 1
    assert "mine" not in second.extensions
    assert first.extensions["mine"] == 1


async def test_adapters_get_what_is_there_already():
    body = body_of(b"a")
    res, channel = http("GET", "/x", body=body)
    assert res.request.path == "/x"
    assert res.body is body
    assert res.channel is channel
