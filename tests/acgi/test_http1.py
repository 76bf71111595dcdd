"""HTTP/1.1's pure codec: the same events from both parsers for the same bytes, in any cut; and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway import client
from ssgi_gateway.client import http1 as carrier
from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.server import output
from ssgi_gateway.wire.client.http1 import Http1Client
from ssgi_gateway.wire.client.http1_parsers import H11Parser, HttptoolsParser
from ssgi_gateway.wire.client.request import Request
from tests.acgi.test_messages import run, serving

PARSERS = [H11Parser, HttptoolsParser]


def told(parser, pieces, method="GET", end=True):
    """What the codec says of these bytes, bodies joined; an error by its class."""
    codec = Http1Client(parser)
    upgrade = [(b"upgrade", b"x")] if b"".join(pieces).startswith(b"HTTP/1.1 101") else []
    codec.begin(Request(method, "http://h/", upgrade), "/")
    said = []
    body = b""
    for piece in [*pieces, *([b""] if end else [])]:
        if "error" in said or (codec.done and not piece):
            break
        try:
            events, error = codec.receive(piece), []
        except RemoteProtocolError as raised:
            events, error = raised.events, ["error"]
        for event in events:
            if type(event).__name__ == "BodyArrived":
                body += event.data
            else:
                said.append((type(event).__name__, *[getattr(event, name) for name in sorted(event.__slots__)]))
        said += error
    return said, body, codec.keep


def both(data, method="GET", cut=None, end=True):
    pieces = [data] if cut is None else [data[start : start + cut] for start in range(0, len(data), cut)]
    one, two = (told(parser, pieces, method, end) for parser in PARSERS)
    assert one == two
    return one


@pytest.mark.parametrize("length", [-1, 9])
def test_several_pieces_are_as_one_after_the_other(length):
    lengths = [(b"content-length", b"%d" % length)] if length >= 0 else []
    request = Request("POST", "http://h/", lengths, b"", True)
    together, apart = Http1Client(H11Parser), Http1Client(H11Parser)
    assert together.begin(request, "/") == apart.begin(request, "/")
    pieces = [b"ab", bytearray(b"cde"), b"fghi"]
    separate = [b"".join(apart.encode(piece, True)) for piece in pieces] + [b"".join(apart.encode(b"", False))]
    assert b"".join(together.encode_many(pieces, False)) == b"".join(separate)
    assert b"".join(together.encode_many(pieces, True)) == b"".join(separate[:-1])
    chunked = b"2\r\nab\r\n3\r\ncde\r\n4\r\nfghi\r\n0\r\n\r\n"
    assert b"".join(separate) == (chunked if length < 0 else b"abcdefghi")


HEAD = b"HTTP/1.1 200 OK\r\n"
GOOD = [
    HEAD + b"Content-Length: 5\r\n\r\nhello",
    HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    HEAD + b"Content-Length: 5, 5\r\n\r\nhello",
    HEAD + b"Transfer-Encoding: Chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    HEAD + b"\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\n\r\nold",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    HEAD + b"Connection: close\r\nContent-Length: 1\r\n\r\nx",
    HEAD + b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nX: \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 600 \xe9\xff\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 999 X\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 205 Reset\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 205 Reset\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 X\r\n\r\n" + HEAD + b"\r\nx",
    b"HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + HEAD + b"\r\n",
    HEAD + b"Content-Length: 00005\r\n\r\nhello",
    HEAD + b"X:\r\nY: \t a b \t\r\nZ: \xc3\xa9\r\nContent-Length: 0\r\n\r\n",
    HEAD + b"X: 1\r\n" * 255 + b"Content-Length: 0\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n",  # spaces, as some servers send
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n0A\r\nhellohello\r\n000\r\n\r\n",
    HEAD + b'Transfer-Encoding: chunked\r\n\r\n5;a="b;c"\r\nhello\r\n0;z\r\nA: 1\r\nB:\r\n\r\n',
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
]
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
BAD = [
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/2.0 200 OK\r\n\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 2000 OK\r\n\r\n",
    HEAD + b"A: b\r\n folded\r\n\r\n",
    HEAD + b"A: b\nB: c\r\n\r\n",
    HEAD + b"A : b\r\n\r\n",
    HEAD + b": b\r\n\r\n",
    HEAD + b"A: \0\r\n\r\n",
    HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    HEAD + b"Content-Length: +5\r\n\r\nhello",
    HEAD + b"Content-Length: -5\r\n\r\n",
    HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
    HEAD + b"Content-Length: 5\r\n\r\nhel",
    HEAD + b"X: " + b"x" * 70_000,
    HEAD + b"X: 1\r\n" * 300 + b"\r\n",
    HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 100_000 + b"\r\nx\r\n0\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\n\r\n" * 200,
    b"HTTP/1.1 099 X\r\nContent-Length: 1\r\n\r\na",
    b"HTTP/1.1 000 X\r\n\r\n",
    b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.10 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1\t200 OK\r\nContent-Length: 0\r\n\r\n",
    b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
    b"HTTP/1.1 101 Other\r\n\r\n"[:9] + b"100 X\r\nContent-Length: 3\r\n\r\nabc" + HEAD + b"\r\n",
    *[HEAD + b"Content-Length:%b\r\n\r\nhello" % value for value in (b"", b" 5 6", b" 0x5", b" 5,", b" " + b"9" * 30)],
    HEAD + b"Content-Length: 5\r\nContent-Length: 05\r\n\r\nhello",
    *[HEAD + b"Transfer-Encoding:%b\r\n\r\n" % value for value in (b"", b" identity", b" chunked, chunked", b" x")],
    HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"X: a\x7fb\r\n\r\n",
    HEAD + b"X(: a\r\n\r\n",
    HEAD + b"X\xe9: a\r\n\r\n",
    HEAD + b"no colon\r\n\r\n",
    HEAD + b"X: 1\r\n" * 256 + b"Content-Length: 0\r\n\r\n",
    HEAD + b"A: b\n\nhello",
    *[CHUNKED + size + b"\r\nhello\r\n0\r\n\r\n" for size in (b"0x5", b"-5", b"", b";a", b"5 5")],
    CHUNKED + b"5\r\nhelloX0\r\n\r\n",
    CHUNKED + b"5\nhello\n0\n\n",
    *[
        CHUNKED + b"0\r\n" + trailers + b"\r\n"
        for trailers in (
            b"A: b\r\n folded\r\n",
            b"A: b\r\n folded\r\nB: c\r\n",
            b"A: b\n",
            b"A: b\nB: c\r\n",
            b"A b\r\n",
            b"A : b\r\n",
            b"Content-Length: 5\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"A: b\r\n" * 257,
            b"A: " + b"b" * 70_000 + b"\r\n",
        )
    ],
]


@pytest.mark.parametrize("data", GOOD)
@pytest.mark.parametrize("cut", [None, 1, 7])
def test_both_parsers_say_the_same(data, cut):
    whole = both(data)
    assert both(data, cut=cut) == whole
    assert "error" not in whole[0]


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_both_parsers_refuse_the_same(data):
    """And say the same before it: what was read of an answer is not lost with what comes behind it."""
    whole = both(data)
    assert whole[0][-1] == "error"
    for cut in (1, 7) if len(data) < 20_000 else ():
        assert both(data, cut=cut) == whole


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("status", [b"200 OK", b"304 Not Modified"])
def test_the_length_of_another_answer(parser, status):
    method = "HEAD" if status.startswith(b"200") else "GET"
    said, body, _ = told(parser, [b"HTTP/1.1 " + status + b"\r\nContent-Length: 500\r\n\r\n"], method, end=False)
    assert (said[0][0], body) == ("AnswerReceived", b"")


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (HEAD + b"Content-Length: 0\r\n\r\n", True),
        (HEAD + b"Content-Length: 0\r\n\r\nHTTP", False),
        (HEAD + b"Content-Length: 1\r\n\r\nxy", False),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", True),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP/1.1", False),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", False),
        (HEAD + b"Connection: Close\r\nContent-Length: 0\r\n\r\n", False),
        (HEAD + b"Connection: x, close\r\nContent-Length: 0\r\n\r\n", False),
        (HEAD + b"Connection: keep-alive\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nProxy-Connection: keep-alive\r\nContent-Length: 0\r\n\r\n", False),
        (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            False,  # RFC 9112 6.1
        ),
        (b"HTTP/1.1 103 X\r\nConnection: close\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_what_may_be_used_again(parser, data, kept):
    for cut in (1, len(data)):
        codec = Http1Client(parser)
        codec.begin(Request("GET", "http://h/"), "/")
        for start in range(0, len(data), cut):
            codec.receive(data[start : start + cut])
        assert codec.done
        assert codec.reusable is kept


chunks = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
noise = st.sampled_from([b"\r\n", b"\n", b" ", b"0", b":", b"\0", b"HTTP/1.1", b"chunked", b"5\r\n", b";x"])


@settings(max_examples=300, deadline=None)
@given(pieces=chunks, cut=st.integers(1, 50), changes=st.lists(st.tuples(st.integers(0, 400), noise), max_size=3))
def test_both_parsers_agree_on_what_chance_makes(pieces, cut, changes):
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    data = HEAD + b"Transfer-Encoding: chunked\r\nX-A: 1\r\n\r\n" + body
    for place, word in changes:
        data = data[:place] + word + data[place:]
    one, two = (
        told(parser, [data[start : start + cut] for start in range(0, len(data), cut)], end=True) for parser in PARSERS
    )
    # Where both take it, they say the same; a body that one refuses is refused by the other, if perhaps later.
    if "error" not in one[0] and "error" not in two[0]:
        assert one[:2] == two[:2]
    else:
        assert ("error" in one[0]) == ("error" in two[0])


# -- what a request looks like -----------------------------------------------------------------------------------------


def begun(method="GET", url="http://example.org:8080/a?b", headers=(), body=b"", more=False):
    codec = Http1Client(H11Parser)
    request = Request(method, url, headers, body, more)
    return (codec.begin(request, request.target) + b"".join(codec.encode(body, more))).split(b"\r\n\r\n", 1)


@pytest.mark.parametrize(
    ("options", "lines", "body"),
    [
        ({}, [b"GET /a?b HTTP/1.1", b"host: example.org:8080"], b""),
        ({"url": "https://h:443/"}, [b"GET / HTTP/1.1", b"host: h"], b""),
        ({"url": "http://unix:/s:/x"}, [b"GET /x HTTP/1.1", b"host: localhost"], b""),
        (
            {"headers": [(b"X-B", b"2"), (b"Host", b"other"), (b"X-A", b"1")]},
            [b"GET /a?b HTTP/1.1", b"x-b: 2", b"host: other", b"x-a: 1"],
            b"",
        ),
        ({"method": "OPTIONS", "url": "http://h/*"}, [b"OPTIONS * HTTP/1.1", b"host: h"], b""),
        ({"method": "CONNECT", "url": "http://h:8/"}, [b"CONNECT h:8 HTTP/1.1", b"host: h:8"], b""),
        ({"method": "CONNECT", "url": "https://h/"}, [b"CONNECT h:443 HTTP/1.1", b"host: h"], b""),
        *[
            ({"method": method, "url": "http://h/"}, [b"%b / HTTP/1.1" % method.encode(), b"host: h", *extra], b"")
            for method, extra in (
                ("POST", [b"content-length: 0"]),
                ("PUT", [b"content-length: 0"]),
                ("PATCH", [b"content-length: 0"]),
                ("DELETE", []),
                ("QUERY", []),
            )
        ],
        (
            {"method": "POST", "url": "http://h/", "body": b"abc"},
            [b"POST / HTTP/1.1", b"host: h", b"content-length: 3"],
            b"abc",
        ),
        (
            {"method": "GET", "url": "http://h/", "body": b"abc"},
            [b"GET / HTTP/1.1", b"host: h", b"content-length: 3"],
            b"abc",
        ),
        (
            {"method": "POST", "url": "http://h/", "body": b"abc", "more": True},
            [b"POST / HTTP/1.1", b"host: h", b"transfer-encoding: chunked"],
            b"3\r\nabc\r\n",
        ),
        (
            {"method": "POST", "url": "http://h/", "more": True},
            [b"POST / HTTP/1.1", b"host: h", b"transfer-encoding: chunked"],
            b"",
        ),
        (
            {"method": "POST", "url": "http://h/", "more": True, "headers": [(b"content-length", b"9")], "body": b"a"},
            [b"POST / HTTP/1.1", b"host: h", b"content-length: 9"],
            b"a",
        ),
    ],
)
def test_a_request(options, lines, body):
    head, sent = begun(**options)
    assert head.split(b"\r\n") == lines
    assert sent == body


def test_pieces_of_a_body():
    """An empty one makes no chunk, for that would end the body."""
    codec = Http1Client(H11Parser)
    codec.begin(Request("POST", "http://h/", [], b"", True), "/")
    pieces = [(b"", True), (b"ab", True), (b"", True), (b"c", False)]
    assert b"".join(b"".join(codec.encode(*piece)) for piece in pieces) == b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    codec.begin(Request("POST", "http://h/", [], b"", True), "/")
    assert b"".join(codec.encode(b"", False)) == b"0\r\n\r\n"


def test_head_and_a_first_body_leave_in_one_write(monkeypatch):
    """Up to 64 KiB, over each protocol that carries one exchange at a time."""
    written = []

    def spy(name):
        real = getattr(output, name)

        def write(fd, what):
            written.append(what)
            return real(fd, what)

        monkeypatch.setattr(output, name, write)

    spy("send")
    spy("send_many")

    async def main():
        async def handle(reader, writer):
            await reader.readexactly(65536)

        for scheme in ("http", "scgi", "fcgi"):
            async with serving(handle) as address, client.Client() as c:
                with pytest.raises(client.ClientError):
                    await c.request("POST", f"{scheme}://{address}/", body=b"b" * 65536)

    run(main())
    assert len(written) == 3


# -- Expect: 100-continue ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["100", "417", "nothing"])
def test_a_body_waits_for_100(answer, monkeypatch):
    """At most a second; a final status in its place is the answer, and then the body is not sent at all."""
    monkeypatch.setattr(carrier, "CONTINUE_WAIT", 0.1)
    got = []

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if answer == "100":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if answer == "417":
            writer.write(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        else:
            got.append(await reader.readexactly(8))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        got.append(await reader.read())

    async def main():
        for body in (b"all of it", [b"all ", b"of ", b"it"]):
            async with serving(handle) as address, client.Client() as c:
                headers = {"expect": "100-continue"}
                response = await c.request("PUT", f"http://{address}/", body=body, headers=headers)
                assert response.status == (417 if answer == "417" else 200)
                assert c.pool.open == (0 if answer == "417" else 1)

    run(main())
    sent = b"".join(got)
    assert (b"of it" in sent) == (answer != "417")
    assert got == [b"", b""] or answer != "417"
