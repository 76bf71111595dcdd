"""WebSockets over a reload: 1012, and whatever was on its way is heard."""

from __future__ import annotations

import pytest

from tests.harness.websocket import WebSocketClient

pytestmark = [pytest.mark.nginx]


@pytest.mark.parametrize("route", ["scgi", "direct"])
def test_what_is_sent_before_the_answer_to_our_close_is_heard(fleet, route):
    it = fleet(1)
    with WebSocketClient(it.nginx.address(route), "/0") as socket:
        socket.send("1")
        assert socket.receive() == "1"
        it.signal(1)  # SIGHUP
        number = 1
        # The client sends on until it sees the Close, and does not know yet that it has come.
        it.gateway.wait_for_log("generation 2 serves")
        for number in range(2, 200):
            socket.send(f"one-way {number}")
        assert socket.receive_close()[0] == 1012
    from tests.harness.process import wait_until

    wait_until(lambda: it.counts.read_bytes()[number] == 1, "the last message")
    assert set(it.counts.read_bytes()[1 : number + 1]) == {1}


def test_they_are_closed_one_after_the_other(fleet):
    it = fleet(1, "--websocket-close-spread", "1.5")
    sockets = [WebSocketClient(it.nginx.address("direct"), "/0") for _ in range(3)]
    try:
        for place, socket in enumerate(sockets):
            socket.send(str(place))
            assert socket.receive() == str(place)
        it.signal(1)
        it.gateway.wait_for_log("generation 2 serves")
        codes = [socket.receive_close()[0] for socket in sockets]
        assert codes == [1012, 1012, 1012]
    finally:
        for socket in sockets:
            socket.__exit__(None, None, None)


def test_applications_are_notified_first(fleet):
    it = fleet(1, app="tests.apps.drained:app")
    with WebSocketClient(it.nginx.address("scgi"), "/") as socket:
        assert socket.receive() == "hello"
        it.signal(1)
        assert socket.receive() == "goodbye"
        assert socket.receive_close()[0] == 1012
