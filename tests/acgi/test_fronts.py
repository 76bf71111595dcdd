"""``call --front``: the variables are those that the real web server sent, in `fronts/recorded.json`.

Each was recorded with two requests: a GET of ``/a%20b/c?q=1`` for ``example.org:8080``, and a POST of three bytes.
Ports of clients and servers, versions and paths of the machine are told apart by nobody. Caddy sends them in the order
of a Go map, which is another one each time.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ssgi_gateway.tools.call.fronts import FRONTS, front_variables
from ssgi_gateway.wire.client.request import Request

RECORDED = json.loads((Path(__file__).parent / "fronts" / "recorded.json").read_text())
LOCAL = {"REMOTE_PORT", "SERVER_SOFTWARE", "PATH"}

REQUESTS = {
    "get": Request(
        "GET",
        "http://example.org:8080/a%20b/c?q=1",
        [(b"x-a", b"1"), (b"user-agent", b"u"), (b"accept", b"*/*"), (b"cookie", b"c=1")],
    ),
    "post": Request(
        "POST",
        "http://127.0.0.1/p",
        [(b"content-type", b"text/x"), (b"user-agent", b"u"), (b"accept", b"*/*")],
        b"abc",
    ),
}


def comparable(pairs, front):
    shown = []
    for name, value in pairs:
        if name in LOCAL or (front == "nginx" and name == "SERVER_NAME"):  # nginx says its server_name
            value = ""
        value = re.sub(r"proxy:(\w+)://[^/]*", r"proxy:\1://x", value)
        # The recording's own port, where the host has none of its own.
        value = re.sub(r":182\d\d$", "", value)
        if name == "SERVER_PORT" and (value.startswith("182") or value in ("80", "8080")):
            value = "port"
        shown.append((name, value))
    # HAProxy has the length among the headers where the client sent one.
    return sorted(shown) if front in ("caddy", "haproxy") else shown


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("case", sorted(RECORDED))
def test_a_front_is_played_as_it_was_recorded(case, method):
    front, _, protocol = case.partition("-")
    request = REQUESTS[method]
    made = front_variables(front, protocol, request, len(request.body), False, "127.0.0.1")
    made = [(name.decode(), value.decode()) for name, value in made]
    recorded = [tuple(pair) for pair in RECORDED[case][method]]
    assert comparable(made, front) == comparable(recorded, front)


def test_every_front_was_recorded():
    assert {f"{front}-{protocol}" for front, protocols in FRONTS.items() for protocol in protocols} == set(RECORDED)
