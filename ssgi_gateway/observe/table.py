"""The shared table: what a server and its workers are doing, in memory that others may read without a lock.

It is a memfd, sealed against shrinking and growing (a map of a truncated file is SIGBUS), with no name in any file
system; ``top`` and the status process find it as ``/proc/PID/fd/N``, which the kernel opens to the same user only.
Words of 8 bytes, little-endian on every machine this runs on, each written by one process with one store. A seat is a
place and not a process: the next worker in it goes on counting where the last one stopped, so counters never go back,
and a process that dies leaves nothing to be cleared away. A seat that is given up is added to seat 0, the past.

::

    page 0      the header: its words, the listeners, and from byte 2,048 on texts: name, version, last words, build
    page 1      seat 0, the past
    page 2...   seats 1 and on, a page each

Everything is a whole number, times included (nanoseconds), so that seats are added up as the numbers that pages are.
This module is for the supervisor as well: it imports nothing that a small process has no other use for.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable
from typing import Final

from ssgi_gateway import __version__, linux
from ssgi_gateway.wire import protocols

__all__ = [
    "BOUNDS",
    "CLASSES",
    "CLOSE_CODES",
    "LAG_BOUNDS",
    "LOGS",
    "NAME",
    "PROTOCOLS",
    "STATES",
    "Seat",
    "Table",
    "create",
    "own_table",
]

NAME: Final = "ssgi-gateway"
MAGIC: Final = 0x65746167_69677373  # "ssgigate"
VERSION: Final = 1
"""Of the layout. Readers of another version stop with an error."""

PAGE: Final = 4096
WORDS: Final = PAGE // 8


PROTOCOLS: Final = tuple(protocols.PROTOCOLS)
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "499")
"""Of statuses; 499 is a client that disconnected before there was an answer, and no 4xx."""
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Of the histogram of requests' durations, in seconds; what is longer is in one bucket more."""
LAG_BOUNDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0)
"""Of the histogram of the loop's lag."""
CLOSE_CODES: Final = (1000, 1001, 1005, 1006, 1009, 1011, 1012)
"""Counted by themselves; any other is counted as one of many."""
LOGS: Final = ("access", "server")
"""Whose lines may be dropped when they are not read."""
STATES: Final = ("empty", "starting", "ready", "retiring", "stuck")

# -- the header --

H_MAGIC, H_VERSION, H_SEATS, H_PID, H_START, H_SEQUENCE, H_GENERATION, H_WANTED = range(8)
H_RELOADS_OK, H_RELOADS_FAILED, H_RELOAD_STATE, H_MODE, H_EXITS = 8, 9, 10, 11, 16
RELOAD_STATES: Final = ("none", "running", "ok", "failed")
EXITS: Final = ("crash", "requests", "memory", "age", "stuck", "reload", "stop")
"""Why workers end, counted from word ``H_EXITS``."""
LISTENERS: Final = 32
LISTENER_SIZE: Final = 16
MAX_LISTENERS: Final = 12
"""From word ``LISTENERS`` on, of so many words each: the inode of the socket, then its protocol and address as text."""
TEXTS: Final = 2048
TEXT_SIZE: Final = 512
NAME_TEXT, VERSION_TEXT, LAST_WORDS, BUILD_TEXT = range(4)

# -- a seat: gauges, which a worker that takes it sets anew --

PID, GENERATION, STATE, STARTED, BEAT, CALL_SINCE, CALL_NUMBER, MEMORY = range(8)
CONNECTIONS: Final = 8  # one of each protocol
WEBSOCKETS, QUEUE, THREADS_BUSY, THREADS, FILES = range(13, 18)
IN_PROGRESS: Final = 18  # one of each protocol
CPU_BEFORE: Final = 30
"""The counter of CPU time when the seat was taken: what its earlier workers used."""

# -- and counters, which never go back --

COUNTERS: Final = 32
REQUESTS: Final = COUNTERS  # of each protocol, of each class
BYTES_IN: Final = REQUESTS + len(PROTOCOLS) * len(CLASSES)
BYTES_OUT: Final = BYTES_IN + 1
ACCEPTED: Final = BYTES_OUT + 1  # of each protocol
REFUSED: Final = ACCEPTED + len(PROTOCOLS)
HANDED_OVER: Final = REFUSED + 1
ADOPTED: Final = HANDED_OVER + 1
MESSAGES_IN: Final = ADOPTED + 1
MESSAGES_OUT: Final = MESSAGES_IN + 1
CLOSES: Final = MESSAGES_OUT + 1  # of each close code, and of the others
PROTOCOL_ERRORS: Final = CLOSES + len(CLOSE_CODES) + 1  # of each protocol
APPLICATION_ERRORS: Final = PROTOCOL_ERRORS + len(PROTOCOLS)
SLOW: Final = APPLICATION_ERRORS + 1
STUCK: Final = SLOW + 1  # cancelled, interrupted, killed
DROPPED_LINES: Final = STUCK + 3  # of each log
CPU: Final = DROPPED_LINES + len(LOGS)  # nanoseconds
DURATIONS: Final = 128  # of each protocol: the buckets, and the sum in nanoseconds
DURATION_SIZE: Final = len(BOUNDS) + 2
LAG: Final = DURATIONS + len(PROTOCOLS) * DURATION_SIZE
LAG_SIZE: Final = len(LAG_BOUNDS) + 2
END: Final = LAG + LAG_SIZE

TEXT: Final = 3968
"""Byte of the page where the call that runs now is named: ``GET /path``, NUL-padded."""
CALL_SIZE: Final = 128


def create(seats: int) -> int:
    """Make a table for so many workers; returns its descriptor, which no child inherits unless it is passed on.

    Raises:
        OSError: the kernel has no memory for it.
    """
    fd = linux.make_memory(NAME, sealable=True)
    os.ftruncate(fd, (seats + 2) * PAGE)
    linux.seal_size(fd)
    table = Table(fd)
    words = table.words
    words[H_VERSION] = VERSION
    words[H_SEATS] = seats
    words[H_PID] = os.getpid()
    words[H_START] = time.time_ns()
    words[H_MAGIC] = MAGIC  # last: a reader that finds this may read the rest
    return fd


def own_table(name: str) -> Table:
    """The table of a process that serves without a supervisor; it sits on seat 1.

    Args:
        name: of the application.
    """
    table = Table(create(1))
    table.words[H_WANTED] = 1
    table.set_text(NAME_TEXT, name)
    table.set_text(VERSION_TEXT, __version__)
    table.seat(1).begin(os.getpid())
    return table


class Table:
    """A table, mapped for reading and writing.

    Args:
        fd: from ``create``; it stays the caller's.

    Raises:
        ValueError: it is no table of this version.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, 0)
        self.words = memoryview(self._map).cast("Q")
        if self.words[H_MAGIC] not in (0, MAGIC) or self.words[H_VERSION] not in (0, VERSION):
            raise ValueError(f"a table of layout {self.words[H_VERSION]}, this program reads {VERSION}")

    @property
    def seats(self) -> int:
        """How many workers there can be."""
        return self.words[H_SEATS]

    def seat(self, number: int) -> Seat:
        """The chair of worker ``number``, from 1."""
        if not 0 <= number <= self.seats:
            raise IndexError(f"there is no seat {number}, there are {self.seats}")
        return Seat(self, number)

    def set_text(self, which: int, text: str) -> None:
        """Write one of the header's texts; what is too long is cut."""
        data = text.encode("utf-8", "backslashreplace")[: TEXT_SIZE - 1]
        start = TEXTS + which * TEXT_SIZE
        self._map[start : start + TEXT_SIZE] = data.ljust(TEXT_SIZE, b"\0")

    def set_listeners(self, listeners: Iterable[tuple[str, str, int]]) -> None:
        """Write down where the server listens, for those that ask the kernel how many wait there.

        Args:
            listeners: of each the protocol, the address and the descriptor; those above ``MAX_LISTENERS`` are not seen.
        """
        shown = list(listeners)[:MAX_LISTENERS]
        size = LISTENER_SIZE * 8 - 8
        for index in range(MAX_LISTENERS):
            at = LISTENERS + index * LISTENER_SIZE
            if index < len(shown):
                protocol, address, fd = shown[index]
                text = f"{protocol} {address}".encode("utf-8", "backslashreplace")[:size].ljust(size, b"\0")
                self._map[at * 8 + 8 : (at + LISTENER_SIZE) * 8] = text
                self.words[at] = os.fstat(fd).st_ino
            else:
                self.words[at] = 0

    def count_exit(self, reason: str) -> None:
        """A worker has ended."""
        self.words[H_EXITS + EXITS.index(reason)] += 1

    def reload(self, state: str, words: str = "") -> None:
        """A reload has begun (``"running"``) or ended (``"ok"``, ``"failed"`` with the application's last words)."""
        self.set_text(LAST_WORDS, words)
        if state == "ok":
            self.words[H_RELOADS_OK] += 1
        elif state == "failed":
            self.words[H_RELOADS_FAILED] += 1
        self.words[H_RELOAD_STATE] = RELOAD_STATES.index(state)

    def fold(self, number: int) -> None:
        """Give a seat up: add its counters to the past and clear it, unseen by readers until both are done."""
        past, seat = WORDS, (number + 1) * WORDS
        words = self.words
        words[H_SEQUENCE] += 1
        for index in range(COUNTERS, END):
            words[past + index] += words[seat + index]
            words[seat + index] = 0
        for index in range(COUNTERS):
            words[seat + index] = 0
        words[H_SEQUENCE] += 1

    def close(self) -> None:
        """Give the map back; the descriptor stays."""
        self.words.release()
        self._map.close()


class Seat:
    """A worker's chair. Its gauges and counters are written by ``observe.recorder`` in the worker."""

    def __init__(self, table: Table, number: int) -> None:
        self.number = number
        start = (number + 1) * WORDS
        self.table = table
        self.words = table.words[start : start + WORDS]
        self.page = table.words.cast("B")[start * 8 : start * 8 + PAGE]

    def begin(self, pid: int, generation: int = 0) -> None:
        """A worker takes the seat: the gauges begin anew, the counters go on."""
        for index in range(COUNTERS):
            self.words[index] = 0
        self.words[GENERATION] = generation
        self.words[CPU_BEFORE] = self.words[CPU]
        self.words[STARTED] = time.time_ns()
        self.words[STATE] = STATES.index("starting")
        self.words[PID] = pid

    @property
    def state(self) -> str:
        """One of ``STATES``."""
        return STATES[self.words[STATE]]

    @state.setter
    def state(self, name: str) -> None:
        # Of its own loop, so it turns; a call that never returns may come before the first tick.
        self.words[BEAT] = time.monotonic_ns()
        self.words[STATE] = STATES.index(name)

    def leave(self) -> None:
        """The worker has ended: gauges are cleared, counters stay."""
        for index in range(COUNTERS):
            self.words[index] = 0
