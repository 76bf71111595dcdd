"""HTTP/1.1's pure codec: the same events from both parsers for the same bytes, in any cut; and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.client.http1 import Http1Client
from ssgi_gateway.wire.client.http1_parsers import H11Parser, HttptoolsParser
from ssgi_gateway.wire.client.request import Request

PARSERS = [H11Parser, HttptoolsParser]


def told(parser, pieces, method="GET", end=True):
    """What the codec says of these bytes, bodies joined; an error by its class."""
    codec = Http1Client(parser)
    codec.begin(Request(method, "http://h/"), "/")
    said = []
    body = b""
    try:
        for piece in [*pieces, *([b""] if end else [])]:
            if codec.done and not piece:
                break
            for event in codec.receive(piece):
                if type(event).__name__ == "BodyArrived":
                    body += event.data
                else:
                    said.append((type(event).__name__, *[getattr(event, name) for name in sorted(event.__slots__)]))
    except RemoteProtocolError:
        said.append("error")
    return said, body, codec.keep


def both(data, method="GET", cut=None, end=True):
    pieces = [data] if cut is None else [data[start : start + cut] for start in range(0, len(data), cut)]
    one, two = (told(parser, pieces, method, end) for parser in PARSERS)
    assert one == two
    return one


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
]
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
]


@pytest.mark.parametrize("data", GOOD)
@pytest.mark.parametrize("cut", [None, 1, 7])
def test_both_parsers_say_the_same(data, cut):
    whole = both(data)
    assert both(data, cut=cut) == whole
    assert "error" not in whole[0]


@pytest.mark.parametrize("data", BAD, ids=range(len(BAD)))
def test_both_parsers_refuse_the_same(data):
    assert both(data)[0][-1] == "error"


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
