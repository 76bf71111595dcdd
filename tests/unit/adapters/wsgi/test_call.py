"""WSGI: what an application may do, in which order, and what comes of everything else."""

from __future__ import annotations

import io
import sys
import threading

import pytest

from tests.unit.adapters.wsgi_serving import TEXT, Iterable, ask, hello, rest, run, served


def test_hello(settings):
    answer = ask(hello, settings)
    assert answer.raw == b"Content-Type: text/plain\r\nContent-Length: 14\r\nStatus: 200 OK\r\n\r\nHello, world!\n"


@pytest.mark.parametrize(
    ("body", "expected", "length"),
    [
        (lambda: [b"one"], b"one", "3"),
        (lambda: (b"one",), b"one", "3"),
        (lambda: [b"one", b"", b"two"], b"onetwo", "6"),
        (list, b"", "0"),
        (lambda: [b""], b"", "0"),
        (lambda: [bytearray(b"one"), memoryview(b"two")], b"onetwo", "6"),
        (lambda: (block for block in (b"one", b"two")), b"onetwo", None),
        (lambda: (block for block in (b"", b"one", b"", b"two", b"")), b"onetwo", None),
        (lambda: (bytearray(b"x") for _ in range(3)), b"xxx", None),
        (lambda: iter([]), b"", "0"),
        (lambda: iter([b"", b""]), b"", "0"),
    ],
    ids=range(11),
)
def test_bodies(settings, body, expected, length):
    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return body()

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (200, expected)
    # Several blocks that came at once may be sent as one, and then their length is known.
    assert answer.header("content-length") in (length, str(len(expected)))


def test_a_declared_length_is_sent_as_it_is_and_ends_the_answer(settings):
    body = Iterable(b"one", b"two", RuntimeError("nobody asks for this block"))

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        return body

    answer = ask(app, settings)
    assert answer.body == b"onetwo"
    assert answer.complete
    assert len(body.closed) == 1


def test_start_response_from_inside_the_iterable(settings):
    def app(environ, start_response):
        yield b""
        start_response("201 Created", TEXT)
        yield b"made"

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (201, b"made")


def test_write(settings):
    def app(environ, start_response):
        write = start_response("200 OK", TEXT)
        write(b"one")
        write(b"")
        write(bytearray(b"two"))
        return [b"three"]

    assert ask(app, settings).body == b"onetwothree"


def test_write_and_a_declared_length(settings):
    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "6")])
        write(b"one")
        write(b"two")
        return []

    assert ask(app, settings).body == b"onetwo"


@pytest.mark.parametrize("kind", [list, iter], ids=["list", "iterator"])
def test_head_has_the_headers_of_a_get_and_no_body(settings, kind):
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "6")])
        return kind([b"onetwo"])

    answer = ask(app, settings, "HEAD")
    assert answer.body == b""
    assert answer.header("content-length") == "6"


def test_head_of_a_list_declares_its_length(settings):
    answer = ask(hello, settings, "HEAD")
    assert (answer.header("content-length"), answer.body) == ("14", b"")


@pytest.mark.parametrize("method", ["HEAD", "GET"])
@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
def test_a_body_that_cannot_be_is_not_iterated(settings, method, status):
    if (method, status) == ("GET", "200 OK"):
        pytest.skip("that one has a body")
    body = Iterable(b"one", RuntimeError("nobody asks for this block"))

    def app(environ, start_response):
        start_response(status, TEXT)
        return body

    answer = ask(app, settings, method)
    assert answer.raw == f"Content-Type: text/plain\r\nStatus: {status}\r\n\r\n".encode()
    assert len(body.closed) == 1


def test_write_where_no_body_is_allowed_has_no_effect(settings):
    def app(environ, start_response):
        write = start_response("204 No Content", [])
        write(b"one")
        write(b"two")
        return [b"three"]

    assert ask(app, settings).raw == b"Status: 204 No Content\r\n\r\n"


def test_each_block_is_sent_before_the_next_one_is_taken(settings):
    async def test():
        gates = [threading.Event() for _ in range(3)]

        def app(environ, start_response):
            start_response("200 OK", TEXT)
            for number, gate in enumerate(gates):
                yield b"%d" % number
                if settings.threads:
                    assert gate.wait(10)

        async with served(app, settings) as server:
            client = await server.open()
            await client.read_head()
            read = b""
            for number, gate in enumerate(gates):
                while len(read) <= number:
                    read += await client.read_some()
                gate.set()
            assert await rest(client) == b""
            assert read == b"012"
            await client.leave()

    run(test())


def test_headers_are_sent_as_given(settings):
    def app(environ, start_response):
        start_response("299 Whatever You Like", [("X-One", "1"), ("Set-Cookie", "a=b"), ("Set-Cookie", "c=d")])
        return [b"x"]

    answer = ask(app, settings)
    assert answer.raw.startswith(b"X-One: 1\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n")
    assert b"Status: 299 Whatever You Like\r\n\r\n" in answer.raw


# -- what may be done wrongly ----------------------------------------------------------------------------------------


def never_starts(environ, start_response):
    return [b"x"]


def never_starts_and_yields(environ, start_response):
    yield b"x"


def never_starts_and_is_empty(environ, start_response):
    return iter([])


def starts_twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return [b"x"]


def returns_none(environ, start_response):
    start_response("200 OK", [])


def yields_text(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def generates_text(environ, start_response):
    start_response("200 OK", [])
    yield "text"


def yields_numbers(environ, start_response):
    start_response("200 OK", [])
    return [1]


def writes_text(environ, start_response):
    start_response("200 OK", [])("text")
    return []


def bad_header(environ, start_response):
    start_response("200 OK", [("X-Evil", "a\r\nSet-Cookie: b")])
    return [b"x"]


def bad_status(environ, start_response):
    start_response("099 Low", [])
    return [b"x"]


def informational(environ, start_response):
    start_response("100 Continue", [])
    return [b"x"]


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"abc"]


def too_short(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return [b"abc"]


def first_block_too_long(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    yield b"abc"


def raises(environ, start_response):
    raise LookupError("lost")


def raises_after_start(environ, start_response):
    start_response("200 OK", [])
    raise LookupError("lost")


def raises_in_first_step(environ, start_response):
    start_response("200 OK", [])
    yield b""
    raise LookupError("lost")


def exits(environ, start_response):
    sys.exit(3)


def exits_later(environ, start_response):
    start_response("200 OK", [])
    yield b""
    sys.exit(3)


def tries_to_read_text(environ, start_response):
    start_response("200 OK", [])
    return io.StringIO("text")


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (never_starts, "the application returned before it called start_response"),
        (never_starts_and_yields, "the application gave a body before it called start_response"),
        (never_starts_and_is_empty, "the application returned before it called start_response"),
        (starts_twice, "start_response was called a second time, without exc_info"),
        (returns_none, "'NoneType' object is not iterable"),
        (yields_text, "the application's body holds str where WSGI wants bytes"),
        (generates_text, "the application's body holds str where WSGI wants bytes"),
        (yields_numbers, "the application's body holds int where WSGI wants bytes"),
        (writes_text, "the application's body holds str where WSGI wants bytes"),
        (tries_to_read_text, "the application's body holds str where WSGI wants bytes"),
        (bad_header, "X-Evil"),
        (bad_status, "99 is not a final HTTP status"),
        (informational, "100 is not a final HTTP status"),
        (too_long, "Content-Length is 2, the body has 3 bytes"),
        (too_short, "Content-Length is 4, the body has 3 bytes"),
        (first_block_too_long, "the application's body is 1 bytes longer than its Content-Length"),
        (raises, "LookupError: lost"),
        (raises_after_start, "LookupError: lost"),
        (raises_in_first_step, "LookupError: lost"),
        (exits, "SystemExit: 3"),
        (exits_later, "SystemExit: 3"),
    ],
)
def test_errors_before_the_head_is_out_are_a_500(settings, caplog, app, said):
    async def test():
        async with served(app, settings) as server:
            answer = await server.request()
            assert answer.status == 500
            assert answer.complete
            assert b"lost" not in answer.body
            # The next request meets a server that goes on, and a thread that does.
            for _ in range(3):
                assert (await server.request()).status == 500

    run(test())
    assert said in caplog.text


def raises_later(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    raise LookupError("lost")


def ends_early(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"


def goes_on(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    yield b"and seven"


def changes_to_text(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    yield "two"


def replaces_too_late(environ, start_response):
    start_response("200 OK", [("Content-Length", "9")])
    yield b"one"
    try:
        raise LookupError("lost")
    except LookupError:
        start_response("500 Oops", [], sys.exc_info())


@pytest.mark.parametrize(
    ("app", "said"),
    [
        (raises_later, "LookupError: lost"),
        (ends_early, "6 bytes shorter than its Content-Length"),
        (goes_on, "the application's body is 3 bytes longer than its Content-Length"),
        (changes_to_text, "the application's body holds str"),
        (replaces_too_late, "LookupError: lost"),
    ],
)
def test_errors_after_it_break_the_connection(settings, caplog, app, said):
    answer = ask(app, settings)
    assert answer.status == 200
    assert answer.body == b"one"
    assert not answer.complete
    assert said in caplog.text


def test_start_response_again_with_exc_info_replaces_the_head(settings):
    def app(environ, start_response):
        start_response("200 OK", [("X-First", "1")])
        try:
            raise LookupError("lost")
        except LookupError:
            start_response("502 Oops", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    answer = ask(app, settings)
    assert answer.raw == b"X-Second: 2\r\nContent-Length: 5\r\nStatus: 502 Oops\r\n\r\nsorry"


def test_writing_on_after_the_declared_length_is_an_error_where_it_happens(settings):
    seen = []

    def app(environ, start_response):
        write = start_response("200 OK", [("Content-Length", "3")])
        write(b"one")
        try:
            write(b"two")
        except ValueError as error:
            seen.append(str(error))
        return []

    assert ask(app, settings).body == b"one"
    assert seen == ["the application's body is longer than its Content-Length"]


@pytest.mark.parametrize(
    "blocks",
    [(b"one", b"two"), (LookupError("lost"),), (b"one", LookupError("lost")), ("text",), ()],
    ids=["whole", "fails-at-once", "fails-later", "text", "empty"],
)
def test_close_is_called_once_whatever_happens(settings, blocks):
    body = Iterable(*blocks)

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return body

    ask(app, settings)
    assert len(body.closed) == 1


def test_close_is_called_without_a_start(settings):
    body = Iterable(b"x")
    assert ask(lambda environ, start_response: body, settings).status == 500
    assert len(body.closed) == 1


def test_a_close_that_raises_is_logged_and_hurts_nobody(settings, caplog):
    class Body(Iterable):
        def close(self):
            raise LookupError("lost")

    def app(environ, start_response):
        start_response("200 OK", TEXT)
        return Body(b"one")

    answer = ask(app, settings)
    assert (answer.status, answer.body) == (200, b"one")
    assert "LookupError: lost" in caplog.text
