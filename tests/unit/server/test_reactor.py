"""What all connections share: the clock and its sweep, who is registered, the log of what peers do wrong."""

from __future__ import annotations

import asyncio
import math
import os
import socket

from ssgi_gateway.core.channel import Protocol
from ssgi_gateway.observe.logs import BURST
from ssgi_gateway.observe.observer import Observer, Observers
from ssgi_gateway.server.connection import Connection
from ssgi_gateway.server.gateway import QUIET
from ssgi_gateway.server.reactor import SWEEP, Reactor
from ssgi_gateway.settings import FlowControl
from tests.loops import advance, settle, until
from tests.unit.server.peer import bench, request


def hello(*args):
    args[-1].send("hello")


# -- the clock -----------------------------------------------------------------------------------------------------


async def test_the_sweep_moves_the_clock():
    with bench() as b:
        before = b.gateway.now
        advance(100)
        assert b.gateway.now == before
        b.gateway.sweep()
        assert b.gateway.now >= before + 100


async def test_the_sweep_comes_by_itself_often_enough_to_see_an_abort_within_a_second():
    assert SWEEP <= 0.5
    with bench() as b:
        before = b.gateway.now
        await until(lambda: b.gateway.now > before)
        again = b.gateway.now
        await until(lambda: b.gateway.now > again)


async def test_a_sweep_by_hand_starts_no_second_clock():
    with bench() as b:
        for _ in range(5):
            b.gateway.sweep()
        b.gateway.stop()
        before = b.gateway.now
        await asyncio.sleep(2 * SWEEP)
        assert b.gateway.now == before


class Clock(Observer):
    """What an observer hears of the clock."""

    def __init__(self, needs=False):
        self.needs, self.seen = needs, []

    def needs_clock(self):
        return self.needs

    def clock_started(self, now):
        self.seen.append("started")

    def clock_stopped(self):
        self.seen.append("stopped")

    def tick(self, now):
        self.seen.append("tick")


async def test_where_nothing_happens_nobody_is_woken_until_a_connection_comes():
    clock = Clock()
    with bench(hello, observer=clock, deadlines={"idle": 10.0}) as b:
        for _ in range(QUIET + 1):
            b.gateway.sweep()
        await until(lambda: "stopped" in clock.seen)
        assert clock.seen == ["started", *["tick"] * (QUIET + 1), "stopped"]
        advance(100)
        b.gateway.date.line = b"old"
        connection, silent = b.connect("scgi")
        assert b.gateway.date.line.startswith(b"Date: ")
        assert connection.deadline == b.gateway.now + 10
        assert clock.seen[-1] == "started"
        await b.wait(11)
        assert await silent.read_all() == b""


async def test_a_clock_that_is_needed_does_not_rest():
    clock = Clock(needs=True)
    with bench(hello, observer=Observers(Clock(), clock)) as b:
        for _ in range(QUIET + 1):
            b.gateway.sweep()
        before = clock.seen.count("tick")
        await until(lambda: clock.seen.count("tick") > before + 1)
        assert "stopped" not in clock.seen


async def test_a_connection_keeps_the_clock_going():
    clock = Clock()
    with bench(hello, observer=clock) as b:
        b.connect("scgi")
        for _ in range(QUIET + 1):
            b.gateway.sweep()
        before = clock.seen.count("tick")
        await until(lambda: clock.seen.count("tick") > before)
        assert "stopped" not in clock.seen


async def test_after_stop_there_is_no_clock():
    with bench() as b:
        b.gateway.stop()
        b.gateway.stop()
        before = b.gateway.now
        await asyncio.sleep(1.5 * SWEEP)
        assert b.gateway.now == before


async def test_each_deadline_is_that_of_its_own_connection_alone():
    with bench(hello, deadlines={"head": 10.0, "idle": 120.0}) as b:
        _, dribbles = b.connect("scgi", b"70:")
        _, silent = b.connect("scgi")
        await b.wait(11)
        assert await dribbles.read_all() == b""
        assert not silent.take()
        assert not silent.ended
        assert len(b.gateway.connections) == 1


# -- the books -----------------------------------------------------------------------------------------------------


async def test_only_what_waits_is_in_the_books():
    with bench(hello) as b:
        b.connect("scgi", request())
        assert b.gateway.connections == set()
        connection, _ = b.connect("scgi")
        assert b.gateway.connections == {connection}


async def test_in_a_forked_child_all_connections_are_given_up_and_no_handler_is_called():
    with bench(hello) as b:
        kept, peer = b.connect("fastcgi")
        parents = os.dup(kept.fd)
        b.gateway.loop.remove_reader(kept.fd)  # no child comes to wait in this loop
        b.gateway.abandon()
        assert b.gateway.connections == set()
        assert kept.state == 3
        peer.send(b"still there")
        assert os.read(parents, 100) == b"still there"
        os.close(parents)


async def test_when_empty_waits_for_the_last_connection():
    with bench(hello) as b:
        assert b.gateway.when_empty().done()
        _, first = b.connect("scgi")
        _, second = b.connect("scgi")
        waiting = b.gateway.when_empty()
        first.close()
        await settle()
        await until(lambda: len(b.gateway.connections) == 1)
        assert not waiting.done()
        second.close()
        await waiting


# -- complaints ----------------------------------------------------------------------------------------------------


async def test_a_million_bad_peers_are_a_few_lines(caplog):
    with bench(hello) as b:
        for _ in range(BURST + 50):
            b.connect("scgi", b"GET / HTTP/1.1\r\n\r\n")
        assert len(caplog.messages) == BURST
        b.connect("fastcgi", b"\x02" * 8)
        assert len(caplog.messages) == BURST, "they are of one kind"
        b.gateway.log_peer_error("another kind", "seen")
        assert caplog.messages[-1] == "seen"
        caplog.clear()
        await b.wait(10)
        b.connect("scgi", b"GET / HTTP/1.1\r\n\r\n")
        (line,) = caplog.messages
        assert "(and 51 more of this kind before)" in line


# -- without a server ----------------------------------------------------------------------------------------------


class Echo(Protocol):
    """No application, no gateway: what a client's connection is like."""

    def __init__(self, connection):
        self.connection = connection
        connection.protocol = self
        self.ends = []

    def data_received(self, data):
        self.connection.write(data)

    def eof_received(self):
        self.connection.finish(False)

    def connection_lost(self):
        self.ends.append("lost")

    def deadline_passed(self):
        self.ends.append("deadline")
        self.connection.lost()


async def test_a_connection_needs_a_reactor_and_no_gateway():
    reactor = Reactor(asyncio.get_running_loop(), FlowControl(), write_timeout=math.inf, idle_timeout=10)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = Connection(reactor, ours.detach())
    protocol = Echo(connection)
    reactor.wake()
    connection.begin()
    assert reactor.connections == {connection}
    theirs.send(b"hello")
    theirs.setblocking(False)
    assert await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 10), 10) == b"hello"
    while not protocol.ends:  # a silent peer: the deadline that ``begin`` set
        advance(SWEEP)
        reactor.sweep()
    assert protocol.ends == ["deadline", "lost"]
    assert reactor.connections == set()
    reactor.stop()
    theirs.close()


async def test_the_clock_stands_while_nothing_waits_and_is_right_again_when_something_does():
    loop = asyncio.get_running_loop()
    reactor = Reactor(loop, FlowControl(), write_timeout=1, idle_timeout=1)
    made = reactor.now
    advance(100)
    await settle()
    assert reactor.now == made
    reactor.wake()
    assert reactor.now >= made + 100
    reactor.wake()  # again does nothing
    advance(2 * SWEEP)
    reactor.stop()
