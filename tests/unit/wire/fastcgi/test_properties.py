"""FastCGI in bulk: arbitrary bytes in arbitrary reads, and a client that nobody here wrote at the other end."""

import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgi_gateway.settings import WireLimits
from ssgi_gateway.wire.fastcgi.records import (
    ABORT_REQUEST,
    BEGIN_REQUEST,
    DATA,
    FULL_CONTENT,
    GET_VALUES,
    PARAMS,
    STDIN,
)
from tests.unit.wire.blocks import Block
from tests.unit.wire.fastcgi_front import (
    ENDED,
    GET,
    Front,
    answered,
    begin,
    converse,
    get,
    pairs,
    params,
    post,
    record,
    stdin,
)
from tests.unit.wire.flup_fastcgi import FakeSocket, FCGIApp, flup_record, flup_records
from tests.unit.wire.flup_fastcgi import encode_pair as flup_encode_pair
from tests.unit.wire.transcript import pieces_of

# Properties

text = st.text(st.characters(codec="latin-1", exclude_characters="=\0\r\n"), min_size=1, max_size=150)
name = text.map(lambda rest: "X_" + rest)  # never a header, CONTENT_LENGTH or a variable that is looked into
value = st.text(st.characters(codec="latin-1"), max_size=150)


@settings(max_examples=150)
@given(
    variables=st.dictionaries(name, value, max_size=8),
    body=st.binary(max_size=300),
    declared=st.booleans(),
    request_id=st.integers(1, 65535),
    data=st.data(),
)
def test_any_request_in_any_records_in_any_reads(variables, body, declared, request_id, data):
    if declared:
        variables["CONTENT_LENGTH"] = str(len(body))
    block = b"".join(flup_encode_pair(key.encode("latin-1"), text.encode("latin-1")) for key, text in variables.items())
    padding = st.integers(0, 255)
    wire = begin(request_id)
    for kind, content in ((PARAMS, block), (STDIN, body)):
        for piece in data.draw(pieces_of(content)):
            wire += record(kind, request_id, piece, data.draw(padding))
        wire += record(kind, request_id, b"", data.draw(padding))
    front = Front()
    for piece in data.draw(pieces_of(wire)):
        front.send(piece)
    told = [("head", variables, len(body) if declared else -1), ("body", body), ENDED]
    assert front.told == [item for item in told if item != ("body", b"")]
    assert flup_records(front.answers) == answered(request_id)
    assert not front.codec.incomplete()


SNIPPETS = st.sampled_from(
    [
        begin(),
        begin(2),
        begin(1, 2),
        begin(3, 1, 0),
        record(PARAMS, 1, pairs(GET)),
        record(PARAMS, 1),
        params(post(b"5")),
        params(post(b"")),
        params(post(b"x")),
        stdin(b"12345"),
        stdin(b"1", b"2"),
        record(STDIN, 1, b"ab", 3),
        record(ABORT_REQUEST, 1),
        record(ABORT_REQUEST, 2),
        record(GET_VALUES, 0, pairs({b"FCGI_MPXS_CONNS": b""})),
        record(99, 0, b"z"),
        record(DATA, 1, b"d"),
        record(STDIN, 0),
        get(),
        get(2),
        get(1, 0),
        params([(b"a=", b"")]),
        params(GET, 2),
        b"\x01",
        b"\x00" * 5,
        b"GET / HTTP/1.1\r\n",
    ]
)
SCRIPTS = st.lists(st.one_of(SNIPPETS, SNIPPETS, SNIPPETS, st.binary(max_size=12)), max_size=12).map(b"".join)


@settings(max_examples=400)
@given(wire=SCRIPTS, eof=st.booleans(), early=st.booleans(), limit=st.sampled_from([40, 131072]), data=st.data())
def test_any_bytes_in_any_reads_come_to_the_same(wire, eof, early, limit, data):
    limits = WireLimits(max_head_size=limit)
    whole, cut_up = Front(limits, early=early), Front(limits, early=early)
    if wire:
        whole.send(wire)
    for piece in data.draw(pieces_of(wire)):
        cut_up.send(piece)
    if eof:
        whole.eof()
        cut_up.eof()
    assert cut_up.outcome() == whole.outcome()
    flup_records(whole.output)
    flup_records(whole.answers)


def test_long_streams_of_damaged_records_come_to_the_same():
    dice = random.Random(20)
    for _ in range(300):
        wire = bytearray((get() + begin() + params(post(b"5")) + stdin(b"123", b"45") + record(GET_VALUES, 0)) * 2)
        for _ in range(dice.randint(0, 3)):
            wire[dice.randrange(len(wire))] = dice.randrange(256)
        converse(bytes(wire), eof=True)


# flup's client at the other end of the wire


class Gateway:
    """The codec behind a wire: what flup's client sends goes in, what the application says comes back."""

    def __init__(self, head, pieces, answering_early=False):
        self.front = Front(answering=False)
        self._head, self._pieces, self._early = head, pieces, answering_early
        self.kept = None

    def __call__(self, data):
        told = len(self.front.told)
        self.front.send(data)
        wanted = "head" if self._early else "ended"
        if wanted in [item[0] for item in self.front.told[told:]]:
            return b"".join(self._answer())
        return self.front.codec.take_output()

    def _answer(self):
        codec = self.front.codec
        yield from codec.encode(Block(self._head), None, False)
        for piece in self._pieces:
            yield from codec.encode(None, piece, False)
        yield from codec.encode(None, None, True)
        self.kept = codec.finish()


def flup_asks(gateway, environ):
    wire = FakeSocket(peer=gateway)
    app = FCGIApp(connect="a wire of our own", filterEnviron=False)
    app._getConnection = lambda: wire
    started = []
    errors = io.StringIO()
    body = app({**environ, "wsgi.errors": errors}, lambda status, headers: started.append((status, headers)))
    return started[0], b"".join(body), errors.getvalue(), wire


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("upload", [b"", b"x", bytes(100_000)])
@pytest.mark.parametrize("size", [0, 1, 16384, FULL_CONTENT, 1_000_000])
def test_flup_gets_its_answer(upload, size, early):
    download = bytes(range(256)) * (size // 256) + b"." * (size % 256)
    gateway = Gateway(b"X-A: b\r\nStatus: 201 Created\r\n\r\n", [download, b"", b"the end"], early)
    environ = {
        "REQUEST_METHOD": "PUT", "PATH_INFO": "/caf\xe9", "HTTP_X_LONG": "v" * 1000,
        "CONTENT_LENGTH": str(len(upload)), "wsgi.input": io.BytesIO(upload),
    }  # fmt: skip
    (status, headers), body, errors, wire = flup_asks(gateway, environ)
    assert (status, headers) == (b"201 Created", [(b"x-a", b"b")])
    assert body == download + b"the end"
    assert errors == ""
    head, *rest = gateway.front.told
    sent = {name: text for name, text in environ.items() if isinstance(text, str)}
    assert head == ("head", sent, len(upload))
    if not early:
        assert rest == ([("body", upload)] if upload else []) + [ENDED]
    assert gateway.kept is False  # flup never asks to keep the connection
    assert wire.closed


def test_flup_s_records_are_understood():
    wire = flup_record(BEGIN_REQUEST, 3, bytes((0, 1, 1, 0, 0, 0, 0, 0)))
    wire += flup_record(PARAMS, 3, flup_encode_pair(b"REQUEST_METHOD", b"POST")) + flup_record(PARAMS, 3)
    wire += flup_record(STDIN, 3, b"abc") + flup_record(STDIN, 3) + flup_record(DATA, 3)
    front = converse(wire)
    assert front.told == [("head", {"REQUEST_METHOD": "POST"}, -1), ("body", b"abc"), ENDED]
