"""What is written to one descriptor, and when it leaves. Real sockets, and a protocol that notes."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

from ssgi_gateway.core.files import OpenFile
from ssgi_gateway.server.output import MAX_JOINED
from ssgi_gateway.server.system import MAX_BUFFERS
from ssgi_gateway.wire.file_slice import FileSlice
from tests.loops import until
from tests.unit.server.notes import KINDS, LOST, is_open, open_pair
from tests.unit.server.peer import BIG, ROOM, bench

# -- writing -------------------------------------------------------------------------------------------------------


@KINDS
async def test_a_small_piece_leaves_at_once_and_registers_nothing(kind):
    with bench() as b:
        connection, _, peer = open_pair(b, kind)
        assert connection.write(b"hello") is True
        assert await peer.read() == b"hello"
        assert not b.gateway.connections
        connection.close()


@KINDS
async def test_what_the_kernel_does_not_take_follows_in_order(kind):
    with bench() as b:
        connection, _, peer = open_pair(b, kind)
        for start in range(0, len(BIG), 65536):
            connection.write(BIG[start : start + 65536])
        connection.write(b"the end")
        connection.finish(False)
        assert await peer.read_all() == BIG + b"the end"
        assert b.idle


@KINDS
async def test_one_large_piece_goes_to_a_reader_that_is_slow(kind):
    with bench() as b:
        connection, _, peer = open_pair(b, kind, ROOM)
        connection.write(BIG)
        connection.finish(False)
        assert await peer.read_all() == BIG


@KINDS
@pytest.mark.parametrize("count", [2, MAX_BUFFERS, MAX_BUFFERS + 1, 1000])
async def test_many_pieces_that_belong_together(kind, count):
    with bench() as b:
        connection, _, peer = open_pair(b, kind, ROOM)
        pieces = [b"%d " % number * (number % 50) for number in range(count)]
        connection.write_many(pieces)
        connection.write_many([])
        connection.write_many([b"the", memoryview(b" end")])
        connection.finish(False)
        assert await peer.read_all() == b"".join(pieces) + b"the end"


async def test_thousands_of_small_messages_to_a_slow_reader_arrive_whole_and_in_order():
    with bench() as b:
        connection, _, peer = open_pair(b, room=ROOM)
        messages = [b"message %d;" % number for number in range(20000)]
        for message in messages:
            connection.write(message)
        assert connection.out_size > 100 * 1024
        connection.finish(False)
        assert await peer.read_all() == b"".join(messages)


@pytest.mark.parametrize("size", [100, MAX_JOINED, MAX_JOINED + 1, 1024 * 1024])
async def test_a_buffer_may_be_used_again_as_soon_as_it_was_written(size):
    with bench() as b:
        connection, _, peer = open_pair(b, room=ROOM)
        connection.write(b"x" * 400_000)  # what follows has to wait
        data = bytearray(b"a" * size)
        connection.write(data)
        connection.write_many([b"-", memoryview(data)])
        data[:] = b"b" * size
        data += b"grows, which is a BufferError while anybody holds a view"
        connection.finish(False)
        assert (await peer.read_all())[400_000:] == b"a" * size + b"-" + b"a" * size


async def test_a_buffer_of_which_the_kernel_took_a_part_may_be_used_again():
    with bench() as b:
        connection, _, peer = open_pair(b, room=ROOM)
        data = bytearray(BIG)
        connection.write_many([b"head", memoryview(data)])
        data[:] = bytes(len(data))
        connection.finish(False)
        assert await peer.read_all() == b"head" + BIG


@KINDS
@pytest.mark.parametrize("mutable", [False, True])
async def test_many_large_pieces_and_what_stands_before_each(kind, mutable):
    """As the records of a body: what waits is not copied piece by piece, unless somebody may change it."""
    with bench() as b:
        connection, _, peer = open_pair(b, kind, ROOM)
        body = bytearray(BIG) if mutable else BIG
        view = memoryview(body)
        size = 50_000
        records = [piece for at in range(0, len(BIG), size) for piece in (b"%06d" % at, view[at : at + size])]
        connection.write_many(records)
        if mutable:
            body[:] = bytes(len(body))
        connection.write_many([b"the", b"end"])
        connection.finish(False)
        wanted = b"".join(b"%06d" % at + BIG[at : at + size] for at in range(0, len(BIG), size))
        assert await peer.read_all() == wanted + b"theend"


# -- flow control --------------------------------------------------------------------------------------------------


async def test_write_returns_false_when_more_than_the_high_water_mark_waits():
    with bench(flow=(100_000, 10_000)) as b:
        connection, _, _ = open_pair(b, room=ROOM)
        while connection.out_size == 0:
            assert connection.write(b"x" * 8192) is True
        while connection.out_size + 8192 <= 100_000:
            assert connection.write(b"x" * 8192) is True
        assert connection.write(b"x" * 8192) is False
        assert connection.write_many([b"x", b"y"]) is False
        assert connection.write_many([]) is False


async def test_when_writable_waits_for_the_low_water_mark():
    with bench(flow=(100_000, 10_000)) as b:
        connection, _, peer = open_pair(b, room=ROOM)
        connection.write(bytes(500_000))
        waiting = connection.when_writable()
        sizes = []
        waiting.add_done_callback(lambda _: sizes.append(connection.out_size))
        while not waiting.done():
            assert connection.out_size > 10_000
            await peer.read()
        assert waiting.result() is True
        await until(lambda: sizes)
        assert connection.when_writable().result() is True, "and then nobody waits"


async def test_when_flushed_waits_until_all_has_left():
    with bench() as b:
        connection, _, peer = open_pair(b, room=ROOM)
        assert connection.when_flushed().result() is True
        connection.write(bytes(200_000))
        waiting = connection.when_flushed()
        while not waiting.done():
            assert connection.out_size > 0
            await peer.read()
        assert waiting.result() is True
        assert connection.out_size == 0


async def test_who_gave_up_waiting_disturbs_nobody():
    with bench(flow=(1000, 100)) as b:
        connection, _, peer = open_pair(b, room=ROOM)
        connection.write(bytes(500_000))
        hasty, patient = connection.when_writable(), connection.when_writable()
        hasty.cancel()
        while not patient.done():
            await peer.read()
        assert patient.result() is True


# -- files ---------------------------------------------------------------------------------------------------------


def file_of(path: Path, content: bytes) -> OpenFile:
    path.write_bytes(content)
    return OpenFile.from_path(path)


@KINDS
async def test_files_go_between_buffers_in_order(kind, tmp_path):
    with bench() as b:
        connection, _, peer = open_pair(b, kind, ROOM)
        file = file_of(tmp_path / "file", BIG)
        connection.write(b"first;")
        connection.write_files([b"head;", FileSlice(file, 10, len(BIG) - 20), b";tail"])
        connection.write(b";last")
        connection.finish(False)
        assert await peer.read_all() == b"first;head;" + BIG[10:-10] + b";tail;last"
        fd = file.fd
        del file
        gc.collect()
        assert not is_open(fd), "the descriptor is given back with the last slice"


async def test_a_file_that_becomes_shorter_breaks_the_connection(tmp_path):
    with bench() as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        file = file_of(tmp_path / "file", bytes(1_000_000))
        connection.write_files([FileSlice(file, 0, 1_000_000)])
        os.truncate(tmp_path / "file", 100_000)
        assert len(await peer.read_all()) < 1_000_000
        assert notes.heard == [LOST]
