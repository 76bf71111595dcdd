"""WebSockets over a reload: 1012, and whatever was on its way is heard."""

from __future__ import annotations

import select
import signal

import pytest

from tests.harness.process import wait_until
from tests.harness.websocket import WebSocketClient

pytestmark = [pytest.mark.nginx]


@pytest.mark.parametrize("route", ["scgi", "direct"])
def test_what_is_sent_before_the_answer_to_our_close_is_heard(fleet, route):
    it = fleet(1)
    with WebSocketClient(it.nginx.address(route), "/0") as socket:
        socket.send("1")
        assert socket.receive() == "1"
        it.signal(signal.SIGHUP)
        number = 1
        # The client sends on until it sees the Close, and does not know yet that it has come.
        it.gateway.wait_for_log("generation 2 serves")
        for number in range(2, 200):
            socket.send(f"one-way {number}")
        assert socket.receive_close()[0] == 1012
    wait_until(lambda: it.counts.read_bytes()[number] == 1, "the last message")
    assert set(it.counts.read_bytes()[1 : number + 1]) == {1}


def test_they_are_closed_one_after_the_other(fleet):
    """While one has its Close, the others go on: the next one's turn is ten seconds later."""
    it = fleet(1, "--websocket-close-spread", "30", "--deadline-drain", "100")
    clients = [WebSocketClient(it.nginx.address("direct"), "/0") for _ in range(3)]
    try:
        for place, client in enumerate(clients):
            client.send(str(place))
            assert client.receive() == str(place)
        it.signal(signal.SIGHUP)
        it.gateway.wait_for_log("generation 2 serves")
        [closed], _, _ = select.select([client.socket for client in clients], [], [], 30)
        for place, client in enumerate(clients, 3):
            if client.socket is closed:
                assert client.receive_close()[0] == 1012
            else:
                client.send(str(place))
                assert client.receive() == str(place)
    finally:
        for client in clients:
            client.abandon()
        it.signal(signal.SIGINT)  # nobody waits for the others' turns
        assert it.gateway.process.wait() == 0


def test_applications_are_notified_first(fleet):
    it = fleet(1, app="tests.apps.drained:app")
    with WebSocketClient(it.nginx.address("scgi"), "/") as socket:
        assert socket.receive() == "hello"
        it.signal(signal.SIGHUP)
        assert socket.receive() == "goodbye"
        assert socket.receive_close()[0] == 1012
