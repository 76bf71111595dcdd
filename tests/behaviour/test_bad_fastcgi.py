"""Bad and unusual FastCGI, over a socket, to a running gateway. Section numbers are those of FastCGI 1.0."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ssgi_gateway.wire.fastcgi.records import (
    ABORT_REQUEST,
    DATA,
    END_REQUEST,
    GET_VALUES,
    GET_VALUES_RESULT,
    KEEP_CONN,
    PARAMS,
    REQUEST_COMPLETE,
    STDIN,
    STDOUT,
    UNKNOWN_ROLE,
    UNKNOWN_TYPE,
)
from tests.behaviour.raw import FLAT, Answer, Peer, complaints, exchange, noted, records, scgi, unharmed
from tests.harness import Address, Gateway
from tests.unit.wire.fastcgi_front import begin, pairs, params, record, stdin

HELLO = {b"REQUEST_METHOD": b"GET", b"REQUEST_URI": b"/do/hello", b"REMOTE_ADDR": b"192.0.2.1", b"SERVER_PORT": b"80"}
FACTS = HELLO | {b"REQUEST_URI": b"/facts"}
DONE = bytes(8)


def whole(
    variables: dict[bytes, bytes] = HELLO, request_id: int = 1, flags: int = KEEP_CONN, body: bytes = b""
) -> bytes:
    """A whole request."""
    pieces = [body] if body else []
    return begin(request_id, flags=flags) + params(variables, request_id) + stdin(*pieces, request_id=request_id)


def post(target: bytes, **more: bytes) -> dict[bytes, bytes]:
    """The variables of a POST."""
    return (
        HELLO | {b"REQUEST_METHOD": b"POST", b"REQUEST_URI": target} | {name.encode(): it for name, it in more.items()}
    )


def end(request_id: int, status: int) -> tuple[int, int, bytes]:
    """An END_REQUEST as ``Peer.read_record`` shows it."""
    return END_REQUEST, request_id, bytes((0, 0, 0, 0, status, 0, 0, 0))


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()


@pytest.fixture
def address(gateway: Gateway) -> Address:
    return gateway.address("fastcgi", "tcp")


def answers_on(peer: Peer, request_id: int = 1) -> None:
    """The connection carries a request, as if nothing had happened."""
    answer = peer.send(whole(request_id=request_id)).read_fastcgi()
    assert (answer.status, answer.whole) == (200, True)


def test_fastcgi_22_other_versions_close(gateway: Gateway, address: Address) -> None:
    for version in (0, 2, 255):
        with unharmed(gateway):
            assert exchange(address, bytes([version]) + whole()[1:]) == b""
        assert f"FastCGI version {version}" in complaints(gateway)[-1]


def test_fastcgi_21_other_protocols_close_under_their_names(gateway: Gateway, address: Address) -> None:
    for name, data in {"HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "SCGI": scgi()}.items():
        with unharmed(gateway):
            assert exchange(address, data) == b""
        assert f"looks like {name}, and this address speaks FastCGI" in complaints(gateway)[-1]


def test_fastcgi_23_a_flood_before_begin_closes_with_flat_memory(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway):
        assert exchange(address, record(STDIN, 1, b"x" * 100) * 100_000) == b""


def test_fastcgi_24_records_of_an_unknown_id_are_ignored_and_of_id_0_close(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0), Peer(address) as peer:
        peer.send(begin() + record(PARAMS, 7, pairs(FACTS)) + record(STDIN, 9, b"stray") + params(HELLO) + stdin())
        assert peer.read_fastcgi().status == 200
        answers_on(peer)
    for kind in (PARAMS, STDIN):
        with unharmed(gateway):
            assert exchange(address, begin() + record(kind, 0, b"x")) == b""


def test_fastcgi_26_a_second_id_while_one_is_busy_is_served(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0), Peer(address) as peer:
        peer.send(begin(1) + record(GET_VALUES, 0, pairs({b"FCGI_MPXS_CONNS": b""})))
        assert peer.read_record() == (GET_VALUES_RESULT, 0, pairs({b"FCGI_MPXS_CONNS": b"1"}))
        peer.send(params(post(b"/do/echo")) + record(STDIN, 1, b"first"))
        kind, request_id, content = peer.read_record()
        assert (kind, request_id, Answer(content).body) == (STDOUT, 1, b"first")
        *answer, last = peer.send(whole(request_id=2)).read_records()
        assert {number for _, number, _ in answer} == {2}
        assert last == end(2, REQUEST_COMPLETE)
        peer.send(record(STDIN, 1, b" and last") + record(STDIN, 1))
        assert peer.read_records() == [(STDOUT, 1, b" and last"), (STDOUT, 1, b""), end(1, REQUEST_COMPLETE)]
        answers_on(peer, 2)


def test_fastcgi_27_other_roles_are_unknown(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0):
        with Peer(address) as peer:
            for role in (2, 3, 99):
                peer.send(begin(1, role=role) + params(HELLO) + stdin())
                assert peer.read_record() == end(1, UNKNOWN_ROLE)
            answers_on(peer)
        with Peer(address, begin(1, role=2, flags=0)) as peer:
            assert peer.read_record() == end(1, UNKNOWN_ROLE)
            assert peer.read() == b""


def test_fastcgi_29_unknown_management_types_are_answered(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0), Peer(address) as peer:
        for kind in (12, 99, 255):
            peer.send(record(kind, 0, b"what is this?"))
            assert peer.read_record() == (UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))
        peer.send(record(99, 1, b"to a request it means nothing"))
        answers_on(peer)


def test_fastcgi_30_get_values_gets_one_bounded_reply(gateway: Gateway, address: Address) -> None:
    conns, reqs = pairs({b"FCGI_MAX_CONNS": b"10000"}), pairs({b"FCGI_MAX_REQS": b"100"})
    asked = {
        b"": b"",
        pairs({b"WHO_KNOWS": b""}): b"",
        pairs([(b"FCGI_MAX_CONNS", b"")] * 1000): conns,
        pairs({b"FCGI_MAX_CONNS": b"", b"FCGI_MAX_REQS": b""})[:-1]: conns,
        pairs({b"FCGI_MAX_REQS": b""}) + b"\xff\xff\xff\xff\xff": reqs,
    }
    with unharmed(gateway, lines=0), Peer(address) as peer:
        for question, reply in asked.items():
            peer.send(record(GET_VALUES, 0, question))
            assert peer.read_record() == (GET_VALUES_RESULT, 0, reply)
        answers_on(peer)


def test_fastcgi_30_endless_questions_close(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway), Peer(address) as peer:
        assert len(peer.send(record(GET_VALUES, 0) * 5000).read()) == 1000 * 8
    assert "records in a row belonged to no request" in complaints(gateway)[0]


def test_fastcgi_31_lengths_of_two_gigabytes_allocate_nothing(gateway: Gateway, address: Address) -> None:
    huge = b"\xff\xff\xff\xff"
    for block in (huge + huge + b"x", b"\x01" + huge + b"n", huge + b"\x01" + b"n"):
        with unharmed(gateway), Peer(address) as peer:
            peer.send(begin() + record(PARAMS, 1, block) + record(PARAMS, 1) + stdin())
            assert peer.read_fastcgi().status == 400


def test_fastcgi_32_a_pair_split_over_records_at_every_offset(gateway: Gateway, address: Address) -> None:
    block = pairs({**FACTS, b"HTTP_X_LONG": b"v" * 200})
    told = set()
    with unharmed(gateway, lines=0), Peer(address) as peer:
        for cut in range(1, len(block)):
            peer.send(begin() + record(PARAMS, 1, block[:cut]) + record(PARAMS, 1, block[cut:]) + record(PARAMS, 1))
            told.add(peer.send(stdin()).read_fastcgi().body)
        singles = b"".join(record(PARAMS, 1, block[at : at + 1]) for at in range(len(block)))
        told.add(peer.send(begin() + singles + record(PARAMS, 1) + stdin()).read_fastcgi().body)
    assert len(told) == 1
    assert b'"x-long": "' + b"v" * 200 in told.pop()


def test_fastcgi_34_names_and_values_of_128_bytes_and_more(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0), Peer(address) as peer:
        for size in (127, 128, 129, 255, 256, 65535, 70_000):
            name, value = b"HTTP_" + b"N" * (min(size, 5000) - 5), b"v" * size
            block = pairs({**FACTS, name: value})
            cuts = [record(PARAMS, 1, block[at : at + 65535]) for at in range(0, len(block), 65535)]
            answer = peer.send(begin() + b"".join(cuts) + record(PARAMS, 1) + stdin()).read_fastcgi()
            assert b'"%s": "%s"' % (name, value) in answer.body


def test_fastcgi_35_params_above_the_limit_are_bounded(gateway: Gateway, address: Address) -> None:
    piece = record(PARAMS, 1, b"x" * 65535)
    with unharmed(gateway):  # 64 MiB
        answer = exchange(address, begin(flags=0) + piece * 1000)
        assert b"Status: 431 " in answer
    with unharmed(gateway), Peer(address) as peer:
        many = pairs([(b"HTTP_X_%d" % n, b"") for n in range(1100)])
        assert peer.send(begin() + record(PARAMS, 1, many) + record(PARAMS, 1)).read_fastcgi().status == 431


def test_fastcgi_36_params_never_ended_meet_the_deadline(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-head", "0.5")
    with unharmed(gateway):
        data = begin() + record(PARAMS, 1, pairs(HELLO))
        assert exchange(gateway.address("fastcgi", "unix"), data) == b""
    assert "head was not complete" in complaints(gateway)[0]


def test_fastcgi_38_names_that_cannot_be_are_400(gateway: Gateway, address: Address) -> None:
    for name in (b"A=B", b"A\0B", b"A\rB", b"A\nB"):
        with unharmed(gateway), Peer(address) as peer:
            assert peer.send(whole({**HELLO, name: b"x"})).read_fastcgi().status == 400


def test_fastcgi_40_without_content_length_the_body_runs_to_the_end_of_stdin(
    gateway: Gateway, address: Address
) -> None:
    body = b"chunked" * 30_000
    with unharmed(gateway, lines=0), Peer(address) as peer:
        for variables in (post(b"/do/echo"), post(b"/do/echo", CONTENT_LENGTH=b"")):
            pieces = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
            answer = peer.send(begin() + params(variables) + stdin(*pieces)).read_fastcgi()
            assert answer.body == body


def test_fastcgi_41_abort_before_the_end_of_params(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0):
        with Peer(address, begin(3) + record(PARAMS, 3, pairs(HELLO)) + record(ABORT_REQUEST, 3)) as peer:
            assert peer.read_record() == end(3, REQUEST_COMPLETE)
            answers_on(peer, 3)
        with Peer(address, begin(3, flags=0) + record(ABORT_REQUEST, 3)) as peer:
            assert peer.read_record() == end(3, REQUEST_COMPLETE)
            assert peer.read() == b""


def test_fastcgi_41_abort_in_the_body_and_in_the_response(gateway: Gateway, address: Address) -> None:
    body = begin() + params(post(b"/do/body?key=body", CONTENT_LENGTH=b"1000")) + record(STDIN, 1, b"part")
    hang = whole(post(b"/do/hang?key=hang"))
    untold = whole(post(b"/do/hang-untold?key=untold"))
    for key, data, outcome in (("body", body, "broken"), ("hang", hang, "aborted"), ("untold", untold, "cancelled")):
        with unharmed(gateway, lines=0), Peer(address, data) as peer:
            noted(gateway, key, "chunk" if key == "body" else "started")
            peer.send(record(ABORT_REQUEST, 1))
            assert peer.read_records()[-1] == end(1, REQUEST_COMPLETE)
            noted(gateway, key, outcome)
            answers_on(peer)


def test_fastcgi_41_abort_in_the_middle_of_a_streamed_answer(gateway: Gateway, address: Address) -> None:
    stream = whole(post(b"/do/stream?key=stream&size=1000000&chunk=1000&delay=0.01"))
    with unharmed(gateway, lines=0), Peer(address, stream) as peer:
        assert peer.read_record()[0] == STDOUT
        peer.send(record(ABORT_REQUEST, 1))
        assert peer.read_records()[-1] == end(1, REQUEST_COMPLETE)
        noted(gateway, "stream", "sent")
        assert '"aborted", true' in records(gateway, "stream")
        answers_on(peer)


def test_fastcgi_41_abort_of_an_unknown_id_means_nothing(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0), Peer(address) as peer:
        answers_on(peer)
        peer.send(record(ABORT_REQUEST, 1) + record(ABORT_REQUEST, 77))
        answers_on(peer)


def test_fastcgi_42_keep_conn(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0):
        with Peer(address) as peer:
            for request_id in (1, 1, 2, 65535):
                answers_on(peer, request_id)
        with Peer(address, whole(flags=0)) as peer:
            assert peer.read_fastcgi().status == 200
            assert peer.read() == b""
        with Peer(address, whole(flags=0xFE)) as peer:  # other flags mean nothing
            assert peer.read_fastcgi().status == 200
            assert peer.read() == b""


def test_fastcgi_43_the_end_inside_header_content_and_padding_closes(gateway: Gateway, address: Address) -> None:
    head = begin() + record(PARAMS, 1, pairs(HELLO))
    padded = record(PARAMS, 1, pairs(HELLO), padding=8)
    for data in (whole()[:5], begin()[:12], head, head[:-3], begin() + padded[:-4]):
        with unharmed(gateway):
            assert exchange(address, data, end=True) == b""
        assert "the connection ended" in complaints(gateway)[-1]


def test_fastcgi_43_the_end_inside_the_body_is_a_disconnect(gateway: Gateway, address: Address) -> None:
    data = begin() + params(post(b"/do/body?key=cut")) + record(STDIN, 1, b"to be continued")
    with unharmed(gateway, lines=0), Peer(address, data) as peer:
        noted(gateway, "cut", "chunk")
        peer.end()
        noted(gateway, "cut", "broken")


def test_fastcgi_44_data_to_a_responder_is_ignored(gateway: Gateway, address: Address) -> None:
    stray = record(DATA, 1, b"x" * 1000) + record(DATA, 1)
    with unharmed(gateway, lines=0), Peer(address) as peer:
        peer.send(begin() + stray + params(post(b"/do/echo")) + stray + stdin(b"body") + stray)
        assert peer.read_fastcgi().body == b"body"
        answers_on(peer)


def test_fastcgi_46_a_thousand_idle_connections_end_at_the_deadline_and_new_ones_are_served(
    start: Callable[..., Gateway],
) -> None:
    gateway = start("--deadline-idle", "1.0")
    address = gateway.address("fastcgi", "unix")
    with unharmed(gateway, lines=0, growth=4 * FLAT):
        peers = [Peer(address) for _ in range(1000)]
        for peer in peers:
            answers_on(peer)
        with Peer(address) as late:
            answers_on(late)
        for peer in peers:
            assert peer.read() == b""
            peer.socket.close()


def test_fastcgi_46_a_connection_in_use_is_not_idle(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-idle", "0.5")
    address = gateway.address("fastcgi", "unix")
    with Peer(address) as peer:
        # Longer than two deadlines and a sweep, and then it is idle.
        assert peer.send(whole({**HELLO, b"REQUEST_URI": b"/do/async?delay=1.6"})).read_fastcgi().whole
        answers_on(peer)
        assert peer.read() == b""


def test_records_of_16_kib_as_apache_sends_them(gateway: Gateway, address: Address) -> None:
    body = bytes(range(256)) * 1000
    block = pairs({**post(b"/do/echo", CONTENT_LENGTH=b"%d" % len(body)), b"HTTP_COOKIE": b"c" * 50_000})
    params_records = b"".join(record(PARAMS, 1, block[at : at + 16384]) for at in range(0, len(block), 16384))
    pieces = [body[at : at + 16384] for at in range(0, len(body), 16384)]
    with unharmed(gateway, lines=0), Peer(address) as peer:
        answer = peer.send(begin() + params_records + record(PARAMS, 1) + stdin(*pieces)).read_fastcgi()
        assert answer.body == body


def test_an_answer_before_the_body_was_read_leaves_the_connection_usable(gateway: Gateway, address: Address) -> None:
    body = b"x" * 60_000
    with unharmed(gateway, lines=0), Peer(address) as peer:
        peer.send(begin() + params(post(b"/do/refuse")) + record(STDIN, 1, body))
        assert peer.read_fastcgi().status == 413
        peer.send(record(STDIN, 1, body) * 50 + record(STDIN, 1))  # nobody wants it any more
        answers_on(peer)


def test_refusals_leave_the_connection_usable(start: Callable[..., Gateway]) -> None:
    # Closed behind END_REQUEST, it would still be among those that nginx keeps for a moment, and the next POST a 502.
    gateway = start("--max-body-size", "10", "--max-head-size", "1k")
    declared = begin() + params(post(b"/do/data", CONTENT_LENGTH=b"11")) + stdin(b"12345678901")
    grown = begin() + params(post(b"/do/data")) + stdin(b"123456", b"78901")
    large = begin() + params(post(b"/do/data", HTTP_COOKIE=b"c" * 2000)) + stdin(b"12345")
    with Peer(gateway.address("fastcgi", "tcp")) as peer:
        for data, status in ((declared, 413), (grown, 413), (large, 431), (whole({b"REQUEST_URI": b"/"}), 400)):
            assert peer.send(data).read_fastcgi().status == status
            answers_on(peer)


def test_a_small_answer_is_one_write_and_large_ones_keep_to_the_size_of_a_record(gateway: Gateway) -> None:
    with Peer(gateway.address("fastcgi", "tcp")) as peer:
        peer.send(whole())
        data = peer.socket.recv(65536)
        assert re.fullmatch(
            rb"\x01\x06.{6}.*Status: 200 OK\r\n\r\nHello, world!\n\x01\x06\0\x01\0{4}\x01\x03\0\x01.*", data, re.S
        )
        peer.send(whole({**HELLO, b"REQUEST_URI": b"/do/stream?size=1000000&chunk=300000"}))
        *streamed, last = peer.read_records()
        assert last == end(1, REQUEST_COMPLETE)
        assert len(Answer(b"".join(content for _, _, content in streamed)).body) == 1_000_000
