import pytest

from ssgi_gateway.wire.buffers import MAX_JOINED
from ssgi_gateway.wire.fastcgi.records import FULL_CONTENT, HEADER_SIZE, REQUEST_COMPLETE, STDOUT, decode_pairs
from tests.unit.wire.blocks import Block
from tests.unit.wire.fastcgi_front import HEAD, Front, get
from tests.unit.wire.flup_fastcgi import flup_records


def asked(request_id=1):
    """A codec whose request waits for its answer."""
    return Front(answering=False).send(get(request_id)).codec


def joined(pieces):
    return b"".join(pieces)


TAIL = bytes.fromhex("0106000100000000 0103000100080000 0000000000000000")


def test_a_small_answer_is_one_piece():
    (piece,) = asked().encode(Block(HEAD), b"hello", True)
    assert isinstance(piece, bytes)
    assert piece == b"\x01\x06\x00\x01\x00\x17\x00\x00" + HEAD + b"hello" + TAIL


def test_piece_by_piece():
    codec = asked()
    assert codec.encode(Block(HEAD), None, False) == [b"\x01\x06\x00\x01\x00\x12\x00\x00" + HEAD]
    assert codec.encode(None, b"a", False) == [b"\x01\x06\x00\x01\x00\x01\x00\x00a"]
    assert codec.encode(None, b"b", True) == [b"\x01\x06\x00\x01\x00\x01\x00\x00b" + TAIL]


@pytest.mark.parametrize("nothing", [None, b"", bytearray(), memoryview(b"")])
def test_nothing_is_no_record(nothing):
    codec = asked()
    # An empty STDOUT record would be the end of the answer.
    assert codec.encode(None, nothing, False) == []
    assert codec.encode(Block(b""), nothing, False) == []
    assert codec.encode(None, nothing, True) == [TAIL]


def test_the_end_mark_is_due_even_without_any_output():
    # "at least one record of the stream type is always transmitted, even if the stream is empty" (6.1)
    assert flup_records(joined(asked(7).encode(None, None, True))) == [(STDOUT, 7, b""), (3, 7, bytes(8))]
    assert REQUEST_COMPLETE == 0


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("head", [None, HEAD, b"X" * 20_000, b"X" * 100_000])
@pytest.mark.parametrize(
    "size", [0, 1, MAX_JOINED - len(HEAD), MAX_JOINED - len(HEAD) + 1, FULL_CONTENT, 65536, 300_000]
)
@pytest.mark.parametrize("end", [False, True])
def test_every_size_comes_out_whole(end, size, head, kind):
    payload = bytes(range(256)) * (size // 256) + b"." * (size % 256)
    pieces = asked(258).encode(Block(head) if head else None, kind(payload), end)
    records = flup_records(joined(pieces))
    stream = [content for number, request_id, content in records if number == STDOUT]
    assert joined(stream) == (head or b"") + payload
    assert {request_id for _, request_id, _ in records} <= {258}
    assert all(stream[:-1])
    if end:
        assert records[-2:] == [(STDOUT, 258, b""), (3, 258, bytes(8))]
    else:
        assert all(stream)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_large_payloads_are_not_copied(kind):
    payload = kind(1_000_000)
    pieces = asked().encode(Block(HEAD), payload, True)
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert sum(len(view) for view in views) == len(payload)
    assert all(view.obj is payload for view in views)
    assert len(pieces) == 2 * -(-(len(payload) + len(HEAD)) // FULL_CONTENT) + 1


def test_full_records_keep_an_alignment_of_eight():
    sizes = [len(content) for _, _, content in flup_records(joined(asked().encode(None, bytes(200_000), False)))]
    assert sizes == [FULL_CONTENT, FULL_CONTENT, FULL_CONTENT, 200_000 - 3 * FULL_CONTENT]
    assert (FULL_CONTENT + HEADER_SIZE) % 8 == 0


def test_a_broken_answer_has_no_end_mark():
    front = Front(answering=False).send(get())
    wire = joined(front.codec.encode(Block(HEAD), b"half", False))
    front.eof()
    assert flup_records(wire + front.codec.take_output()) == [(STDOUT, 1, HEAD + b"half")]


def test_management_garbage_is_bounded_by_the_record():
    front = Front().send(b"\x01\x09\0\0\xff\xff\0\0" + b"\x0e\0FCGI_MAX_CONNS" * 4095 + b"\0" * 15)
    ((kind, _, content),) = flup_records(front.output)
    assert kind == 10
    assert decode_pairs(content, 3) == ([(b"FCGI_MAX_CONNS", b"10000")], True)
