"""Bad SCGI requests, over a socket, to a running gateway: who sent them is hung up on, and nobody else notices."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.behaviour.raw import FLAT, Answer, Peer, complaints, exchange, netstring, noted, records, scgi, unharmed
from tests.harness import Address, Gateway, wait_until

FACTS = {"REQUEST_URI": "/facts"}


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, gateway: Gateway) -> Address:
    return gateway.address("scgi", request.param)


def test_scgi_01_connect_and_close_is_silent(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0):
        for _ in range(20):
            Peer(address).socket.close()
        for _ in range(20):
            Peer(address).reset()
        assert exchange(address, b"", end=True) == b""


def test_scgi_02_the_end_inside_a_head_closes(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway):
        assert exchange(address, b"7", end=True) == b""
    with unharmed(gateway):
        assert exchange(address, scgi()[:-1], end=True) == b""
    assert "the connection ended" in complaints(gateway)[0]


def test_scgi_03_letters_only_close_at_the_first(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway):
        assert exchange(address, b"x" * 9000) == b""
    with unharmed(gateway):
        assert exchange(address, b"x") == b""  # without waiting for more


def test_scgi_05_empty_and_zero_lengths_close(gateway: Gateway, address: Address) -> None:
    for data in (b"0:,", b"00:,", b":,", b"0"):
        with unharmed(gateway):
            assert exchange(address, data, end=data == b"0") == b"", data


def test_scgi_07_lengths_python_would_take_close(gateway: Gateway, address: Address) -> None:
    for length in (b"+70", b"-1", b" 70", b"7_0", b"070", b"0x46", b"\xb2"):
        with unharmed(gateway):
            assert exchange(address, length + b":" + b"x" * 70 + b",") == b"", length


def test_scgi_08_a_head_over_the_limit_is_431_before_it_is_kept(gateway: Gateway, address: Address) -> None:
    for length in (131073, 10**9, 10**18):
        with unharmed(gateway):
            answer = Answer(exchange(address, b"%d:CONTENT_LENGTH\0" % length))
            assert answer.status == 431
            assert answer.whole
    with unharmed(gateway):  # the answer is seen by whoever goes on writing, too
        answer = Answer(exchange(address, scgi({"HTTP_COOKIE": "x" * (8 << 20)})))
        assert answer.status == 431


def test_scgi_09_no_comma_closes(gateway: Gateway, address: Address) -> None:
    head = scgi(FACTS)
    with unharmed(gateway):
        assert exchange(address, head[:-1] + b"x") == b""
    assert "not with a comma" in complaints(gateway)[0]


def test_scgi_10_blocks_that_are_no_pairs_close(gateway: Gateway, address: Address) -> None:
    odd = b"CONTENT_LENGTH\x000\0SCGI\x001\0REQUEST_METHOD\0"
    unended = b"CONTENT_LENGTH\x000\0SCGI\x001"
    nameless = b"CONTENT_LENGTH\x000\0SCGI\x001\0\0empty\0"
    for block in (odd, unended, nameless):
        with unharmed(gateway):
            assert exchange(address, netstring(block)) == b"", block


def test_scgi_11_another_version_or_none_closes(gateway: Gateway, address: Address) -> None:
    for version in ("0", "2", "", "1.0"):
        with unharmed(gateway):
            assert exchange(address, scgi({"SCGI": version})) == b"", version
    with unharmed(gateway):
        assert exchange(address, scgi(without=["SCGI"])) == b""


def test_scgi_12_content_length_missing_is_400_and_anywhere_is_accepted(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway):
        answer = Answer(exchange(address, scgi(without=["CONTENT_LENGTH"])))
        assert (answer.status, answer.whole) == (400, True)
        assert b"CONTENT_LENGTH" in answer.body
    with unharmed(gateway, lines=0):
        pairs = [("SCGI", "1"), ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/do/echo"), ("CONTENT_LENGTH", "4")]
        assert Answer(exchange(address, scgi(pairs, b"last"))).body == b"last"


def test_scgi_13_content_length_twice(gateway: Gateway, address: Address) -> None:
    post = [("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/do/echo"), ("CONTENT_LENGTH", "4"), ("CONTENT_LENGTH", "4")]
    with unharmed(gateway, lines=0):
        assert Answer(exchange(address, scgi(post, b"same"))).body == b"same"
    with unharmed(gateway):
        assert Answer(exchange(address, scgi([*post, ("CONTENT_LENGTH", "5")], b"other"))).status == 400


def test_scgi_14_repeated_headers_are_joined(gateway: Gateway, address: Address) -> None:
    repeats = [("HTTP_X_A", "1"), ("HTTP_COOKIE", "a=1"), ("HTTP_X_A", "2"), ("HTTP_COOKIE", "b=2")]
    with unharmed(gateway, lines=0):
        data = exchange(address, scgi([*FACTS.items(), *repeats, ("SERVER_NAME", "one"), ("SERVER_NAME", "two")]))
    assert b'"x-a": "1, 2"' in data
    assert b'"cookie": "a=1; b=2"' in data
    assert b'"SERVER_NAME": "two"' in data


def test_scgi_15_a_content_length_that_is_no_number_is_400(gateway: Gateway, address: Address) -> None:
    for length in ("+3", "-1", " 3", "1_0", "0x10", "3,3", "1e3", "3 ", "\xb3", "9" * 19):
        with unharmed(gateway):
            answer = Answer(exchange(address, scgi({**FACTS, "CONTENT_LENGTH": length}, b"abc")))
            assert (answer.status, answer.whole) == (400, True), length


def test_scgi_17_a_huge_content_length_and_no_body_allocates_nothing(start: Callable[..., Gateway]) -> None:
    post = scgi({"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/data?key=huge", "CONTENT_LENGTH": str(10**12)})
    limited = start("--max-body-size", "1000000")
    with unharmed(limited):
        assert Answer(exchange(limited.address("scgi", "unix"), post)).status == 413
    patient = start("--deadline-body", "0.5")
    with unharmed(patient):
        assert exchange(patient.address("scgi", "unix"), post) == b""
    assert "nothing of a request's body came" in complaints(patient)[0]


def test_scgi_18_a_short_body_is_a_disconnect_and_never_padded(gateway: Gateway, address: Address) -> None:
    target = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/body?key=short", "CONTENT_LENGTH": "10"}
    with unharmed(gateway, lines=0), Peer(address, scgi(target, b"short")) as peer:
        noted(gateway, "short", "chunk")
        assert peer.end().read() == b""
        noted(gateway, "short", "broken")
    assert '"aborted", true' in records(gateway, "short")


def test_scgi_19_bytes_behind_the_body_are_ignored(gateway: Gateway, address: Address) -> None:
    post = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/echo", "CONTENT_LENGTH": "4"}
    with unharmed(gateway, lines=0):
        answer = Answer(exchange(address, scgi(post, b"body and more, " + scgi(FACTS))))
        assert answer.body == b"body"


def test_scgi_20_one_byte_a_write_and_every_split_answer_the_same(gateway: Gateway, address: Address) -> None:
    pairs = {"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/data", "CONTENT_LENGTH": "5"}
    data = scgi(pairs, b"split")
    whole = exchange(address, data)
    assert Answer(whole).status == 200
    with Peer(address) as peer:
        for index in range(len(data)):
            peer.send(data[index : index + 1])
        assert peer.read() == whole
    for cut in range(1, len(data)):
        with Peer(address, data[:cut]) as peer:
            assert peer.send(data[cut:]).read() == whole
    assert complaints(gateway) == []


def test_scgi_21_other_protocols_close_under_their_names(gateway: Gateway, address: Address) -> None:
    for name, data in {
        "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "FastCGI": b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00",
    }.items():
        with unharmed(gateway):
            assert exchange(address, data) == b""
        assert f"looks like {name}, and this address speaks SCGI" in complaints(gateway)[-1]


def test_scgi_59_ten_thousand_variables_and_a_megabyte_of_headers_are_431(gateway: Gateway, address: Address) -> None:
    for pairs in ([(f"HTTP_X_{n}", "1") for n in range(10_000)], [("HTTP_X", "x" * 1000)] * 1100):
        with unharmed(gateway):
            assert Answer(exchange(address, scgi(pairs))).status == 431
    with unharmed(gateway):  # many and short: the bytes are few enough
        assert Answer(exchange(address, scgi([(f"X{n}", "") for n in range(1100)]))).status == 431


def test_a_head_that_dribbles_meets_its_deadline(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-head", "0.5")
    address = gateway.address("scgi", "tcp")
    with unharmed(gateway), Peer(address) as peer:
        for byte in scgi(FACTS)[:20]:
            peer.send(bytes([byte]))
        assert peer.read() == b""
    assert "head was not complete" in complaints(gateway)[0]


def test_a_silent_connection_ends_without_a_log_line(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-idle", "0.5")
    with unharmed(gateway, lines=0), Peer(gateway.address("scgi", "tcp")) as peer:
        assert peer.read() == b""


def test_complaints_cannot_be_multiplied(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=10, growth=2 * FLAT):
        for _ in range(1000):
            assert exchange(address, b"x") == b""


def test_each_bad_connection_is_closed_whole(gateway: Gateway, address: Address) -> None:
    exchange(address, scgi(FACTS))  # from now on its loop runs, which has descriptors of its own
    before = gateway.process.descriptors()
    peers = [Peer(address, b"1") for _ in range(200)]
    wait_until(lambda: gateway.process.descriptors() >= before + 200, "the connections to be there")
    for peer in peers:
        peer.socket.close()
    wait_until(lambda: gateway.process.descriptors() == before, "the connections to be gone")
