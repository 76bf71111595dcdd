"""Answers: failures, flow control, and an end that waits for the rest of the request. Over real sockets."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.loops import settle, until
from tests.unit.server.peer import BIG, ROOM, bench, request, split_answer
from tests.unit.server.requests import (
    ABORT_REQUEST,
    HELLO,
    POST,
    STDIN,
    STDOUT,
    App,
    ended,
    fastcgi,
    fastcgi_answer,
    hello,
    stdout,
)
from tests.unit.wire.fastcgi_front import begin, params, record, stdin

FAILURE_PAGE = b"Internal Server Error\n"


# -- a short body that nobody reads: the answer's end waits for it, so that the client's connection can be kept --------

SHORT = POST | {b"CONTENT_LENGTH": b"4"}
ANSWERED = len(record(STDOUT, content=HELLO))


async def answered_but_for_its_end(peer) -> None:
    """Read an answer of which the end mark is missing."""
    said = await peer.read(ANSWERED)
    await settle()
    said += peer.take()
    assert stdout(said) == HELLO
    assert not ended(said)


async def test_the_end_of_an_answer_waits_for_a_short_body_that_nobody_reads():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT))
        await answered_but_for_its_end(peer)
        peer.send(record(STDIN, content=b"bo"))
        await settle()
        assert not peer.take()
        peer.send(stdin(b"dy"))
        assert ended(await peer.read())
        peer.send(fastcgi())
        assert await fastcgi_answer(peer) == HELLO


async def test_so_does_that_of_an_answer_which_comes_later():
    app = App()
    with bench(app) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT) + record(STDIN, content=b"b"))
        await app.called()
        app.calls[0].send("hello")
        await answered_but_for_its_end(peer)
        peer.send(stdin(b"ody"))
        assert ended(await peer.read())
        app.ends[0].set()


async def test_so_does_that_of_an_answer_which_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"hello")

    async def app(*args):
        await args[-1].send_file(str(tmp_path / "file"))

    with bench(app) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT))
        said = b""
        while b"hello" not in said:
            said += await peer.read()
        await settle()
        assert not ended(said + peer.take())
        peer.send(stdin(b"body"))
        assert ended(await peer.read())


async def test_the_end_of_an_answer_waits_for_the_body_no_longer_than_its_deadline():
    with bench(hello, deadlines={"unread_body": 2}) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT))
        await answered_but_for_its_end(peer)
        await b.wait(4)
        assert ended(peer.take())
        peer.send(stdin(b"body") + fastcgi(request_id=2))
        assert await fastcgi_answer(peer, 2) == HELLO


@pytest.mark.parametrize(
    ("length", "settings"), [(65537, {}), (4, {"max_unread_body": 0}), (4, {"max_unread_body": 3})]
)
async def test_an_answer_does_not_wait_for_a_long_body(length, settings):
    with bench(hello, **settings) as b:
        _, peer = b.connect("fastcgi", begin() + params(POST | {b"CONTENT_LENGTH": b"%d" % length}))
        assert await fastcgi_answer(peer) == HELLO


async def test_only_what_is_left_of_a_body_counts():
    with bench(hello, max_unread_body=3) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT) + record(STDIN, content=b"b"))
        await answered_but_for_its_end(peer)
        peer.send(stdin(b"ody"))
        assert ended(await peer.read())


async def test_a_body_of_unknown_length_is_waited_for_until_it_is_too_long():
    with bench(hello, max_unread_body=10) as b:
        _, peer = b.connect("fastcgi", begin() + params(POST))
        await answered_but_for_its_end(peer)
        peer.send(record(STDIN, content=b"12345"))
        await settle()
        assert not peer.take()
        peer.send(record(STDIN, content=b"67890"))
        assert ended(await peer.read())


async def test_a_client_that_disconnects_behind_an_answer_ends_the_wait():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT))
        await answered_but_for_its_end(peer)
        peer.send(record(ABORT_REQUEST))
        assert ended(await peer.read())
        peer.send(fastcgi())
        assert await fastcgi_answer(peer) == HELLO


async def test_a_web_server_that_disconnects_behind_an_answer_leaves_nothing():
    with bench(hello) as b:
        _, peer = b.connect("fastcgi", begin() + params(SHORT))
        await answered_but_for_its_end(peer)
        peer.close()
        await until(lambda: b.idle)


async def test_over_scgi_the_connection_ends_behind_the_short_body():
    with bench(hello) as b:
        _, peer = b.connect("scgi", request("POST", length=4))
        said = await peer.read(len(HELLO))
        await settle()
        assert said + peer.take() == HELLO
        assert not peer.ended
        peer.send(b"body")
        assert await peer.read_all() == b""


async def test_reading_on_behind_an_early_answer_fails_at_once():
    async def app(*args):
        res = args[-1]
        res.send("hello")
        with pytest.raises(ConnectionAbortedError):
            await res.get_data()
        noted.append("told")

    noted = []
    with bench(app) as b:
        _, peer = b.connect("fastcgi", begin() + params(POST) + record(STDIN, content=b"a part"))
        assert await fastcgi_answer(peer) == HELLO
        await until(lambda: noted)


# -- failures ------------------------------------------------------------------------------------------------------


def fail(*args):
    raise KeyError("the secret")


@pytest.mark.parametrize("development", [False, True])
async def test_the_traceback_is_on_the_page_in_development_only(development, caplog):
    with bench(fail, development=development) as b:
        _, peer = b.connect("scgi", request())
        status, headers, body = split_answer(await peer.read_all())
        assert status == "Status: 500 Internal Server Error"
        assert headers["content-type"] == "text/plain; charset=utf-8"
        if development:
            assert b"Traceback" in body
            assert b"the secret" in body
            first = body.split(b"\n")[1]
            assert first.endswith(b", in fail"), "it begins where the application's code does"
        else:
            assert body == FAILURE_PAGE
        assert "KeyError: 'the secret'" in caplog.text


async def test_a_traceback_may_hold_any_character(caplog):
    caplog.set_level(logging.CRITICAL, "ssgi_gateway.app")  # pytest-xdist cannot carry a log that is no UTF-8

    def app(*args):
        raise ValueError("\ud800 \udcff \0")

    with bench(app, development=True) as b:
        _, peer = b.connect("scgi", request())
        assert b"Traceback" in split_answer(await peer.read_all())[2]


async def test_an_application_that_answers_nothing_is_500():
    with bench(lambda *args: None) as b:
        _, peer = b.connect("scgi", request())
        assert split_answer(await peer.read_all())[2] == FAILURE_PAGE


async def test_an_application_that_answers_nothing_from_a_task_is_500():
    async def app(*args):
        await asyncio.sleep(0)

    with bench(app) as b:
        _, peer = b.connect("fastcgi", fastcgi())
        assert (await fastcgi_answer(peer)).endswith(FAILURE_PAGE)


async def test_bad_inputs_71_a_head_above_a_page_is_sent_and_one_line_names_the_directive(caplog):
    def app(*args):
        args[-1].send_headers([("X-Long", "x" * 5000)])
        args[-1].send("hello")

    with bench(app) as b:
        _, peer = b.connect("scgi", request())
        assert (await peer.read_all()).endswith(b"\r\n\r\nhello")
        (line,) = caplog.messages
        assert "scgi_buffer_size" in line


# -- flow control --------------------------------------------------------------------------------------------------


async def test_bad_inputs_69_a_slow_reader_makes_send_wait_and_memory_is_bounded():
    largest = []

    async def app(*args):
        res = args[-1]
        for _ in range(200):
            await res.send(bytes(65536), True)
            largest.append(connection.out_size)
        res.send()

    with bench(app, flow=(200_000, 20_000)) as b:
        connection, peer = b.connect("scgi", room=ROOM)
        peer.send(request())
        assert (await peer.read_all()).endswith(bytes(65536))
        assert max(largest) <= 200_000 + 65536
        assert len(largest) == 200


async def test_send_chunk_waits_until_the_chunk_has_left():
    app = App()
    with bench(app) as b:
        connection, peer = b.connect("scgi", request(), room=ROOM)
        res = await app.called()
        waiting = asyncio.ensure_future(res.send_chunk(bytes(200_000), 200_001))
        await settle()
        assert not waiting.done()
        while not waiting.done():
            await peer.read()
            await settle()
        assert connection.out_size == 0
        assert waiting.result() == (True, False)
        assert await res.send_chunk(b"!", 200_001) == (True, True)
        assert (await peer.read_all()).endswith(b"!")
        app.ends[-1].set()


async def test_a_buffer_may_be_used_again_after_send():
    def app(*args):
        res = args[-1]
        data = bytearray(BIG)
        res.send(data, True)
        data[:] = bytes(len(data))
        res.send(memoryview(data)[:10])

    for protocol, wire in (("scgi", request()), ("fastcgi", fastcgi(kept=False))):
        with bench(app) as b:
            _, peer = b.connect(protocol, wire, room=ROOM)
            answer = await peer.read_all()
            body = (answer if protocol == "scgi" else stdout(answer)).partition(b"\r\n\r\n")[2]
            assert body == BIG + bytes(10)
