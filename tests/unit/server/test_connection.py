"""One descriptor: what is read, when a peer is gone, and how it ends. Real sockets, and a protocol that notes."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from ssgi_gateway.server.connection import CLOSED, FLUSHING, LINGERING, Connection
from ssgi_gateway.server.system import RECEIVE_SIZE
from tests.loops import advance, settle, until
from tests.unit.server.notes import DEADLINE, EOF, KINDS, LOST, is_open, open_pair
from tests.unit.server.peer import BIG, ROOM, bench

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


async def test_a_silent_connection_has_a_deadline():
    with bench(deadlines={"idle": 120.0}) as b:
        connection, notes, _ = open_pair(b)
        connection.begin()
        await b.wait(119)
        assert notes.heard == []
        await b.wait(2)
        assert notes.heard == [DEADLINE]


async def test_the_end_of_the_stream_is_reported():
    with bench() as b:
        connection, notes, peer = open_pair(b)
        notes.act = lambda what: what == EOF and connection.close()
        connection.begin()
        peer.send(b"last words")
        peer.shutdown()
        await until(lambda: EOF in notes.heard)
        assert notes.heard == [b"last words", EOF]


async def test_a_reset_is_reported_once():
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
async def test_a_peer_that_disconnects_with_an_answer_of_ours_unread_is_seen_after_what_it_sent_last(kind):
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


# -- a peer that disconnects -------------------------------------------------------------------------------------------


@KINDS
async def test_writing_to_a_peer_that_has_disconnected_reports_once_and_then_has_no_effect(kind):
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
async def test_what_waits_is_woken_when_the_peer_disconnects(wait):
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
async def test_bad_inputs_70_a_peer_that_disconnects_while_nobody_reads_is_seen_by_the_sweep(half_close):
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
async def test_a_half_close_while_nothing_is_read_is_a_disconnect_unless_a_setting_tolerates_it(half_close):
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


async def test_a_deadline_is_reported_once():
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


async def test_lost_gives_everything_back_and_reports_once():
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


async def test_close_calls_no_handler():
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


# -- where from ----------------------------------------------------------------------------------------------------


async def test_a_log_line_names_where_a_peer_is():
    with bench() as b:
        connection, _, peer = open_pair(b, "tcp")
        host, port = peer.socket.getsockname()
        assert connection.peer_label() == f" from {host}:{port}"
        connection.close()
        assert connection.peer_label() == ""
        local, _, _ = open_pair(b)
        assert local.peer_label() == ""
        local.close()
