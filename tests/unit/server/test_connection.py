"""One descriptor: what is read, what is written and when, and how it ends. Real sockets, and a protocol that notes."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from pathlib import Path

import pytest

from ssgi_gateway.core.channel import Protocol
from ssgi_gateway.core.files import OpenFile
from ssgi_gateway.server.connection import CLOSED, FLUSHING, LINGERING, Connection
from ssgi_gateway.server.output import MAX_JOINED
from ssgi_gateway.server.system import MAX_BUFFERS, RECEIVE_SIZE
from ssgi_gateway.wire.file_slice import FileSlice
from tests.loops import advance, settle, until
from tests.unit.server.peer import Bench, Peer, bench

EOF, LOST, DEADLINE = "eof", "lost", "deadline"
KINDS = pytest.mark.parametrize("kind", ["unix", "tcp"])


class Notes(Protocol):
    """A protocol that notes what it is told."""

    def __init__(self, connection, gateway):
        self.connection, self.gateway = connection, gateway
        connection.protocol = self
        self.heard = []
        self.act = None

    def _note(self, what):
        self.heard.append(what)
        if self.act is not None:
            self.act(what)

    def data_received(self, data):
        self._note(data)

    def eof_received(self):
        self._note(EOF)

    def connection_lost(self):
        self._note(LOST)

    def deadline_passed(self):
        self._note(DEADLINE)


def open_pair(on: Bench, kind: str = "unix", room: int = 0) -> tuple[Connection, Notes, Peer]:
    fd, peer = on.pair(kind, room)
    connection = Connection(on.gateway, fd)
    return connection, Notes(connection, on.gateway), peer


def is_open(fd: int) -> bool:
    return Path(f"/proc/self/fd/{fd}").exists()


BIG = bytes(range(256)) * 16384  # 4 MiB
ROOM = 16384


# -- reading -------------------------------------------------------------------------------------------------------


async def test_what_is_there_is_read_at_once():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        peer.send(b"hello")
        connection.begin()
        assert notes.heard == [b"hello"]


async def test_a_protocol_that_is_done_at_once_leaves_nothing_registered():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        notes.act = lambda _: (connection.write(b"bye"), connection.finish(False))
        peer.send(b"hello")
        fd = connection.fd
        connection.begin()
        assert peer.take() == b"bye"
        assert peer.ended
        assert not is_open(fd)
        assert b.idle


async def test_what_is_not_there_yet_is_waited_for():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        assert b.gateway.connections == {connection}
        peer.send(b"hello")
        await until(lambda: notes.heard)
        assert notes.heard == [b"hello"]


async def test_a_connection_that_never_says_anything_has_a_deadline():
    with bench(deadlines={"idle": 120.0}) as b:
        connection, notes, _ = open_pair(b)
        connection.begin()
        await b.wait(119)
        assert notes.heard == []
        await b.wait(2)
        assert notes.heard == [DEADLINE]


async def test_the_end_of_the_stream_is_told():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        notes.act = lambda what: what == EOF and connection.close()
        connection.begin()
        peer.send(b"last words")
        peer.shutdown()
        await until(lambda: EOF in notes.heard)
        assert notes.heard == [b"last words", EOF]


async def test_a_reset_is_told_once():
    with bench() as b:
        connection, notes, peer = open_pair(b, "tcp")
        connection.begin()
        peer.reset()
        await until(lambda: notes.heard)
        assert notes.heard == [LOST]
        connection.lost()
        assert notes.heard == [LOST]
        assert b.idle


@KINDS
async def test_a_peer_that_leaves_with_an_answer_of_ours_unread_is_seen_after_what_it_sent_last(kind):
    """The kernel reports an error together with the data, and uvloop calls the reader for it once and never again."""
    with bench() as b:
        connection, notes, peer = open_pair(b, kind)
        connection.begin()
        connection.write(b"an answer that it does not read")
        await settle()
        peer.send(b"its next request")
        peer.close()
        await until(lambda: notes.heard)
        await until(lambda: notes.heard[-1] == LOST or b.gateway.sweep())
        assert notes.heard[0] == b"its next request"
        assert b.gateway.connections == set()


async def test_a_connection_that_lives_on_after_an_error_is_still_read():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.read_on()
        peer.send(b"hello")
        await until(lambda: notes.heard)
        assert notes.heard == [b"hello"]


async def test_a_connection_at_rest_is_not_read_and_loses_nothing():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.rest()
        peer.send(b"hello")
        peer.shutdown()
        await settle()
        b.gateway.sweep()
        assert notes.heard == []
        connection.resume()
        await until(lambda: EOF in notes.heard)
        assert notes.heard[:2] == [b"hello", EOF]


async def test_much_is_read_in_bounded_pieces():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        await peer.send_all(BIG)
        await until(lambda: sum(map(len, notes.heard)) == len(BIG))
        assert b"".join(notes.heard) == BIG
        assert max(map(len, notes.heard)) <= RECEIVE_SIZE


async def test_stopped_reading_makes_the_peer_wait_and_loses_nothing():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.stop_reading()
        sent = 0
        while taken := peer.send_some(bytes(65536)):
            sent += taken
        await settle()
        assert notes.heard == []
        assert sent < 4 * 1024 * 1024
        connection.start_reading()
        await until(lambda: sum(map(len, notes.heard)) == sent)


async def test_reading_may_be_stopped_and_started_as_often_as_one_likes():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        for _ in range(3):
            connection.start_reading()
            connection.start_reading()
            connection.stop_reading()
            connection.stop_reading()
        connection.start_reading()
        peer.send(b"a")
        await until(lambda: notes.heard)
        assert notes.heard == [b"a"]


async def test_an_error_of_ours_is_logged_and_ends_this_connection_alone(caplog):
    with bench() as b:
        connection, notes, peer = open_pair(b)
        other, others, other_peer = open_pair(b)

        def fail(what):
            if what != LOST:
                raise ZeroDivisionError

        notes.act = fail
        connection.begin()
        other.begin()
        peer.send(b"a")
        assert await peer.read() == b""
        assert notes.heard == [b"a", LOST]
        assert "internal error" in caplog.text
        assert "ZeroDivisionError" in caplog.text
        other_peer.send(b"b")
        await until(lambda: others.heard)


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


# -- flow control --------------------------------------------------------------------------------------------------


async def test_write_says_when_more_than_the_high_water_mark_waits():
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


# -- a peer that leaves --------------------------------------------------------------------------------------------


@KINDS
async def test_writing_to_a_peer_that_has_left_tells_once_and_then_has_no_effect(kind):
    with bench() as b:
        connection, notes, peer = open_pair(b, kind)
        peer.close() if kind == "unix" else peer.reset()
        while not notes.heard:  # over TCP the reset takes its time
            assert connection.write(b"x" * 1000) is True
            await asyncio.sleep(0.001)
        assert notes.heard == [LOST]
        assert connection.write(b"x") is True
        assert connection.write_many([b"x", b"y"]) is True
        assert connection.when_writable().result() is False
        assert connection.when_flushed().result() is False
        assert notes.heard == [LOST]
        assert b.idle


@pytest.mark.parametrize("wait", [Connection.when_writable, Connection.when_flushed])
async def test_who_waits_is_told_when_the_peer_leaves(wait):
    with bench() as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        connection.write(bytes(1_000_000))
        waiting = wait(connection)
        await settle()
        assert not waiting.done()
        peer.close()
        assert await waiting is False
        assert notes.heard == [LOST]


async def test_what_had_left_before_an_orderly_close_has_left():
    with bench() as b:
        connection, _, peer = open_pair(b)
        connection.write(b"all")
        connection.finish(False)
        assert connection.state == CLOSED
        assert connection.when_flushed().result() is True
        assert connection.when_writable().result() is True
        assert peer.take() == b"all"


async def test_what_a_close_drops_has_not_left():
    with bench() as b:
        connection, _, _ = open_pair(b, room=ROOM)
        connection.write(bytes(1_000_000))
        waiting = connection.when_flushed()
        connection.close()
        assert await waiting is False
        assert connection.when_flushed().result() is False


@pytest.mark.parametrize("half_close", [False, True])
async def test_bad_inputs_70_a_peer_that_leaves_while_nobody_reads_is_seen_by_the_sweep(half_close):
    with bench(half_close=half_close) as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.stop_reading()
        await b.wait(0.5)
        assert notes.heard == []
        peer.close()
        await b.wait(0.5)
        assert notes.heard == [LOST]
        assert b.idle


@pytest.mark.parametrize("half_close", [False, True])
async def test_a_half_close_while_nobody_reads_is_a_peer_that_left_unless_the_setting_says_otherwise(half_close):
    with bench(half_close=half_close) as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.stop_reading()
        peer.shutdown()
        await b.wait(0.5)
        assert notes.heard == ([] if half_close else [LOST])


# -- deadlines -----------------------------------------------------------------------------------------------------


async def test_a_pause_of_this_process_is_no_silence_of_the_peer():
    """Stopped, suspended or busy: for as long as nobody looked no deadline runs."""
    with bench(deadlines={"idle": 10.0}) as b:
        connection, notes, _ = open_pair(b)
        connection.begin()
        await b.wait(5)
        advance(60)
        b.gateway.sweep()
        await b.wait(4)
        assert notes.heard == []
        await b.wait(2)
        assert notes.heard == [DEADLINE]


async def test_what_came_in_a_pause_is_read_before_a_deadline_is_judged():
    with bench(deadlines={"idle": 10.0}) as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        notes.act = lambda _: setattr(connection, "deadline", b.gateway.now + 10)
        await b.wait(9.5)
        peer.send(b"hello")
        advance(60)
        b.gateway.sweep()
        b.gateway.sweep()
        assert notes.heard == [b"hello"]


async def test_room_that_a_reader_made_in_a_pause_is_seen_before_its_deadline_is_judged():
    with bench(deadlines={"write": 10.0}) as b:
        connection, notes, peer = open_pair(b, room=4096)
        connection.begin()
        connection.write(bytes(1_000_000))
        await b.wait(9.5)
        peer.take()
        advance(0.6)
        b.gateway.sweep()
        assert notes.heard == []
        assert connection.write_deadline > b.gateway.now


async def test_a_deadline_is_told_once():
    with bench() as b:
        connection, notes, _ = open_pair(b)
        connection.begin()
        connection.deadline = b.gateway.now + 10
        await b.wait(9)
        assert notes.heard == []
        await b.wait(1.5)
        await b.wait(1000)
        assert notes.heard == [DEADLINE]


async def test_bad_inputs_69_a_reader_that_takes_nothing_is_closed_at_the_write_deadline(caplog):
    with bench(deadlines={"write": 60.0}) as b:
        connection, notes, _ = open_pair(b, room=ROOM)
        connection.write(bytes(1_000_000))
        waiting = connection.when_writable()
        await b.wait(59)
        assert notes.heard == []
        await b.wait(2)
        assert notes.heard == [LOST]
        assert await waiting is False
        assert caplog.messages == ["a peer took nothing of its answer for 60 s; closed"]
        assert b.idle


async def test_a_reader_that_takes_something_now_and_then_is_given_time():
    with bench(deadlines={"write": 60.0}) as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        connection.write(bytes(2_000_000))
        connection.finish(False)
        received = 0
        for _ in range(5):
            await b.wait(50)
            before = connection.out_size
            while connection.out_size == before:
                received += len(await peer.read())
        assert notes.heard == []
        assert received + len(await peer.read_all()) == 2_000_000


# -- the end -------------------------------------------------------------------------------------------------------


@KINDS
async def test_finish_closes_when_nothing_waits(kind):
    with bench() as b:
        connection, notes, peer = open_pair(b, kind)
        connection.begin()
        fd = connection.fd
        connection.write(b"bye")
        connection.finish(False)
        assert connection.state == CLOSED
        assert not is_open(fd)
        assert await peer.read_all() == b"bye"
        assert notes.heard == []
        assert b.idle


async def test_finish_lets_what_waits_leave_first_and_reads_nothing_meanwhile():
    with bench() as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        connection.begin()
        connection.write(BIG)
        connection.finish(False)
        assert connection.state == FLUSHING
        peer.send(b"ignored")
        assert connection.write(b"ignored") is True
        received = await peer.read(len(BIG))
        await until(lambda: connection.state == CLOSED)
        assert received == BIG
        assert notes.heard == []


async def test_finish_again_changes_nothing():
    with bench() as b:
        connection, _, peer = open_pair(b, room=ROOM)
        connection.write(BIG)
        connection.finish(False)
        connection.finish(True)
        connection.finish(False)
        assert await peer.read_all() == BIG
        connection.finish(False)
        assert connection.state == CLOSED


@pytest.mark.parametrize("size", [5, len(BIG)])
async def test_finish_unread_lets_the_answer_arrive_whole_while_the_peer_still_sends(size):
    # A close with unread data would reset the connection, and the answer with it (RFC 9112 9.6).
    with bench() as b:
        connection, notes, peer = open_pair(b, "tcp", ROOM)
        connection.start_reading()
        connection.write(BIG[:size])
        connection.finish(True)
        upload = asyncio.ensure_future(peer.send_all(bytes(3_000_000)))
        assert await peer.read_all() == BIG[:size]
        await upload
        assert connection.state == LINGERING
        peer.close()
        await until(lambda: connection.state == CLOSED)
        assert notes.heard == []
        assert b.idle


async def test_finish_unread_waits_for_a_bounded_time():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.start_reading()
        connection.finish(True)
        assert await peer.read_all() == b""
        await b.wait(4)
        assert connection.state == LINGERING
        await b.wait(2)
        assert connection.state == CLOSED
        assert notes.heard == []


async def test_finish_unread_throws_away_a_bounded_number_of_bytes():
    with bench() as b:
        connection, _, peer = open_pair(b)
        connection.start_reading()
        connection.finish(True)
        with pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
            await peer.send_all(bytes(100 * 1024 * 1024))
        assert connection.state == CLOSED


async def test_a_peer_that_half_closes_still_gets_what_waits():
    with bench() as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        connection.start_reading()
        connection.write(BIG)
        connection.finish(True)
        peer.shutdown()
        await settle()
        assert await peer.read_all() == BIG
        await until(lambda: connection.state == CLOSED)
        assert notes.heard == []


async def test_lost_gives_everything_back_and_tells_once():
    with bench() as b:
        connection, notes, peer = open_pair(b, room=ROOM)
        connection.begin()
        connection.write(BIG)
        fd = connection.fd
        connection.lost()
        connection.lost()
        connection.close()
        assert notes.heard == [LOST]
        assert not is_open(fd)
        assert connection.out_size == 0
        assert b.idle
        await peer.read_all()
        assert peer.ended


async def test_close_tells_nobody():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        connection.begin()
        connection.close()
        assert notes.heard == []
        assert await peer.read_all() == b""


async def test_a_closed_connection_starts_nothing_again():
    with bench() as b:
        connection, _, _ = open_pair(b)
        connection.begin()
        connection.close()
        connection.start_reading()
        connection.stop_reading()
        connection.finish(True)
        assert connection.state == CLOSED
        assert b.idle, "it is not in the books again either"


async def test_a_closed_connection_is_freed_without_the_collector():
    with bench() as b:
        connection, notes, _ = open_pair(b)
        connection.begin()
        gone = weakref.ref(notes)
        gc.disable()
        try:
            connection.lost()
            del notes
            assert gone() is None
        finally:
            gc.enable()


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


# -- where from ----------------------------------------------------------------------------------------------------


async def test_a_log_line_says_where_a_peer_is():
    with bench() as b:
        connection, _, peer = open_pair(b, "tcp")
        host, port = peer.socket.getsockname()
        assert connection.peer_label() == f" from {host}:{port}"
        connection.close()
        assert connection.peer_label() == ""
        local, _, _ = open_pair(b)
        assert local.peer_label() == ""
        local.close()
