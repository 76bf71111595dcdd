"""Connections off a real listener: bursts, the limit, the drain, and a system that has run out of descriptors."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import itertools
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ssgi_gateway.server import acceptor as acceptor_module
from ssgi_gateway.server.acceptor import BURST, Acceptor
from ssgi_gateway.wire.fastcgi.codec import FastcgiCodec
from ssgi_gateway.wire.scgi.codec import ScgiCodec
from tests.loops import until
from tests.unit.server.peer import Bench, Peer, bench, request, split_answer
from tests.unit.server.requests import HELLO, fastcgi, fastcgi_answer

ROOT = Path(__file__).resolve().parents[3]


def hello(*args):
    args[-1].send("hello")


@contextlib.contextmanager
def accepting(
    b: Bench, family: str = "tcp", directory: Path | None = None, codec: type = ScgiCodec, turn: int = 0
) -> Iterator[tuple[Acceptor, object]]:
    """A started acceptor, and a function that connects to it."""
    if family == "tcp":
        listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    else:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(directory / "s"))
        listener.listen(1024)
    listener.setblocking(False)
    peers: list[socket.socket] = []

    def connect() -> Peer:
        end = socket.socket(listener.family)
        peers.append(end)
        end.connect(listener.getsockname())
        end.setblocking(False)
        return Peer(end)

    acceptor = Acceptor(b.gateway, listener, lambda fd: codec(b.settings.limits), turn)
    acceptor.start()
    try:
        yield acceptor, connect
    finally:
        b.gateway.draining = True
        for fd in acceptor.stop():
            os.close(fd)
        listener.close()
        for end in peers:
            end.close()


@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_a_connection_is_accepted_and_served(family, tmp_path):
    with bench(hello) as b, accepting(b, family, tmp_path) as (_, connect):
        peer = connect()
        await peer.send_all(request())
        assert await peer.read_all() == HELLO


async def test_what_is_accepted_is_not_blocking_and_not_inherited():
    with bench(hello) as b, accepting(b) as (_, connect):
        connect()
        await until(lambda: b.gateway.connections)
        (connection,) = b.gateway.connections
        assert os.get_blocking(connection.fd) is False
        assert os.get_inheritable(connection.fd) is False


async def test_a_burst_of_connections_leaves_time_for_those_already_there():
    loop = asyncio.get_running_loop()
    turns = itertools.count()
    now = next(turns)
    served: collections.Counter[int] = collections.Counter()

    def tick():
        nonlocal now
        now = next(turns)
        if served.total() < 3 * BURST:
            loop.call_soon(tick)

    def app(*args):
        served[now] += 1
        args[-1].send("hello")

    with bench(app) as b, accepting(b) as (_, connect):
        peers = [connect() for _ in range(3 * BURST)]
        for peer in peers:
            peer.send(request())
        tick()
        for peer in peers:
            assert await peer.read_all() == HELLO
    assert max(served.values()) <= BURST, f"in one turn of the loop: {served}"


@pytest.mark.portable
async def test_as_many_as_last_time_but_one_are_accepted_without_asking(monkeypatch):
    """An accept that finds nothing costs ten times the question; so where one comes after the other there is none."""
    asked, found = [], []
    ask, take = acceptor_module.pending, acceptor_module.accept
    monkeypatch.setattr(acceptor_module, "pending", lambda source: asked.append(ask(source)) or asked[-1])
    monkeypatch.setattr(acceptor_module, "accept", lambda source: found.append(take(source)) or found[-1])
    monkeypatch.setattr(acceptor_module, "SHARE", 60.0)  # a turn of a busy machine may be long
    with bench(hello) as b, accepting(b) as (acceptor, connect):
        acceptor.gateway.loop.remove_reader(acceptor.listener.fileno())  # the loop calls it not; the test does

        async def burst(size: int) -> tuple[list[bool], int]:
            """What was answered to its questions, and how many accepts found nothing."""
            asked.clear()
            found.clear()
            peers = [connect() for _ in range(size)]
            for peer in peers:
                peer.send(request())
            acceptor.on_readable()
            for peer in peers:
                assert await peer.read_all() == HELLO
            return list(asked), found.count(-1)

        assert await burst(1) == ([False], 0)
        assert await burst(1) == ([False], 0)
        assert await burst(4) == ([True, True, True, False], 0)
        assert await burst(4) == ([True, False], 0)
        assert await burst(6) == ([True, True, True, False], 0)
        assert await burst(1) == ([], 1)
        assert await burst(1) == ([False], 0)


async def test_where_others_accept_as_well_a_burst_is_shared():
    """After its turn a process goes to the end of the queue; what it leaves is there for whoever comes first."""
    with bench(hello) as b, accepting(b, turn=3) as (acceptor, connect):
        acceptor.gateway.loop.remove_reader(acceptor.listener.fileno())  # the loop calls it not; the test does
        peers = [connect() for _ in range(5)]
        for peer in peers:
            peer.send(request())
        acceptor.on_readable()
        for peer in peers[:3]:
            assert await peer.read_all() == HELLO
        other, _ = acceptor.listener.accept()  # another process
        assert other.recv(65536) == request()
        other.close()
        assert await peers[3].read_all() == b""
        acceptor.on_readable()
        assert await peers[4].read_all() == HELLO


async def test_connections_one_by_one_stay_with_one_process(monkeypatch):
    """Its caches are warm, and it is not overburdened: it never goes to the end of the queue."""
    turns = []
    watched = SimpleNamespace(queue_up=lambda: turns.append(1), close=lambda: None)
    monkeypatch.setattr(sys.modules[Acceptor.__module__], "Exclusive", lambda loop, fd: watched)
    with bench(hello) as b, accepting(b, turn=3) as (_, connect):
        for _ in range(10):
            peer = connect()
            await peer.send_all(request())
            assert await peer.read_all() == HELLO
        assert not turns


async def test_bad_inputs_85_those_that_dribble_do_not_keep_others_from_being_served():
    with bench(hello) as b, accepting(b) as (_, connect):
        for _ in range(300):
            connect().send(b"7")
        peer = connect()
        peer.send(request())
        assert await peer.read_all() == HELLO


async def test_connections_above_the_limit_get_503_and_the_others_go_on(caplog):
    gate = asyncio.Event()

    async def app(*args):
        await gate.wait()
        args[-1].send("hello")

    with bench(app, max_connections=3) as b, accepting(b) as (_, connect):
        served = [connect() for _ in range(3)]
        for peer in served:
            peer.send(request())
        await until(lambda: len(b.gateway.connections) == 3)
        refused = connect()
        refused.send(request())
        status, headers, _ = split_answer(await refused.read_all())
        assert status == "Status: 503 Service Unavailable"
        assert headers["retry-after"] == "1"
        gate.set()
        for peer in served:
            assert await peer.read_all() == HELLO
        refused.close()
        await until(lambda: b.idle)
        again = connect()
        again.send(request())
        assert await again.read_all() == HELLO


@pytest.mark.parametrize("kept", [False, True], ids=["silent", "kept"])
async def test_those_that_have_no_request_keep_nobody_out(kept):
    codec = FastcgiCodec if kept else ScgiCodec
    with bench(hello, max_connections=5) as b, accepting(b, codec=codec) as (_, connect):

        async def ask(peer: Peer) -> None:
            peer.send(fastcgi() if kept else request())
            assert (await fastcgi_answer(peer) if kept else await peer.read_all()) == HELLO

        idle = []
        for _ in range(40):
            idle.append(connect())
            if kept:
                await ask(idle[-1])
        await until(lambda: sum(peer.is_closed() for peer in idle) == 35)
        await ask(connect())


async def test_stop_takes_what_the_kernel_has_accepted_for_us():
    with bench(hello) as b, accepting(b) as (acceptor, connect):
        peers = [connect() for _ in range(BURST + 10)]
        for peer in peers:
            peer.send(request())
        pending = acceptor.stop()
        assert len(pending) >= 10, "and nothing was served before all were taken"
        for fd in pending:
            acceptor.serve(fd)
        for peer in peers:
            assert await peer.read_all() == HELLO


async def test_after_stop_nothing_is_taken_until_start():
    with bench(hello) as b, accepting(b) as (acceptor, connect):
        acceptor.stop()
        peer = connect()
        peer.send(request())
        await asyncio.sleep(0.05)
        assert peer.take() == b""
        acceptor.start()
        acceptor.start()
        assert await peer.read_all() == HELLO


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_bad_inputs_91_without_descriptors_there_is_no_busy_loop_and_then_it_recovers(loop_name):
    if loop_name == "uvloop":
        pytest.importorskip("uvloop")
    build = "compiled" if "_compiled" in Acceptor.__module__ else "portable"
    command = [sys.executable, "-m", "tests.unit.server.exhausted", build, loop_name]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert told["seconds"] < 0.5, "a busy loop takes all of the second"
    assert told["answer"] == HELLO.decode()
    lines = ended.stderr.splitlines()
    assert 1 <= len(lines) <= 4, "it tries again every half a second"
    assert {line.partition(";")[0] for line in lines} == {"no connection could be accepted: Too many open files"}
    assert "ulimit -n" in lines[0]
