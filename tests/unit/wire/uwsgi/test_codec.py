"""uwsgi requests as they come, in every cut, and answers as they go."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.errors import LocalProtocolError, RemoteProtocolError, RequestRejected
from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.cgi import ResponseHead, Variables
from ssgi_gateway.wire.events import BodyReceived, HeadReceived, RequestAborted, RequestEnded
from ssgi_gateway.wire.uwsgi.codec import TRANSITIONS, UwsgiCodec
from tests.unit.wire.transcript import CLOSED, EOF, Refused, pieces_of, play, read

GET = [("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/a%20b?x=1"), ("CONTENT_LENGTH", ""), ("HTTP_HOST", "example.org")]
POST = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/"), ("CONTENT_LENGTH", "5")]


def make(limits=None):
    return UwsgiCodec(limits or WireLimits())


def packet(block, modifier1=0, modifier2=0):
    return struct.pack("<BHB", modifier1, len(block), modifier2) + block


def request(pairs, body=b"", **modifiers):
    """The reference encoder: uwsgi-docs, "uwsgi vars"."""
    strings = [text if isinstance(text, bytes) else text.encode("latin-1") for pair in pairs for text in pair]
    return packet(b"".join(struct.pack("<H", len(string)) + string for string in strings), **modifiers) + body


def head(pairs, length=0):
    return HeadReceived(Variables((name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs), length)


def test_a_request_without_a_body():
    assert read(make, request(GET), trailing=b"GET / HTTP/1.1\r\n").told == [head(GET), RequestEnded()]


def test_a_request_with_a_body():
    transcript = read(make, request(POST, b"hello"), trailing=b"\0\0\0\0")
    assert transcript.told == [head(POST, 5), BodyReceived(b"hello"), RequestEnded()]


def test_the_documentations_own_example():
    wire = bytes.fromhex("000d0000") + b"\x03\0foo\x06\0foobar"
    assert read(make, wire).told[0].variables.get("foo") == "foobar"


def test_a_request_without_variables_is_a_request():
    assert read(make, packet(b"")).told == [head([]), RequestEnded()]


def test_an_empty_value_and_a_value_of_bytes():
    pairs = [("QUERY_STRING", ""), ("HTTP_X_NAME", "é\x00")]
    assert read(make, request(pairs)).told == [head(pairs), RequestEnded()]


def test_the_last_of_a_repeated_variable_counts():
    told = read(make, request([("SERVER_NAME", "a"), ("SERVER_NAME", "b")])).told
    assert told[0].variables.get("SERVER_NAME") == "b"


@pytest.mark.parametrize(
    "block",
    [
        b"\x01",
        b"\x03\0ab",
        b"\x03\0abc",
        b"\x03\0abc\x01",
        b"\x03\0abc\x02\0x",
        b"\xff\xff" + b"a" * 10,
        b"\0\0\0\0",
        b"\0\0\x01\0x",
    ],
)
def test_what_ends_elsewhere_or_has_no_name_closes_the_connection(block):
    assert read(make, packet(block)).told == [CLOSED]


@pytest.mark.parametrize("modifiers", [{"modifier1": 5}, {"modifier1": 255}, {"modifier2": 1}])
def test_other_modifiers_are_refused_in_words(modifiers):
    transcript = read(make, request(GET, **modifiers))
    assert transcript.told == [CLOSED]
    assert "modifier" in transcript.words


@pytest.mark.parametrize(
    ("data", "name"),
    [(b"GET / HTTP/1.1\r\n\r\n", "HTTP"), (b"\x01\x01\0\x01\0\x08\0\0", "FastCGI"), (b"70:CONTENT_LENGTH\0", "SCGI")],
)
def test_other_protocols_are_named(data, name):
    codec = make()
    codec.receive(data)
    with pytest.raises(RemoteProtocolError, match=f"looks like {name}"):
        codec.next_event()


def test_too_many_variables_are_431():
    wire = request([(f"V{index}", "x") for index in range(11)])
    assert read(lambda: make(WireLimits(max_variables=10)), wire).told == [Refused(431)]


def test_a_head_over_the_limit_is_431_as_soon_as_its_size_is_known():
    codec = make(WireLimits(max_head_size=100))
    codec.receive(struct.pack("<BHB", 0, 101, 0))
    with pytest.raises(RequestRejected, match="exceed 100 bytes") as raised:
        codec.next_event()
    assert raised.value.status == 431


@pytest.mark.parametrize("length", ["-1", "x", "1 2", "+1", "9" * 30])
def test_a_length_that_is_none_is_400(length):
    assert read(make, request([*POST[:2], ("CONTENT_LENGTH", length)])).told == [Refused(400)]


@pytest.mark.parametrize("field", [("HTTP_TRANSFER_ENCODING", "chunked"), ("HTTP_CONTENT_LENGTH", "5")])
def test_a_body_of_unknown_length_is_411_and_names_the_directive(field):
    transcript = read(make, request([*POST[:2], ("CONTENT_LENGTH", ""), field]))
    assert transcript.told == [Refused(411)]
    assert "uwsgi_request_buffering on" in transcript.words


@pytest.mark.parametrize("field", [("HTTP_TRANSFER_ENCODING", "chunked"), ("HTTP_CONTENT_LENGTH", "5")])
@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_body_of_unknown_length_is_noticed_wherever_its_field_stands(field, place):
    pairs = [*GET[:2], *GET[3:], ("HTTP_ACCEPT", "")]
    pairs.insert(place, field)
    assert read(make, request(pairs)).told == [Refused(411)]


@pytest.mark.parametrize(
    "field",
    [
        ("HTTP_X", "HTTP_TRANSFER_ENCODING"),
        ("HTTP_TRANSFER_ENCODINX", "chunked"),
        ("XTTP_CONTENT_LENGTH", "5"),
        ("HTTP_CONTENT_LENGTH", "0"),
        ("HTTP_TRANSFER_ENCODING", ""),
        ("HTTP_CONTENT_LENGTHS", "5"),
    ],
)
def test_what_only_looks_like_a_body_is_none(field):
    assert RequestEnded() in read(make, request([*GET, field])).told
    assert RequestEnded() in read(make, request([field, *GET])).told


@pytest.mark.parametrize("cut", [1, 3, 4, 10])
def test_the_end_within_a_head_is_an_error(cut):
    assert play(make(), [request(GET)[:cut], EOF]).told == [CLOSED]


@pytest.mark.parametrize("body", [b"", b"hel", b"hello"])
def test_a_client_that_disconnects_is_an_abort(body):
    assert play(make(), [request(POST, body), EOF]).told[-1] == RequestAborted()


def test_the_end_of_a_connection_without_a_request_is_nothing():
    assert play(make(), [EOF]).told == []


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(min_codepoint=65, max_codepoint=90), min_size=1, max_size=9).map("HTTP_X_{}".format),
            st.text(st.characters(max_codepoint=255), max_size=300),
        ),
        max_size=20,
        unique_by=lambda pair: pair[0],
    ),
    st.binary(max_size=2000),
    st.data(),
)
def test_any_request_in_any_cut(pairs, body, data):
    pairs = [("REQUEST_METHOD", "PUT"), ("CONTENT_LENGTH", str(len(body))), *pairs]
    transcript = play(make(), data.draw(pieces_of(request(pairs, body))))
    assert transcript.told[0] == head(pairs, len(body))
    assert transcript.body == body
    assert transcript.told[-1] == RequestEnded()


@given(st.binary(max_size=300), st.data())
def test_any_bytes_have_a_defined_outcome(wire, data):
    whole = play(make(), [wire, EOF])
    cut = play(make(), [*data.draw(pieces_of(wire)), EOF])
    assert [event for event in cut.told if type(event) is not BodyReceived] == [
        event for event in whole.told if type(event) is not BodyReceived
    ]
    assert cut.body == whole.body


def answer_head(**fields):
    made = ResponseHead()
    made.set_status(200)
    made.add([("Content-Type", "text/plain"), *fields.items()])
    return made


def test_an_answer_is_one_of_http():
    """As uWSGI's own: Apache's mod_proxy_uwsgi answers 502 to a CGI block, uWSGI's router hands it to the client."""
    codec = make()
    [written] = codec.encode(answer_head(), b"hello", True)
    fields, _, body = written.partition(b"\r\n\r\n")
    assert fields.split(b"\r\n") == [b"HTTP/1.1 200 OK", b"Content-Type: text/plain"]
    assert body == b"hello"
    assert codec.head_size == len(fields) + 4
    assert codec.finish() is False


def test_a_large_payload_is_not_copied():
    payload = bytes(100_000)
    assert make().encode(answer_head(), payload, True)[1] is payload


@pytest.mark.parametrize(
    "pieces",
    [
        [(None, b"x", False)],
        [(True, None, False), (True, None, False)],
        [(True, None, True), (None, b"x", False)],
    ],
)
def test_pieces_that_do_not_belong_there_are_errors(pieces):
    codec = make()
    *fitting, (with_head, data, end) = pieces
    for first, payload, last in fitting:
        codec.encode(answer_head() if first else None, payload, last)
    with pytest.raises(LocalProtocolError):
        codec.encode(answer_head() if with_head else None, data, end)


def test_the_table_of_states_is_closed():
    assert {state for row in TRANSITIONS.values() for state in row.values()} <= TRANSITIONS.keys()
