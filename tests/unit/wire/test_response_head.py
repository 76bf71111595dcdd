"""Answers' heads: what goes out, and what never does."""

from __future__ import annotations

import http

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.response_head import REASONS, ResponseHead


def made(status=200, headers=(), **options):
    head = ResponseHead(**options)
    head.set_status(status)
    head.add(headers)
    return head


def test_the_smallest_head():
    assert ResponseHead().encode_cgi() == b"Status: 200 OK\r\n\r\n"


def test_the_status_is_the_last_line_and_the_order_stays():
    head = made(302, [("Location", "/x"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
    assert head.encode_cgi() == b"Location: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nStatus: 302 Found\r\n\r\n"
    assert head.encode_fields() == b"Location: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"


def test_the_last_status_wins_and_headers_add_up():
    head = ResponseHead()
    head.add({"A": "1"})
    head.set_status(500)
    head.add([("B", "2")])
    head.set_status(201)
    assert head.encode_cgi() == b"A: 1\r\nB: 2\r\nStatus: 201 Created\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "number", "reason"),
    [
        (200, 200, "OK"),
        ("200", 200, "OK"),
        ("404 Not Here", 404, "Not Here"),
        ("404 ", 404, "Not Found"),
        (http.HTTPStatus.NOT_FOUND, 404, "Not Found"),
        (413, 413, "Content Too Large"),
        (599, 599, "Unknown"),
        (999, 999, "Unknown"),
        ("200 Gr\xfc\xdfe", 200, "Gr\xfc\xdfe"),
    ],
)
def test_statuses(status, number, reason):
    head = made(status)
    assert (head.status, head.reason) == (number, reason)
    assert head.encode_cgi() == f"Status: {number} {reason}\r\n\r\n".encode("latin-1")
    assert head.encode_http() == f"HTTP/1.1 {number} {reason}\r\n\r\n".encode("latin-1")


@pytest.mark.parametrize(
    "status",
    [
        99, 1000, 0, -200, 100, 101, 103, 199, True, "200\r\nX", "200 OK\r\nX: 1", "200 \0", "99", "1000", "101",
        "100 Go", "2e2", " 200", "+20", "20", "", "OK", "200OK", "\xb200", "200 \u2713",
    ],
)  # fmt: skip
def test_responses_61_statuses_that_are_none(status):
    head = made(404)
    with pytest.raises(ValueError, match="status"):
        head.set_status(status)
    assert head.encode_cgi() == b"Status: 404 Not Found\r\n\r\n"


def test_every_status_of_the_standard_library_has_a_reason():
    assert {status.value for status in http.HTTPStatus} <= set(REASONS)
    assert all(reason.isascii() and reason for reason in REASONS.values())


# -- header lines ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["a\r\nX: 1", "a\nb", "a\rb", "a\0b", "\n", "\u2713\r\n"])
@pytest.mark.parametrize("name", ["X-A", "Content-Type", "Connection", b"X-A"])
def test_responses_60_a_value_that_ends_a_line_is_refused(name, value):
    head = made(headers=[("Kept", "1")])
    with pytest.raises(ValueError, match=r"(?i)header.*(x-a|content-type|connection).*CR, LF or NUL"):
        head.add([("New", "2"), (name, value)])
    assert head.encode_cgi() == b"Kept: 1\r\nStatus: 200 OK\r\n\r\n"


@pytest.mark.parametrize("name", ["", " ", "a b", "a:", "a\r\n", "a\0", "\xe9", "a\t", "(a)", "\u2713", b"a b"])
def test_responses_61_a_name_that_is_no_token_is_refused(name):
    head = ResponseHead()
    with pytest.raises(ValueError, match="not a header name"):
        head.add([(name, "1")])
    assert head.encode_cgi() == b"Status: 200 OK\r\n\r\n"


def test_a_value_beyond_latin_1_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'X-A'.*latin-1"):
        made(headers=[("X-A", "\u2713")])
    assert made(headers=[("X-A", "\xe9\t\x80")]).encode_fields() == b"X-A: \xe9\t\x80\r\n"


@pytest.mark.parametrize(
    "pair", [(b"X-A", b"\xe9"), (b"X-A", "\xe9"), ("X-A", bytearray(b"\xe9")), ("X-A", memoryview(b"\xe9"))]
)
def test_bytes_are_taken_as_latin_1(pair):
    assert made(headers=[pair]).encode_fields() == b"X-A: \xe9\r\n"


def test_subclasses_of_str_are_strings():
    class Text(str):
        __slots__ = ()

    assert made(headers=[(Text("X-A"), Text("1"))]).encode_fields() == b"X-A: 1\r\n"


@pytest.mark.parametrize("pair", [("X-A", 5), ("X-A", None), (5, "x"), (None, "x"), ("X-A", ["x"])])
def test_other_types_are_refused_by_name(pair):
    with pytest.raises(TypeError, match="header"):
        made(headers=[pair])


def test_mappings_and_generators():
    assert made(headers={"A": "1", "B": "2"}).encode_fields() == b"A: 1\r\nB: 2\r\n"
    assert made(headers=((name, "1") for name in "AB")).encode_fields() == b"A: 1\r\nB: 1\r\n"


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade", "Status", "connection", "TRANSFER-ENCODING",
    ],
)  # fmt: skip
def test_the_connections_own_headers_and_status_are_dropped(name):
    assert made(headers=[(name, "close"), ("X-A", "1")]).encode_cgi() == b"X-A: 1\r\nStatus: 200 OK\r\n\r\n"


def test_proxy_status_is_an_applications_to_send():
    assert made(headers=[("Proxy-Status", "x")]).encode_fields() == b"Proxy-Status: x\r\n"


@pytest.mark.parametrize("name", ["X-Accel-Redirect", "X-Sendfile", "x-sendfile", "X-LIGHTTPD-send-file"])
def test_responses_63_headers_for_the_fronts_files_are_an_option(name):
    assert made(headers=[(name, "/secret")]).encode_fields() == f"{name}: /secret\r\n".encode()
    assert made(headers=[(name, "/secret")], front_files=False).encode_fields() == b""


# -- Content-Length --------------------------------------------------------------------------------------------------


def test_content_length_is_parsed_and_sent_once():
    head = made(headers=[("content-length", "5"), ("X-A", "1"), ("Content-Length", "5")])
    assert head.content_length == 5
    assert head.encode_fields() == b"X-A: 1\r\nContent-Length: 5\r\n"
    head.set_content_length(5)
    assert ResponseHead().content_length == -1


def test_content_length_zero_is_sent():
    assert made(headers=[("Content-Length", "0")]).encode_fields() == b"Content-Length: 0\r\n"


@pytest.mark.parametrize("rest", [("a b", "x"), ("X-A", "a\nb"), ("Content-Length", "6"), ("X-A", 5), "three"])
def test_headers_are_added_all_or_none(rest):
    head = ResponseHead()
    noted = [("Content-Length", "5"), ("Content-Type", "text/event-stream"), ("X-Accel-Buffering", "yes")]
    with pytest.raises((ValueError, TypeError)):
        head.add([*noted, rest])
    assert head.content_length == -1
    head.add([("Content-Type", "text/event-stream")])
    assert head.encode_fields() == b"Content-Type: text/event-stream\r\nX-Accel-Buffering: no\r\n"


@pytest.mark.parametrize("length", ["+5", "-1", " 5", "5 ", "", "1_0", "5,5", "five", "\xb2", "9" * 19])
def test_a_content_length_that_is_no_number_is_refused(length):
    with pytest.raises(ValueError, match="Content-Length"):
        made(headers=[("Content-Length", length)])


def test_two_content_lengths_are_refused():
    with pytest.raises(ValueError, match="Content-Length is 5 already"):
        made(headers=[("Content-Length", "5"), ("Content-Length", "6")])
    head = made(headers=[("Content-Length", "5")])
    with pytest.raises(ValueError, match="Content-Length is 5 already"):
        head.set_content_length(6)


def test_responses_65_content_length_is_left_out_where_it_must_not_be():
    assert made(204, [("Content-Length", "5")]).encode_cgi() == b"Status: 204 No Content\r\n\r\n"
    head = made(304, [("Content-Length", "5")])
    assert head.encode_cgi() == b"Content-Length: 5\r\nStatus: 304 Not Modified\r\n\r\n"
    assert head.encode_http() == b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"


# -- events and upgrades ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["text/event-stream", "text/event-stream; charset=utf-8", "Text/Event-Stream ;x=y"])
def test_event_streams_are_not_buffered(kind):
    line = f"Content-Type: {kind}\r\n".encode()
    assert made(headers=[("Content-Type", kind)]).encode_fields() == line + b"X-Accel-Buffering: no\r\n"
    own = made(headers=[("x-accel-buffering", "yes"), ("Content-Type", kind)])
    assert own.encode_fields() == b"x-accel-buffering: yes\r\n" + line


def test_other_types_are_left_alone():
    assert (
        made(headers=[("Content-Type", "text/event-streams")]).encode_fields()
        == b"Content-Type: text/event-streams\r\n"
    )


def test_an_upgrade_keeps_the_handshakes_headers():
    head = ResponseHead()
    head.add([("Set-Cookie", "a=1"), ("Content-Length", "5"), ("Upgrade", "no")])
    head.switch_protocols([("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", "x=")])
    fields = b"Set-Cookie: a=1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x=\r\n"
    assert head.encode_cgi() == fields + b"Status: 101 Switching Protocols\r\n\r\n"
    assert head.encode_fields() == fields


@pytest.mark.parametrize("pair", [("Sec-WebSocket-Protocol", "a\r\nb"), ("a b", "x")])
def test_an_upgrade_is_checked_like_the_rest(pair):
    head = ResponseHead()
    with pytest.raises(ValueError, match="header"):
        head.switch_protocols([("Upgrade", "websocket"), pair])
    assert head.encode_cgi() == b"Status: 200 OK\r\n\r\n"


# -- properties ------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=12)), max_size=4), st.text(max_size=12))
def test_whatever_is_passed_a_line_stays_a_line(pairs, reason):
    head = ResponseHead()
    lines = 1
    for pair in pairs:
        before = head.encode_fields()
        try:
            head.add([pair])
        except ValueError:
            assert head.encode_fields() == before
        else:
            lines += head.encode_fields() != before
    try:
        head.set_status(f"200 {reason}")
    except ValueError:
        assert head.reason == "OK"
    block = head.encode_cgi()
    assert block.endswith(b"\r\n\r\n")
    assert block.rpartition(b"\r\n")[0].rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(b"Status: 200 ")
    assert block.count(b"\r\n") == block.count(b"\r") == block.count(b"\n") == lines + 1
    assert b"\0" not in block


@pytest.mark.parametrize("front_files", [True, False])
def test_the_gateways_own_header_for_a_file_passes_whatever_an_applications_may(front_files):
    head = ResponseHead(front_files)
    head.set_content_length(5)
    head.add([("X-Sendfile", "/secret")] if not front_files else [])
    head.offload("X-Accel-Redirect", "/protected/a")
    assert head.encode_fields() == b"X-Accel-Redirect: /protected/a\r\n"
    with pytest.raises(ValueError, match="X-Sendfile"):
        head.offload("X-Sendfile", "/a\nb")
