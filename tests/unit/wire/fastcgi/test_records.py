import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgi_gateway.wire.fastcgi.records import (
    BEGIN_BODY,
    BEGIN_REQUEST,
    CANT_MPX_CONN,
    END_REQUEST,
    FULL_CONTENT,
    HEADER_SIZE,
    PARAMS,
    STDERR,
    STDIN,
    STDOUT,
    decode_pairs,
    encode_end_request,
    encode_pair,
    encode_record,
    encode_stream,
)
from tests.unit.wire.flup_fastcgi import encode_pair as flup_encode_pair
from tests.unit.wire.flup_fastcgi import flup_pairs, flup_record, flup_records

names = st.binary(min_size=1, max_size=300)
values = st.binary(max_size=300)
pairs = st.lists(st.tuples(names, values), max_size=20)


def encoded(some_pairs):
    return b"".join(encode_pair(name, value) for name, value in some_pairs)


# The examples of the specification, appendix B, byte for byte.


def test_begin_request_as_in_the_specification():
    assert encode_record(BEGIN_REQUEST, 1, BEGIN_BODY.pack(1, 0)) == bytes.fromhex("0101000100080000 0001000000000000")


def test_params_as_in_the_specification():
    pair = encode_pair(b"SERVER_PORT", b"80") + encode_pair(b"SERVER_ADDR", b"199.170.183.42")
    assert pair == b"\013\002SERVER_PORT80\013\016SERVER_ADDR199.170.183.42"


def test_end_request_as_in_the_specification():
    assert encode_end_request(1) == bytes.fromhex("0103000100080000 0000000000000000")
    assert encode_end_request(0x0203, CANT_MPX_CONN, 7) == bytes.fromhex("0103020300080000 0000000701000000")


# Records


@given(kind=st.integers(0, 255), request_id=st.integers(0, 65535), content=st.binary(max_size=1000))
def test_flup_reads_our_records(kind, request_id, content):
    assert flup_records(encode_record(kind, request_id, content)) == [(kind, request_id, content)]


def test_our_records_are_not_padded_and_flups_are():
    assert len(encode_record(STDOUT, 1, b"abc")) == HEADER_SIZE + 3
    assert len(flup_record(STDIN, 1, b"abc")) == HEADER_SIZE + 8


@pytest.mark.parametrize("head_size", [0, 1, 100, FULL_CONTENT - 1, FULL_CONTENT, FULL_CONTENT + 1, 200_000])
@pytest.mark.parametrize("size", [0, 1, 20_000, FULL_CONTENT - 1, FULL_CONTENT, FULL_CONTENT + 1, 65536, 1_000_000])
def test_a_stream_is_cut_into_records(head_size, size):
    head, payload = b"h" * head_size, bytes(range(250)) * (size // 250) + b"z" * (size % 250)
    records = flup_records(b"".join(encode_stream(STDOUT, 513, head, payload)))
    assert b"".join(content for _, _, content in records) == head + payload
    assert {record[:2] for record in records} <= {(STDOUT, 513)}
    # An empty record would be the end of the stream (3.3).
    assert all(0 < len(content) <= FULL_CONTENT for _, _, content in records)


def test_a_payload_is_not_copied():
    payload = bytes(300_000)
    slices = [piece for piece in encode_stream(STDOUT, 1, b"head", payload) if isinstance(piece, memoryview)]
    assert sum(len(piece) for piece in slices) == len(payload)
    assert all(piece.obj is payload for piece in slices)


def test_any_buffer_is_a_payload():
    words = memoryview(bytes(range(16))).cast("I")
    assert b"".join(encode_stream(STDERR, 1, b"", words))[HEADER_SIZE:] == bytes(range(16))
    assert b"".join(encode_stream(STDERR, 1, b"", bytearray(b"abc")))[HEADER_SIZE:] == b"abc"


# Name-value pairs


@given(pairs)
def test_pairs_come_back(some_pairs):
    assert decode_pairs(encoded(some_pairs), 20) == (some_pairs, True)


@given(pairs)
def test_pairs_are_what_flup_writes_and_reads(some_pairs):
    theirs = b"".join(flup_encode_pair(name, value) for name, value in some_pairs)
    assert encoded(some_pairs) == theirs
    assert flup_pairs(encoded(some_pairs)) == some_pairs
    assert decode_pairs(theirs, 20) == (some_pairs, True)


LENGTHS = [0, 1, 127, 128, 129, 255, 256, 65535, 65536]


@pytest.mark.parametrize("value_length", LENGTHS)
@pytest.mark.parametrize("name_length", LENGTHS)
def test_fastcgi_34_names_and_values_of_128_bytes_and_more(name_length, value_length):
    pair = (b"N" * name_length, b"v" * value_length)
    wire = encode_pair(*pair)
    assert wire == flup_encode_pair(*pair)
    assert decode_pairs(wire + wire, 2) == ([pair, pair], True)


def test_a_short_length_may_be_written_long():
    # 3.4 wants one byte for lengths up to 127, and nothing is gained by refusing four.
    assert decode_pairs(b"\x80\0\0\x01\x80\0\0\x02Nvv", 1) == ([(b"N", b"vv")], True)


@given(pairs=st.lists(st.tuples(names, values), min_size=1, max_size=5), data=st.data())
def test_pairs_that_end_inside_one(pairs, data):
    ends = list(itertools.accumulate(len(encode_pair(*pair)) for pair in pairs))
    cut = data.draw(st.integers(0, ends[-1]).filter(lambda position: position and position not in ends))
    whole = sum(end < cut for end in ends)
    assert decode_pairs(encoded(pairs)[:cut], 5) == (pairs[:whole], False)


@pytest.mark.parametrize(
    "lengths", [b"\xff\xff\xff\xff\x01", b"\x01\xff\xff\xff\xff", b"\xff\xff\xff\xff\xff\xff\xff\xff"]
)
def test_fastcgi_31_lengths_of_two_gigabytes_allocate_nothing(lengths):
    assert decode_pairs(b"\x01\x01ab" + lengths + b"N" * 100, 10) == ([(b"a", b"b")], False)


def test_no_more_pairs_are_taken_than_are_wanted():
    wire = encode_pair(b"a", b"b") * 10
    assert decode_pairs(wire, 10) == ([(b"a", b"b")] * 10, True)
    assert decode_pairs(wire, 9) == ([(b"a", b"b")] * 10, False)
    assert decode_pairs(wire, 5) == ([(b"a", b"b")] * 6, False)


@given(st.binary(max_size=200))
def test_garbage_is_never_an_exception(data):
    found, whole = decode_pairs(data, 5)
    assert len(found) <= 6
    if whole:
        assert sum(len(name) + len(value) for name, value in found) <= len(data)


def test_end_request_is_read_by_flup():
    assert flup_records(encode_end_request(9)) == [(END_REQUEST, 9, bytes(8))]
    assert flup_records(flup_record(PARAMS, 9, b"x")) == [(PARAMS, 9, b"x")]
