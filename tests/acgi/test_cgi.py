"""SCGI and FastCGI: which variables a request becomes, how answers are read, what is bounded and logged."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct

import pytest

from ssgi_gateway import client
from ssgi_gateway.errors import LocalProtocolError, Overloaded, RemoteProtocolError
from ssgi_gateway.wire.client.cgi_answer import CgiAnswer
from ssgi_gateway.wire.client.cgi_request import cgi_variables
from ssgi_gateway.wire.client.events import AnswerReceived, BodyArrived, InformationalReceived
from ssgi_gateway.wire.client.fastcgi import FastcgiClient
from ssgi_gateway.wire.client.request import Request
from tests.acgi.test_messages import answering_early, record, records, run, serving


def test_several_pieces_of_a_body_are_records_one_after_the_other():
    codec = FastcgiClient()
    pieces = [b"a" * 70_000, bytearray(b"bc"), b"d"]
    separate = [b"".join(codec.encode(piece, True)) for piece in pieces]
    assert b"".join(codec.encode_many(pieces, True)) == b"".join(separate)
    assert b"".join(codec.encode_many(pieces, False)) == b"".join([*separate, *codec.encode(b"", False)])


# -- variables ---------------------------------------------------------------------------------------------------------


def variables(method="GET", url="scgi://h:1/", headers=(), body=b"", cgi=None, scgi=True):
    request = Request(method, url, headers, body, extensions={"cgi": cgi} if cgi else None)
    return cgi_variables(request, len(body), scgi)


def test_all_of_them_in_their_order():
    headers = [(b"x-a", b"1"), (b"content-type", b"text/plain"), (b"x-b", b"2")]
    assert variables("POST", "http://example.org:8080/a%20b/c?d=e%20f", headers, b"abc") == [
        (b"CONTENT_LENGTH", b"3"),
        (b"SCGI", b"1"),
        (b"REQUEST_METHOD", b"POST"),
        (b"REQUEST_URI", b"/a%20b/c?d=e%20f"),
        (b"QUERY_STRING", b"d=e%20f"),
        (b"SCRIPT_NAME", b""),
        (b"PATH_INFO", b"/a b/c"),
        (b"SERVER_PROTOCOL", b"HTTP/1.1"),
        (b"GATEWAY_INTERFACE", b"CGI/1.1"),
        (b"REQUEST_SCHEME", b"http"),
        (b"REMOTE_ADDR", b"127.0.0.1"),
        (b"REMOTE_PORT", b"0"),
        (b"SERVER_NAME", b"example.org"),
        (b"SERVER_PORT", b"8080"),
        (b"CONTENT_TYPE", b"text/plain"),
        (b"HTTP_HOST", b"example.org:8080"),
        (b"HTTP_X_A", b"1"),
        (b"HTTP_X_B", b"2"),
    ]


def test_fastcgi_has_no_variable_of_scgi():
    names = [name for name, _ in variables(scgi=False)]
    assert b"SCGI" not in names
    assert names[0] == b"CONTENT_LENGTH"


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"url": "https://h/"}, {b"REQUEST_SCHEME": b"https", b"HTTPS": b"on", b"SERVER_PORT": b"443"}),
        (
            {"url": "scgi://unix:/s:/x"},
            {b"REQUEST_SCHEME": b"http", b"SERVER_NAME": b"localhost", b"SERVER_PORT": b"80"},
        ),
        ({"cgi": {"HTTPS": "on"}}, {b"REQUEST_SCHEME": b"https", b"HTTPS": b"on"}),
        ({"cgi": {"REQUEST_SCHEME": "https"}}, {b"REQUEST_SCHEME": b"https", b"HTTPS": b"on"}),
        ({"url": "http://h/", "headers": [(b"host", b"[::1]:8")]}, {b"SERVER_NAME": b"[::1]", b"SERVER_PORT": b"8"}),
        (
            {"cgi": {"SCRIPT_FILENAME": "/a.php", "PATH_INFO": "/p"}},
            {b"SCRIPT_FILENAME": b"/a.php", b"PATH_INFO": b"/p"},
        ),
        ({"cgi": {"REMOTE_ADDR": None}}, {b"REMOTE_ADDR": None}),
        ({"cgi": {"NAME": "\u00e9"}}, {b"NAME": b"\xc3\xa9"}),
        ({"url": "http://h/%ff%2F?%41"}, {b"PATH_INFO": b"/\xff/", b"QUERY_STRING": b"%41"}),
        ({"headers": [(b"x-a", b"1"), (b"x_a", b"2"), (b"X-A", b"3")]}, {b"HTTP_X_A": b"1, 2, 3"}),
        ({"headers": [(b"x-a", bytearray(b"1")), (b"x-b", memoryview(b"2"))]}, {b"HTTP_X_A": b"1", b"HTTP_X_B": b"2"}),
        ({"headers": [(b"cookie", b"a=1"), (b"cookie", b"b=2")]}, {b"HTTP_COOKIE": b"a=1; b=2"}),
        ({"headers": [(b"connection", b"upgrade"), (b"upgrade", b"x")]}, {b"HTTP_UPGRADE": b"x"}),
    ],
)
def test_what_they_say(options, wanted):
    told = dict(variables(**options))
    assert {name: told.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    "name",
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "proxy", "proxy-authorization"],
)
def test_what_is_not_sent(name):
    headers = [(name.encode(), b"chunked")]
    told = dict(variables("POST", headers=headers, body=b"x") if name != "content-length" else ())
    assert f"HTTP_{name.upper().replace('-', '_')}".encode() not in told


# -- answers -----------------------------------------------------------------------------------------------------------


def read(data, method="GET", cut=None):
    """Statuses, headers and body of an answer; the same however it is cut."""
    answer = CgiAnswer(method)
    events = []
    cut = cut or len(data) or 1
    for start in range(0, len(data), cut):
        events += answer.receive(data[start : start + cut])
    events += answer.end()
    heads = [
        (event.status, event.headers) for event in events if isinstance(event, AnswerReceived | InformationalReceived)
    ]
    return heads, b"".join(event.data for event in events if isinstance(event, BodyArrived)), answer


@pytest.mark.parametrize("cut", [None, 1, 3])
@pytest.mark.parametrize(
    ("data", "heads", "body"),
    [
        (b"Status: 404 Not Found\r\nX: 1\r\n\r\nno", [(404, [(b"x", b"1")])], b"no"),
        (b"Status: 404\nX: 1\n\nno", [(404, [(b"x", b"1")])], b"no"),
        (b"X: 1\r\nStatus: 201\n\r\nyes", [(201, [(b"x", b"1")])], b"yes"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", [(500, [])], b""),
        (b"X: 1\r\n\r\n", [(200, [(b"x", b"1")])], b""),
        (b"Location: /a\r\n\r\n", [(302, [(b"location", b"/a")])], b""),
        (b"\r\nbody", [(200, [])], b"body"),
        (b"\nbody", [(200, [])], b"body"),
        (b"Status: 103\r\nLink: x\r\n\r\nStatus: 200\r\n\r\nb", [(103, [(b"link", b"x")]), (200, [])], b"b"),
        (
            b"Status: 200\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
            [(200, [(b"set-cookie", b"a"), (b"set-cookie", b"b")])],
            b"",
        ),
        (b"Status: 200\r\nContent-Length: 2\r\n\r\nabcd", [(200, [(b"content-length", b"2")])], b"ab"),
        (b"Status: 204\r\nContent-Length: 9\r\n\r\nabcd", [(204, [(b"content-length", b"9")])], b""),
    ],
)
def test_an_answer(data, heads, body, cut):
    assert read(data, cut=cut)[:2] == (heads, body)


@pytest.mark.parametrize("cut", [None, 1])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Status: 200",
        b"Status: 2000\r\n\r\n",
        b"Status: OK\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"<html>\r\n\r\n",
        b"X : 1\r\n\r\n",
        b": 1\r\n\r\n",
        b"X: a\rb\r\n\r\n",
        b"X: a\0b\r\n\r\n",
        b"X: 1\r\n folded\r\n\r\n",
        b"Content-Length: x\r\n\r\n",
        b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"Content-Length: 3\r\n\r\nab",
        b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        b"X: 1\r\n" * 300 + b"\r\n",
        b"Status: 103\r\n\r\n" * 200,
    ],
    ids=lambda data: str(data[:20]),
)
def test_no_answer(data, cut):
    with pytest.raises(RemoteProtocolError):
        read(data, cut=cut)


@pytest.mark.parametrize("end", [record(3, bytes(8)), b"\xff" * 8], ids=["without an answer", "no record"])
def test_what_an_application_wrote_to_stderr_is_logged_when_it_fails(end, caplog):
    """It may be all that says why."""

    async def main():
        answer = record(7, b"no module named app\n") + end
        async with serving(answering_early("fcgi", answer)) as address, client.Client() as c:
            with pytest.raises(RemoteProtocolError):
                await c.request("GET", f"fcgi://{address}/")
        return address

    with caplog.at_level(logging.WARNING, "ssgi_gateway.client"):
        address = run(main())
    assert [one.getMessage() for one in caplog.records] == [f"STDERR of {address}: no module named app"]


@pytest.mark.parametrize("kind", ["scgi", "fcgi"])
def test_a_body_that_is_too_long_is_cut_and_logged(kind, caplog):
    async def main():
        answer = b"Status: 200\r\nContent-Length: 2\r\n\r\nabcd"
        if kind == "fcgi":
            answer = record(6, answer) + record(3, bytes(8))

        async with serving(answering_early(kind, answer)) as address, client.Client() as c:
            assert await (await c.request("GET", f"{kind}://{address}/")).read() == b"ab"

    with caplog.at_level(logging.WARNING, "ssgi_gateway.client"):
        run(main())
    [line] = [one.getMessage() for one in caplog.records]
    assert "2 bytes longer than its Content-Length" in line


# -- SCGI --------------------------------------------------------------------------------------------------------------


async def echo(reader, writer):
    """An SCGI application that says which length it was told, and how long the body is."""
    size = int((await reader.readuntil(b":"))[:-1])
    block = (await reader.readexactly(size + 1))[:-1].split(b"\0")
    length = int(block[1])
    got = len(await reader.readexactly(length))
    writer.write(b"Status: 200\r\n\r\n%b=%d" % (block[1], got))


def test_a_body_without_a_length_is_collected(monkeypatch):
    """In memory first and then in a file, and up to a bound; a cancelled one leaves no file open."""

    async def pieces(count):
        for _ in range(count):
            yield bytes(100_000)
            await asyncio.sleep(0)

    async def main():
        before = len(os.listdir("/proc/self/fd"))
        limits = client.Limits(max_collected_body=3_000_000)
        async with serving(echo) as address, client.Client(limits=limits) as c:
            url = f"scgi://{address}/"
            for count in (0, 1, 20, 30):
                said = await (await c.request("POST", url, body=pieces(count))).read()
                assert said == b"%d=%d" % (count * 100_000, count * 100_000)
            with pytest.raises(LocalProtocolError, match="SCGI wants the length first; send content-length"):
                await c.request("POST", url, body=pieces(31))
            asked = asyncio.ensure_future(c.request("POST", url, body=pieces(25)))
            for _ in range(20):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            assert c.pool.open == 0
        assert len(os.listdir("/proc/self/fd")) == before

    run(main())


@pytest.mark.parametrize("end", ["open", "reset"])
def test_an_answer_is_complete_with_its_length(end):
    """Whether the program closes the connection or not, as it is behind nginx."""

    async def main():
        async def handle(reader, writer):
            writer.write(b"Status: 200\r\nContent-Length: 5\r\n\r\nhello")
            if end == "open":
                await reader.read()
                await reader.read()
                return
            await reader.read(10)
            opened = writer.get_extra_info("socket")
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

        async with serving(handle) as address, client.Client() as c:
            response = await c.request("GET", f"scgi://{address}/")
            assert await response.read() == b"hello"
            assert c.pool.open == 0

    run(main())


@pytest.mark.parametrize("target", ["/a%00HTTPS%00on", "/%00", "/a%00?q"])
def test_a_path_cannot_bring_variables_of_its_own(target):
    """A NUL ends a variable of SCGI; in a query it stays encoded, and FastCGI has lengths."""

    async def main():
        asked = []

        async def handle(reader, writer):
            asked.append(await reader.read(65536))
            writer.write(b"Status: 204\r\n\r\n")

        async with serving(handle) as address, client.Client() as c:
            with pytest.raises(LocalProtocolError, match="a NUL in the path"):
                await c.request("GET", f"scgi://{address}{target}")
            async with c.exchange() as (_, send):
                with pytest.raises(LocalProtocolError, match="a NUL in the path"):
                    await send({"type": "http.request", "method": "GET", "url": f"scgi://{address}{target}"})
            assert not asked
            assert (await c.request("GET", f"scgi://{address}/a?b=%00")).status == 204
        assert b"QUERY_STRING\0b=%00\0" in asked[0]

    run(main())


# -- FastCGI -----------------------------------------------------------------------------------------------------------


def test_records_of_a_request():
    """BEGIN_REQUEST as a responder that keeps the connection, PARAMS, STDIN of 65,535 bytes at most."""
    codec = FastcgiClient()
    begun = codec.begin(Request("POST", "http://h/", [], b"", True), -1)
    sent = begun + b"".join(map(bytes, codec.encode(bytes(200_000), False)))
    told = records(sent)
    sizes = [len(content) for kind, content in told if kind == 5]
    assert (sum(sizes), sizes[-1], max(sizes) <= 65535) == (200_000, 0, True)
    assert all(sizes[:-1])
    assert told[0][1] == bytes((0, 1, 1, 0, 0, 0, 0, 0))
    assert [kind for kind, content in told if kind == 4 and not content] == [4]
    assert b"CONTENT_LENGTH" not in begun


def test_stderr_is_bounded():
    codec = FastcgiClient()
    codec.begin(Request("GET", "http://h/"), 0)
    for _ in range(3):
        assert codec.receive(record(7, b"e" * 60_000)) == []
    head, ended = codec.receive(record(6, b"Status: 204\r\n\r\n") + record(3, bytes(8)))
    assert (head.status, head.more) == (204, True)
    assert len(ended.stderr) == 65536


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (record(3, bytes((0, 0, 0, 0, 1, 0, 0, 0))), RemoteProtocolError),
        (record(3, bytes((0, 0, 0, 0, 2, 0, 0, 0))), Overloaded),
        (record(3, bytes((0, 0, 0, 0, 3, 0, 0, 0))), RemoteProtocolError),
        (record(3, bytes((0, 0, 0, 0, 9, 0, 0, 0))), RemoteProtocolError),
        (record(3, bytes(3)), RemoteProtocolError),
        (record(3, bytes(8)), RemoteProtocolError),
        (record(6, b"Status: 200\r\nContent-Length: 3\r\n\r\nab") + record(3, bytes(8)), RemoteProtocolError),
        (bytes((2,)) + record(6, b"")[1:], RemoteProtocolError),
        (b"", RemoteProtocolError),
    ],
)
def test_what_is_no_answer(data, error):
    codec = FastcgiClient()
    codec.begin(Request("GET", "http://h/"), 0)
    with pytest.raises(error) as raised:
        codec.receive(data)
    assert raised.value.retryable == (error is Overloaded)


def test_what_is_dropped():
    """Unknown types, and records of other requests; also between two requests."""
    codec = FastcgiClient()
    other = record(6, b"Status: 500\r\n\r\n", 2) + record(200, b"x" * 100) + record(3, bytes(8), 7)
    for _ in range(2):
        codec.begin(Request("GET", "http://h/"), 0)
        events = codec.receive(other + record(6, b"Status: 200\r\n\r\nok") + other + record(3, bytes(8)) + other)
        assert [type(event).__name__ for event in events] == ["AnswerReceived", "BodyArrived", "AnswerEnded"]


def test_a_padded_record_however_it_is_cut():
    data = (
        b"\1\6\0\1\0\x12\x05\0Status: 200\r\n\r\nabc.....\1\6\0\1\0\3\0\0def\1\6\0\1\0\0\3\0...\1\3\0\1\0\x08\0\0"
        + bytes(8)
    )
    for cut in range(1, len(data)):
        codec = FastcgiClient()
        codec.begin(Request("GET", "http://h/"), 0)
        events = [event for start in range(0, len(data), cut) for event in codec.receive(data[start : start + cut])]
        assert b"".join(event.data for event in events if isinstance(event, BodyArrived)) == b"abcdef"
        assert codec.done


def answers():
    """Whole answers that look alike, and some that only look whole."""
    plain = b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nhello"
    ended = record(3, bytes(8))
    padded = b"\1\6\0\1" + len(plain).to_bytes(2, "big") + b"\3\0" + plain + b"pad"
    return {
        "one record": record(6, plain) + ended,
        "an empty one behind it": record(6, plain) + record(6, b"") + ended,
        "padded": padded + ended,
        "padded, an empty one behind it": padded + record(6, b"") + ended,
        "two": record(6, plain[:30]) + record(6, plain[30:]) + ended,
        "stderr behind it": record(6, plain) + record(7, b"words") + ended,
        "eight bytes of another kind behind it": record(6, plain) + record(7, b"") + ended,
        "a status of its own": record(6, plain) + record(3, b"\0\0\0\7" + bytes(4)),
        "no body": record(6, b"Status: 204 No Content\r\n\r\n") + ended,
        "interim": record(6, b"Status: 103\r\n\r\n" + plain) + ended,
        "a tunnel": record(6, b"Status: 101\r\n\r\n") + ended,
        "too long": record(6, b"Content-Length: 2\r\n\r\nhello") + ended,
        "too short": record(6, b"Content-Length: 9\r\n\r\nhello") + ended,
        "no head": record(6, b"hello") + ended,
        "nothing": ended,
        "an empty record": record(6, b"") + ended,
        "the end inside of a record": record(6, plain + ended) + ended,
        "a second answer": record(6, plain) + ended + record(6, plain) + ended,
    }


@pytest.mark.parametrize("name", answers())
def test_an_answer_that_comes_at_once_is_the_same_as_one_that_is_cut(name):
    data = answers()[name]
    request = Request("GET", "fcgi://h:1/", [])

    def told(pieces):
        codec = FastcgiClient()
        codec.begin(request, 0)
        events = []
        error = None
        try:
            for piece in pieces:
                events += codec.receive(piece)
        except RemoteProtocolError as raised:
            error = str(raised)
            events += raised.events
        said = []
        for event in events:
            if type(event) is BodyArrived and said and said[-1][0] is BodyArrived:
                said[-1][1]["data"] += event.data
            else:
                said.append((type(event), {key: getattr(event, key) for key in event.__slots__}))
        return said, error, codec.reusable, codec.answer.surplus

    assert told([data]) == told([data[at : at + 1] for at in range(len(data))])


def test_an_aborted_request_leaves_the_connection_if_it_ends_in_time():
    async def main():
        async def handle(reader, writer):
            opened.append(writer)
            await reader.readuntil(b"\1\5\0\1\0\0\0\0")
            writer.write(record(6, b"Status: 200\r\n\r\nfirst"))
            while not (await reader.readexactly(8)).startswith(b"\1\2"):
                pass
            writer.write(record(6, b"late") + record(3, bytes(8)))
            await reader.readuntil(b"\1\5\0\1\0\0\0\0")
            writer.write(record(6, b"Status: 200\r\n\r\nsecond") + record(3, bytes(8)))
            await reader.read()

        opened = []
        async with serving(handle) as address, client.Client() as c:
            url = f"fcgi://{address}/"
            async with c.stream("GET", url) as response:
                assert await response.piece() == b"first"
            [carrier] = c.pool.busy
            assert carrier.room == 0
            while not c.pool.idle:  # noqa: ASYNC110 - the peer's doing
                await asyncio.sleep(0)
            assert await (await c.request("GET", url)).read() == b"second"
            assert len(opened) == 1

    run(main())
