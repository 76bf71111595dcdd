"""The end of a process has one bound, whatever hangs; and what goes on for ever does not hold the drain."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.behaviour.raw import Answer, Peer, exchange, scgi
from tests.behaviour.test_lifecycle import SLACK
from tests.harness import Gateway, connect

MODULE = "tests.apps.stubborn"


@pytest.mark.parametrize(
    ("app", "path", "statuses"),
    [
        ("app", "ignore", {1}),
        ("app", "to-thread", {1}),
        ("app", "thread", {1}),
        ("app", "block", {1}),
        ("wsgi", "stuck", {0, 1}),
        ("never_ends", "hello", {0, 1}),
    ],
)
@pytest.mark.parametrize("signals", [1, 2])
def test_whatever_hangs_the_process_ends_within_its_bound(
    start: Callable[..., Gateway], app: str, path: str, statuses: set[int], signals: int
) -> None:
    bound = 2.0 if signals == 1 else 60.0
    others = {"websocket": ()} if app == "wsgi" else {}
    gateway = start("--deadline-drain", str(bound), app=f"{MODULE}:{app}", **others)
    peers = [
        Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": f"/{path}"})) for _ in range(1 + (app == "wsgi"))
    ]
    for peer in peers:
        peer.receive(8)  # it has begun
    began = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    while signals == 2 and gateway.process.returncode is None and time.monotonic() - began < 2 * SLACK:
        time.sleep(0.5)  # two that come before the process runs are one
        with contextlib.suppress(ProcessLookupError):
            gateway.process.send_signal(signal.SIGTERM)
    ended = gateway.process.wait(timeout=bound + 3 * SLACK)
    assert time.monotonic() - began < (bound if signals == 1 else 2.0) + SLACK
    # Signals go on coming until it has ended: one may meet an interpreter that has given its handlers back.
    assert ended in (statuses if signals == 1 else statuses | {-signal.SIGTERM})
    gateway.stop(status=ended)
    if ended == 1:
        assert "still running at the end of the time there is for it" in "\n".join(gateway.log())
    for peer in peers:
        peer.socket.close()


@pytest.mark.parametrize("path", ["exit-task", "exit-soon", "exit-timer", "stop-loop"])
def test_an_exit_that_one_request_has_left_behind_ends_nobody_elses(start: Callable[..., Gateway], path: str) -> None:
    gateway = start(app=f"{MODULE}:app")
    address = gateway.address("scgi", "unix")
    with Peer(address, scgi({"REQUEST_URI": "/echo", "CONTENT_LENGTH": "4"}) + b"bo") as other:
        for _ in range(3):
            assert Answer(exchange(address, scgi({"REQUEST_URI": f"/{path}"}))).body == b"hello"
        gateway.wait_for_log("it goes on")
        other.send(b"dy")
        assert Answer(other.read()).body == b"body"
    gateway.stop()


def test_a_start_that_hangs_ends_at_the_first_signal(tmp_path: Path, codec: str) -> None:
    gateway = Gateway(f"{MODULE}:never_starts", tmp_path, scgi=("unix",), env={"SSGI_CODEC": codec})
    gateway.wait_for_log("starting")
    began = time.monotonic()
    gateway.stop()
    assert time.monotonic() - began < SLACK


def test_the_drain_begins_and_ends_however_many_requests_come(start: Callable[..., Gateway]) -> None:
    gateway = start(app=f"{MODULE}:app")
    address = gateway.address("scgi", "unix")
    served = [0] * 16
    over = threading.Event()

    def client(number: int) -> None:
        request = scgi({"REQUEST_URI": "/hello"})
        with contextlib.suppress(OSError):
            while not over.is_set():
                with connect(address, 30.0) as sock:
                    sock.sendall(request)
                    while sock.recv(65536):
                        pass
                served[number] += 1

    clients = [threading.Thread(target=client, args=(number,)) for number in range(len(served))]
    for it in clients:
        it.start()
    try:
        while min(served) < 3:
            time.sleep(0.01)
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < SLACK
    finally:
        over.set()
        for it in clients:
            it.join()


def test_what_was_queued_when_the_drain_began_is_answered(start: Callable[..., Gateway]) -> None:
    gateway = start(app=f"{MODULE}:app")
    assert Answer(exchange(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/hello"}))).status == 200  # it is up
    gateway.process.send_signal(signal.SIGSTOP)
    peers = [Peer(gateway.address("scgi", kind), scgi({"REQUEST_URI": "/hello"})) for kind in ("unix", "tcp") * 40]
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.send_signal(signal.SIGCONT)
    for peer in peers:
        with peer:
            assert Answer(peer.read()).body == b"hello"
    assert gateway.process.wait() == 0


def test_event_streams_end_early_in_a_drain_and_in_order(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-drain", "60", app=f"{MODULE}:app")
    with Peer(gateway.address("fastcgi", "unix")) as _, Peer(gateway.address("scgi", "unix")) as peer:
        peer.send(scgi({"REQUEST_URI": "/events"}))
        began = time.monotonic()
        peer.receive(100)
        gateway.stop()
        assert time.monotonic() - began < SLACK
        assert peer.read().endswith(b"data: x\n\n")
    assert "cut off" not in "\n".join(gateway.log())


def test_long_polls_do_not_hold_a_drain(start: Callable[..., Gateway]) -> None:
    gateway = start("--deadline-drain", "60", "--deadline-poll", "0.5", app=f"{MODULE}:app")
    with Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/poll"})) as peer:
        gateway.wait_for_log("polling")
        began = time.monotonic()
        gateway.stop()
        assert time.monotonic() - began < SLACK
        answer = Answer(peer.read())
        assert (answer.status, answer.header("retry-after")) == (503, "1")


def test_a_signal_is_seen_where_event_streams_look_for_it(start: Callable[..., Gateway]) -> None:
    """sse-starlette asks the object behind SIGTERM's handler whether the server is about to end."""
    gateway = start("--deadline-drain", "60", app="tests.apps.sse:app")
    with Peer(gateway.address("scgi", "unix"), scgi({"REQUEST_URI": "/"})) as peer:
        peer.receive(50)
        gateway.stop()
        assert peer.read().endswith(b"data: goodbye\r\n\r\n")
