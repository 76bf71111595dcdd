"""Clients that give up at any moment leave nothing behind: no connection, and no application that was not told.

The kernel reports an error together with what came before it, and uvloop calls the reader for it once: a reader that
reads once then never hears of the end.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import time
from collections.abc import Callable

import pytest

from tests.behaviour.raw import Answer, Peer, exchange, records, scgi
from tests.harness import Gateway, Route, Site, connect, wait_until
from tests.harness.routes import HTTP_ROUTES
from tests.unit.wire.fastcgi_front import begin, params, stdin

FASTCGI = [route for route in HTTP_ROUTES if route.name.startswith("fastcgi")]


@pytest.mark.nginx
@pytest.mark.parametrize("route", [FASTCGI[0], HTTP_ROUTES[0]], ids=lambda route: route.name)
def test_uploads_that_are_given_up_behind_nginx(site_with: Callable[..., Site], key: str, route: Route) -> None:
    count = 40
    site = site_with("--deadline-drain", "10")
    endpoint = site.through(route)
    assert endpoint.get("/do/hello").status == 200
    held = site.gateway.process.descriptors()
    for _ in range(count):
        with connect(endpoint.address, 5.0) as client:
            head = f"POST /do/duplex?key={key} HTTP/1.1\r\nHost: example.org\r\nContent-Length: 100000000\r\n\r\n"
            client.sendall(head.encode())
            client.settimeout(0.3)
            with contextlib.suppress(OSError):
                for _ in range(7):
                    client.send(bytes(100_000))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def all_told() -> bool:
        events = [event for _, event, _ in site.records(key)]
        return events.count("aborted") == events.count("started")

    with contextlib.suppress(AssertionError):
        wait_until(all_told, "every application that began to be told", 2)
    # nginx that cannot send on an upload may not look at its client before fastcgi_send_timeout has passed.
    site.nginx.replace_workers()
    wait_until(all_told, "every application that began to be told")
    wait_until(lambda: site.gateway.process.descriptors() <= held + 4, "the connections to be closed")


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_peer_that_disconnects_with_an_answer_unread(start: Callable[..., Gateway], key: str, kind: str) -> None:
    gateway = start()
    assert Answer(exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/do/hello"}))).status == 200
    held = gateway.process.descriptors()
    hello, hang = (
        begin() + params({b"REQUEST_METHOD": b"GET", b"REQUEST_URI": uri.encode()}) + stdin()
        for uri in ("/do/hello", f"/do/hang?key={key}")
    )
    for _ in range(20):
        peer = Peer(gateway.address("fastcgi", kind), hello)
        peer.socket.recv(1, socket.MSG_PEEK)
        gateway.process.send_signal(signal.SIGSTOP)  # so that the request and the end are seen together
        peer.send(hang)
        if kind == "tcp":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.socket.close()
        gateway.process.send_signal(signal.SIGCONT)
    wait_until(lambda: gateway.process.descriptors() <= held, "the connections to be closed")
    noted = records(gateway, key)
    assert noted.count('"aborted"') == noted.count('"started"')


def test_a_pause_of_the_process_is_no_silence_of_the_peer(start: Callable[..., Gateway]) -> None:
    """Stopped for longer than a deadline, the server finds what came meanwhile in the kernel, and reads it first."""
    gateway = start("--deadline-body", "1.5")
    with Peer(gateway.address("scgi", "unix")) as peer:
        body = bytes(3000)
        peer.send(scgi({"REQUEST_METHOD": "POST", "REQUEST_URI": "/do/body", "CONTENT_LENGTH": "3000"}, body[:1000]))
        assert Answer(exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/do/hello"}))).status == 200
        gateway.process.send_signal(signal.SIGSTOP)
        time.sleep(3)  # longer than the deadline
        peer.send(body[1000:2000])
        gateway.process.send_signal(signal.SIGCONT)
        time.sleep(0.7)  # at least one sweep
        peer.send(body[2000:])
        assert Answer(peer.read()).status == 200
