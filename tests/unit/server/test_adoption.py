"""Idle connections from one gateway to another, through the pair that workers share."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

from ssgi_gateway.server.adoption import Adoption
from ssgi_gateway.server.codecs import codec_factory
from tests.loops import settle, until
from tests.unit.server.peer import bench
from tests.unit.server.requests import fastcgi, fastcgi_answer


def answer(*args):
    args[-1].send("hello")


@contextlib.contextmanager
def two(app=answer, **settings) -> Iterator[tuple]:
    """Two servers, each with its part of one adoption; the second one takes."""
    incoming, outgoing = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    again = incoming.dup()  # they read in one event loop, which knows a descriptor once
    with incoming, again, outgoing, bench(app, **settings) as one, bench(app, **settings) as other:
        parts = []
        for b, end in ((one, again), (other, incoming)):
            codecs = {name: codec_factory(name, b.gateway) for name in ("fastcgi", "scgi")}
            parts.append(Adoption(b.gateway, end, outgoing, codecs))
        parts[1].start()
        try:
            yield one, other, *parts
        finally:
            for part in parts:
                part.close()


async def test_a_kept_connection_moves_and_what_waits_on_it_is_answered_there():
    with two() as (one, other, giving, taking):
        connection, peer = one.connect("fastcgi")
        peer.send(fastcgi())
        assert (await fastcgi_answer(peer)).endswith(b"hello")
        await until(lambda: connection.protocol.movable())
        one.gateway.draining = True
        one.gateway.adoption = giving
        peer.send(fastcgi())  # it lies in the kernel when the connection moves
        giving.pass_on(connection)
        await until(lambda: taking.adopted == 1)
        assert (await fastcgi_answer(peer)).endswith(b"hello")
        assert giving.moved == 1
        assert not one.gateway.connections
        assert len(other.gateway.connections) == 1


async def test_one_that_works_moves_after_its_answer():
    held = []

    def app(*args):
        held.append(args[-1])
        args[-1].run_async(wait(args[-1]))

    gate = asyncio.Event()

    async def wait(res):
        await gate.wait()
        res.send("hello")

    with two(app) as (one, _other, giving, taking):
        connection, peer = one.connect("fastcgi")
        peer.send(fastcgi())
        await until(lambda: held)
        one.gateway.draining = True
        one.gateway.adoption = giving
        connection.protocol.shut_down()
        await settle()
        assert not giving.moved
        gate.set()
        assert (await fastcgi_answer(peer)).endswith(b"hello")
        await until(lambda: taking.adopted == 1)
        peer.send(fastcgi())
        await until(lambda: len(held) == 2)
        assert (await fastcgi_answer(peer)).endswith(b"hello")


async def test_half_a_request_stays_where_it_is():
    with two() as (one, _, giving, _taking):
        connection, peer = one.connect("fastcgi")
        whole = fastcgi()
        peer.send(whole[:20])
        await until(lambda: connection.protocol.codec.incomplete())
        giving.pass_on(connection)
        await settle()
        assert not giving.moved
        peer.send(whole[20:])
        assert (await fastcgi_answer(peer)).endswith(b"hello")


async def test_a_thousand_move_though_the_pair_holds_fewer():
    with two(max_connections=2000) as (one, _other, giving, taking):
        peers = []
        for _ in range(1000):
            connection, peer = one.connect("fastcgi")
            peers.append(peer)
        await settle()
        one.gateway.draining = True
        one.gateway.adoption = giving
        for connection in tuple(one.gateway.connections):
            connection.protocol.shut_down()
        await until(lambda: taking.adopted == 1000)
        assert not one.gateway.connections
        peers[-1].send(fastcgi())
        assert (await fastcgi_answer(peers[-1])).endswith(b"hello")


async def test_requests_that_wait_are_shared_and_idle_ones_are_not():
    with two() as (one, _other, giving, taking):
        connections = [one.connect("fastcgi") for _ in range(4)]
        await settle()
        for _, peer in connections[:3]:
            peer.send(fastcgi())
        giving.share(2, connections[0][0])  # before the loop comes to them
        await until(lambda: taking.adopted == 2)
        for _, peer in connections[:3]:
            assert (await fastcgi_answer(peer)).endswith(b"hello")
        assert len(one.gateway.connections) == 2


async def test_a_part_of_those_in_use_is_given_away_one_by_one():
    """Whether or not a request waits on them at this moment; what the web server keeps and does not use stays."""
    with two() as (one, _other, giving, taking):
        giving.start()
        used = [one.connect("fastcgi") for _ in range(4)]
        unused = [one.connect("fastcgi") for _ in range(4)]
        await settle()
        for connection, _ in unused:
            connection.deadline -= 60  # their last request was a minute ago
        for _, peer in used:
            peer.send(fastcgi())
            assert (await fastcgi_answer(peer)).endswith(b"hello")
        giving.give_away(0.5)
        giving.give_away(0.5)  # it is at it already
        await until(lambda: taking.adopted == 2)
        await until(lambda: giving._reading)  # it takes others again, and has given no more
        assert (giving.moved, giving.adopted) == (2, 0)
        assert all(connection in one.gateway.connections for connection, _ in unused)
        for _, peer in (*used, *unused):
            peer.send(fastcgi())
            assert (await fastcgi_answer(peer)).endswith(b"hello")


async def test_who_drains_gives_nothing_more_away():
    with two() as (one, _other, giving, _taking):
        giving.start()
        for _ in range(4):
            _connection, peer = one.connect("fastcgi")
            peer.send(fastcgi())
            assert (await fastcgi_answer(peer)).endswith(b"hello")
        giving.give_away(1.0)
        one.gateway.draining = True
        await until(lambda: giving._later is None)
        assert giving.moved == 1
        assert not giving._reading


async def test_when_nobody_is_left_to_take_them_idle_ones_are_closed():
    with two() as (one, _other, giving, taking):
        taking.stop()
        _connection, peer = one.connect("fastcgi")
        await settle()
        one.gateway.draining = True
        one.gateway.adoption = giving
        giving.abandon()
        assert one.gateway.adoption is None
        assert await peer.read_all() == b""


async def test_what_another_generation_served_and_this_one_does_not_is_closed():
    with two() as (one, other, giving, taking):
        taking._codecs.pop("fastcgi")
        connection, _peer = one.connect("fastcgi")
        await settle()
        giving.pass_on(connection)
        await until(lambda: giving.moved == 1)
        await settle()
        assert not other.gateway.connections
