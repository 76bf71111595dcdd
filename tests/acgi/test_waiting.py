"""How long, and how many: every timeout, the order of idle connections, ages, forks."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from ssgi_gateway import client
from ssgi_gateway.client import connecting
from tests.acgi.servers import raw_server
from tests.acgi.test_messages import OK, answering, run, serving


def assert_books(pool):
    assert pool.open == len(pool.idle) + len(pool.busy) + pool.connecting


@pytest.fixture
def full():
    """An address that answers no attempt to connect: its backlog is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
            waiting.append(one)
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        for one in waiting:
            one.close()


@pytest.fixture
def full_unix(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener:
        path = str(tmp_path / "s")
        listener.bind(path)
        listener.listen(0)
        waiting = []
        while True:
            one = socket.socket(socket.AF_UNIX)
            one.setblocking(False)
            waiting.append(one)
            if one.connect_ex(path):
                break
        yield f"unix:{path}:/"
        for one in waiting:
            one.close()


def congestion_control(connection):
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1"])
def test_nothing_is_sent_by_timers_within_a_machine(host, at_once):
    async def main(port):
        if at_once:
            return connecting.connect_at_once(host, port, "")
        return await connecting.connect(asyncio.get_running_loop(), host, port, "")

    with socket.create_server((host, 0)) as listener, socket.socket() as other:
        with socket.socket(fileno=asyncio.run(main(listener.getsockname()[1]))) as opened:
            chosen = congestion_control(opened)
        default = congestion_control(other)
        assert chosen == ("reno" if default.startswith("bbr") else default)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.255.0.3", "::1"])
def test_addresses_within_a_machine(host):
    assert connecting._is_loopback(host)


@pytest.mark.parametrize("host", ["128.0.0.1", "12.7.0.1", "1127.0.0.1", "::", "::11", "10.0.0.127", "fe80::1"])
def test_addresses_that_are_none_of_them(host):
    assert not connecting._is_loopback(host)


def test_what_leaves_the_machine_is_sent_as_the_system_has_it():
    """No attempt is answered, and none needs to be: what is chosen is chosen before."""
    with socket.socket() as other, socket.socket() as opened:
        opened.setblocking(False)
        connecting._start(opened, ("192.0.2.1", 9))  # of TEST-NET-1 (RFC 5737)
        assert congestion_control(opened) == congestion_control(other)


@pytest.mark.parametrize("kind", ["http", "https", "scgi", "fcgi"])
def test_connect(kind, full):
    async def main():
        async with client.Client(timeouts=client.Timeouts(connect=0.2)) as c:
            with pytest.raises(client.ConnectTimeout, match=r"within 0\.2 s") as raised:
                await c.request("GET", f"{kind}://{full}/")
            assert raised.value.retryable
            assert c.pool.open == 0

    run(main())


def test_connect_to_a_unix_socket(full_unix):
    async def main():
        async with client.Client(timeouts=client.Timeouts(connect=0.2)) as c:
            with pytest.raises(client.ConnectTimeout):
                await c.request("GET", f"scgi://{full_unix}")
            assert c.pool.open == 0

    run(main())


def test_tls():
    async def main():
        async def handle(reader, writer):
            await reader.read()  # a ClientHello, and then the client's end

        async with serving(handle) as address, client.Client(timeouts=client.Timeouts(tls=0.2)) as c:
            with pytest.raises(client.ConnectTimeout, match="TLS"):
                await c.request("GET", f"https://{address}/")
            assert c.pool.open == 0

    run(main())


@pytest.mark.parametrize("kind", ["http", "scgi", "fcgi"])
def test_write(kind):
    """A peer that takes nothing of a request; also while the application has more to send."""

    async def main():
        left = asyncio.Event()

        async def handle(reader, writer):
            writer.transport.pause_reading()
            await left.wait()

        async with serving(handle) as address, client.Client(timeouts=client.Timeouts(write=0.5)) as c:
            for body in (bytes(32 << 20), [bytes(16 << 20)] * 2):
                with pytest.raises(client.WriteTimeout, match=r"took nothing .* 0\.5 s"):
                    await c.request(
                        "POST", f"{kind}://{address}/", body=body, headers={"content-length": f"{32 << 20}"}
                    )
                assert c.pool.open == 0
            left.set()

    run(main())


def test_read_counts_silence_and_not_the_whole():
    """A piece now and then is no silence; what the application does not read is none of the peer's."""

    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            for piece in (b"HTTP/1.1 200 OK\r\n", b"Content-Length: 2\r\n", b"\r\n", b"a", b"b"):
                writer.write(piece)
                await asyncio.sleep(0.25)

        async with serving(handle) as address, client.Client(timeouts=client.Timeouts(read=0.8)) as c:
            response = await c.request("GET", f"http://{address}/")
            await asyncio.sleep(1.4)
            assert await response.read() == b"ab"

    run(main())


def test_total_covers_retries():
    """The kept connection ends after a while; on the fresh one only what is left of the time is waited for."""

    async def main():
        opened = []

        async def handle(reader, writer):
            opened.append(writer)
            await reader.readuntil(b"\r\n\r\n")
            if len(opened) > 1:
                await reader.read()
                return
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.1)

        async with serving(handle) as address, client.Client(timeouts=client.Timeouts(total=0.5)) as c:
            url = f"http://{address}/"
            await (await c.request("GET", url)).read()
            with pytest.raises(client.ReadTimeout, match="the whole exchange"):
                await c.request("GET", url)
            assert len(opened) == 2
            assert c.pool.open == 0

    run(main())


def test_total_ends_a_body_that_is_being_read():
    async def main():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
            await reader.read()

        async with serving(handle) as address, client.Client(timeouts=client.Timeouts(total=0.3)) as c:
            response = await c.request("GET", f"http://{address}/")
            assert await response.piece() == b"abc"
            with pytest.raises(client.ReadTimeout, match=r"longer than 0\.3 s"):
                await response.piece()
            assert c.pool.open == 0

    run(main())


def test_a_timeout_of_one_request():
    async def main():
        async with raw_server("silence") as port, client.Client() as c:
            with pytest.raises(client.ReadTimeout):
                await c.request("GET", f"http://127.0.0.1:{port}/", timeouts=client.Timeouts(read=0.2))

    run(main())


def test_the_connection_that_was_used_last_is_used_next():
    """Last in, first out: in a lull the others come of age and are closed."""

    async def main():
        async def handle(reader, writer):
            name = writer.get_extra_info("peername")[1]
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%d" % (len(str(name)), name))
            except asyncio.IncompleteReadError:
                pass

        async with serving(handle) as address, client.Client() as c:
            url = f"http://{address}/"
            answers = await asyncio.gather(*[c.request("GET", url) for _ in range(5)])
            names = [await response.read() for response in answers]
            assert len(set(names)) == 5
            for _ in range(5):
                again = await (await c.request("GET", url)).read()
                assert again == names[-1]
            assert c.pool.open == 5

    run(main())


def test_an_old_connection_takes_no_further_request():
    async def main():
        async with serving(answering(OK, OK)) as address, client.Client(limits=client.Limits(max_age=0.0)) as c:
            for _ in range(2):
                response = await c.request("GET", f"http://{address}/")
                await response.read()
                assert response.connection.reused is False
            assert c.pool.open == 0

    run(main())


def test_few_origins_are_remembered():
    async def main():
        async with client.Client() as c:
            for number in range(100):
                with pytest.raises(client.ConnectError):
                    await c.request("GET", f"scgi://unix:/nowhere/{number}.sock:/")
            assert len(c.pool.places) <= 33

    run(main())


def test_max_per_origin_leaves_others_alone():
    async def main():
        limits = client.Limits(max_per_origin=1)
        async with raw_server("silence") as port, serving(answering(OK)) as other, client.Client(limits=limits) as c:
            first = [asyncio.ensure_future(c.request("GET", f"http://127.0.0.1:{port}/")) for _ in range(3)]
            await asyncio.sleep(0)
            assert (await c.request("GET", f"http://{other}/")).status == 200
            assert c.pool.open == 2
            for one in first:
                one.cancel()
            await asyncio.wait(first)
            assert_books(c.pool)

    run(main())


def test_a_thousand_tasks_and_few_connections():
    """All are answered, in order, and the limit holds at every moment, though a third of them leave."""

    async def main():
        most = 0

        async def handle(reader, writer):
            while not reader.at_eof():
                await reader.readuntil(b"\r\n\r\n")
                writer.write(OK)

        async with serving(handle) as address, client.Client(limits=client.Limits(max_connections=5)) as c:
            url = f"http://{address}/"

            async def one(number):
                nonlocal most
                response = await c.request("GET", url)
                most = max(most, c.pool.open)
                assert_books(c.pool)
                if number % 3:
                    assert await response.read() == b"ok"
                else:
                    await response.aclose()

            tasks = [asyncio.ensure_future(one(number)) for number in range(1000)]
            await asyncio.sleep(0)
            for task in tasks[::7]:
                task.cancel()
            done = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(one) for one in done} <= {type(None), asyncio.CancelledError}
            assert sum(one is None for one in done) >= 800
            assert 0 < most <= 5
            assert_books(c.pool)
            assert not c.pool.busy

    run(main())


def test_after_a_fork():
    """A child says that the client is its parent's, and touches none of its connections."""

    async def main():
        heads = []
        async with serving(answering(OK, OK, heads=heads)) as address, client.Client() as c:
            url = f"http://{address}/"
            await (await c.request("GET", url)).read()
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                try:
                    c.request("GET", url).send(None)
                except RuntimeError as error:
                    os.write(writing, str(error).encode())
                finally:
                    os._exit(0)
            os.close(writing)
            await asyncio.to_thread(os.waitpid, child, 0)
            assert b"before a fork" in os.read(reading, 1000)
            os.close(reading)
            response = await c.request("GET", url)
            assert response.connection.reused
            assert await response.read() == b"ok"
            assert len(heads) == 2

    run(main())


def test_a_child_keeps_no_connection_open():
    """What its parent closes ends for the peer, though the child lives on."""

    async def main():
        ended = asyncio.Event()

        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.read()
            ended.set()

        async with serving(handle) as address, client.Client() as c:
            await (await c.request("GET", f"http://{address}/")).read()
            waiting, leaving = os.pipe()
            child = os.fork()
            if not child:
                os.close(leaving)
                os.read(waiting, 1)
                os._exit(0)
            try:
                [carrier] = c.pool.idle
                carrier.close()
                await ended.wait()
            finally:
                os.close(leaving)
                os.close(waiting)
                await asyncio.to_thread(os.waitpid, child, 0)

    run(main())


def test_a_loop_that_was_closed():
    clients = []

    async def first():
        clients.append(c := client.Client())
        async with serving(answering(OK)) as address:
            await (await c.request("GET", f"http://{address}/")).read()
            [carrier] = c.pool.idle
            carrier.close()

    async def second():
        await clients[0].request("GET", "http://127.0.0.1:1/")

    run(first())
    with pytest.raises(RuntimeError, match="another event loop"):
        run(second())


def test_addresses_wait_for_each_other_a_quarter_of_a_second(monkeypatch, full):
    """RFC 8305 5: the next one is tried beside the last, and whoever is there first wins; the other is closed."""
    monkeypatch.setattr(connecting, "ATTEMPT_DELAY", 0.05)

    async def main():
        async with serving(answering(OK)) as address:
            there, port = ((one.partition(":")[0], int(one.partition(":")[2])) for one in (full, address)), 80
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where) for where in there]
            monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
            async with client.Client() as c:
                assert (await c.request("GET", f"http://two.example:{port}/")).status == 200
                assert c.pool.open == 1

    run(main())


def test_all_addresses_fail(monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 1))] * 3
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)

    async def main():
        async with client.Client() as c:
            with pytest.raises(client.ConnectError, match=r"many\.example:80: Connection refused"):
                await c.request("GET", "http://many.example/")
            assert c.pool.open == 0

    run(main())


def test_a_name_that_nobody_has():
    async def main():
        async with client.Client() as c:
            with pytest.raises(client.ConnectError, match=r"no address for 'name\.invalid'") as raised:
                await c.request("GET", "http://name.invalid/")
            assert raised.value.reason == "name"

    run(main())
