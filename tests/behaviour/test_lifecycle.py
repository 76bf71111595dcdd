"""The end of a gateway, and a full one: nothing in progress is lost, and nothing waits without a bound."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable

from ssgi_gateway.core.stop_signals import MOMENT
from tests.apps.behaviour import HELLO, pattern
from tests.behaviour.raw import Answer, Peer, complaints, exchange, noted, scgi
from tests.harness import Gateway, WebSocketClient, wait_until

ASYNC = scgi({"REQUEST_URI": "/do/async?delay=1"})
HELLO_REQUEST = scgi({"REQUEST_URI": "/do/hello"})
SLACK = 10.0
"""Seconds an end may take beyond its bound on a busy machine; the default drain of 30 is well above."""


def refuses(gateway: Gateway) -> bool:
    """Whether nobody can connect any more."""
    try:
        Peer(gateway.address("scgi", "tcp")).socket.close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_drain_lets_requests_end_and_closes_websockets_with_1012(start: Callable[..., Gateway], key: str) -> None:
    gateway = start()
    started = scgi({"REQUEST_URI": f"/do/stream?size=1000&chunk=500&delay=0.8&key={key}"})
    with (
        Peer(gateway.address("scgi", "tcp"), started) as request,
        WebSocketClient(gateway.address("websocket", "tcp"), "/ws/echo") as socket,
    ):
        noted(gateway, key, "started")
        gateway.process.send_signal(signal.SIGTERM)
        assert socket.receive_close() == (1012, "the server is restarting")
        wait_until(lambda: refuses(gateway), "the listeners to close")
        answer = Answer(request.read())
        assert (answer.status, answer.body) == (200, pattern(1000))
    assert gateway.process.wait() == 0
    assert not complaints(gateway)


def test_faults_97_a_stuck_application_is_cut_off_at_the_bound(start: Callable[..., Gateway], key: str) -> None:
    gateway = start("--deadline-drain", "0.5")
    begun = scgi({"REQUEST_URI": f"/do/hang-untold?begun=1&key={key}"})
    with Peer(gateway.address("scgi", "unix"), begun) as peer:
        noted(gateway, key, "started")
        began = time.monotonic()
        gateway.stop()
        assert 0.3 < time.monotonic() - began < SLACK
        assert Answer(peer.read()).body == b"begun"
    assert "still busy after" in complaints(gateway)[0]


def test_faults_97_one_that_has_not_answered_gets_503_before_that(start: Callable[..., Gateway], key: str) -> None:
    gateway = start("--deadline-drain", "0.5")
    with Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": f"/do/hang-untold?key={key}"})) as peer:
        noted(gateway, key, "started")
        began = time.monotonic()
        gateway.stop()
        assert 0.2 < time.monotonic() - began < SLACK
        assert Answer(peer.read()).status == 503


def test_faults_97_a_second_signal_does_not_wait(start: Callable[..., Gateway], key: str) -> None:
    gateway = start()
    with Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": f"/do/hang-untold?key={key}"})) as peer:
        noted(gateway, key, "started")
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for_log("SIGTERM: draining")
        time.sleep(MOMENT)  # another wish, and not the first one again
        began = time.monotonic()
        gateway.stop(signal.SIGTERM)
        assert time.monotonic() - began < SLACK
        peer.read()  # it ends
    assert "not waiting any longer" in complaints(gateway)[0]


def test_connections_beyond_the_limit_get_503(start: Callable[..., Gateway]) -> None:
    gateway = start("--max-connections", "3")
    address = gateway.address("scgi", "unix")
    busy = [Peer(address, ASYNC) for _ in range(3)]
    # The limit counts what the gateway has accepted, which is in order.
    answer = Answer(exchange(address, HELLO_REQUEST))
    assert (answer.status, answer.header("retry-after")) == (503, "1")
    for peer in busy:
        assert Answer(peer.read()).body == HELLO
        peer.socket.close()
    assert Answer(exchange(address, HELLO_REQUEST)).status == 200


def test_faults_91_out_of_descriptors_it_waits_without_a_busy_loop_and_recovers(start: Callable[..., Gateway]) -> None:
    gateway = start()
    address = gateway.address("scgi", "unix")
    assert Answer(exchange(address, HELLO_REQUEST)).status == 200  # the start is over, all modules are loaded
    limits = resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (gateway.process.descriptors(), limits[1]))
    with Peer(address, HELLO_REQUEST) as waiting:
        assert "LimitNOFILE" in gateway.wait_for_log("no connection could be accepted")
        used = gateway.process.cpu_seconds()
        time.sleep(2)  # what is asserted is what happens in a time
        assert gateway.process.cpu_seconds() - used < 0.5
        resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, limits)
        assert Answer(waiting.read()).body == HELLO
    assert len(complaints(gateway)) <= 20  # one a try, not one a turn of the loop
