"""Faults of peers and applications that want a running gateway, each under its number."""

from __future__ import annotations

import socket
from collections.abc import Callable

from tests.harness import Gateway, WebSocketClient
from tests.harness.client import connect

APP = "tests.apps.numbered:app"
MIB = 1024 * 1024

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def scgi(path: str, length: int) -> bytes:
    pairs = {"CONTENT_LENGTH": str(length), "SCGI": "1", "REQUEST_METHOD": "POST", "REQUEST_URI": path}
    block = b"".join(f"{name}\0{value}\0".encode() for name, value in pairs.items())
    return b"%d:%b," % (len(block), block)


def read_to_end(peer: socket.socket) -> bytes:
    received = b""
    while piece := peer.recv(65536):
        received += piece
    return received


def silent_websocket(gateway: Gateway) -> socket.socket:
    """A WebSocket whose client says nothing by itself, and so answers neither a ping nor a Close."""
    peer = connect(gateway.address("websocket", "tcp"))
    peer.sendall(HANDSHAKE)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += peer.recv(1)
    assert head.startswith(b"HTTP/1.1 101 ")
    return peer


def test_response_68_an_upload_of_a_gigabyte_that_nobody_reads(start: Callable[..., Gateway]) -> None:
    gateway = start(app=APP)
    with connect(gateway.address("scgi", "unix")) as peer:
        peer.sendall(scgi("/", 0))
        read_to_end(peer)
    before = gateway.rss()
    with connect(gateway.address("scgi", "unix")) as peer:
        peer.sendall(scgi("/", 1024 * MIB))
        chunk = bytes(MIB)
        try:
            for _ in range(1024):
                peer.sendall(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the gateway has stopped to take it, after the answer
        assert peer.recv(65536).endswith(b"\r\n\r\nHello")
    assert gateway.rss() - before < 16 * MIB


def test_response_71_a_head_above_nginxs_buffer_is_reported_with_its_directive(start: Callable[..., Gateway]) -> None:
    gateway = start(app=APP)
    for _ in range(3):
        with connect(gateway.address("scgi", "unix")) as peer:
            peer.sendall(scgi("/big", 0))
            assert b"\r\nX-Big: xxxx" in b"\r\n" + read_to_end(peer)
    assert "scgi_buffer_size" in gateway.wait_for_log("response's head")


def test_websocket_82_a_close_that_is_never_answered(start: Callable[..., Gateway]) -> None:
    gateway = start("--websocket-close-timeout", "1", app=APP)
    with silent_websocket(gateway) as peer:
        peer.sendall(b"\x81\x85\0\0\0\0close")
        assert read_to_end(peer) == b"\x88\x02\x03\xe8"


def test_websocket_83_a_half_open_peer_is_found_by_pings(start: Callable[..., Gateway]) -> None:
    gateway = start("--websocket-ping-interval", "0.5", "--websocket-ping-timeout", "0.5", app=APP)
    with silent_websocket(gateway) as peer:
        assert read_to_end(peer).startswith(b"\x89\x00")
    assert "no answer to a ping" in gateway.wait_for_log("no answer to a ping")


def test_websocket_85_a_thousand_handshakes_that_dribble_hold_up_nobody(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-head", "2", app=APP)
    dribbling = [connect(gateway.address("websocket", "tcp")) for _ in range(1000)]
    try:
        for peer in dribbling:
            peer.sendall(HANDSHAKE[:20])
        with WebSocketClient(gateway.address("websocket", "tcp"), "/") as client:
            client.send("still there")
            assert client.receive() == "still there"
        for peer in dribbling:
            assert read_to_end(peer) == b""
    finally:
        for peer in dribbling:
            peer.close()
