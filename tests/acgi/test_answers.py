"""Answers as servers send them and as they should not, over each protocol: which messages the application gets.

Each is sent whole and byte by byte, and gives the same messages: what came before an error is told before it, and an
answer that was complete stays one, whatever comes behind it.
"""

from __future__ import annotations

import asyncio

import pytest

from ssgi_gateway import client
from tests.acgi.test_messages import record, run, serving, whole

ENDED = record(3, bytes(8))
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CGI = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"

FAILED = ("disconnect", "RemoteProtocolError", False)


def end(protocol_status, app_status=0):
    return record(3, app_status.to_bytes(4, "big") + bytes((protocol_status, 0, 0, 0)))


def padded(kind, content, padding):
    return bytes((1, kind, 0, 1, 0, len(content), padding, 0)) + content + bytes(padding)


def answer(status=200, body=b"hello", **more):
    """The messages of a whole answer with a body."""
    return [("response", status, True), ("body", body, True), ("body", b"", False, *more.items())]


def joined(messages):
    """What the table holds of messages, bodies joined."""
    told = []
    for message in messages:
        kind = message["type"]
        if kind == "http.response":
            told.append(("response", message["status_code"], message["more_body"]))
        elif kind == "http.response.body" and message["body"] and told[-1][0] == "body":
            told[-1] = ("body", told[-1][1] + message["body"], True)
        elif kind == "http.response.body":
            more = [(key, message[key]) for key in ("trailers", "stderr", "app_status") if key in message]
            told.append(("body", message["body"], message["more_body"], *more))
        elif kind == "http.stream.disconnect":
            told.append(("disconnect", message["error"], message["retryable"]))
    return told


# Bytes of an answer, the messages; and the request's method and what follows the answer where it is not GET and the end
# of the connection.
HTTP = {
    "a length": (OK + b"Content-Length: 5\r\n\r\nhello", answer()),
    "a length twice": (OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", answer()),
    "a length of nothing": (OK + b"Content-Length: 0\r\n\r\n", [("response", 200, False)]),
    "the end of the connection": (OK + b"\r\nhello", answer()),
    "nothing to the end of the connection": (OK + b"\r\n", [("response", 200, True), ("body", b"", False)]),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\n\r\nhello", answer()),
    "205 with nothing": (b"HTTP/1.1 205 X\r\nContent-Length: 0\r\n\r\n", [("response", 205, False)]),
    "204 and a length": (b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n", [("response", 204, False)]),
    "304 and chunks": (b"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n", [("response", 304, False)]),
    "HEAD and a length": (OK + b"Content-Length: 5\r\n\r\n", [("response", 200, False)], "HEAD"),
    "HEAD and chunks": (CHUNKED, [("response", 200, False)], "HEAD"),
    "interim answers": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"\r\nhello",
        answer(),
    ),
    "chunks": (CHUNKED + b"2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\n\r\n", answer()),
    "chunks and trailers": (
        CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\nX-T: 2\r\n\r\n",
        answer(trailers=[(b"x-t", b"1"), (b"x-t", b"2")]),
    ),
    "chunks and a length": (
        OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        answer(),
    ),
    "more than its length": (OK + b"Content-Length: 5\r\n\r\nhello and more", answer()),
    "a second answer": (OK + b"Content-Length: 5\r\n\r\nhello" + OK + b"\r\n", answer()),
    "no last chunk": (CHUNKED + b"5\r\nhello\r\n", [*answer()[:2], FAILED]),
    "half a last chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n", [*answer()[:2], FAILED]),
    "half a chunk": (CHUNKED + b"9\r\nhello", [*answer()[:2], FAILED]),
    "no chunk": (CHUNKED + b"5\r\nhello\r\nnonsense\r\n", [*answer()[:2], FAILED]),
    "a chunk that is longer": (CHUNKED + b"5\r\nhello!!0\r\n\r\n", [*answer()[:2], FAILED]),
    "a folded trailer": (CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n c\r\n\r\n", [*answer()[:2], FAILED]),
    "less than its length": (OK + b"Content-Length: 9\r\n\r\nhello", [*answer()[:2], FAILED]),
    "half a head": (OK + b"Content-Le", [FAILED]),
    "a folded head": (OK + b"A: b\r\n c\r\n\r\n", [FAILED]),
    "bare LF": (b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", [FAILED]),
    "lengths that differ": (OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", [FAILED]),
    "101 unasked": (b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello", [FAILED]),
    "nothing": (b"", [FAILED]),
}

SCGI = {
    "Status": (CGI, answer()),
    "Status in any case, without a space": (b"STATUS:404\r\n\r\nhello", answer(404)),
    "Status behind others": (b"A: b\r\nStatus: 404 Not Found\r\nC: d\r\n\r\nhello", answer(404)),
    "Status alone": (b"Status: 404\n\nhello", answer(404)),
    "LF and CR LF": (b"Status: 404\nA: b\r\n\nhello", answer(404)),
    "no Status": (b"Content-Type: text/plain\r\n\r\nhello", answer()),
    "Location alone": (b"Location: /a\r\n\r\n", [("response", 302, True), ("body", b"", False)]),
    "Location and Status": (b"Location: /a\r\nStatus: 201\r\n\r\nhello", answer(201)),
    "a status line": (b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\nhello", answer(404)),
    "no head at all": (b"\r\nhello", answer()),
    "an interim answer": (b"Status: 103\r\nLink: x\r\n\r\n" + CGI, answer()),
    "a length": (b"Content-Length: 5\r\n\r\nhello", answer()),
    "more than its length": (b"Content-Length: 5\r\n\r\nhello and more", answer()),
    "less than its length": (b"Content-Length: 9\r\n\r\nhello", [*answer()[:2], FAILED]),
    "a length of nothing": (b"Content-Length: 0\r\n\r\n", [("response", 200, False)]),
    "HEAD and a body": (CGI, [("response", 200, False)], "HEAD"),
    "204 and a body": (b"Status: 204\r\n\r\nhello", [("response", 204, False)]),
    "304": (b"Status: 304\r\nContent-Length: 5\r\n\r\n", [("response", 304, False)]),
    "half a head": (b"Status: 200\r\nContent-", [FAILED]),
    "no head": (b"<html>\r\n\r\n", [FAILED]),
    "a folded head": (b"A: b\r\n c\r\n\r\nhello", [FAILED]),
    "a status that is none": (b"Status: OK\r\n\r\nhello", [FAILED]),
    "101 unasked": (b"Status: 101\r\nUpgrade: x\r\n\r\nhello", [FAILED]),
    "nothing": (b"", [FAILED]),
}

FASTCGI = {
    **{
        f"as over SCGI: {name}": (record(6, case[0]) + ENDED, *case[1:])
        for name, case in SCGI.items()
        if "101" not in name and case[0]
    },
    "STDOUT in pieces": (
        record(6, CGI[:9]) + record(6, CGI[9:-2]) + record(6, CGI[-2:]) + record(6, b"") + ENDED,
        answer(),
    ),
    "STDERR before, between and behind": (
        record(7, b"1") + record(6, CGI[:-2]) + record(7, b"2") + record(6, CGI[-2:]) + record(7, b"3") + ENDED,
        answer(stderr=b"123"),
    ),
    "STDERR and no body": (
        record(6, b"Status: 204\r\n\r\n") + record(7, b"e") + ENDED,
        [("response", 204, True), ("body", b"", False, ("stderr", b"e"))],
    ),
    "padding": (padded(6, CGI[:-3], 7) + padded(6, CGI[-3:], 255) + padded(6, b"", 8) + ENDED, answer()),
    "unknown types": (record(99, b"x" * 30) + record(6, CGI) + record(11, b"\x05" + bytes(7), 0) + ENDED, answer()),
    "other requests": (
        record(6, b"Status: 500\r\n\r\n", 2) + record(6, CGI) + record(7, b"e", 3) + record(3, bytes(8), 2) + ENDED,
        answer(),
    ),
    "values that were not asked for": (record(10, b"\x0e\1FCGI_MAX_CONNS1", 0) + record(6, CGI) + ENDED, answer()),
    "values that are none": (record(10, b"\xff\xff\xff", 0) + record(6, CGI) + ENDED, answer()),
    "an application's status": (record(6, CGI) + end(0, 258), answer(app_status=258)),
    "CANT_MPX_CONN": (end(1), [FAILED]),
    "OVERLOADED": (end(2), [("disconnect", "Overloaded", True)]),
    "UNKNOWN_ROLE": (end(3), [FAILED]),
    "a protocol status that there is not": (end(77), [FAILED]),
    "OVERLOADED in the middle": (record(6, CGI) + end(2), [*answer()[:2], ("disconnect", "Overloaded", True)]),
    "no STDOUT": (ENDED, [FAILED]),
    "another version": (b"\2" + record(6, CGI)[1:], [FAILED]),
    "another version in the middle": (record(6, CGI) + b"\2" + ENDED[1:], [*answer()[:2], FAILED]),
    "no END_REQUEST": (record(6, CGI) + record(6, b""), [*answer()[:2], FAILED]),
    "half a record": (record(6, CGI) + record(6, b"x" * 50)[:3], [*answer()[:2], FAILED]),
    "half an END_REQUEST": (record(6, CGI) + ENDED[:12], [*answer()[:2], FAILED]),
    "an END_REQUEST that is too short": (record(6, CGI) + record(3, bytes(3)), [*answer()[:2], FAILED]),
    "garbage behind the end": (record(6, CGI) + ENDED + b"HTTP/1.1 400 Bad Request", answer()),
    "a second answer": (record(6, CGI) + ENDED + record(6, CGI) + ENDED, answer()),
}

CASES = [
    pytest.param(kind, *(*case, "GET")[:3], id=f"{kind}-{name}")
    for kind, table in (("http", HTTP), ("scgi", SCGI), ("fcgi", FASTCGI))
    for name, case in table.items()
]


@pytest.mark.parametrize(("kind", "said", "wanted", "method"), CASES)
def test_an_answer(kind, said, wanted, method):
    async def ask(address):
        async with client.Client(http2=False) as c, c.exchange() as (receive, send):
            await send({"type": "http.request", "method": method, "url": f"{kind}://{address}/"})
            told = joined(await whole(receive))
            pool = c.pool
            assert pool.open == len(pool.idle) + len(pool.busy) + pool.connecting
        assert pool.open == 0
        return told

    async def main():
        for cut in (len(said) or 1, 1):

            async def handle(reader, writer, cut=cut):
                await reader.read(65536)
                for start in range(0, len(said), cut):
                    writer.write(said[start : start + cut])
                    await asyncio.sleep(0)

            async with serving(handle) as address:
                assert await ask(address) == wanted, f"in pieces of {cut}"

    run(main())


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("http", OK + b"Content-Length: 5\r\n\r\nhello" + OK),
        ("fcgi", record(6, CGI) + ENDED + b"HTTP/1.1 400 Bad Request"),
        ("fcgi", record(6, CGI) + ENDED + record(6, CGI)),
    ],
)
def test_a_connection_with_surplus_data_is_not_used_again(kind, said):
    async def main():
        opened = []

        async def handle(reader, writer):
            opened.append(writer)
            await reader.read(65536)
            writer.write(said)
            await reader.read()

        async with serving(handle) as address, client.Client() as c:
            for _ in range(3):
                assert await (await c.request("GET", f"{kind}://{address}/")).read() == b"hello"
            assert c.pool.open == 0
        assert len(opened) == 3

    run(main())
