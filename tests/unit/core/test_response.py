"""SSGIHttpResponse (SSGI 1.0): each rule of each member, as what the web server gets to see."""

from __future__ import annotations

import array
import asyncio
import ctypes
import enum
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ssgi_gateway.ssgi import SSGIHttpResponse
from tests.loops import settle
from tests.unit.core.talk import BROKEN, END, body_of, data_of, head, http

OK = head("200 OK")


def sized(size: int, status: str = "200 OK") -> bytes:
    return head(status, f"Content-Length: {size}")


async def test_it_has_every_member_of_the_interface():
    res, _ = http()
    assert isinstance(res, SSGIHttpResponse)


# -- aborted, extensions -------------------------------------------------------------------------------------------


async def test_aborted_is_a_bool_of_its_own_request():
    first, channel = http()
    second, _ = http()
    assert first.aborted is False
    channel.leave()
    assert first.aborted is True
    assert second.aborted is False


async def test_aborted_stays_false_after_a_normal_end():
    res, channel = http()
    res.send(b"all")
    channel.leave()
    assert res.aborted is False


async def test_extensions_are_a_mapping_built_when_first_read():
    res, channel = http()
    assert channel.described == 0
    assert isinstance(res.extensions, Mapping)
    assert res.extensions is res.extensions
    assert channel.described == 1


# -- send_status ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (404, "404 Not Found"),
        ("404", "404 Not Found"),
        ("404 Nothing here", "404 Nothing here"),
        (599, "599 Unknown"),
        (999, "999 Unknown"),
    ],
)
async def test_send_status_takes_a_number_or_a_line(status, line):
    res, channel = http()
    res.send_status(status)
    res.send()
    assert channel.said == [sized(0, line), END]


async def test_send_status_without_an_argument_is_200():
    res, channel = http()
    res.send_status(404)
    res.send_status()
    res.send()
    assert channel.said == [sized(0), END]


async def test_send_status_the_last_call_before_the_head_wins():
    res, channel = http()
    for status in (500, "404 Not Found", 201):
        res.send_status(status)
    res.send(b"made")
    assert channel.said == [sized(4, "201 Created"), b"made", END]


async def test_send_status_after_the_head_is_a_runtime_error():
    res, channel = http()
    res.send(b"begun", True)
    with pytest.raises(RuntimeError, match="send_status was called after the head was sent"):
        res.send_status(404)
    assert channel.said == [OK, b"begun"]


async def test_send_status_after_the_end_is_a_runtime_error():
    res, _ = http()
    res.send()
    with pytest.raises(RuntimeError, match="send_status was called after the response had ended"):
        res.send_status(404)


@pytest.mark.parametrize("status", [99, 100, 101, 199, 1000, -200, "200\r\nX: y", "2OO", "", "20", "404\n"])
async def test_bad_inputs_61_a_bad_status_is_a_value_error_and_changes_nothing(status):
    res, channel = http()
    res.send_status(404)
    with pytest.raises(ValueError, match=r".+"):
        res.send_status(status)
    res.send()
    assert channel.said == [sized(0, "404 Not Found"), END]


# -- send_headers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [list, tuple, iter, dict, lambda pairs: [(name.encode(), value.encode()) for name, value in pairs]],
    ids=["list", "tuple", "iterator", "mapping", "bytes"],
)
async def test_send_headers_takes_pairs_or_a_mapping(form):
    res, channel = http()
    res.send_headers(form([("X-A", "1"), ("X-B", "2")]))
    res.send()
    assert channel.said == [head("200 OK", "X-A: 1", "X-B: 2", "Content-Length: 0"), END]


async def test_send_headers_appends():
    res, channel = http()
    res.send_headers([("Set-Cookie", "a=1")])
    res.send_headers([("Set-Cookie", "b=2")])
    res.send()
    assert channel.said == [head("200 OK", "Set-Cookie: a=1", "Set-Cookie: b=2", "Content-Length: 0"), END]


async def test_send_headers_in_any_order_with_send_status():
    res, channel = http()
    res.send_headers([("X-A", "1")])
    res.send_status(404)
    res.send_headers([("X-B", "2")])
    res.send()
    assert channel.said == [head("404 Not Found", "X-A: 1", "X-B: 2", "Content-Length: 0"), END]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Bad", "a\rb"),
        ("X-Bad", "a\nb"),
        ("X-Bad", "a\0b"),
        ("X-Bad\r\nX-More", "a"),
        ("X Bad", "a"),
        ("X-Bad:", "a"),
        ("", "a"),
        ("X-Bäd", "a"),
        ("X-Bad", "日本"),
    ],
)
async def test_bad_inputs_60_61_a_bad_header_is_a_value_error_that_names_it(name, value):
    res, channel = http()
    res.send_headers([("X-Good", "1")])
    with pytest.raises(ValueError, match=r".+") as error:
        res.send_headers([("X-Lost", "all or none"), (name, value)])
    assert repr(name) in str(error.value)
    res.send()
    assert channel.said == [head("200 OK", "X-Good: 1", "Content-Length: 0"), END]


async def test_hop_by_hop_headers_are_dropped():
    res, channel = http()
    names = ("Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "upgrade", "Status")
    res.send_headers([(name, "x") for name in names])
    res.send()
    assert channel.said == [sized(0), END]


async def test_send_headers_after_the_head_is_a_runtime_error():
    res, _ = http()
    res.send(None, True)
    with pytest.raises(RuntimeError, match="send_headers was called after the head was sent"):
        res.send_headers([("X-Late", "1")])


async def test_there_is_no_default_content_type():
    res, channel = http()
    res.send("<p>")
    assert channel.said == [sized(3), b"<p>", END]


# -- send ----------------------------------------------------------------------------------------------------------


async def test_send_commits_the_head_and_writes_at_once():
    res, channel = http()
    res.send(b"hello")
    assert channel.said == [sized(5), b"hello", END]


async def test_send_str_is_utf_8():
    res, channel = http()
    res.send("é€")
    assert channel.said == [sized(5), "é€".encode(), END]


async def test_send_str_gives_back_bytes_that_a_path_could_not_decode():
    res, channel = http("GET", "/%ff")
    res.send(os.fsdecode(b"/\xff"))
    assert channel.said == [sized(2), b"/\xff", END]


class Word(str, enum.Enum):  # noqa: UP042 - of these str() is not the value
    YES = "yes"


class Text(str):
    """A class of its own, as template engines have them."""


class Blob(bytes):
    """Likewise."""


def payloads():
    data = b"0123456789abcdef"
    longs = array.array("I", [1, 2, 3, 4])
    yield "bytearray", bytearray(data), data
    yield "memoryview", memoryview(data), data
    yield "a part of a memoryview", memoryview(data)[3:7], b"3456"
    yield "every second byte", memoryview(data)[::2], b"02468ace"
    yield "backwards", memoryview(data)[::-1], data[::-1]
    yield "numbers", memoryview(longs), longs.tobytes()
    yield "every second number", memoryview(longs)[::2], array.array("I", [1, 3]).tobytes()
    yield "an array", longs, longs.tobytes()
    yield "two dimensions", memoryview(data).cast("B", (4, 4)), data
    yield "characters", memoryview(data).cast("c"), data
    yield "a C structure", (ctypes.c_uint16 * 2)(1, 2), bytes((ctypes.c_uint16 * 2)(1, 2))
    yield "a class of bytes", Blob(data), data
    yield "a class of str", Text("é"), "é".encode()
    yield "an enumeration", Word.YES, b"yes"


PAYLOADS = pytest.mark.parametrize(("payload", "sent"), [pytest.param(p, s, id=name) for name, p, s in payloads()])


@PAYLOADS
async def test_send_takes_whatever_has_bytes(payload, sent):
    res, channel = http()
    res.send(payload)
    assert channel.said == [sized(len(sent)), sent, END]


@PAYLOADS
async def test_send_chunk_takes_whatever_has_bytes(payload, sent):
    res, channel = http()
    assert await res.send_chunk(payload, len(sent)) == (True, True)
    assert channel.said == [sized(len(sent)), sent, END]


@pytest.mark.parametrize("empty", [b"", "", bytearray(), memoryview(b""), array.array("I"), None])
async def test_send_of_nothing_ends_without_a_body(empty):
    res, channel = http()
    res.send(empty)
    assert channel.said == [sized(0), END]


@pytest.mark.parametrize("wrong", [5, 1.5, ["a"], object(), {"a": 1}])
async def test_send_of_anything_else_is_a_type_error_and_sends_nothing(wrong):
    res, channel = http()
    with pytest.raises(TypeError):
        res.send(wrong)
    assert channel.said == []
    res.send(b"right")
    assert channel.said == [sized(5), b"right", END]


async def test_send_none_with_more_to_come_flushes_the_head():
    res, channel = http()
    res.send(None, has_more=True)
    assert channel.said == [OK]
    res.send("later")
    assert channel.said == [OK, b"later", END]


async def test_send_in_pieces():
    res, channel = http()
    res.send("a", True)
    res.send(b"", True)
    res.send("b", has_more=True)
    res.send(None, False)
    assert channel.said == [OK, b"a", b"b", END]


async def test_sends_awaitable_may_be_ignored_or_awaited_twice():
    res, channel = http()
    res.send(b"a", True)
    waiting = res.send(b"b")
    assert await waiting is True
    assert await waiting is True
    assert channel.said == [OK, b"a", b"b", END]


async def test_send_resolves_when_the_peer_can_take_more():
    res, channel = http()
    channel.room = False
    waiting = asyncio.ensure_future(res.send(b"much", True))
    await settle()
    assert not waiting.done()
    channel.take()
    assert await waiting is True


async def test_send_resolves_to_false_when_the_peer_disconnects_meanwhile():
    res, channel = http()
    res.on_aborted(lambda: None)
    channel.room = False
    waiting = asyncio.ensure_future(res.send(b"much", True))
    await settle()
    channel.leave()
    assert await waiting is False


async def test_send_resolves_to_false_when_the_request_is_aborted_and_the_connection_lives_on():
    res, channel = http()
    res.on_aborted(lambda: None)
    channel.room = False
    waiting = asyncio.ensure_future(res.send(b"much", True))
    await settle()
    channel.abort()
    channel.take()
    assert await waiting is False


async def test_send_is_false_when_the_peer_turns_out_to_be_gone():
    res, channel = http()
    res.send(b"a", True)
    channel.breaks = True
    assert await res.send(b"b", True) is False
    assert res.aborted


async def test_send_after_the_end_is_a_runtime_error():
    res, channel = http()
    res.send(b"all")
    with pytest.raises(RuntimeError, match="send was called after the response had ended"):
        res.send(b"more")
    assert channel.said == [sized(3), b"all", END]


async def test_after_an_abort_nothing_has_an_effect():
    res, channel = http()
    channel.leave()
    res.send_status(404)
    res.send_headers([("X-A", "1")])
    assert await res.send(b"x", True) is False
    assert await res.send() is False
    assert await res.send_chunk(b"x") == (False, True)
    assert await res.send_chunk(b"x", 1) == (False, True)
    assert await res.send_file(__file__) is False
    assert channel.said == []


# -- send_chunk ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", [(), (False,), (None,)])
async def test_send_chunk_of_unknown_length_ends_with_send(unknown):
    res, channel = http()
    assert await res.send_chunk(b"a", *unknown) == (True, False)
    assert await res.send_chunk("b", *unknown) == (True, False)
    res.send()
    assert channel.said == [OK, b"a", b"b", END]


async def test_send_chunk_the_first_call_fixes_content_length_and_the_last_byte_ends():
    res, channel = http()
    assert await res.send_chunk(b"abc", 5) == (True, False)
    assert await res.send_chunk(b"de", 5) == (True, True)
    assert channel.said == [sized(5), b"abc", b"de", END]
    with pytest.raises(RuntimeError, match="ended"):
        res.send_chunk(b"f", 5)


async def test_send_chunk_a_total_once_given_holds_for_calls_without_one():
    res, channel = http()
    await res.send_chunk(b"abc", 5)
    with pytest.raises(ValueError, match="2 are left"):
        res.send_chunk(b"def")
    assert await res.send_chunk(b"de") == (True, True)
    assert channel.said == [sized(5), b"abc", b"de", END]


async def test_send_chunk_resolves_when_the_chunk_has_left():
    res, channel = http()
    channel.empty = False
    waiting = asyncio.ensure_future(res.send_chunk(b"abc", 3))
    await settle()
    assert channel.said == [sized(3), b"abc", END], "it is written at once, only its end is waited for"
    assert not waiting.done()
    channel.take()
    assert await waiting == (True, True)


async def test_send_chunk_overlapping_calls_are_served_in_order():
    res, channel = http()
    channel.empty = False
    waiting = asyncio.gather(res.send_chunk(b"a", 3), res.send_chunk(b"b", 3), res.send_chunk(b"c", 3))
    await settle()
    channel.take()
    assert await waiting == [(True, False), (True, False), (True, True)]
    assert channel.said == [sized(3), b"a", b"b", b"c", END]


async def test_send_chunk_zero_ends_at_once():
    res, channel = http()
    assert await res.send_chunk(b"", 0) == (True, True)
    assert channel.said == [sized(0), END]


async def test_send_chunk_zero_after_the_head_was_flushed_ends_too():
    res, channel = http()
    res.send(None, True)
    assert await res.send_chunk(b"", 0) == (True, True)
    assert channel.said == [OK, END]


async def test_send_chunk_bytes_given_to_send_before_count():
    res, channel = http()
    res.send(b"abc", True)
    assert await res.send_chunk(b"de", 7) == (True, False)
    assert await res.send_chunk(b"fg", 7) == (True, True)
    assert channel.said == [OK, b"abc", b"de", b"fg", END]


async def test_send_chunk_bytes_given_to_send_afterwards_count_and_can_be_the_last():
    res, channel = http()
    await res.send_chunk(b"abc", 6)
    res.send(b"d", True)
    assert channel.said == [sized(6), b"abc", b"d"]
    assert await res.send(b"ef", True) is True
    assert channel.said == [sized(6), b"abc", b"d", b"ef", END]


async def test_send_chunk_bytes_of_chunks_without_a_total_count_when_one_is_given():
    res, channel = http()
    await res.send_chunk(b"abc")
    with pytest.raises(ValueError, match="1 are left of total_size 4"):
        res.send_chunk(b"de", 4)
    assert await res.send_chunk(b"d", 4) == (True, True)
    assert channel.said == [OK, b"abc", b"d", END]


async def test_send_chunk_a_different_total_is_a_value_error_before_anything_is_written():
    res, channel = http()
    await res.send_chunk(b"abc", 5)
    with pytest.raises(ValueError, match="total_size was 5 before and is 6 now"):
        res.send_chunk(b"d", 6)
    assert channel.said == [sized(5), b"abc"]
    assert await res.send_chunk(b"de", 5) == (True, True)


@pytest.mark.parametrize("begun", [False, True])
async def test_send_chunk_an_overrun_is_a_value_error_before_anything_is_written(begun):
    res, channel = http()
    if begun:
        await res.send_chunk(b"ab", 3)
    before = list(channel.said)
    with pytest.raises(ValueError, match="total_size"):
        res.send_chunk(b"abcd", 3)
    assert channel.said == before
    assert await res.send_chunk(b"c" if begun else b"abc", 3) == (True, True)


async def test_send_chunk_an_overrun_of_what_was_already_sent_is_a_value_error():
    res, channel = http()
    res.send(b"abcd", True)
    with pytest.raises(ValueError, match="0 are left of total_size 3"):
        res.send_chunk(b"", 3)
    assert channel.said == [OK, b"abcd"]


async def test_send_chunk_a_negative_total_is_a_value_error():
    res, channel = http()
    with pytest.raises(ValueError, match="-1"):
        res.send_chunk(b"", -1)
    assert channel.said == []


async def test_send_chunk_a_total_equal_to_the_declared_content_length_is_right():
    res, channel = http()
    res.send_headers([("Content-Length", "3")])
    assert await res.send_chunk(b"abc", 3) == (True, True)
    assert channel.said == [sized(3), b"abc", END]


@pytest.mark.parametrize("begun", [False, True])
async def test_send_chunk_a_total_other_than_the_declared_content_length_is_a_value_error(begun):
    res, channel = http()
    res.send_headers([("Content-Length", "10")])
    if begun:
        res.send(b"12345", True)
    before = list(channel.said)
    with pytest.raises(ValueError, match="Content-Length is 10"):
        res.send_chunk(b"x", 6)
    assert channel.said == before


async def test_send_chunk_under_a_declared_content_length_ends_with_send():
    res, channel = http()
    res.send_headers([("Content-Length", "3")])
    assert await res.send_chunk(b"abc") == (True, False)
    with pytest.raises(ValueError, match="0 are left"):
        res.send_chunk(b"d")
    res.send()
    assert channel.said == [sized(3), b"abc", END]


async def test_send_chunk_under_a_declared_content_length_nothing_of_too_long_a_chunk_is_written():
    res, channel = http()
    res.send_headers([("Content-Length", "3")])
    with pytest.raises(ValueError, match="Content-Length is 3"):
        res.send_chunk(b"abcd")
    assert channel.said == []


async def test_send_chunk_is_false_after_an_abort_while_it_waits():
    res, channel = http()
    res.on_aborted(lambda: None)
    channel.empty = False
    waiting = asyncio.ensure_future(res.send_chunk(b"abc", 10))
    await settle()
    channel.leave()
    assert await waiting == (False, True)


async def test_send_chunk_is_false_when_the_request_is_aborted_and_the_connection_lives_on():
    res, channel = http()
    res.on_aborted(lambda: None)
    channel.empty = False
    waiting = asyncio.ensure_future(res.send_chunk(b"abc", 10))
    await settle()
    channel.abort()
    channel.take()
    assert await waiting == (False, True)


async def test_send_chunk_is_false_when_the_peer_turns_out_to_be_gone():
    res, channel = http()
    channel.breaks = True
    assert await res.send_chunk(b"abc", 10) == (False, True)


# -- the declared length and what was written ----------------------------------------------------------------------


async def test_content_length_of_a_whole_answer_is_added():
    res, channel = http()
    res.send(b"abc")
    assert channel.said == [sized(3), b"abc", END]


async def test_content_length_declared_and_kept():
    res, channel = http()
    res.send_headers({"Content-Length": "5"})
    res.send(b"ab", True)
    res.send(b"", True)
    res.send(b"cde", True)
    res.send()
    assert channel.said == [sized(5), b"ab", b"cde", END]


@pytest.mark.parametrize(("body", "more"), [(b"1234", False), (b"123456", False), (b"123456", True), (None, False)])
async def test_content_length_that_the_first_piece_contradicts_is_a_value_error_and_nothing_is_sent(body, more):
    res, channel = http()
    res.send_headers([("Content-Length", "5")])
    with pytest.raises(ValueError, match="Content-Length is 5"):
        res.send(body, more)
    assert channel.said == []
    res.send(b"12345")
    assert channel.said == [sized(5), b"12345", END]


async def test_bad_inputs_67_a_body_that_is_too_short_breaks_the_connection(caplog):
    res, channel = http("GET", "/page")
    res.send_headers([("Content-Length", "5")])
    res.send(b"abc", True)
    with pytest.raises(ValueError, match="2 bytes fewer"):
        res.send()
    assert channel.said == [sized(5), b"abc", BROKEN]
    assert caplog.record_tuples == [
        (
            "ssgi_gateway.app",
            logging.ERROR,
            "GET /page: the body has 2 bytes fewer than its Content-Length; the connection was broken off",
        )
    ]


async def test_bad_inputs_67_a_body_that_is_too_long_breaks_the_connection(caplog):
    res, channel = http()
    res.send_headers([("Content-Length", "5")])
    res.send(b"abc", True)
    with pytest.raises(ValueError, match="1 bytes more"):
        res.send(b"def", True)
    assert channel.said == [sized(5), b"abc", BROKEN], "nothing of the piece is sent"
    assert "1 bytes more than its Content-Length" in caplog.text


async def test_a_total_that_is_not_met_breaks_the_connection(caplog):
    res, channel = http()
    await res.send_chunk(b"abc", 5)
    with pytest.raises(ValueError, match="2 bytes fewer"):
        res.send()
    assert channel.said == [sized(5), b"abc", BROKEN]
    assert "2 bytes fewer" in caplog.text


async def test_a_broken_answer_is_an_abort():
    res, channel = http()
    told = []
    res.on_aborted(told.append, "broken")
    res.send_headers([("Content-Length", "5")])
    res.send(b"abc", True)
    with pytest.raises(ValueError, match="fewer"):
        res.send()
    assert res.aborted
    assert told == ["broken"]
    assert await res.send(b"de") is False
    assert channel.said[-1] == BROKEN


# -- answers without a body ----------------------------------------------------------------------------------------

BODILESS = pytest.mark.parametrize(
    ("method", "status", "line"),
    [("HEAD", 200, "200 OK"), ("GET", 204, "204 No Content"), ("GET", 304, "304 Not Modified"), ("HEAD", 404, None)],
)


def bodiless(method, status, line, size):
    """The head: 204 never has a length (RFC 9110 8.6), 304 has one only where the application declares it."""
    lines = [f"Content-Length: {size}"] if size is not None and status != 204 else []
    return head(line or "404 Not Found", *lines)


@BODILESS
async def test_bad_inputs_65_a_body_is_suppressed(method, status, line):
    res, channel = http(method)
    res.send_status(status)
    assert await res.send(b"not wanted") is True
    assert channel.said == [bodiless(method, status, line, 10 if method == "HEAD" else None), END]


@BODILESS
async def test_bad_inputs_65_a_body_in_pieces_is_suppressed(method, status, line):
    res, channel = http(method)
    res.send_status(status)
    res.send(b"not", True)
    await res.send_chunk(b" wan")
    res.send("ted")
    assert channel.said == [bodiless(method, status, line, None), END]


@BODILESS
async def test_bad_inputs_65_chunks_of_a_total_are_suppressed_and_still_end(method, status, line):
    res, channel = http(method)
    res.send_status(status)
    assert await res.send_chunk(b"not", 6) == (True, False)
    assert await res.send_chunk(b"now", 6) == (True, True)
    assert channel.said == [bodiless(method, status, line, 6), END]


@BODILESS
@pytest.mark.parametrize("pieces", [[b""], [b"12345"], [b"1", b"2"], [b"123", b"456", b"7"]])
async def test_a_declared_length_is_kept_and_what_is_not_sent_is_not_counted(method, status, line, pieces):
    res, channel = http(method)
    res.send_status(status)
    res.send_headers([("Content-Length", "5")])
    for piece in pieces[:-1]:
        res.send(piece, True)
    res.send(pieces[-1])
    assert channel.said == [bodiless(method, status, line, 5), END]


@BODILESS
async def test_an_answer_that_ends_before_its_total_is_no_short_page(method, status, line):
    res, channel = http(method)
    res.send_status(status)
    await res.send_chunk(b"", 1000)
    assert await res.send() is True
    assert channel.said == [bodiless(method, status, line, 1000), END]


async def test_head_without_a_body_has_no_length_rather_than_zero():
    # RFC 9110 8.6: the length an answer to GET would have, or none.
    res, channel = http("HEAD")
    res.send()
    assert channel.said == [OK, END]


async def test_a_suppressed_body_is_still_a_body_that_must_have_bytes():
    res, channel = http("HEAD")
    with pytest.raises(TypeError):
        res.send(17)
    assert channel.said == []


# -- get_data, get_chunk -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, body_of()], ids=["none", "empty"])
async def test_no_body_is_none(body):
    res, _ = http(body=body)
    assert await res.get_data() is None
    assert await res.get_chunk() is None
    assert await res.get_chunk() is None


async def test_get_data_is_a_rewound_file_of_the_whole_body():
    res, _ = http(body=body_of(b"ab", b"c"))
    data = await res.get_data()
    assert data.tell() == 0
    assert data.read() == b"abc"


async def test_get_data_again_gives_the_same_data_rewound():
    res, _ = http(body=body_of(b"abc"))
    first = await res.get_data()
    first.read(2)
    first.write(b"mine")
    assert data_of(await res.get_data()) == b"abc"


async def test_get_data_waits_for_the_end():
    body = body_of(b"ab", ended=False)
    res, channel = http(body=body)
    waiting = asyncio.ensure_future(res.get_data())
    await settle()
    body.feed(b"c")
    await settle()
    assert not waiting.done()
    body.feed_end()
    assert data_of(await waiting) == b"abc"
    assert channel.taken >= 2, "each piece that is taken lets the peer send more"


async def test_get_chunk_gives_the_pieces_and_then_none():
    body = body_of(b"ab", ended=False)
    res, _ = http(body=body)
    assert data_of(await res.get_chunk()) == b"ab"
    body.feed(b"c")
    body.feed_end()
    assert data_of(await res.get_chunk()) == b"c"
    assert await res.get_chunk() is None
    assert await res.get_chunk() is None


async def test_get_chunk_gives_a_piece_as_soon_as_it_is_there():
    body = body_of(ended=False)
    res, _ = http(body=body)
    waiting = asyncio.ensure_future(res.get_chunk())
    await settle()
    assert not waiting.done()
    body.feed(b"ab")
    assert data_of(await waiting) == b"ab"


async def test_reading_is_what_lets_the_peer_send_more():
    body = body_of(b"ab", ended=False)
    res, channel = http(body=body)
    await settle()
    assert channel.taken == 0
    await res.get_chunk()
    assert channel.taken == 1


async def test_get_data_after_get_chunk_is_the_remainder():
    body = body_of(b"ab", ended=False)
    res, _ = http(body=body)
    await res.get_chunk()
    body.feed(b"c")
    body.feed(b"d")
    body.feed_end()
    assert data_of(await res.get_data()) == b"cd"
    assert data_of(await res.get_data()) == b"cd"


async def test_get_data_after_all_chunks_is_none():
    res, _ = http(body=body_of(b"ab"))
    await res.get_chunk()
    assert await res.get_data() is None


async def test_get_chunk_after_get_data_is_none():
    res, _ = http(body=body_of(b"ab"))
    await res.get_data()
    assert await res.get_chunk() is None


async def test_get_data_from_two_tasks_gives_both_all_of_it():
    body = body_of(b"ab", ended=False)
    res, _ = http(body=body)
    both = asyncio.gather(res.get_data(), res.get_data())
    for piece in (b"c", b"d", b"e"):
        await settle()
        body.feed(piece)
    await settle()
    body.feed_end()
    assert [data_of(data) for data in await both] == [b"abcde", b"abcde"]


async def test_get_data_that_was_cancelled_loses_nothing():
    body = body_of(b"ab", ended=False)
    res, _ = http(body=body)
    hasty = asyncio.ensure_future(res.get_data())
    await settle()
    hasty.cancel()
    await settle()
    body.feed(b"c")
    body.feed_end()
    assert data_of(await res.get_data()) == b"abc"


async def test_get_chunk_from_two_tasks_gives_each_piece_once():
    body = body_of(ended=False)
    res, _ = http(body=body)
    both = asyncio.gather(res.get_chunk(), res.get_chunk())
    await settle()
    body.feed(b"a")
    await settle()
    body.feed(b"b")
    assert [data_of(piece) for piece in await both] == [b"a", b"b"]


async def test_get_chunk_from_two_tasks_both_hear_of_the_end():
    body = body_of(ended=False)
    res, _ = http(body=body)
    both = asyncio.gather(res.get_chunk(), res.get_chunk())
    await settle()
    body.feed_end()
    assert await both == [None, None]


@pytest.mark.parametrize("member", ["get_data", "get_chunk"])
async def test_an_abort_raises_where_the_body_is_waited_for(member):
    res, channel = http(body=body_of(ended=False))
    res.on_aborted(lambda: None)
    waiting = asyncio.ensure_future(getattr(res, member)())
    await settle()
    channel.leave()
    with pytest.raises(ConnectionAbortedError):
        await waiting


@pytest.mark.parametrize("member", ["get_data", "get_chunk"])
async def test_an_abort_raises_where_the_body_is_read_afterwards(member):
    res, channel = http(body=body_of(b"ab", ended=False))
    channel.leave()
    for _ in range(2):
        with pytest.raises(ConnectionAbortedError):
            await getattr(res, member)()


async def test_a_body_that_had_arrived_can_be_read_after_an_abort():
    res, channel = http(body=body_of(b"ab"))
    channel.leave()
    assert data_of(await res.get_data()) == b"ab"


# -- on_aborted ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
async def test_on_aborted_calls_each_handler_once_with_its_arguments(begun):
    res, channel = http()
    told = []
    res.on_aborted(told.append, "first")
    res.on_aborted(lambda *args: told.append(args), 1, 2)
    if begun:
        res.send(b"a", True)
    channel.leave()
    channel.leave()
    assert told == ["first", (1, 2)]


async def test_on_aborted_twice_the_same_handler_is_two():
    res, channel = http()
    told = []
    res.on_aborted(told.append, "again")
    res.on_aborted(told.append, "again")
    channel.leave()
    assert told == ["again", "again"]


async def test_on_aborted_takes_an_async_handler():
    res, channel = http()
    told = []

    async def handler(word):
        await asyncio.sleep(0)
        told.append(word)

    res.on_aborted(handler, "late")
    channel.leave()
    await settle()
    assert told == ["late"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_on_aborted_at_once_if_already_aborted(is_async):
    res, channel = http()
    told = []

    async def handler():
        told.append("told")

    channel.leave()
    res.on_aborted(handler if is_async else lambda: told.append("told"))
    if not is_async:
        assert told == ["told"]
    await settle()
    assert told == ["told"]


@pytest.mark.parametrize("late", [False, True])
async def test_on_aborted_never_after_a_normal_end(late):
    res, channel = http()
    told = []
    if not late:
        res.on_aborted(told.append, "wrong")
    res.send(b"all")
    if late:
        res.on_aborted(told.append, "wrong")
    channel.leave()
    await settle()
    assert told == []


async def test_on_aborted_a_handler_that_fails_is_logged_and_hurts_no_other(caplog):
    res, channel = http("GET", "/page")
    told = []

    def wrong():
        raise KeyError("handler")

    async def wrong_too():
        raise KeyError("async handler")

    res.on_aborted(wrong)
    res.on_aborted(wrong_too)
    res.on_aborted(told.append, "right")
    channel.leave()
    await settle()
    assert told == ["right"]
    assert [record.getMessage() for record in caplog.records] == ["GET /page: the application raised"] * 2
    assert "KeyError: 'handler'" in caplog.text
    assert "KeyError: 'async handler'" in caplog.text


async def test_on_aborted_may_answer_and_register_without_effect():
    res, channel = http()
    told = []

    def handler():
        res.send("too late")
        res.on_aborted(told.append, "at once")

    res.on_aborted(handler)
    channel.leave()
    assert told == ["at once"]
    assert channel.said == []


# -- send_file, a superset -----------------------------------------------------------------------------------------


async def test_send_file_after_the_end_is_a_runtime_error():
    res, _ = http()
    res.send()
    with pytest.raises(RuntimeError, match="send_file"):
        await res.send_file(__file__)


async def test_send_file_what_cannot_be_opened_sends_nothing(tmp_path: Path):
    res, channel = http()
    with pytest.raises(FileNotFoundError):
        await res.send_file(tmp_path / "missing")
    with pytest.raises(OSError, match="only regular files"):
        await res.send_file(tmp_path)
    assert channel.said == []
