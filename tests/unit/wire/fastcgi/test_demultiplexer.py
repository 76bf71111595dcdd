"""Whose bytes are whose, where several requests share a connection."""

import pytest

from ssgi_gateway.errors import RemoteProtocolError
from ssgi_gateway.wire.fastcgi.demultiplexer import NOBODY, Demultiplexer
from ssgi_gateway.wire.fastcgi.records import GET_VALUES, STDIN
from tests.unit.wire.fastcgi_front import begin, get, params, post, record, stdin


def sorted_out(pieces, known=()):
    """What every id gets, as one text, with requests that begin taken on."""
    demultiplexer = Demultiplexer()
    demultiplexer.requests.update(known)
    received: dict[int, bytes] = {}
    for piece in pieces:
        demultiplexer.receive(piece)
        while (run := demultiplexer.next_run()) is not None:
            owner, data = run
            assert data
            received[owner] = received.get(owner, b"") + data
            if owner:
                demultiplexer.requests.add(owner)
    return received


def every_cut(wire):
    yield [wire]
    yield [wire[at : at + 1] for at in range(len(wire))]
    for at in range(1, len(wire)):
        yield [wire[:at], wire[at:]]


def test_every_request_gets_its_own_records_whole_and_in_order():
    one = [begin(1), params(post(b"4"), 1), record(STDIN, 1, b"ab", 3), record(STDIN, 1, b"cd"), record(STDIN, 1)]
    two = [get(2)]
    three = [begin(3), params(post(b"1"), 3), stdin(b"x", request_id=3)]
    wire = one[0] + two[0] + one[1] + three[0] + one[2] + three[1] + one[3] + three[2] + one[4]
    for pieces in every_cut(wire):
        assert sorted_out(pieces) == {1: b"".join(one), 2: two[0], 3: b"".join(three)}


def test_what_belongs_to_no_request_goes_by_the_id_0():
    values = record(GET_VALUES, 0, b"\x0f\x00FCGI_MPXS_CONNS")
    stray = record(STDIN, 9, b"nobody's")
    for pieces in every_cut(values + get(1) + stray + record(STDIN, 1, b"late")):
        assert sorted_out(pieces) == {NOBODY: values + stray, 1: get(1) + record(STDIN, 1, b"late")}


def test_records_of_one_request_that_follow_each_other_are_one_run():
    demultiplexer = Demultiplexer(get(7) + get(9))
    assert [demultiplexer.next_run(), demultiplexer.next_run(), demultiplexer.next_run()] == [
        (7, get(7)),
        (9, get(9)),
        None,
    ]
    assert not demultiplexer.incomplete()


def test_a_record_that_has_begun_is_pending():
    demultiplexer = Demultiplexer(get(7)[:20])
    assert demultiplexer.next_run() == (7, get(7)[:16])
    assert demultiplexer.incomplete()


def test_what_is_no_fastcgi_is_refused():
    with pytest.raises(RemoteProtocolError, match="version 71"):
        Demultiplexer(get(7) + b"GET / HTTP/1.1\r\n").next_run()
