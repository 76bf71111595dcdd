"""Errors say what to do: what a person gets wrong, and what a peer seems to be."""

from __future__ import annotations

import pytest

from ssgi_gateway import client
from ssgi_gateway.errors import ConfigurationError, LocalProtocolError
from ssgi_gateway.wire.client import http1_parsers
from tests.acgi.test_messages import OK, answering, run, serving


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"http2": "prior knowledge"}, "'prior-knowledge'"),
        ({"timeouts": 5}, r"timeouts=5: write timeouts=Timeouts\(\.\.\.\)"),
        ({"limits": 5}, "limits=5: write limits=Limits"),
        ({"tls": False}, "tls=False: write tls=TLS"),
        ({"parser": "httptool"}, "'httptools' or 'h11'"),
        ({"scgi": ":9000", "fastcgi": ":9001"}, "scgi and fastcgi"),
        ({"scgi": "nonsense"}, "nonsense"),
        ({"fastcgi": "fd:3"}, "unix:/path or host:port"),
        ({"proxy": "socks5://h:1"}, "http://user:password@host:port"),
        ({"proxy": "http://h:99999"}, "http://user:password@host:port"),
    ],
)
def test_options_that_cannot_be_used(options, words):
    with pytest.raises(ConfigurationError, match=words):
        client.Client(**options)


def test_limits_that_allow_nothing():
    with pytest.raises(ConfigurationError, match="at least 1"):
        client.Limits(max_connections=0)


def test_a_parser_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(http1_parsers, "httptools", None)
    client.Client()
    with pytest.raises(ConfigurationError, match="pip install"):
        client.Client(parser="httptools")


@pytest.mark.parametrize("body", ["text", {"a": 1}, 7, ["text"], [b"x", 7]], ids=str)
@pytest.mark.parametrize("kind", ["http", "scgi", "fcgi"])
def test_bodies_that_are_none(kind, body):
    async def main():
        async def handle(reader, writer):
            await reader.read()

        async with serving(handle) as address, client.Client() as c:
            with pytest.raises(LocalProtocolError, match="encode"):
                await c.request("POST", f"{kind}://{address}/", body=body)
            assert c.pool.open == len(c.pool.idle) + len(c.pool.busy) + c.pool.connecting

    run(main())


def test_no_body_is_an_empty_one():
    async def main():
        heads = []
        async with serving(answering(OK, heads=heads)) as address, client.Client() as c:
            await (await c.request("POST", f"http://{address}/", body=None)).read()
        assert b"content-length: 0\r\n" in heads[0]

    run(main())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "write https://"),
        (b"\0\0\x12\4\0\0\0\0\0", "prior-knowledge"),
        (b"Status: 200 OK\r\n\r\n", "scgi://"),
        (b"\1\6\0\1\0\0\0\0", "fcgi://"),
    ],
)
def test_what_a_peer_seems_to_speak(said, words):
    async def main():
        async with serving(answering(said)) as address, client.Client() as c:
            with pytest.raises(client.RemoteProtocolError, match=words):
                await c.request("GET", f"http://{address}/")

    run(main())


def test_tls_to_one_that_speaks_none(web):
    async def main():
        async with client.Client() as c:
            with pytest.raises(client.ConnectError, match="is it http://"):
                await c.request("GET", f"https://{web.plain}/")
            with pytest.raises(client.ConnectError, match=r"TLS\(ca=FILE\)"):
                await c.request("GET", f"https://{web.secure}/")

    run(main())


def test_answers_that_are_not_read_keep_their_connections():
    async def main():
        options = {"limits": client.Limits(max_connections=1), "timeouts": client.Timeouts(pool=0.1)}
        long = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        async with serving(answering(long)) as address, client.Client(**options) as c:
            unread = await c.request("GET", f"http://{address}/")
            with pytest.raises(client.PoolTimeout, match="neither read to their end nor closed"):
                await c.request("GET", f"http://{address}/")
            await unread.aclose()

    run(main())
