"""What all connections of a server share: the clock and its sweep, the books, the complaints."""

from __future__ import annotations

import asyncio
import os

import pytest

from ssgi_gateway.observe.logs import BURST
from ssgi_gateway.server.gateway import SWEEP
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


async def test_after_stop_there_is_no_clock():
    with bench() as b:
        b.gateway.stop()
        b.gateway.stop()
        before = b.gateway.now
        await asyncio.sleep(1.5 * SWEEP)
        assert b.gateway.now == before


async def test_each_deadline_is_told_to_its_own_connection_alone():
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


# -- files that the web server sends -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a b.txt").write_text("inside")
    (tmp_path / "outside.txt").write_text("outside")
    (tmp_path / "files" / "link").symlink_to(tmp_path / "outside.txt")
    (tmp_path / "files-too").mkdir()
    (tmp_path / "files-too" / "c").write_text("a neighbour")
    return tmp_path


def offload_file(path, **settings):
    with bench(**settings) as b:
        fd = os.open(path, os.O_RDONLY)
        try:
            return b.gateway.offload_file(fd)
        finally:
            os.close(fd)


async def test_a_file_within_a_root_is_named_to_the_web_server(folder):
    root = f"{folder}/files=/protected/"
    path = folder / "files" / "a b.txt"
    accel = offload_file(path, file_header="X-Accel-Redirect", file_root=(root,))
    assert accel == ("X-Accel-Redirect", "/protected/a%20b.txt")
    assert offload_file(path, file_header="X-Sendfile", file_root=(root,)) == ("X-Sendfile", str(path))


@pytest.mark.parametrize("name", ["outside.txt", "files/link", "files-too/c", "files/../outside.txt"])
async def test_a_file_outside_of_the_roots_never_is(folder, name):
    settings = {"file_header": "X-Accel-Redirect", "file_root": (f"{folder}/files=/protected",)}
    assert offload_file(folder / name, **settings) is None


async def test_without_the_setting_no_file_is(folder):
    assert offload_file(folder / "files" / "a b.txt") is None
