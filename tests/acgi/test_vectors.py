"""The recorded and judged exchanges, each against a scripted peer; `vectors/` has one a file.

`right_messages` is what the application has to get. How a body is cut is free, so pieces are joined before they are
compared; a message may have more keys than these.
"""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest

from ssgi_gateway import client
from ssgi_gateway.errors import LocalProtocolError
from tests.acgi.scripted import HexPeer, Http1Peer, Http2Peer

VECTORS = {path.stem: json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "vectors").glob("*"))}
PARSERS = ("httptools", "h11")
IGNORED = ("reason", "exception", "remote", "reused", "tls")


def cases():
    for name in VECTORS:
        for parser in PARSERS if name.startswith("h1") else ("auto",):
            yield pytest.param(name, parser, id=f"{name}-{parser}" if name.startswith("h1") else name)


def plain(value):
    """Bytes are ``{"b": text}``; long ones are abbreviated."""
    if isinstance(value, dict):
        return value["b"].encode("latin-1") if set(value) == {"b"} else {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def expanded(value):
    if isinstance(value, bytes) and b"... (" in value:
        return value[:1] * int(value.rsplit(b"(", 1)[1].split()[0])
    if isinstance(value, dict):
        return {key: expanded(one) for key, one in value.items()}
    return [expanded(one) for one in value] if isinstance(value, list) else value


def by_stream(messages):
    streams = {}
    for message in messages:
        message = {
            key: [tuple(pair) for pair in value] if key in ("headers", "trailers") else value
            for key, value in message.items()
            if key not in IGNORED
        }
        told = streams.setdefault(message.get("stream_id"), [])
        last = told[-1] if told else None
        body = "http.response.body"
        if message["type"] == body and last and last["type"] == body and last["more_body"]:
            told[-1] = {**last, **message, "body": last["body"] + message["body"]}
        else:
            told.append(message)
    return streams


def assert_equal(right, got):
    right, got = by_stream(right), by_stream(got)
    assert set(right) == set(got)
    for stream, wanted in right.items():
        assert len(wanted) == len(got[stream]), got[stream]
        for one, other in zip(wanted, got[stream], strict=True):
            assert {key: other.get(key) for key in one} == one


def is_final(message):
    kind = message["type"]
    if kind.endswith("disconnect"):
        return True
    ends = kind in ("http.response", "http.response.body") and not message["more_body"]
    return ends and message.get("status_code") != 101


def peer_of(vector, server_tls):
    script = expanded(vector["server"])
    if vector["protocol"] == "h1":
        return Http1Peer(script)
    if vector["protocol"] == "h2":
        settings = {int(key): value for key, value in (vector["server_settings"] or {}).items()}
        return Http2Peer(script, server_tls, vector["server_acknowledges_data"], settings)
    return HexPeer([step for step in script if "expect" not in step])


def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_concurrent(steps):
    """Whether a second request is sent before the first answer was read to its end."""
    open_requests = 0
    for step in steps:
        if step[0] == "send" and step[1]["type"] == "http.request":
            open_requests += 1
        elif step[0].startswith("recv_"):
            open_requests = 0
        if open_requests > 1:
            return True
    return False


async def act(step, receive, send, port, got):
    """One step of the application's."""
    step = expanded(plain(step))
    kind = step[0]

    async def one():
        message = await asyncio.wait_for(receive(), 5)
        got.append(message)
        return message

    if kind == "send":
        message = step[1]
        if "url" in message:
            message["url"] = message["url"].format(port=port)
            message["headers"] = [tuple(pair) for pair in message["headers"]]
        await asyncio.wait_for(send(message), 5)
    elif kind == "recv":
        await one()
    elif kind == "recv_all":
        while not is_final(await one()):
            pass
    elif kind == "recv_streams":
        ended = 0
        while ended < step[1]:
            ended += is_final(await one())
    elif kind == "recv_sum":
        total, last = 0, False
        while not last:
            message = await asyncio.wait_for(receive(), 5)
            total, last = total + len(message.get("body", b"")), is_final(message)
        got.append({"type": "sum", "sum": total, "stream_id": None})
    elif kind in ("wait", "settle"):
        await asyncio.sleep(step[1] / 1000)


@pytest.mark.parametrize(("name", "parser"), list(cases()))
def test_vector(name, parser, certificate, server_tls):
    asyncio.run(asyncio.wait_for(play(VECTORS[name], parser, certificate, server_tls), 20))


async def play(vector, parser, certificate, server_tls):
    refused = vector["protocol"] == "refused"
    peer = None if refused else peer_of(vector, server_tls)
    port = unused_port() if refused else await peer.start()
    got = []
    options = {
        "tls": client.TLS(ca=str(certificate[0])),
        "timeouts": client.Timeouts(read=vector.get("options", {}).get("read_timeout", 5)),
        "retries": 0 if vector["name"] in ("h2_rst_refused", "h2_goaway_before") else 1,
        "parser": parser,
    }
    async with client.Client(**options) as c:
        url = next(step[1]["url"] for step in vector["app"] if step[0] == "send").format(port=port)
        opened = c.connection(url) if is_concurrent(vector["app"]) else c.exchange()
        async with opened as (receive, send):
            try:
                for step in vector["app"]:
                    await act(step, receive, send, port, got)
            except LocalProtocolError:
                assert vector.get("raises") == "LocalProtocolError"
            else:
                assert not vector.get("raises")
        pool = c.pool
        assert pool.open == len(pool.idle) + len(pool.busy) + pool.connecting
    right = [expanded(message) for message in plain(vector["right_messages"])]
    right = [{"type": "sum", "stream_id": None, **message} if "sum" in message else message for message in right]
    assert_equal(right, got)
    assert pool.open == 0
    if peer is not None:
        await peer.stop()
        assert peer.problem is None
        if vector.get("right_server_saw"):
            seen = json.dumps(peer.seen).replace("\\r\\n", "\r\n").lower()
            assert vector["right_server_saw"].lower() in seen
        if vector.get("right_connections"):
            assert peer.connections == vector["right_connections"]
