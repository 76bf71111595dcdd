"""The shared table at one moment, in numbers and names.

A reader never disturbs a writer. Seats are added up as the numbers that their pages are: a page is one integer of 512
digits of 64 bits, none of which ever carries, so 64 seats take some microseconds each. What only the kernel knows of a
process (memory, CPU time, open files) is read from the kernel, and is missing where that is not allowed.
"""

from __future__ import annotations

import contextlib
import struct
import time
from typing import Any, Final, NamedTuple

from ssgi_gateway import linux
from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.queues import listen_queues
from ssgi_gateway.observe.table import PAGE, PROTOCOLS, STATES

__all__ = ["Listener", "Process", "Snapshot", "Worker", "as_json", "process"]

_WORDS: Final = struct.Struct(f"<{layout.BYTES_IN}Q")
"""Of a seat: the gauges, and the counters of requests behind them."""
_EMPTY: Final = bytes(PAGE)

MAX_BEAT: Final = 3.0
"""Seconds without a beat after which a worker counts as stuck: six ticks were missed."""


class Process(NamedTuple):
    """What the kernel knows of a process; ``None`` where it may not be read."""

    memory: int | None
    cpu: float | None
    files: int | None


class Listener(NamedTuple):
    """Where the server listens: the name is protocol and address; how many wait there to be accepted, and may."""

    name: str
    waiting: int
    limit: int


class Worker(NamedTuple):
    """A seat that is taken; times in seconds, ``age`` and ``running`` since now."""

    number: int
    pid: int
    generation: int
    state: str
    age: float
    beat: float
    running: float
    in_progress: int
    connections: dict[str, int]
    websockets: int
    queue: int
    threads_busy: int
    threads: int
    call: str
    requests: int
    errors: int


class Snapshot:
    """The table at one moment.

    Attributes:
        total: the counters of all seats and of the past, by their index in a seat.
        workers: the seats that are taken.
    """

    def __init__(self, data: bytes, now: int) -> None:
        self._header = memoryview(data)[:PAGE].cast("Q")
        self._data = data
        self._now = time.time()
        self._processes: dict[int, Process] = {}
        self.pid = self._header[layout.H_PID]
        self.started = self._header[layout.H_START] / 1e9
        self.generation = self._header[layout.H_GENERATION]
        self.wanted = self._header[layout.H_WANTED]
        self.reloads = {"ok": self._header[layout.H_RELOADS_OK], "failed": self._header[layout.H_RELOADS_FAILED]}
        self.reload_state = layout.RELOAD_STATES[self._header[layout.H_RELOAD_STATE]]
        self.stopping = bool(self._header[layout.H_MODE])
        self.exits = {reason: self._header[layout.H_EXITS + i] for i, reason in enumerate(layout.EXITS)}
        pages = [data[at : at + PAGE] for at in range(PAGE, (self._header[layout.H_SEATS] + 2) * PAGE, PAGE)]
        self.total = _added([page for page in pages if page != _EMPTY])
        self._seats = pages
        self._words: dict[int, tuple[int, ...]] = {}
        self.workers = [
            worker for n, page in enumerate(pages) if n and page != _EMPTY and (worker := self._worker(n, page, now))
        ]

    def text(self, which: int) -> str:
        """One of the header's texts."""
        start = layout.TEXTS + which * layout.TEXT_SIZE
        return self._data[start : start + layout.TEXT_SIZE].partition(b"\0")[0].decode("utf-8", "replace")

    def gauge(self, index: int) -> int:
        """A gauge, of all workers together."""
        return self.gauges(index, 1)[0]

    def gauges(self, start: int, count: int) -> list[int]:
        """Gauges that lie one after the other, of all workers together."""
        rows = [self._words[worker.number][start : start + count] for worker in self.workers]
        return [_signed(sum(column) % (1 << 64)) for column in zip(*rows, strict=True)] or [0] * count

    def _worker(self, number: int, page: bytes, now: int) -> Worker | None:
        words = self._words[number] = _WORDS.unpack_from(page)
        pid = words[layout.PID]
        if not pid:
            return None
        since, beat = words[layout.CALL_SINCE], words[layout.BEAT]
        silent = max(0, now - beat) / 1e9 if beat else 0.0  # without a beat it has nothing to do, and its clock rests
        state = STATES[words[layout.STATE]] if words[layout.STATE] < len(STATES) else "?"
        requests = words[layout.REQUESTS : layout.BYTES_IN]
        in_progress = _signed(sum(words[layout.IN_PROGRESS : layout.IN_PROGRESS + len(PROTOCOLS)]) % (1 << 64))
        call = page[layout.TEXT : layout.TEXT + layout.CALL_SIZE].partition(b"\0")[0] if in_progress else b""
        return Worker(
            number,
            pid,
            words[layout.GENERATION],
            "stuck" if state == "ready" and silent > MAX_BEAT else state,
            max(0.0, self._now - words[layout.STARTED] / 1e9),
            silent,
            max(0, now - since) / 1e9 if since else 0.0,
            in_progress,
            dict(zip(PROTOCOLS, map(_signed, words[layout.CONNECTIONS :]), strict=False)),
            _signed(words[layout.WEBSOCKETS]),
            words[layout.QUEUE],
            words[layout.THREADS_BUSY],
            words[layout.THREADS],
            call.decode("latin-1"),
            sum(requests),
            sum(requests[4 :: len(layout.CLASSES)]),
        )

    def process(self, worker: Worker) -> Process:
        """What the kernel knows of a worker, as of the first call; that takes some system calls."""
        known = self._processes.get(worker.pid)
        if known is None:
            known = self._processes[worker.pid] = process(worker.pid)
        return known

    def cost(self, worker: Worker) -> Process:
        """What a worker costs, by its own report; its CPU time is that of all workers that have had its seat.

        For one without a recent report it is read from the kernel. That is not lost with the process: the supervisor
        reads it, too, before it waits for one that has ended, so the counter never goes back.
        """
        words = self._words[worker.number]
        cpu = int.from_bytes(self._seats[worker.number][layout.CPU * 8 : layout.CPU * 8 + 8], "little")
        if worker.beat <= MAX_BEAT and words[layout.MEMORY]:
            return Process(words[layout.MEMORY], cpu / 1e9, words[layout.FILES])
        asked = self.process(worker)
        if asked.cpu is None:
            return asked
        return asked._replace(cpu=max(cpu / 1e9, words[layout.CPU_BEFORE] / 1e9 + asked.cpu))

    def listeners(self) -> list[Listener]:
        """Where the server listens, as far as the kernel shows; sockets of one address are one."""
        known: dict[int, str] = {}
        for index in range(layout.MAX_LISTENERS):
            at = layout.LISTENERS + index * layout.LISTENER_SIZE
            if inode := self._header[at]:
                text = self._data[at * 8 + 8 : (at + layout.LISTENER_SIZE) * 8]
                known[inode] = text.partition(b"\0")[0].decode("utf-8", "replace")
        queues = listen_queues(known)
        found: dict[str, Listener] = {}
        for inode, name in known.items():
            if inode in queues:
                before = found.get(name, Listener(name, 0, 0))
                found[name] = Listener(name, before.waiting + queues[inode][0], before.limit + queues[inode][1])
        return list(found.values())

    # -- questions -----------------------------------------------------------------------------------------------

    def requests(self, protocol: str, class_: str) -> int:
        """Requests that were answered with that class of status."""
        return self.total[
            layout.REQUESTS + PROTOCOLS.index(protocol) * len(layout.CLASSES) + layout.CLASSES.index(class_)
        ]

    def durations(self, protocol: str) -> tuple[list[int], float]:
        """The buckets of a histogram, each by itself, and the sum in seconds."""
        start = layout.DURATIONS + PROTOCOLS.index(protocol) * layout.DURATION_SIZE
        count = len(layout.BOUNDS) + 1
        return self.total[start : start + count], self.total[start + count] / 1e9

    def all_durations(self) -> tuple[list[int], float]:
        """As ``durations``, of all protocols together."""
        parts = [self.durations(protocol) for protocol in PROTOCOLS]
        return [sum(column) for column in zip(*(part[0] for part in parts), strict=True)], sum(p[1] for p in parts)

    @property
    def ready(self) -> bool:
        """Whether there is a worker that serves and is not stuck."""
        return any(worker.state == "ready" for worker in self.workers)


def _signed(word: int) -> int:
    """A gauge that two processes changed at once may be below nothing for a moment."""
    return word if word < 1 << 63 else 0


def _added(pages: list[bytes]) -> list[int]:
    """Pages added word by word; only counters make sense of it."""
    total = 0
    for page in pages:
        total += int.from_bytes(page[layout.COUNTERS * 8 : layout.END * 8], "little")
    data = total.to_bytes((layout.END - layout.COUNTERS + 1) * 8, "little")
    return [0] * layout.COUNTERS + memoryview(data).cast("Q").tolist()


def process(pid: int) -> Process:
    """What the kernel knows of a process."""
    memory: int | None = None
    cpu: float | None = None
    files: int | None = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        memory = linux.resident_memory(pid)
        cpu = linux.cpu_time(pid)
        files = linux.count_files(pid)
    return Process(memory, cpu, files)


def as_json(snapshot: Snapshot) -> dict[str, Any]:
    """What ``/status`` and the page show: the table in words."""
    buckets, seconds = snapshot.all_durations()
    return {
        "pid": snapshot.pid,
        "name": snapshot.text(layout.NAME_TEXT),
        "version": snapshot.text(layout.VERSION_TEXT),
        "started": snapshot.started,
        "now": time.time(),
        "generation": snapshot.generation,
        "wanted": snapshot.wanted,
        "ready": snapshot.ready and not snapshot.stopping,
        "stopping": snapshot.stopping,
        "reloads": snapshot.reloads,
        "reload": {"state": snapshot.reload_state, "words": snapshot.text(layout.LAST_WORDS)},
        "exits": snapshot.exits,
        "requests": {
            protocol: {class_: snapshot.requests(protocol, class_) for class_ in layout.CLASSES}
            for protocol in PROTOCOLS
        },
        "durations": {"bounds": layout.BOUNDS, "buckets": buckets, "seconds": seconds},
        "bytes": {"in": snapshot.total[layout.BYTES_IN], "out": snapshot.total[layout.BYTES_OUT]},
        "messages": {"in": snapshot.total[layout.MESSAGES_IN], "out": snapshot.total[layout.MESSAGES_OUT]},
        "refused": snapshot.total[layout.REFUSED],
        "application_errors": snapshot.total[layout.APPLICATION_ERRORS],
        "protocol_errors": sum(snapshot.total[layout.PROTOCOL_ERRORS : layout.PROTOCOL_ERRORS + len(PROTOCOLS)]),
        "dropped_lines": sum(snapshot.total[layout.DROPPED_LINES : layout.DROPPED_LINES + len(layout.LOGS)]),
        "listeners": [listener._asdict() for listener in snapshot.listeners()],
        "workers": [{**worker._asdict(), "process": snapshot.process(worker)._asdict()} for worker in snapshot.workers],
    }
