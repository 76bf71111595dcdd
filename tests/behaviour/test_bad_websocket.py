"""Bad WebSockets: every protocol error is told with its code before the connection ends, and nobody else notices."""

from __future__ import annotations

import contextlib
import fcntl
import select
import termios
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ssgi_gateway.wire.websocket.codec import MAX_PONGS
from tests.behaviour.raw import FLAT, MIB, complaints, unharmed
from tests.harness import (
    WEBSOCKET_ROUTES,
    Address,
    Endpoint,
    Gateway,
    HttpConnection,
    Response,
    Site,
    WebSocketClient,
    WebSocketRejectedError,
    connect,
    wait_until,
)
from tests.unit.wire.websocket_frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, close, frame, header, zero_frame

pytestmark = pytest.mark.nginx

KEY = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
VERSION = ("Sec-WebSocket-Version", "13")
UPGRADE = [("Upgrade", "websocket"), ("Connection", "Upgrade")]


@pytest.fixture
def gateway(start: Callable[..., Gateway]) -> Gateway:
    return start()


@pytest.fixture(params=["unix", "tcp"])
def address(request: pytest.FixtureRequest, gateway: Gateway) -> Address:
    return gateway.address("websocket", request.param)


def closed_by(client: WebSocketClient, *data: bytes) -> int:
    """Send ``data``; the code of the Close frame that comes of it. The connection ends behind it."""
    try:
        for piece in data:
            client.send_raw(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass  # it was enough already
    code, _ = client.receive_close()
    client.read_eof()
    return code


def handshake(ws: Endpoint, *headers: tuple[str, str], **how: Any) -> Response:
    """The answer to a handshake with exactly these headers."""
    with ws.connection() as connection:
        connection.send_head(how.pop("method", "GET"), "/ws/echo", headers, **how)
        return connection.read_head()


def test_websocket_72_handshakes_that_are_none_are_4xx(ws: Endpoint) -> None:
    assert handshake(ws, *UPGRADE, VERSION).status == 400  # no key
    assert handshake(ws, *UPGRADE, VERSION, ("Sec-WebSocket-Key", "short")).status == 400
    old = handshake(ws, *UPGRADE, KEY, ("Sec-WebSocket-Version", "12"))
    assert (old.status, old.header("sec-websocket-version")) == (426, "13")
    assert handshake(ws, *UPGRADE, KEY).status == 426  # no version
    assert handshake(ws, *UPGRADE, KEY, VERSION, ("Host", "two")).status == 400
    if ws.route.protocol == "websocket":
        assert handshake(ws, *UPGRADE, KEY, VERSION, method="POST").status == 405
    if not ws.route.nginx or ws.route.protocol in ("scgi", "uwsgi"):  # nginx as a proxy says Connection itself
        for connection in ("keep-alive", "close"):
            assert handshake(ws, ("Upgrade", "websocket"), ("Connection", connection), KEY, VERSION).status == 400
    if not ws.route.nginx:
        assert handshake(ws, ("Upgrade", "websocket"), KEY, VERSION).status == 400
    # As a proxy nginx speaks HTTP/1.1 whatever the client spoke, and our file for it refuses others itself.
    by_whom = 400 if not ws.route.nginx or ws.route.protocol in ("scgi", "uwsgi") else 426
    assert handshake(ws, *UPGRADE, KEY, VERSION, version="1.0").status == by_whom
    assert handshake(ws, *UPGRADE, KEY, VERSION).status == 101


def test_websocket_74_origins_by_setting(site_with: Callable[..., Site]) -> None:
    site = site_with("--websocket-origins", "same", "--websocket-origins", "https://example.org")
    for route in WEBSOCKET_ROUTES:
        ws = site.through(route)

        def status(*origin: str, ws: Endpoint = ws) -> int:
            return handshake(ws, *UPGRADE, KEY, VERSION, *(("Origin", it) for it in origin)).status

        assert status() == 101, "no browser"
        assert status("https://example.org") == 101
        assert status("https://EXAMPLE.org:443") == 101
        assert [status(it) for it in ("https://example.com", "null", "http://example.org", "nonsense")] == [403] * 4
        own = f"http://{ws.address[0]}:{ws.address[1]}"
        assert status(own) == (403 if route.stock else 101), "nginx's own scgi_params lose the port of the host"


def test_websocket_74_without_the_setting_any_origin_may(ws: Endpoint) -> None:
    for origin in ("https://example.com", "null"):
        assert handshake(ws, *UPGRADE, KEY, VERSION, ("Origin", origin)).status == 101


def test_websocket_76_length_2_62_and_no_data_is_1009_at_once(gateway: Gateway, address: Address) -> None:
    for opcode in (TEXT, BINARY):
        with unharmed(gateway), WebSocketClient(address, "/ws/echo") as client:
            assert closed_by(client, header(opcode, 1 << 62)) == 1009


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "one byte"])
def test_websocket_77_endless_fragments_are_bounded(gateway: Gateway, address: Address, payload: bytes) -> None:
    def endless() -> Iterator[bytes]:
        yield frame(TEXT, payload, fin=False)
        burst = frame(CONTINUATION, payload, fin=False) * 1000
        for _ in range(1000):
            yield burst

    with unharmed(gateway), WebSocketClient(address, "/ws/echo") as client:
        assert closed_by(client, *endless()) == 1009


def deflated(data: bytes) -> bytes:
    """A compressed message as it is in frames (RFC 7692 7.2.1)."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_websocket_78_a_deflate_bomb_in_one_frame_or_many_is_1009(gateway: Gateway, address: Address) -> None:
    bomb = deflated(bytes(60 * MIB))
    cut = [bomb[at : at + 100] for at in range(0, len(bomb), 100)]
    fragments = b"".join(zero_frame(CONTINUATION, piece, fin=False) for piece in cut[1:])
    for data in (
        zero_frame(BINARY, bomb, rsv=4),
        zero_frame(BINARY, cut[0], fin=False, rsv=4) + fragments,
        zero_frame(BINARY, b"\x00\x00\x00\xff\xff" * 10_000, fin=False, rsv=4)  # blocks that hold nothing, without end
        + zero_frame(CONTINUATION, b"\x00\x00\x00\xff\xff" * 10_000, fin=False) * 40,
    ):
        with unharmed(gateway, growth=17 * MIB), WebSocketClient(address, "/ws/echo", deflate=True) as client:
            assert closed_by(client, data) == 1009


def test_websocket_78_many_small_bombs_in_one_write_are_inflated_one_by_one(gateway: Gateway, address: Address) -> None:
    with unharmed(gateway, lines=0, growth=17 * MIB), WebSocketClient(address, "/ws/count", deflate=True) as client:
        compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
        messages = [compressor.compress(bytes(MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH) for _ in range(100)]
        client.send_raw(b"".join(zero_frame(BINARY, message[:-4], rsv=4) for message in messages))
        assert [client.receive() for _ in range(100)] == [f"binary {MIB}"] * 100


def test_websocket_80_a_ping_flood_by_a_peer_that_never_reads_is_closed(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-write", "1", "--flow-high-water", "4096", "--flow-low-water", "1024")
    burst = frame(PING, bytes(125)) * MAX_PONGS
    with unharmed(gateway), WebSocketClient(gateway.address("websocket", "unix"), "/ws/echo") as client:
        ended = select.poll()
        ended.register(client.socket, select.POLLHUP)

        def taken() -> bool:
            """Whether the last burst was read (unix(7), SIOCOUTQ), or never will be."""
            waiting = fcntl.ioctl(client.socket, termios.TIOCOUTQ, bytes(4))
            return not any(waiting) or bool(ended.poll(0))

        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(10_000):
                client.send_raw(burst)
                wait_until(taken, "the pings to be read", interval=0)
        assert ended.poll(0), "twenty megabytes of pings went on"
    assert "took nothing of its answer" in complaints(gateway)[0]


def test_websocket_81_closes_that_are_none_are_1002_or_1007(gateway: Gateway, address: Address) -> None:
    wrong = [(close(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 65535)]
    wrong += [(frame(CLOSE, b"\x03"), 1002), (header(CLOSE, 126), 1002), (close(1000, b"\xff"), 1007)]
    for data, code in wrong:
        with unharmed(gateway), WebSocketClient(address, "/ws/echo") as client:
            assert closed_by(client, data) == code, data


def test_websocket_82_a_close_that_is_never_answered_ends_at_the_deadline(start: Callable[..., Gateway]) -> None:
    gateway = start("--websocket-close-timeout", "0.5")
    for kind in ("unix", "tcp"):
        with unharmed(gateway, lines=0), HttpConnection(gateway.address("websocket", kind)) as client:
            client.send_head("GET", "/ws/close?code=4000&now=1", [*UPGRADE, KEY, VERSION])
            assert client.read_head().status == 101
            data = client.trailing_data()
            while piece := client.socket.recv(100):
                data += piece
            assert data == b"\x88\x02\x0f\xa0", "and TCP is closed though the client has said nothing"


def test_websocket_83_a_half_open_peer_is_gone_after_the_ping_deadline(start: Callable[..., Gateway]) -> None:
    gateway = start("--websocket-ping-interval", "0.5", "--websocket-ping-timeout", "0.5")
    with WebSocketClient(gateway.address("websocket", "tcp"), "/ws/echo?key=half-open") as client:
        # It is there and says nothing, as one does whose machine has lost its power.
        received = b""
        while data := client.socket.recv(100):
            received += data
        pings, close, reason = received.partition(b"\x88\x15\x03\xf3")
        assert set(pings) == {0x89, 0}
        assert close
        assert reason == b"no answer to a ping"
    (line,) = complaints(gateway)
    assert "no answer to a ping" in line


def test_websocket_85_a_thousand_handshakes_that_dribble_meet_the_deadline(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-head", "1")
    request = b"GET /ws/echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
    with unharmed(gateway, lines=10, growth=64 * MIB):  # the log has its limit
        sockets = [connect(gateway.address("websocket", "unix")) for _ in range(1000)]
        for at in range(0, len(request), 20):
            for sock in sockets:
                sock.send(request[at : at + 20])
            with WebSocketClient(gateway.address("websocket", "unix"), "/ws/echo") as client:
                client.send("served meanwhile")
                assert client.receive() == "served meanwhile"
        for sock in sockets:
            assert sock.recv(1000) == b""
            sock.close()


def test_websocket_86_an_unmasked_frame_is_1002(ws: Endpoint) -> None:
    for data in (frame(TEXT, b"bare", mask=None), frame(PING, b"", mask=None)):
        with ws.websocket() as client:
            assert closed_by(client, data) == 1002


def test_every_protocol_error_has_its_code(ws: Endpoint) -> None:
    for data, code in (
        (frame(TEXT, b"\xff"), 1007),
        (frame(3), 1002),
        (frame(TEXT, rsv=4), 1002),
        (frame(PING, bytes(126)), 1002),
        (frame(PING, fin=False), 1002),
        (frame(CONTINUATION, b"of nothing"), 1002),
        (frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), 1002),
        (header(TEXT, MIB + 1), 1009),
    ):
        with ws.websocket() as client:
            assert closed_by(client, data) == code, data


def test_bad_bytes_where_a_handshake_should_be_are_answered_in_words(gateway: Gateway, address: Address) -> None:
    for data, words in (
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), b"looks like TLS"),
        (b"70:CONTENT_LENGTH\x000\0", b"looks like SCGI"),
        (b"\x01\x01\x00\x01\x00\x08\x00\x00" + bytes(8), b"looks like FastCGI"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: x\r\n\r\n", b"400 Bad Request"),
    ):
        with unharmed(gateway), connect(address) as sock:
            sock.sendall(data)
            answer = b""
            while piece := sock.recv(65536):
                answer += piece
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert words in answer


def test_upgrades_over_the_limits_of_a_head(gateway: Gateway, address: Address) -> None:
    for extra in ({"X-Long": "x" * 140_000}, {f"X-{n}": "1" for n in range(1100)}):
        headers = [*UPGRADE, KEY, VERSION, *extra.items()]
        with unharmed(gateway), pytest.raises(WebSocketRejectedError) as caught:
            WebSocketClient(address, "/ws/echo", headers[4:])
        assert caught.value.response.status == 431


def test_nothing_is_left_of_those_who_erred(gateway: Gateway) -> None:
    address = gateway.address("websocket", "unix")
    with WebSocketClient(address, "/ws/echo") as client:
        assert closed_by(client, frame(3)) == 1002
    before, memory = gateway.process.descriptors(), gateway.rss()
    for _ in range(500):
        with WebSocketClient(address, "/ws/echo", deflate=True) as client:
            assert closed_by(client, frame(3)) == 1002
    wait_until(lambda: gateway.process.descriptors() <= before, "the connections to be gone")
    assert gateway.rss() - memory < 2 * FLAT
