"""Where lines go: rotation, disks that are full, readers that stopped; nothing ever waits."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.sink import MAX_WAITING, Sink

LINE = b"x" * 99 + b"\n"


def test_after_a_rotation_a_new_file_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = Sink(str(path), "--access-log")
    sink.write(b"before\n")
    path.rename(tmp_path / "log.1")
    sink.follow()
    sink.write(b"after\n")
    sink.close()
    assert (tmp_path / "log.1").read_bytes() == b"before\n"
    assert path.read_bytes() == b"after\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_costs_lines_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    sink = Sink("/dev/full", "--access-log")
    assert sink.write(LINE) == 1
    assert sink.write(LINE * 2) == 2
    sink.close()
    assert "No space left on device; 1 lines were lost" in caplog.text


def test_a_file_that_cannot_be_opened_is_reported_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--access-log: .*No such file or directory"):
        Sink(str(tmp_path / "nowhere" / "log"), "--access-log")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_reader_that_stopped_costs_lines_which_are_counted(kind: str) -> None:
    if kind == "pipe":
        reading, writing = os.pipe()
    else:
        ours, theirs = socket.socketpair()
        reading, writing = theirs.detach(), ours.detach()
    sink = Sink("-", "--access-log", writing)
    sent = 0
    while sink.dropped == 0:
        sink.write(LINE * 100)
        sent += 100
        assert sent * len(LINE) < 4 * MAX_WAITING + (1 << 22), "it should have dropped by now"
    dropped = sink.dropped

    received = bytearray()
    done = threading.Thread(
        target=lambda: [received.extend(data) for data in iter(lambda: os.read(reading, 65536), b"")]
    )
    done.start()
    while sink._size:
        sink.flush()
    sink.close()
    done.join()
    os.close(reading)
    assert received == LINE * (sent - dropped)


def test_the_flags_of_whoever_shares_the_pipe_stay_as_they_are() -> None:
    reading, writing = os.pipe()
    sink = Sink("-", "--access-log", os.dup(writing))
    assert os.get_blocking(writing)
    sink.close()
    os.close(reading)
    os.close(writing)


def test_lines_of_three_writers_on_a_pipe_with_a_slow_reader_stay_whole() -> None:
    reading, writing = os.pipe()
    children = []
    for number in range(3):
        pid = os.fork()
        if not pid:
            os.close(reading)
            sink = Sink("-", "--access-log", writing)
            for count in range(200):
                sink.write(b"%d %d %s\n" % (number, count, b"abc" * (count % 90)) * 5)
                while sink._size > 100_000:
                    sink.flush()
            while sink._size:
                sink.flush()
            os._exit(0)
        children.append(pid)
    os.close(writing)
    text = bytearray()
    while data := os.read(reading, 1000):
        text += data
    os.close(reading)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    lines = bytes(text).split(b"\n")[:-1]
    assert len(lines) == 3 * 200 * 5
    for line in lines:
        number, count, letters = line.split(b" ")
        assert number in b"012"
        assert letters == b"abc" * (int(count) % 90), "a line was torn"


def test_a_file_that_another_process_has_opened(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "given", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    sink = Sink("/nowhere/it/can/be/opened", "--access-log", fd)
    sink.write(LINE)
    sink.follow()
    sink.follow(os.open(tmp_path / "next", os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    sink.write(LINE)
    sink.close()
    assert (tmp_path / "given").read_bytes() == (tmp_path / "next").read_bytes() == LINE
