"""``python -m fuzz.seeds`` writes the seed corpus: conversations that reach each part of each codec.

What fuzzing finds is kept beside them, under other names.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from fuzz.loop import CORPUS
from fuzz.targets import directions
from ssgi_gateway.wire.fastcgi.records import BEGIN_BODY, HEADER, encode_pair

GET: Final = [(b"CONTENT_LENGTH", b"0"), (b"SCGI", b"1"), (b"REQUEST_METHOD", b"GET"), (b"REQUEST_URI", b"/a%20b?x=1")]
POST: Final = [(b"CONTENT_LENGTH", b"5"), (b"SCGI", b"1"), (b"REQUEST_METHOD", b"POST"), (b"REQUEST_URI", b"/")]
NGINX: Final = [
    (b"HTTP_HOST", b"example.org"),
    (b"HTTP_COOKIE", b"a=b"),
    (b"HTTP_COOKIE", b"c=d"),
    (b"HTTP_X", b"1"),
    (b"HTTP_X", b"\xff"),
    (b"HTTP_PROXY", b"evil"),
    (b"HTTP_CONTENT_LENGTH", b"0"),
    (b"CONTENT_TYPE", b""),
    (b"QUERY_STRING", b"q"),
    (b"SERVER_NAME", b"_"),
    (b"SERVER_PORT", b"443"),
    (b"SERVER_ADDR", b"::1"),
    (b"HTTPS", b"on"),
    (b"REMOTE_ADDR", b"unix:"),
    (b"SERVER_PROTOCOL", b"HTTP/2.0"),
    (b"DOCUMENT_URI", b"/a b"),
    (b"SCRIPT_NAME", b"/a b"),
    (b"HTTP_UPGRADE", b"websocket"),
]
ANSWERS: Final = 2  # parts of a server, see targets.answer_request
EARLY: Final = 1
CLUMSY: Final = 4


def uwsgi_request(pairs: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A uwsgi request, right or wrong."""
    block = b"".join(len(text).to_bytes(2, "little") + text for pair in pairs for text in pair)
    return b"\0" + len(block).to_bytes(2, "little") + b"\0" + block + body


def scgi_request(pairs: list[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    """A request, the variables in this order."""
    block = b"".join(b"%b\0%b\0" % pair for pair in pairs)
    return b"%d:%b,%b" % (len(block), block, body)


def record(kind: int, content: bytes = b"", request_id: int = 1, padding: int = 0) -> bytes:
    """A FastCGI record."""
    return HEADER.pack(1, kind, request_id, len(content), padding) + content + bytes(padding)


def fastcgi_request(pairs: list[tuple[bytes, bytes]], body: bytes = b"", request_id: int = 1, flags: int = 1) -> bytes:
    """A whole request."""
    pieces = [record(1, BEGIN_BODY.pack(1, flags), request_id)]
    pieces.append(record(4, b"".join(encode_pair(*pair) for pair in pairs), request_id, 3))
    pieces.append(record(4, b"", request_id))
    if body:
        pieces.append(record(5, body, request_id))
    return b"".join((*pieces, record(5, b"", request_id)))


def frame(first: int, payload: bytes = b"", mask: bytes = b"\0\0\0\0") -> bytes:
    """A WebSocket frame of a client."""
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((first,)) + length + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


def deflated(text: bytes) -> bytes:
    """A message as RFC 7692 7.2.1 compresses it."""
    compressor = zlib.compressobj(wbits=-9)
    return (compressor.compress(text) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


UPGRADE: Final = (
    b"GET /chat?x HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
KEPT: Final = fastcgi_request([(b"REQUEST_METHOD", b"GET")])

SEEDS: Final[dict[str, dict[str, bytes]]] = {
    "uwsgi": {
        "get": directions(0, ANSWERS, eof=True) + uwsgi_request(GET),
        "post": directions(3, ANSWERS, eof=True) + uwsgi_request(POST, b"hello and more"),
        "nginx": directions(16, EARLY | CLUMSY) + uwsgi_request(GET + NGINX),
        "left-in-the-body": directions(7, 0, eof=True) + uwsgi_request(POST, b"hel"),
        "unbuffered": directions() + uwsgi_request([(b"HTTP_TRANSFER_ENCODING", b"chunked")]),
        "modifier": directions() + b"\5" + uwsgi_request(GET)[1:],
        "odd": directions() + b"\0\3\0\0\1\0a",
        "too-many": directions(0, ANSWERS, 2) + uwsgi_request([*GET, (b"A", b"")]),
        "cut": directions(1, 0, eof=True) + uwsgi_request(GET)[:-3],
    },
    "scgi": {
        "get": directions(0, ANSWERS, eof=True) + scgi_request(GET),
        "post": directions(3, ANSWERS, eof=True) + scgi_request(POST, b"hello and more"),
        "nginx": directions(16, EARLY | CLUMSY) + scgi_request(GET + NGINX),
        "length-last": directions(1, ANSWERS) + scgi_request(GET[1:] + GET[:1]),
        "left-in-the-body": directions(7, 0, eof=True) + scgi_request(POST, b"hel"),
        "length-twice": directions() + scgi_request([*POST, (b"CONTENT_LENGTH", b"6")], b"hello!"),
        "length-twice-empty": directions() + scgi_request([*POST, (b"CONTENT_LENGTH", b"")], b"hello"),
        "version": directions() + scgi_request([(b"SCGI", b"11"), *(pair for pair in GET if pair[0] != b"SCGI")]),
        "unbuffered": directions() + scgi_request([*GET, (b"HTTP_CONTENT_LENGTH", b"70")]),
        "no-comma": directions() + scgi_request(GET).replace(b",", b";"),
        "odd": directions() + b"7:SCGI\0001\0x\0,",
        "too-large": directions(2, 0, 2) + b"121:",
        "too-many": directions(0, ANSWERS, 2) + scgi_request([*GET, (b"A", b"")]),
        "name-of-none": directions() + scgi_request([*GET, (b"A=B", b"")]),
        "no-host": directions(choice=1) + scgi_request([*GET, (b"HTTP_HOST", b"a b"), (b"SERVER_NAME", b"own")]),
        "http": directions(eof=True) + b"GET / HTTP/1.1\r\n\r\n",
        "cut": directions(1, 0, eof=True) + scgi_request(GET)[:-3],
    },
    "fastcgi": {
        "get": directions(0, ANSWERS) + fastcgi_request(GET[2:]),
        "post": directions(3, ANSWERS | CLUMSY, 0x80, eof=True) + fastcgi_request(POST, b"hello"),
        "kept": directions(16, ANSWERS) + KEPT * 3,
        "not-kept": directions(0, ANSWERS) + fastcgi_request(GET, flags=0) + KEPT,
        "early": directions(7, EARLY) + fastcgi_request(POST, b"hello") + KEPT,
        "nginx": directions(0, ANSWERS) + fastcgi_request([(b"X" * 200, b"y" * 300), *NGINX]),
        "aborted": directions(2, ANSWERS) + KEPT[:-8] + record(2) + KEPT,
        "aborted-twice": directions() + KEPT[:-8] + record(2) * 2,
        "given-up": directions(2, 8) + KEPT[:-8] + record(2) + KEPT,
        "aborted-early": directions() + KEPT[:20] + record(2) + KEPT,
        "second-id": directions(1, ANSWERS) + KEPT[:16] + fastcgi_request(GET, request_id=2) + KEPT[16:],
        "roles": directions() + record(1, BEGIN_BODY.pack(3, 1)) + record(4) + record(5) + KEPT,
        "values": directions(7) + record(9, encode_pair(b"FCGI_MAX_CONNS", b"") + b"\x0f\0FCGI", 0) + KEPT,
        "unknown-type": directions() + record(42, b"x", 0) + record(11, bytes(8), 0) + KEPT,
        "short-body": directions(0, ANSWERS) + fastcgi_request(POST, b"hel"),
        "cut-pair": directions(0, ANSWERS)
        + record(1, BEGIN_BODY.pack(1, 1))
        + record(4, b"\x05\x05ab")
        + record(4)
        + KEPT,
        "huge-pair": directions(0, ANSWERS)
        + record(1, BEGIN_BODY.pack(1, 1))
        + record(4, b"\xff\xff\xff\xff\0")
        + record(4),
        "too-large": directions(0, ANSWERS, 2) + fastcgi_request(NGINX) + KEPT,
        "too-many": directions(0, ANSWERS, 2) + fastcgi_request([(b"A", b"")] * 5) + KEPT,
        "stdin-first": directions() + KEPT[:16] + record(5, b"x"),
        "version": directions() + b"\2" + KEPT[1:],
        "id-0": directions() + record(4, b"", 0),
        "cut": directions(1, 0, eof=True) + KEPT[:30],
        "data": directions(0, ANSWERS) + KEPT[:-8] + record(8, b"data", padding=9) + record(5),
    },
    "websocket": {
        "text": directions(0, 1) + frame(0x81, "sü\u20ac\U0001f600".encode(), b"abcd"),
        "binary": directions(1, 1) + frame(0x82, bytes(range(130)), b"\xff\0\x80\x7f"),
        "fragments": directions(2, 1) + frame(1, b"\xf0\x9f") + frame(0x89, b"p") + frame(0) + frame(0x80, b"\x98\x80"),
        "pings": directions(0, 2) + b"".join(frame(0x89, bytes((index,))) for index in range(20)) + frame(0x82),
        "pong": directions() + frame(0x8A, b"payload", b"mask"),
        "close": directions(3, 8) + frame(0x89, b"x") + frame(0x88, b"\x03\xe8bye", b"mask") + frame(0x81),
        "close-codes": directions(0, 8) + frame(0x88, b"\x03\xed"),
        "close-half": directions(0, 8) + frame(0x88, b"\x03"),
        "close-text": directions(0, 8) + frame(0x88, b"\x03\xe8\xff"),
        "we-close": directions(0, 4 | 8)
        + frame(0x81, b"a")
        + frame(0x89)
        + frame(0x81, b"b")
        + frame(0x88, b"\x03\xe8"),
        "we-close-first": directions(3, 4 | 8) + frame(0x81, b"a") + frame(0x89) + frame(0x81, b"b") + frame(0x88),
        "deflate": directions(7, 1, 4) + frame(0xC1, deflated(b"Hello" * 50), b"mask") * 2,
        "deflate-fragments": directions(0, 1, 8)
        + frame(0x42, deflated(b"abc" * 9)[:5])
        + frame(0x80, deflated(b"abc" * 9)[5:]),
        "deflate-final": directions(0, 0, 4) + frame(0xC2, b"\xf3\x48\xcd\xc9\xc9\7\0" * 2),
        "deflate-bomb": directions(0, 0, 4 | 1) + frame(0xC2, deflated(bytes(5000))),
        "deflate-bad": directions(0, 8, 12) + frame(0xC1, b"\xff\xff"),
        "not-utf8": directions(1, 8) + frame(0x81, b"ok\xed\xa0\x80"),
        "not-utf8-late": directions(100, 8) + frame(1, b"a" * 20 + b"\xe2") + frame(0x80, b"\x28"),
        "too-long": directions(0, 8, 1) + b"\x82\xff\0\0\0\0\0\1\0\0abcd",
        "too-long-in-fragments": directions(0, 8, 2) + frame(2, bytes(60)) + frame(0, bytes(69)) * 43,
        "too-many-fragments": directions(0, 8, 1) + frame(1) + frame(0) * 1300,
        "interleaved": directions(0, 8) + frame(1) + frame(0x82),
        "continuation": directions(0, 8) + frame(0x80),
        "unmasked": directions(0, 8) + b"\x81\x01a",
        "reserved": directions(0, 8) + frame(0xA1),
        "opcode": directions(0, 8) + frame(0x83),
        "ping-fragment": directions(0, 8) + frame(0x09),
        "ping-long": directions(0, 8) + frame(0x89, bytes(126)),
        "long-form-by-one": directions(0, 8) + b"\x82\xfe\0\x7d" + bytes(129),
        "longer-form-by-one": directions(0, 8) + b"\x82\xff\0\0\0\0\0\0\xff\xff" + bytes(20),
        "long-form": directions(0, 8) + b"\x82\xfe\0\x05abcd",
    },
    "upgrade": {
        "good": directions(0, EARLY) + UPGRADE + b"\r\n" + frame(0x81, b"early"),
        "answered": directions(7, ANSWERS | CLUMSY) + UPGRADE + b"X_Y: z\r\nX-Y: 1\r\nX-Y: 2\r\n\r\n",
        "forwarded": directions() + UPGRADE + b'Forwarded: for="[2001:db8::1]:5";proto=https\r\n\r\n',
        "x-forwarded": directions() + UPGRADE + b"X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n",
        "not-trusted": directions(choice=0x80) + UPGRADE + b"X-Forwarded-For: 1.2.3.4\r\n\r\n",
        "get": directions(0, ANSWERS) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "post": directions() + b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "body": directions() + UPGRADE + b"Content-Length: 5\r\n\r\nhello",
        "chunked": directions() + UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n",
        "old": directions() + UPGRADE.replace(b"1.1", b"1.0") + b"\r\n",
        "scgi": directions(1) + scgi_request(GET),
        "tls": directions(eof=True) + b"\x16\x03\x01\x02\x00",
        "large": directions(0, 0, 1) + UPGRADE + b"X: " + b"x" * 1200,
        "many": directions(0, 0, 1) + UPGRADE + b"X: x\r\n" * 30 + b"\r\n",
        "cut": directions(16, 0, eof=True) + UPGRADE,
    },
    "response": {
        "plain": directions() + b"S404 Not Found\x1eHContent-Type:text/plain\tX-A:b\x1eL\0\0\0\0\0\0\x05",
        "events": directions() + b"HContent-Type:text/event-stream; x\x1eBSet-Cookie:a\xff\tset-cookie:b",
        "unbuffered": directions() + b"HX-Accel-Buffering:yes\x1eHContent-Type:text/event-stream",
        "dropped": directions() + b"HConnection:close\tTE:x\tStatus:500\tUpgrade:x\tTransfer-Encoding:chunked",
        "front": directions(choice=1) + b"HX-Sendfile:/etc/passwd\x1eHX-Accel-Redirect:/x",
        "lengths": directions() + b"HContent-Length:5\x1eHcontent-length:6\x1eHX:y\tContent-Length:5\tA:b\rc",
        "numbers": directions()
        + b"N\0\0\xc8\x1eN\0\0\xcc\x1eN\0\0\x63\x1eN\0\x03\xe8\x1eN\xff\xff\xff\x1eS20\x1eS200\r\n",
        "lines": directions() + b"HX:a\r\nB:c\x1eHX\0:a\x1eHX :a\x1eH:a\x1eHX:\xe2\x82\xac\x1eHX:\xc3\xa9",
        "upgrade": directions() + b"L\0\0\0\0\0\0\x05\x1eUUpgrade:websocket\tConnection:Upgrade\tBad:\n",
    },
}


def main() -> None:
    """Write them."""
    for target, seeds in SEEDS.items():
        folder: Path = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in seeds.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
