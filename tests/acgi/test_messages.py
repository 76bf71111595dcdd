"""ACGI's messages, row by row of the table in docs/client.md; and what an application gets wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from urllib.parse import urlparse

import pytest

from ssgi_gateway import client
from ssgi_gateway.errors import LocalProtocolError
from tests.acgi.servers import handlers_ended

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = {"type": "http.request", "method": "GET"}
POST = {"type": "http.request", "method": "POST"}


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, 30))


@contextlib.asynccontextmanager
async def serving(handle):
    """A server whose connections are handled by a coroutine ``handle(reader, writer)``; gives its address."""

    async def handle_one(reader, writer):
        try:
            await handle(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle_one, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await handlers_ended()
        server.close()


def answering(*answers, heads=None):
    """A handler that answers one request after the other, and then waits for the client to leave."""

    async def handle(reader, writer):
        for answer in answers:
            head = await reader.readuntil(b"\r\n\r\n")
            if heads is not None:
                heads.append(head)
            writer.write(answer)
        await reader.read()

    return handle


def answering_early(kind, answer, most=65536):
    """A handler that reads once, answers, and then waits for the client to leave; over SCGI the end is the answer's."""

    async def handle(reader, writer):
        await reader.read(most)
        writer.write(answer)
        await writer.drain()
        if kind == "scgi":
            writer.write_eof()
        await reader.read()

    return handle


async def until(receive, *kinds):
    """Messages up to the first of these types."""
    told = []
    while not told or told[-1]["type"] not in kinds:
        told.append(await receive())
    return told


async def whole(receive):
    """The messages of one answer, to its end or a disconnect."""
    told = []
    while True:
        told.append(message := await receive())
        if message["type"].endswith("disconnect"):
            return told
        if message["type"] in ("http.response", "http.response.body") and not message["more_body"]:
            return told


@pytest.mark.parametrize("form", ["text", "parsed", "parts"])
def test_a_url_has_three_forms(form):
    async def main():
        heads = []
        async with serving(answering(OK, heads=heads)) as address, client.Client() as c:
            url = f"http://{address}/a?b=c"
            said = {
                "text": {"url": url},
                "parsed": {"url": urlparse(url)},
                "parts": {"scheme": "http", "host": address, "path": "/a?b=c"},
            }[form]

            async def app(receive, send):
                await send({**GET, **said})
                return (await whole(receive))[1]["status_code"]

            assert await c.run(app) == 200
        assert heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\nhost: 127.0.0.1:")

    run(main())


def test_keys_that_nobody_knows_are_ignored():
    async def main():
        async with serving(answering(OK)) as address, client.Client() as c, c.exchange() as (_, send):
            await send({**GET, "url": f"http://{address}/", "priority": 7, "extensions": {"x": 1}})
            await send({"type": "http.stream.disconnect", "stream_id": None, "why": "no reason"})

    run(main())


def test_what_is_reported_of_the_connection(web):
    """Which protocol, for the first time or again, with whom, secured how; as soon as the head has been written."""

    async def main():
        async with client.Client(tls=client.TLS(ca=str(web.certificate))) as c:
            for version, url in (("h11", f"http://{web.plain}/"), ("h2", f"https://{web.secure}/")):
                for reused in (False, True):
                    async with c.exchange() as (receive, send):
                        await send({**GET, "url": url})
                        [connection, response, *_] = await whole(receive)
                    assert connection["type"] == "http.response.connection"
                    assert (connection["http_version"], connection["reused"]) == (version, reused)
                    assert connection["remote"] == url.split("/")[2]
                    assert (connection["stream_id"] is None) == (version == "h11")
                    if version == "h2":
                        assert connection["tls"]["version"] in ("TLSv1.2", "TLSv1.3")
                        assert response["stream_id"] == connection["stream_id"] == (3 if reused else 1)
                    else:
                        assert connection["tls"] is None

    run(main())


def test_the_connection_is_reported_before_the_body_is_complete():
    async def main():
        async with serving(answering(b"")) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**POST, "url": f"http://{address}/", "body": b"a", "more_body": True})
            assert (await receive())["type"] == "http.response.connection"

    run(main())


@pytest.mark.parametrize("wanted", [True, False])
def test_interim_answers_come_where_they_are_enabled(wanted):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

    async def main():
        extensions = {"http.response.informational": {}} if wanted else {}
        async with serving(answering(early * 2 + OK)) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**GET, "url": f"http://{address}/", "extensions": extensions})
            told = [message for message in await whole(receive) if "informational" in message["type"]]
            assert [(one["status_code"], one["headers"]) for one in told] == [(103, [(b"link", b"</a.css>")])] * len(
                told
            )
            assert len(told) == 2 * wanted

    run(main())


def test_the_body_as_a_generator():
    async def main():
        chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
        async with serving(answering(chunked, OK)) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**GET, "url": f"http://{address}/"})
            *_, response = await until(receive, "http.response")
            assert response["acgi"] == {"version": "1.0"}
            assert b"".join([piece async for piece in response["body"]]) == b"abc"
            # The next request is not told of what the generator has read.
            await send({**GET, "url": f"http://{address}/"})
            assert [message["type"] for message in await whole(receive)] == [
                "http.response.connection",
                "http.response",
                "http.response.body",
                "http.response.body",
            ]

    run(main())


def test_a_generator_raises_where_the_body_is_cut_short():
    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab")

        async with serving(handle) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**GET, "url": f"http://{address}/"})
            *_, response = await until(receive, "http.response")
            assert await anext(response["body"]) == b"ab"
            with pytest.raises(client.RemoteProtocolError):
                await anext(response["body"])

    run(main())


def test_trailers_come_with_the_last_message():
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"

    async def main():
        async with serving(answering(answer)) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**GET, "url": f"http://{address}/"})
            assert (await whole(receive))[-1]["trailers"] == [(b"x-sum", b"1"), (b"x-sum", b"2")]

    run(main())


# -- tunnels -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "CONNECT"])
def test_a_tunnel_is_closed_one_way_first(method):
    """After a 101, or a 2xx to CONNECT: bytes both ways; ``more_data`` False closes this side's way only."""
    answer = b"HTTP/1.1 200 Fine\r\n\r\n" if method == "CONNECT" else b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"
    heads = []

    async def handle(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer + b"first")
        assert await reader.read() == b"to the end"
        writer.write(b"last")

    async def main():
        headers = [] if method == "CONNECT" else [(b"connection", b"upgrade"), (b"upgrade", b"x")]
        async with serving(handle) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({"type": "http.request", "method": method, "url": f"http://{address}/", "headers": headers})
            *_, response = await until(receive, "http.response")
            assert response["more_body"] is False
            await send({"type": "http.stream.data", "data": b"to the ", "stream_id": None})
            await send({"type": "http.stream.data", "data": b"end", "more_data": False, "stream_id": None})
            told = await until(receive, "http.stream.disconnect")
            assert b"".join(message["data"] for message in told[:-1]) == b"firstlast"
            assert (told[-1]["error"], told[-1]["reason"]) == (None, "")
            assert c.pool.open == 0
        if method == "CONNECT":
            assert heads[0].startswith(b"CONNECT " + address.encode() + b" HTTP/1.1\r\n")

    run(main())


def test_no_bytes_before_a_tunnel_is_open():
    async def main():
        async with serving(answering(b"")) as address, client.Client() as c, c.exchange() as (_, send):
            await send({**GET, "url": f"http://{address}/"})
            with pytest.raises(LocalProtocolError, match="before a 101"):
                await send({"type": "http.stream.data", "data": b"x", "stream_id": None})

    run(main())


# -- what an application gets wrong ------------------------------------------------------------------------------------

WRONG = {
    "no message": None,
    "no type": {"url": "http://h/"},
    "an unknown type": {"type": "http.response"},
    "no url": {**GET},
    "a url of another type": {**GET, "url": 7},
    "no method": {"type": "http.request", "url": "http://h/"},
    "a method of another type": {"type": "http.request", "url": "http://h/", "method": b"GET"},
    "headers that are no pairs": {**GET, "url": "http://h/", "headers": [b"x"]},
    "headers of text": {**GET, "url": "http://h/", "headers": [("x", "1")]},
    "CR in a value": {**GET, "url": "http://h/", "headers": [(b"x", b"a\rb")]},
    "LF in a value": {**GET, "url": "http://h/", "headers": [(b"x", b"a\nb")]},
    "NUL in a value": {**GET, "url": "http://h/", "headers": [(b"x", b"a\0b")]},
    "a bad name": {**GET, "url": "http://h/", "headers": [(b"x:", b"1")]},
    "an empty name": {**GET, "url": "http://h/", "headers": [(b"", b"1")]},
    "a body of text": {**POST, "url": "http://h/", "body": "text"},
    "more_body of another type": {**POST, "url": "http://h/", "more_body": 1},
    "extensions of another type": {**GET, "url": "http://h/", "extensions": []},
    "a length that differs": {**POST, "url": "http://h/", "headers": [(b"content-length", b"3")], "body": b"ab"},
    "a length and a coding": {
        **POST,
        "url": "http://h/",
        "headers": [(b"content-length", b"2"), (b"transfer-encoding", b"chunked")],
        "body": b"ab",
    },
    "a body before its request": {"type": "http.request.body", "body": b"x"},
    "bytes before a request": {"type": "http.stream.data", "data": b"x"},
    "variables that are none": {**GET, "url": "scgi://h:1/", "extensions": {"cgi": ["x"]}},
    "a variable of another type": {**GET, "url": "scgi://h:1/", "extensions": {"cgi": {"X": 7}}},
    "a variable with NUL": {**GET, "url": "scgi://h:1/", "extensions": {"cgi": {"X": "a\0b"}}},
    "a variable without a name": {**GET, "url": "scgi://h:1/", "extensions": {"cgi": {"": "a"}}},
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_message_is_refused_before_anything_is_written(what):
    async def main():
        async with client.Client() as c, c.exchange() as (_, send):
            with pytest.raises(LocalProtocolError) as raised:
                await send(WRONG[what])
            assert str(raised.value)
            assert c.pool.open == 0
            assert not c.pool.places

    run(main())


def test_a_wrong_message_in_the_middle_of_a_request():
    async def main():
        heads = []
        async with serving(answering(b"", heads=heads)) as address, client.Client() as c, c.exchange() as (_, send):
            url = f"http://{address}/"
            headers = [(b"content-length", b"4")]
            await send({**POST, "url": url, "headers": headers, "body": b"ab", "more_body": True})
            with pytest.raises(LocalProtocolError, match="a second"):
                await send({**GET, "url": url})
            for wrong in ({"body": b"cde"}, {"body": b"c"}, {"body": "cd"}, {"body": b"cd", "more_body": None}):
                with pytest.raises(LocalProtocolError):
                    await send({"type": "http.request.body", **wrong})
            await send({"type": "http.request.body", "body": b"cd"})
            with pytest.raises(LocalProtocolError, match="complete"):
                await send({"type": "http.request.body", "body": b"e"})

    run(main())


def test_after_the_end_nothing_that_is_sent_has_an_effect():
    async def main():
        for answer in (OK, b"garbage"):
            async with serving(answering(answer)) as address, client.Client() as c, c.exchange() as (receive, send):
                await send({**POST, "url": f"http://{address}/", "more_body": True})
                await whole(receive)
                await send({"type": "http.request.body", "body": b"x", "more_body": True})
                await send({"type": "http.request.body", "body": b"", "more_body": False})
                await send({"type": "http.stream.disconnect"})
                await send({"type": "http.disconnect"})

    run(main())


# -- flow control, early answers, leaving ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["http", "scgi", "fcgi"])
def test_send_returns_when_the_bytes_were_taken(kind):
    """A peer that reads nothing keeps the application waiting, and this process small."""

    async def main():
        may_read = asyncio.Event()
        got = bytearray()

        async def handle(reader, writer):
            writer.transport.pause_reading()
            await may_read.wait()
            writer.transport.resume_reading()
            got.extend(await reader.read())

        async with serving(handle) as address, client.Client() as c, c.exchange() as (_, send):
            size = 64 << 20
            headers = [(b"content-length", b"%d" % size)]
            await send({**POST, "url": f"{kind}://{address}/", "headers": headers, "more_body": True})
            sending = asyncio.ensure_future(send({"type": "http.request.body", "body": bytes(size)}))
            assert not (await asyncio.wait([sending], timeout=0.2))[0]
            [carrier] = c.pool.busy
            assert 0 < carrier.stream.out_size <= size
            may_read.set()
            await sending
            await send({"type": "http.disconnect"})
        assert len(got) >= size - (1 << 20)

    run(main())


@pytest.mark.parametrize("kind", ["http", "scgi", "fcgi"])
def test_an_answer_before_the_request_is_complete(kind):
    """It is delivered at once, and the connection is not used again."""
    head = b"Content-Length: 2\r\n\r\nno"
    answer = {"http": b"HTTP/1.1 413 Large\r\n" + head, "scgi": b"Status: 413\r\n" + head}.get(kind) or (
        record(6, b"Status: 413\r\n" + head) + record(3, bytes(8))
    )

    async def main():
        handle = answering_early(kind, answer, 1)
        async with serving(handle) as address, client.Client() as c, c.exchange() as (receive, send):
            headers = [(b"content-length", b"100")]
            await send({**POST, "url": f"{kind}://{address}/", "headers": headers, "body": b"a", "more_body": True})
            told = await whole(receive)
            assert [one["status_code"] for one in told if "status_code" in one] == [413]
            assert b"".join(one.get("body", b"") for one in told if one["type"].endswith("body")) == b"no"
            assert c.pool.open == 0
            await send({"type": "http.request.body", "body": b"b", "more_body": True})

    run(main())


def record(kind, content, request_id=1):
    return struct.pack(">BBHHxx", 1, kind, request_id, len(content)) + content


def records(data):
    """Types and contents of FastCGI records."""
    told = []
    while len(data) >= 8:
        _, kind, _, size, padding = struct.unpack_from(">BBHHBx", data)
        told.append((kind, data[8 : 8 + size]))
        data = data[8 + size + padding :]
    return told


@pytest.mark.parametrize("how", ["disconnect", "cancel"])
@pytest.mark.parametrize("kind", ["http", "scgi", "fcgi"])
def test_an_upload_that_was_given_up_never_looks_complete(kind, how):
    async def main():
        seen = asyncio.get_running_loop().create_future()

        async def handle(reader, writer):
            seen.set_result(await reader.read())

        begun = asyncio.Event()

        async def app(receive, send):
            headers = [(b"content-length", b"100")] if kind == "scgi" else []
            await send({**POST, "url": f"{kind}://{address}/", "headers": headers, "body": b"abc", "more_body": True})
            begun.set()
            await (send({"type": "http.disconnect"}) if how == "disconnect" else asyncio.sleep(60))

        async with serving(handle) as address, client.Client() as c:
            running = asyncio.ensure_future(c.run(app))
            await begun.wait()
            if how == "cancel":
                running.cancel()
            await asyncio.wait([running])
            data = await seen  # the connection ends: at once, or when END_REQUEST has not come for a second
            assert c.pool.open == 0
        if kind == "fcgi":
            told = records(data)
            assert [content for number, content in told if number == 5] == [b"abc"]
            assert told[-1][0] == 2  # ABORT_REQUEST
        else:
            assert data.endswith(b"3\r\nabc\r\n" if kind == "http" else b",abc")

    run(main())


def test_in_a_connection_requests_follow_each_other():
    async def main():
        heads = []
        may_answer = asyncio.Event()

        async def handle(reader, writer):
            for _ in range(2):
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await may_answer.wait()
                writer.write(OK)
            await reader.read()

        async with serving(handle) as address, client.Client() as c:
            async with c.connection(f"http://{address}/") as (receive, send):
                await send({**GET, "url": f"http://{address}/1"})
                second = asyncio.ensure_future(send({**GET, "url": f"http://{address}/2"}))
                assert (await receive())["type"] == "http.response.connection"
                assert not second.done()
                may_answer.set()
                first = await whole(receive)
                await second
                assert (await receive())["reused"] is True
                again = await whole(receive)
                assert [one["type"] for one in first] == [one["type"] for one in again]
                assert [one.get("status_code") for one in first] == [one.get("status_code") for one in again]
                assert c.pool.open == 1
            assert c.pool.open == 0
        assert [head.split()[1] for head in heads] == [b"/1", b"/2"]

    run(main())


def test_a_reset_is_a_class_of_the_system():
    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()

        async with serving(handle) as address, client.Client() as c, c.exchange() as (receive, send):
            await send({**GET, "url": f"http://{address}/"})
            [*_, last] = await whole(receive)
            assert (last["error"], last["retryable"]) == ("ConnectionResetError", False)
            assert isinstance(last["exception"], ConnectionResetError)
            assert last["reason"]

    run(main())
