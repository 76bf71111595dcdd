"""Lines of a process without logging: as workers write theirs, and never waiting for a reader."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re

import pytest

from ssgi_gateway.process import lines


@pytest.fixture(autouse=True)
def anew():
    """Standard error is another one in each test."""
    lines.log.close()
    yield
    lines.choose_log("text")
    lines.log.close()


def test_text(capfd):
    lines.choose_log("text")
    lines.say("info", "draining")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO  draining\n", capfd.readouterr().err)


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_json_unless_it_is_a_terminal(capfd, log_format):
    lines.choose_log(log_format)
    lines.say("warning", 'two\nlines "quoted", \udcff')
    [line] = capfd.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["msg"].splitlines()[0], said["pid"]) == ("warning", "two", os.getpid())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["ts"])


@contextlib.contextmanager
def standard_error(descriptor: int):
    """Put this in the place of standard error."""
    before = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield
    finally:
        lines.log.close()
        os.dup2(before, 2)
        os.close(before)


@contextlib.contextmanager
def small_pipe():
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        with standard_error(writing):
            os.close(writing)
            yield reading
    finally:
        os.close(reading)


def test_a_reader_that_has_stopped_is_not_waited_for_and_misses_nothing():
    with small_pipe() as reading:
        for number in range(200):
            lines.log.write(f"{number} {'x' * 100}\n")
        assert lines.log.waiting() >= 0
        read = os.read(reading, 65536)
        while lines.log.waiting() >= 0:
            lines.log.offer()
            read += os.read(reading, 65536)
        assert [int(line.split()[0]) for line in read.decode().splitlines()] == list(range(200))


def test_what_is_lost_is_counted():
    with small_pipe() as reading:
        many = f"{'x' * 99}\n" * 1000
        for _ in range(20):
            lines.log.write(many)
        os.set_blocking(reading, False)
        read = b""
        while lines.log.waiting() >= 0:
            read += os.read(reading, 65536)
            lines.log.offer()
        with contextlib.suppress(BlockingIOError):
            while True:
                read += os.read(reading, 65536)
        [told] = re.findall(rb"(\d+) lines of this log were not read and are lost", read)
        assert read.count(b"x\n") + int(told) == 20_000


def test_a_successor_writes_what_waits():
    with small_pipe() as reading:
        for number in range(100):
            lines.log.write(f"{number} {'é' * 50}\n")
        waiting = json.loads(json.dumps(lines.log.dump()))
        read = os.read(reading, 65536)
        lines.log.load(waiting)
        while lines.log.waiting() >= 0:
            read += os.read(reading, 65536)
            lines.log.offer()
        read += os.read(reading, 65536)
        assert [line.split()[0] for line in read.decode().splitlines()] == [str(number) for number in range(100)]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk():
    full = os.open("/dev/full", os.O_WRONLY)
    with standard_error(full):
        os.close(full)
        lines.say("info", "draining")
        lines.say("info", "draining")


def test_nobody_there():
    before = os.dup(2)
    os.close(2)
    try:
        lines.say("info", "draining")
        lines.log.offer()
        assert lines.log.waiting() == -1
    finally:
        os.dup2(before, 2)
        os.close(before)
