"""Heads of HTTP/1.1: the compiled twin says what h11 and the rules around it say, of any bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ssgi_gateway import engine
from ssgi_gateway.errors import RequestRejected
from ssgi_gateway.wire.http import head as portable
from tests.builds import MISSING
from tests.equivalence.strategies import examples

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "both builds")

AROUND = portable.netstring([(b"SERVER_ADDR", b"127.0.0.1"), (b"REQUEST_SCHEME", b"http")])
NAMES = st.sampled_from([
    b"Host", b"host", b"Content-Length", b"CONTENT-LENGTH", b"Transfer-Encoding", b"Connection", b"Expect", b"Cookie",
    b"X_Under", b"X-A", b"Content-Type", b"Proxy", b"Upgrade", b"x", b"", b"A B", b"\xe4", b"a:",
])  # fmt: skip
VALUES = st.one_of(
    st.sampled_from([
        b"a", b"example.com:80", b"a/b", b"5", b"05", b"+5", b"5, 5", b"chunked", b"Chunked", b"gzip", b"close",
        b"keep-alive, Close", b"100-continue", b"websocket", b"", b" x ", b"\t", b"a\x01b", b"\xff", b"a\0b", b"a\rb",
        b"1" * 18, b"1" * 19,
    ]),
    st.binary(max_size=12),
)  # fmt: skip
LINES = st.sampled_from([
    b"GET / HTTP/1.1", b"GET / HTTP/1.0", b"HEAD /a?b?c#d HTTP/1.1", b"POST http://a/b HTTP/1.1", b"OPTIONS * HTTP/1.1",
    b"GET * HTTP/1.1", b"CONNECT a:1 HTTP/1.1", b"GET / HTTP/1.2", b"GET / HTTP/2.0", b"GET  / HTTP/1.1",
    b"G@T / HTTP/1.1", b"GET /\xff HTTP/1.1", b"get / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET /", b"",
])  # fmt: skip
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from([b":", b": ", b" :", b""]), VALUES), max_size=7)


def outcome(module, block: bytes):
    try:
        head = module.read_head(block, 0, len(block), AROUND, 6)
    except RequestRejected as refusal:
        return refusal.status, refusal.message
    said = (head.length, head.minor, head.keep, head.expects, head.is_head)
    return (*said, sorted(head.variables.items()))


@examples(800)
@given(line=LINES, fields=FIELDS, host=st.booleans(), end=st.sampled_from([b"\r\n\r\n", b"\n\r\n\r\n", b" \r\n\r\n"]))
@example(b"GET / HTTP/1.1", [(b"Host", b": ", b"a"), (b" X", b":", b"b")], False, b"\r\n\r\n")
@example(b"GET / HTTP/1.1", [(b"Host", b": ", b"a"), (b"X", b":", b"b\r\n c")], False, b"\r\n\r\n")
def test_any_head(line, fields, host, end):
    written = [b"".join(parts) for parts in fields]
    if host:
        written.insert(0, b"Host: example.com")
    block = b"\r\n".join([line, *written]) + end
    # The codec gives heads up to the first empty line.
    block = block[: block.find(b"\r\n\r\n") + 4]
    assert outcome(engine.module("wire.http.head", "compiled"), block) == outcome(portable, block)


@examples(800)
@given(st.binary(max_size=60))
def test_any_bytes(data):
    block = b"GET / HTTP/1.1\r\nHost: a\r\n" + data.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"
    block = block[: block.find(b"\r\n\r\n") + 4]
    assert outcome(engine.module("wire.http.head", "compiled"), block) == outcome(portable, block)
