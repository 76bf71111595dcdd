"""Requests over SCGI, FastCGI and the direct port: whole conversations over real sockets, from both sides."""

from __future__ import annotations

import asyncio
import hashlib
import logging

import pytest

from ssgi_gateway.server.acceptor import MAX_REFUSED, REFUSAL_TIME
from ssgi_gateway.server.reactor import SWEEP
from tests.loops import settle, until
from tests.unit.core.talk import data_of
from tests.unit.server.peer import BIG, ROOM, UPGRADE, bench, request, split_answer
from tests.unit.server.requests import (
    ABORT_REQUEST,
    DATA,
    HELLO,
    POST,
    STDIN,
    App,
    echo,
    ended,
    fastcgi,
    fastcgi_answer,
    hello,
    stdout,
)
from tests.unit.wire.fastcgi_front import begin, params, record

# -- the eager path ------------------------------------------------------------------------------------------------


async def test_scgi_read_answer_close_in_one_turn():
    with bench(hello) as b:
        _, peer = b.connect("scgi", request())
        assert peer.take() == HELLO
        assert peer.ended
        assert b.idle


async def test_fastcgi_read_and_answer_in_one_turn_and_close_once_the_peer_has():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi", fastcgi(kept=False))
        records = peer.take()
        assert peer.ended
        assert stdout(records) == HELLO
        assert ended(records)
        peer.close()
        await until(lambda: b.idle)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_a_record_behind_the_end_of_a_request_costs_nobody_its_answer(kind):
    """flup ends FCGI_DATA too, which a responder has not (6.2). A closed connection would answer that with a reset."""
    with bench(lambda *args: args[-1].send(BIG)) as b:
        _, peer = b.connect("fastcgi", fastcgi(kept=False), kind=kind)
        for _ in range(3):
            await settle()
            peer.send(record(DATA))
        records = await peer.read_all()
        assert stdout(records).endswith(BIG)
        assert ended(records)


async def test_a_body_that_came_with_the_head_is_there_when_the_application_reads():
    with bench(echo) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"hello"))
        assert await peer.read_all() == HELLO
        assert b.idle


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_bad_inputs_20_one_byte_a_write_gives_the_same(protocol):
    wire = request("POST", "/", b"hello") if protocol == "scgi" else fastcgi(b"hel", b"lo", variables=POST, kept=False)
    with bench(echo) as b:
        _, peer = b.connect(protocol)
        for index in range(len(wire)):
            peer.send(wire[index : index + 1])
            await settle()
        answer = await peer.read_all()
        assert (answer if protocol == "scgi" else stdout(answer)) == HELLO


async def test_the_application_is_called_when_the_head_is_there_and_before_the_body_is():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"he", length=5))
        res = await app.called()
        reading = asyncio.ensure_future(res.get_data())
        await settle()
        assert not reading.done()
        peer.send(b"llo")
        assert data_of(await reading) == b"hello"
        app.answer()
        assert await peer.read_all() == HELLO


async def test_pieces_go_out_as_the_application_sends_them():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("scgi", request())
        res = await app.called()
        res.send("one", True)
        assert await peer.read() == b"Status: 200 OK\r\n\r\none"
        res.send("two", True)
        assert await peer.read() == b"two"
        app.answer("three")
        assert await peer.read_all() == b"three"


async def test_extensions_say_what_carried_the_request():
    said = []

    def app(*args):
        said.append((args[-1].extensions["protocol"], args[-1].extensions["state"] is b.gateway.state))
        args[-1].send()

    with bench(app) as b:
        b.connect("scgi", request())
        b.connect("fastcgi", fastcgi())
        assert said == [("scgi", True), ("fastcgi", True)]


# -- bad requests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_bad_inputs_03_no_scgi_is_closed_with_one_line_that_names_what_and_where_from(kind, caplog):
    with bench(hello) as b:
        _, peer = b.connect("scgi", b"hello", kind=kind)
        where = peer.socket.getsockname() if kind == "tcp" else None
        assert await peer.read_all() == b""
        (line,) = caplog.messages
        origin = f"scgi from {where[0]}:{where[1]}: " if where else "scgi: "
        assert line == f"{origin}the byte b'h' in the length of the head"


async def test_bad_inputs_01_connect_and_close_is_silent(caplog):
    with bench(hello) as b:
        for protocol in ("scgi", "fastcgi", "websocket"):
            _, peer = b.connect(protocol)
            peer.close()
        await until(lambda: b.idle)
        assert caplog.messages == []


async def test_bad_inputs_02_a_head_that_ends_too_soon_is_closed(caplog):
    with bench(hello) as b:
        _, peer = b.connect("scgi", b"7")
        peer.shutdown()
        assert await peer.read_all() == b""
        assert len(caplog.messages) == 1


async def test_bad_inputs_12_what_is_framed_well_and_cannot_be_served_is_answered():
    with bench(hello) as b:
        block = b"SCGI\x001\x00REQUEST_METHOD\x00GET\x00"
        _, peer = b.connect("scgi", b"%d:%b," % (len(block), block))
        status, headers, body = split_answer(await peer.read_all())
        assert status == "Status: 400 Bad Request"
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert b"CONTENT_LENGTH is missing" in body
        assert headers["content-length"] == str(len(body))


async def test_bad_inputs_54_a_path_with_nul_is_400_and_calls_nobody():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("scgi", request("GET", "/%00"))
        assert split_answer(await peer.read_all())[0] == "Status: 400 Bad Request"
        assert app.calls == []


async def test_what_the_application_does_not_serve_is_404():
    with bench(None, hello) as b:
        _, peer = b.connect("scgi", request())
        assert split_answer(await peer.read_all())[0] == "Status: 404 Not Found"


async def test_bad_inputs_49_a_refusal_on_a_kept_fastcgi_connection_arrives_whole():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi", fastcgi(variables={b"REQUEST_URI": b"/"}))
        assert (await fastcgi_answer(peer)).partition(b"\r\n\r\n")[0].endswith(b"Status: 400 Bad Request")
        peer.send(fastcgi())  # nginx may have begun it before it sees the refusal
        assert await fastcgi_answer(peer) == HELLO


# -- bodies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_an_upload_of_which_nobody_reads_makes_the_peer_wait(protocol):
    app = App()
    with bench(app, flow=(65536, 1024)) as b:
        wire = request("POST", "/", length=100_000_000) if protocol == "scgi" else begin() + params(POST)
        connection, peer = b.connect(protocol, wire, room=ROOM)
        await app.called()
        piece = bytes(32768) if protocol == "scgi" else record(STDIN, content=bytes(32760))
        sent = 0
        for _ in range(1000):
            sent += peer.send_some(piece[sent % len(piece) :])
            await settle()
        assert sent < 2_000_000, "it waits in the kernel, not here"
        assert connection.paused
        # Reading is what lets the peer send more.
        read = 0
        while read < sent // 2:
            read += len(data_of(await app.calls[0].get_chunk()))
        more = 0
        for _ in range(100):
            more += peer.send_some(piece[(sent + more) % len(piece) :])
            await settle()
        assert more > 0


async def test_a_large_upload_arrives_whole_in_bounded_memory():
    peaks = []

    async def app(*args):
        res = args[-1]
        digest = hashlib.sha256()
        while (piece := await res.get_chunk()) is not None:
            digest.update(piece.read())
            peaks.append(res.body.size)
        res.send(digest.hexdigest())

    with bench(app, flow=(100_000, 10_000)) as b:
        _, peer = b.connect("scgi", request("POST", "/", length=len(BIG)))
        await peer.send_all(BIG)
        assert (await peer.read_all()).endswith(hashlib.sha256(BIG).hexdigest().encode())
        assert max(peaks) < 100_000 + 2 * 262144


async def test_bad_inputs_18_a_body_that_ends_too_soon_is_an_abort_never_padded():
    errors = []

    async def app(*args):
        args[-1].on_aborted(errors.append, "aborted")
        try:
            await args[-1].get_data()
        except ConnectionAbortedError as error:
            errors.append(type(error))

    with bench(app) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"short", length=10))
        await settle()
        peer.shutdown()
        assert await peer.read_all() == b""
        await until(lambda: len(errors) == 2)
        assert errors == ["aborted", ConnectionAbortedError]
        assert b.idle


async def test_bad_inputs_19_bytes_behind_the_body_are_ignored():
    with bench(echo) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"hello", length=5) + b"more")
        assert await peer.read_all() == HELLO


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_bad_inputs_68_an_answer_that_does_not_wait_for_the_upload_arrives_whole(protocol):
    def app(*args):
        args[-1].send_status(413)
        args[-1].send("too much")

    with bench(app) as b:
        wire = request("POST", "/", length=3_000_000) if protocol == "scgi" else begin(flags=0) + params(POST)
        _, peer = b.connect(protocol, wire, kind="tcp")
        upload = asyncio.ensure_future(peer.send_all(bytes(3_000_000)))
        answer = await peer.read_all()
        assert (answer if protocol == "scgi" else stdout(answer)).endswith(b"too much")
        await upload
        peer.close()
        await until(lambda: b.idle)


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_a_declared_body_above_the_limit_is_413_and_calls_nobody(protocol):
    app = App()
    with bench(app, max_body_size=10) as b:
        variables = POST | {b"CONTENT_LENGTH": b"11"}
        wire = request("POST", "/", length=11) if protocol == "scgi" else begin() + params(variables)
        _, peer = b.connect(protocol, wire)
        status, _, body = split_answer(await (peer.read_all() if protocol == "scgi" else fastcgi_answer(peer)))
        assert status == "Status: 413 Content Too Large"
        assert b"11 bytes, the limit is 10" in body
        assert app.calls == []


async def test_a_body_of_the_limit_is_served():
    with bench(echo, max_body_size=5) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"hello"))
        assert await peer.read_all() == HELLO


@pytest.mark.parametrize("begun", [False, True])
async def test_a_body_of_unknown_length_that_grows_above_the_limit_is_413_or_breaks_off(begun):
    app = App()
    with bench(app, max_body_size=10) as b:
        _, peer = b.connect("fastcgi", begin() + params(POST) + record(STDIN, content=b"12345"))
        res = await app.called()
        if begun:
            res.send("begun", True)
        peer.send(record(STDIN, content=b"678901"))
        if begun:
            records = await peer.read_all()
            assert stdout(records).endswith(b"begun")
            assert not ended(records)
        else:
            assert b"Status: 413 " in await fastcgi_answer(peer)
        assert app.noted == ["aborted"]


# -- aborts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
@pytest.mark.parametrize("how", ["shutdown", "close"])
async def test_bad_inputs_70_a_client_that_disconnects_is_an_abort(protocol, how):
    app = App()
    with bench(app) as b:
        _, peer = b.connect(protocol, request() if protocol == "scgi" else fastcgi())
        res = await app.called()
        assert res.aborted is False
        getattr(peer, how)()
        await until(lambda: app.noted)
        assert app.noted == ["aborted"]
        assert res.aborted is True
        assert await res.send("too late") is False
        await until(lambda: b.idle)


async def test_bad_inputs_70_a_client_that_disconnects_mid_stream_is_seen_behind_a_full_buffer():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("scgi", request(), room=ROOM)
        res = await app.called()
        sending = asyncio.ensure_future(res.send(BIG, True))
        await settle()
        assert not sending.done()
        peer.close()
        assert await sending is False
        assert app.noted == ["aborted"]


async def test_a_disconnect_cancels_an_application_without_a_handler():
    cancelled = []

    async def app(*args):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with bench(app) as b:
        _, peer = b.connect("scgi", request())
        await settle()
        peer.close()
        await until(lambda: b.idle)
        assert cancelled == [True]


async def test_no_abort_after_a_normal_end():
    noted = []

    def app(*args):
        args[-1].on_aborted(noted.append, "wrong")
        args[-1].send(BIG)

    with bench(app) as b:
        _, peer = b.connect("scgi", request(), room=ROOM)
        await settle()
        peer.close()
        await until(lambda: b.idle)
        assert noted == []


async def test_a_half_closed_request_is_served_with_the_setting():
    app = App()
    with bench(app, half_close=True) as b:
        _, peer = b.connect("scgi", request())
        await app.called()
        peer.shutdown()
        await b.wait(1)
        assert app.noted == []
        app.answer()
        assert await peer.read_all() == HELLO


async def test_half_close_does_not_excuse_a_short_body():
    app = App()
    with bench(app, half_close=True) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"short", length=10))
        await app.called()
        peer.shutdown()
        await until(lambda: app.noted)


async def test_a_half_closed_request_whose_client_disconnects_is_an_abort():
    app = App()
    with bench(app, half_close=True) as b:
        _, peer = b.connect("scgi", request())
        await app.called()
        peer.shutdown()
        await settle()
        peer.close()
        await b.wait(1)
        assert app.noted == ["aborted"]


# -- FastCGI connections that are kept -----------------------------------------------------------------------------


async def test_bad_inputs_42_a_kept_connection_carries_one_request_after_another():
    with bench(echo) as b:
        _, peer = b.connect("fastcgi")
        for number in range(5):
            peer.send(fastcgi(b"request %d" % number, variables=POST))
            assert (await fastcgi_answer(peer)).endswith(b"request %d" % number)
        assert len(b.gateway.connections) == 1


async def test_a_kept_connection_takes_any_request_id():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi")
        for request_id in (1, 7, 65535, 1):
            peer.send(fastcgi(request_id=request_id))
            assert await fastcgi_answer(peer, request_id) == HELLO


@pytest.mark.parametrize("kept", [True, False])
async def test_bad_inputs_41_abort_request_is_an_abort_and_gets_its_end_request(kept):
    app = App()
    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi(kept=kept))
        res = await app.called()
        res.send("begun", True)
        peer.send(record(ABORT_REQUEST))
        records = b""
        while not ended(records):
            records += await peer.read()
            assert records
        assert app.noted == ["aborted"]
        assert await res.send("too late") is False
        if kept:
            peer.send(fastcgi())
            await app.called(2)
            app.answer()
            assert await fastcgi_answer(peer) == HELLO
        else:
            assert await peer.read_all() == b""


async def test_abort_request_resolves_who_waits_for_a_slow_front():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi(), room=ROOM)
        res = await app.called()
        sending = asyncio.ensure_future(res.send(BIG, True))
        chunk = asyncio.ensure_future(res.send_chunk(b"more"))
        await settle()
        peer.send(record(ABORT_REQUEST))
        await until(lambda: app.noted)
        while not (sending.done() and chunk.done()):
            await peer.read()
        assert sending.result() is False
        assert chunk.result() == (False, True)


async def test_what_an_aborted_request_still_sends_does_not_reach_the_next_one():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        first = await app.called()
        peer.send(record(ABORT_REQUEST))
        await until(lambda: app.noted)
        peer.take()
        peer.send(fastcgi())
        await app.called(2)
        first.send("of the first", True)
        first.send_status(404)
        app.answer()
        assert await fastcgi_answer(peer) == HELLO


async def test_a_kept_connection_is_read_again_after_an_upload_that_nobody_read():
    app = App()
    with bench(app, flow=(1000, 100)) as b:
        connection, peer = b.connect("fastcgi", begin() + params(POST) + record(STDIN, content=bytes(5000)))
        await app.called()
        await until(lambda: connection.paused)
        app.answer()
        assert await fastcgi_answer(peer) == HELLO
        peer.send(record(STDIN, content=bytes(5000)) + record(STDIN))
        peer.send(fastcgi(request_id=2))
        await app.called(2)
        app.answer()
        assert await fastcgi_answer(peer, 2) == HELLO


async def test_an_answer_that_breaks_has_no_end_request(caplog):
    def app(*args):
        args[-1].send("begun", True)
        raise KeyError

    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        records = await peer.read_all()
        assert stdout(records).endswith(b"begun")
        assert not ended(records)


async def test_an_answer_that_breaks_is_shorter_than_declared_over_scgi(caplog):
    def app(*args):
        args[-1].send_headers({"Content-Length": "10"})
        args[-1].send("begun", True)
        args[-1].send()

    with bench(app) as b:
        _, peer = b.connect("scgi", request())
        assert await peer.read_all() == b"Content-Length: 10\r\nStatus: 200 OK\r\n\r\nbegun"
        assert "5 bytes fewer" in caplog.text


# -- deadlines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("protocol", "start"),
    [("scgi", b"70:"), ("fastcgi", begin()), ("fastcgi", b"\1"), ("websocket", b"GET / HT")],
)
async def test_bad_inputs_36_85_a_head_that_dribbles_is_closed_at_the_head_deadline(protocol, start, caplog):
    with bench(hello, hello, deadlines={"head": 10.0}) as b:
        _, peer = b.connect(protocol, start)
        await b.wait(6)
        peer.send(b"1")
        await settle()
        await b.wait(3)
        assert not peer.take()
        assert not peer.ended, "ten seconds after the first byte, not after the last"
        await b.wait(2)
        assert await peer.read_all() == b""
        assert caplog.messages == [f"{protocol}: a request's head was not complete after 10 s"]


async def test_bad_inputs_46_a_kept_connection_without_a_request_is_closed_at_the_idle_deadline(caplog):
    with bench(hello, deadlines={"idle": 120.0}) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        await fastcgi_answer(peer)
        await b.wait(119)
        assert not b.idle
        await b.wait(2)
        assert await peer.read_all() == b""
        assert caplog.messages == []


async def test_the_head_deadline_begins_with_the_head_also_after_a_long_silence():
    with bench(hello, deadlines={"idle": 120.0, "head": 10.0}) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        await fastcgi_answer(peer)
        await b.wait(117)
        wire = fastcgi()
        peer.send(wire[:20])
        await settle()
        await b.wait(9)
        peer.send(wire[20:])
        assert await fastcgi_answer(peer) == HELLO


async def test_a_body_that_does_not_come_is_an_abort_at_the_body_deadline(caplog):
    app = App()
    with bench(app, deadlines={"body": 60.0}) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"a", length=10))
        res = await app.called()
        reading = asyncio.ensure_future(res.get_data())
        await settle()
        await b.wait(59)
        peer.send(b"b")
        await settle()
        await b.wait(59)
        assert app.noted == []
        await b.wait(2)
        assert app.noted == ["aborted"]
        with pytest.raises(ConnectionAbortedError):
            await reading
        assert caplog.messages == ["scgi: nothing of a request's body came for 60 s"]


@pytest.mark.parametrize("start", [b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n"])
async def test_a_client_whose_head_takes_too_long_is_answered_408(start, caplog):
    """RFC 9110 15.5.9; what it still sends is no request."""
    with bench(hello, deadlines={"head": 10.0}) as b:
        _, peer = b.connect("http", start)
        await b.wait(9)
        assert peer.take() == b""
        await b.wait(2)
        peer.send(b"\r\n\r\n")
        peer.shutdown()
        status, headers, body = split_answer(await peer.read_all())
        assert (status, headers["connection"]) == ("HTTP/1.1 408 Request Timeout", "close")
        assert body == b"408 Request Timeout\na request's head was not complete after 10 s\n"
        assert caplog.messages == ["http: a request's head was not complete after 10 s"]
        await until(lambda: b.idle)


@pytest.mark.parametrize("begun", [False, True], ids=["nothing of the answer", "a part of the answer"])
async def test_a_client_whose_body_takes_too_long_is_answered_408_unless_its_answer_has_begun(begun, caplog):
    aborted = []

    async def app(*args):
        res = args[-1]
        res.on_aborted(aborted.append, True)
        if begun:
            res.send("part", True)
        with pytest.raises(ConnectionAbortedError):
            await res.get_data()

    with bench(app, deadlines={"body": 10.0}) as b:
        _, peer = b.connect("http", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
        await settle()
        await b.wait(11)
        peer.shutdown()
        answer = await peer.read_all()
        if begun:
            assert b"part" in answer
            assert not answer.endswith(b"0\r\n\r\n")
        else:
            status, headers, body = split_answer(answer)
            assert (status, headers["connection"]) == ("HTTP/1.1 408 Request Timeout", "close")
            assert body == b"408 Request Timeout\nnothing of a request's body came for 10 s\n"
        assert aborted == [True]
        assert caplog.messages == ["http: nothing of a request's body came for 10 s"]
        await until(lambda: b.idle)


@pytest.mark.parametrize("kept", [False, True], ids=["new", "kept"])
async def test_a_silent_client_is_closed_without_an_answer(kept, caplog):
    with bench(hello, deadlines={"idle": 120.0, "keep_alive": 75.0}) as b:
        _, peer = b.connect("http", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" if kept else b"")
        await settle()
        assert peer.take().endswith(b"hello" if kept else b"")
        await b.wait(121)
        assert await peer.read_all() == b""
        assert caplog.messages == []


async def test_a_body_that_nobody_waits_for_has_no_deadline():
    app = App()
    with bench(app, deadlines={"body": 60.0, "head": 10.0, "idle": 120.0}) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"a", length=10))
        res = await app.called()
        await res.get_chunk()
        hasty = asyncio.ensure_future(res.get_chunk())
        await settle()
        hasty.cancel()
        await settle()
        await b.wait(1000)
        assert app.noted == []
        app.answer()
        assert await peer.read() == HELLO


async def test_an_application_may_take_its_time():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        await app.called()
        await b.wait(10_000)
        app.answer()
        assert await fastcgi_answer(peer) == HELLO


# -- too many ------------------------------------------------------------------------------------------------------


WANTED = {"scgi": request(), "fastcgi": fastcgi(), "websocket": UPGRADE}


def refused(protocol: str, answer: bytes) -> bytes:
    """The body of an answer 503 that says when to come again."""
    status, headers, body = split_answer(stdout(answer) if protocol == "fastcgi" else answer)
    assert status.split(" ", 1)[1] == "503 Service Unavailable"
    assert headers["retry-after"] == "1"
    return body


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
@pytest.mark.parametrize("protocol", WANTED)
async def test_one_connection_too_many_is_503(protocol, at_once):
    app = App()
    with bench(app, max_connections=1) as b:
        b.connect("scgi", request())
        await app.called()
        _, peer = b.connect(protocol, WANTED[protocol] if at_once else b"")
        if not at_once:
            await settle()
            peer.send(WANTED[protocol])
        assert b"all 1 connections are in use" in refused(protocol, await peer.read_all())
        assert len(app.calls) == 1


async def test_a_connection_too_many_is_served_if_there_is_room_when_its_request_arrives():
    app = App()
    with bench(app, max_connections=1) as b:
        _, first = b.connect("scgi", request())
        await app.called()
        _, second = b.connect("scgi", request()[:10])
        app.answer()
        assert await first.read_all() == HELLO
        first.close()
        await until(lambda: len(b.gateway.connections) == 1)
        second.send(request()[10:])
        await app.called(2)
        app.answer()
        assert await second.read_all() == HELLO


@pytest.mark.parametrize("data", [b"", b"70:"], ids=["silent", "slow"])
async def test_a_connection_too_many_has_little_time_for_its_request(data):
    app = App()
    with bench(app, max_connections=1) as b:
        b.connect("scgi", request())
        await app.called()
        _, peer = b.connect("scgi", data)
        await b.wait(REFUSAL_TIME - SWEEP)
        assert not peer.is_closed()
        await b.wait(2 * SWEEP)
        assert await peer.read_all() == b""
        assert len(b.gateway.connections) == 1


@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
async def test_a_connection_too_many_that_does_not_close_loses_its_place(at_once):
    """A client that sends on and on was heard for as long as after any early answer, and kept others from theirs."""
    app = App()
    wire = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    with bench(app, max_connections=1) as b:
        b.connect("scgi", request())
        await app.called()
        _, peer = b.connect("http", wire if at_once else b"")
        if not at_once:
            await settle()
            peer.send(wire)
            await settle()
        refused("http", await peer.read_all())
        assert len(b.gateway.connections) == 2
        await b.wait(REFUSAL_TIME + SWEEP)
        assert len(b.gateway.connections) == 1


async def test_connections_too_many_make_no_room_for_each_other_and_are_bounded():
    app = App()
    with bench(app, max_connections=1) as b:
        b.connect("scgi", request())
        await app.called()
        peers = [b.connect("scgi")[1] for _ in range(MAX_REFUSED + 10)]
        await settle()
        assert [peer.is_closed() for peer in peers] == [False] * MAX_REFUSED + [True] * 10
        peers[0].send(request())
        refused("scgi", await peers[0].read_all())
        assert len(app.calls) == 1


# -- the drain -----------------------------------------------------------------------------------------------------


def shut_down(b):
    b.gateway.draining = True
    for connection in tuple(b.gateway.connections):
        connection.protocol.shut_down()


async def test_a_drain_closes_what_waits_for_a_request():
    with bench(hello) as b:
        _, kept = b.connect("fastcgi", fastcgi())
        await fastcgi_answer(kept)
        _, silent = b.connect("scgi")
        shut_down(b)
        assert await kept.read_all() == b""
        assert await silent.read_all() == b""
        assert b.idle


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_a_drain_lets_an_exchange_end_and_then_closes(protocol):
    app = App()
    with bench(app) as b:
        _, peer = b.connect(protocol, request() if protocol == "scgi" else fastcgi())
        await app.called()
        shut_down(b)
        await settle()
        app.answer()
        answer = await peer.read_all()
        assert (answer if protocol == "scgi" else stdout(answer)) == HELLO
        await until(lambda: b.idle)


async def test_a_drain_lets_a_head_that_has_begun_become_a_request():
    wire = request()
    with bench(hello) as b:
        _, peer = b.connect("scgi", wire[:10])
        shut_down(b)
        await settle()
        peer.send(wire[10:])
        assert await peer.read_all() == HELLO


@pytest.mark.parametrize("protocol", ["scgi", "fastcgi"])
async def test_a_drain_lets_an_answer_leave_that_is_still_being_read(protocol):
    with bench(lambda *args: args[-1].send(BIG)) as b:
        _, peer = b.connect(protocol, request() if protocol == "scgi" else fastcgi(), room=ROOM)
        shut_down(b)
        answer = await peer.read_all()
        assert (answer if protocol == "scgi" else stdout(answer)).endswith(BIG)
        assert protocol == "scgi" or ended(answer)
        assert b.idle


async def test_an_idle_deadline_lets_an_answer_leave_that_is_still_being_read():
    with bench(lambda *args: args[-1].send(BIG), deadlines={"idle": 1.0, "write": 60.0}) as b:
        _, peer = b.connect("fastcgi", fastcgi(), room=ROOM)
        await b.wait(2)
        answer = await peer.read_all()
        assert stdout(answer).endswith(BIG)
        assert ended(answer)


# -- the direct port -----------------------------------------------------------------------------------------------


async def test_the_direct_port_serves_upgrades_and_nothing_else():
    app = App()
    with bench(app, app) as b:
        _, peer = b.connect("websocket", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await peer.read_all()
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert app.calls == []


# -- both protocols, many at once ----------------------------------------------------------------------------------


async def test_many_connections_are_served_side_by_side():
    with bench(echo) as b:
        peers = []
        for number in range(200):
            body = b"body %d" % number
            _, peer = b.connect("scgi", request("POST", "/", body[:3], length=len(body)))
            peers.append((peer, body))
        for peer, body in reversed(peers):
            peer.send(body[3:])
        for peer, body in peers:
            assert (await peer.read_all()).endswith(body)
        await until(lambda: b.idle)


async def test_a_request_leaves_nothing_in_the_log(caplog):
    with caplog.at_level(logging.DEBUG), bench(echo) as b:
        _, peer = b.connect("scgi", request("POST", "/", b"hello"))
        await peer.read_all()
        assert [record.getMessage() for record in caplog.records if record.name.startswith("ssgi_gateway")] == []


@pytest.mark.parametrize(
    "refused",
    [
        {b"REQUEST_METHOD": b"GET", b"REQUEST_URI": b"/", b"CONTENT_LENGTH": b"+3"},
        {b"REQUEST_METHOD": b"", b"REQUEST_URI": b"/"},
        {b"REQUEST_METHOD": b"POST", b"REQUEST_URI": b"/", b"CONTENT_LENGTH": b"2000"},
    ],
)
async def test_a_request_behind_a_refused_one_does_not_wait_for_more_bytes(refused):
    with bench(hello, max_body_size=1000) as b:
        wire = fastcgi(variables=refused) + fastcgi(request_id=2)
        _, peer = b.connect("fastcgi", wire)
        received = b""
        while received.count(b"hello") < 1:
            received += await peer.read()
        assert stdout(received, 2).endswith(b"hello")
        assert b"Status: 4" in stdout(received, 1)


async def test_many_requests_behind_each_other_are_served_one_after_the_other_and_share_the_loop():
    depth = []

    def app(*args):
        import inspect

        depth.append(len(inspect.stack(0)))
        args[-1].send("hello")

    with bench(app) as b:
        b.connect("fastcgi", b"".join(fastcgi(request_id=i) for i in range(1, 401)))
        await until(lambda: len(depth) == 400)
        assert len(set(depth)) <= 2  # the first read is the accept's


async def test_whether_an_applications_files_pass_holds_for_a_websocket_too():
    async def app(*args):
        await args[-1].accept(headers=[("X-Accel-Redirect", "/secret"), ("X-A", "b")])

    with bench(None, app, front_files=False) as b:
        upgrade = {
            "HTTP_UPGRADE": "websocket",
            "HTTP_CONNECTION": "Upgrade",
            "HTTP_SEC_WEBSOCKET_VERSION": "13",
            "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        _, peer = b.connect("scgi", request(**upgrade))
        head = await peer.read_until(b"\r\n\r\n")
        assert b"X-A: b" in head
        assert b"X-Accel-Redirect" not in head


@pytest.mark.parametrize(("trusted", "shown"), [(False, None), (True, "admin")])
async def test_a_user_that_the_web_server_names_is_shown_where_a_setting_trusts_it(trusted, shown):
    seen = []
    with bench(
        lambda *args: (seen.append(args[-1].extensions["environ"].get("REMOTE_USER")), args[-1].send("")),
        trust_remote_user=trusted,
    ) as b:
        _, peer = b.connect("scgi", request(REMOTE_USER="admin", AUTH_TYPE="Basic"))
        await peer.read_all()
    assert seen == [shown]
