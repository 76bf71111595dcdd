"""Turns: a server is started, warmed, measured and stopped; then it is the next one's turn.

In a round every server has one turn at each of its works, and servers of a work follow each other, so that what the
machine does besides meets all of them alike. One at a time: a server shares the machine with nginx and the load only.
A server that fails once is out of that work, with the reason.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from . import front, load
from .load import Target
from .machine import BenchmarkError, Process
from .peers import GATEWAY, Server
from .rows import GROUPS
from .works import Work

Load: TypeAlias = Callable[[int], dict[str, float]]
"""Makes load, for so many seconds or of so many bytes; returns its figures, among them how many it made, ``count``."""

WARM = 1
"""Seconds of load before those that are measured."""

EXPECTED = {
    "hello": b"Hello, world!",
    "json": b'"Hello, world!"',
    "echo": b"HTTP/1.1 101 ",
    "upload": b"HTTP/1.1 200 ",
    "download": b"HTTP/1.1 200 ",
}
"""What the first answer of each application holds."""

STARTS = 3
"""Starts in one turn; their median counts."""

COMPARED = {(row.work, name) for group in GROUPS.values() for row in group for name in (row.ours, row.other)}
"""Who takes part in what for the sake of a goal."""

HERE = Path(__file__).resolve().parent
SETTLE = 1.0
"""Seconds after the last WebSocket was opened, before memory is read."""


@dataclass(frozen=True, slots=True)
class Options:
    """How much is measured."""

    rounds: int = 5
    seconds: int = 3
    connections: int = 32
    idle: int = 10000
    transfer: int = 10**9
    only: tuple[str, ...] = ()
    tree: bool = False
    pinned: bool = True


@dataclass(slots=True)
class Place:
    """Where everything is."""

    environment: Path
    sockets: Path
    nginx_port: int
    missing: Mapping[str, str] = field(default_factory=dict)

    def words(self, server: Server, port: int) -> dict[str, str]:
        """What the braces in a command stand for."""
        return {
            "python": str(self.environment / "bin" / "python"),
            "bin": str(self.environment / "bin"),
            "native": str(self.native),
            "socket": str(front.socket_path(server, self.sockets)),
            "port": str(port),
        }

    @property
    def native(self) -> Path:
        """The compiled C programs."""
        return self.environment / "native"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one turn yielded."""

    work: str
    server: str
    round: int
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a server has no sample."""

    work: str
    server: str
    reason: str


def chosen(works: Iterable[Work], servers: Iterable[Server], only: Iterable[str]) -> list[tuple[Work, list[Server]]]:
    """Who takes part in which work.

    Args:
        works: all works.
        servers: all servers.
        only: words that leave out what they do not name: a work or a part of its name, else a server or a part of its
            name, ``goals`` for what the goals compare. Works and servers are chosen among independently.

    Raises:
        BenchmarkError: a word names nothing, or nothing is left.
    """
    works, servers, words = tuple(works), tuple(servers), set(only)
    names = [*(work.name for work in works), *(server.name for server in servers)]
    unknown = [word for word in words - {"goals"} if not any(named_by(word, name) for name in names)]
    if unknown:
        raise BenchmarkError(f"no work or server is called {', '.join(sorted(unknown))}")
    of_works = {word for word in words if any(named_by(word, work.name) for work in works)}
    works = tuple(it for it in works if any(named_by(word, it.name) for word in of_works)) or works
    servers = tuple(it for it in servers if any(named_by(word, it.name) for word in words - of_works)) or servers
    plan = []
    for work in works:
        those = [it for it in servers if work.name in it.works]
        if "goals" in words:
            those = [it for it in those if (work.name, it.name) in COMPARED]
        plan.append((work, those))
    if not any(those for _, those in plan):
        raise BenchmarkError(f"nobody takes part in {' '.join(sorted(words))}")
    return plan


def named_by(word: str, name: str) -> bool:
    """Whether a word is a name or one of its parts."""
    return word == name or word in name.split("-")


def rounds(plan: Sequence[tuple[Work, Sequence[Server]]], place: Place, options: Options) -> Iterator[Sample | Failure]:
    """All turns of a plan, one after the other."""
    out: set[tuple[str, str]] = set()
    for number in range(1, options.rounds + 1):
        for work, server in ((work, server) for work, servers in plan for server in servers):
            if (work.name, server.name) in out:
                continue
            try:
                yield Sample(work.name, server.name, number, turn(server, work, place, options))
            except BenchmarkError as error:
                out.add((work.name, server.name))
                yield Failure(work.name, server.name, str(error))


def turn(server: Server, work: Work, place: Place, options: Options) -> dict[str, float]:
    """One server, one work."""
    for package in server.packages:
        if package in place.missing:
            raise BenchmarkError(place.missing[package])
    try:
        return KINDS[work.kind](Turn(server, work, place, options))
    except OSError as error:  # a connection that broke, a time that ran out
        raise BenchmarkError(f"{type(error).__name__}: {error}") from error


@dataclass(slots=True)
class Turn:
    """What the kinds of work share: starting the server, and the CPU time that a load costs it."""

    server: Server
    work: Work
    place: Place
    options: Options
    port: int = field(default_factory=front.free_port)

    @property
    def target(self) -> Target:
        """Where the load goes."""
        if self.work.direct:
            return Target(self.port, "/")
        return Target(self.place.nginx_port, f"/{self.server.name}/")

    def start(self) -> Process:
        """Start the server; it may not listen yet."""
        front.socket_path(self.server, self.place.sockets).unlink(missing_ok=True)
        command = self.server.words(self.work, self.place.words(self.server, self.port))
        log = self.place.sockets / f"{self.server.name}.output"
        env = {"PYTHONPATH": str(HERE.parent)} if self.options.tree and self.server.kind == GATEWAY else {}
        return Process(command, log, env=env, cwd=HERE / "apps")

    def ready(self, process: Process) -> float:
        """Wait for the first answer; returns when it came."""
        target, expected = self.target, EXPECTED[self.work.function]
        if self.work.function == "download":
            target = Target(target.port, target.path + "?bytes=1")
        return load.first_answer(process, target, expected, upgrade=self.work.function == "echo")

    def loaded(self, process: Process, drive: Load, warm: int, full: int, unit: float) -> dict[str, float]:
        """Measure a load: its figures, CPU time for each of what it counts, memory afterwards.

        Args:
            process: the server.
            drive: makes so much of the load.
            warm: how much of it comes before.
            full: how much of it is measured.
            unit: what the CPU seconds of one are multiplied with.
        """
        self.ready(process)
        drive(warm)
        before, start = process.cpu(), time.monotonic()
        figures = drive(full)
        used, took = process.cpu() - before, time.monotonic() - start
        process.check()
        return {**figures, "cpu": used / figures["count"] * unit, "busy": used / took, **process.memory()}


def requests(it: Turn) -> dict[str, float]:
    """HTTP requests; microseconds of CPU for each."""

    def drive(seconds: int) -> dict[str, float]:
        return load.requests(it.target, seconds, it.options.connections)

    with it.start() as process:
        return it.loaded(process, drive, WARM, it.options.seconds, 1e6)


def messages(it: Turn) -> dict[str, float]:
    """WebSocket messages; microseconds of CPU for each."""

    def drive(seconds: int) -> dict[str, float]:
        return load.messages(it.place.native / "ws_load", it.target, seconds, it.options.connections, it.work.size)

    with it.start() as process:
        return it.loaded(process, drive, WARM, it.options.seconds, 1e6)


def upload(it: Turn) -> dict[str, float]:
    """One large body; milliseconds of CPU for a GB."""
    return _transfer(it, load.upload)


def download(it: Turn) -> dict[str, float]:
    """One large answer; milliseconds of CPU for a GB."""
    return _transfer(it, load.download)


def _transfer(it: Turn, move: Callable[[Target, int], dict[str, float]]) -> dict[str, float]:
    size = it.options.transfer
    with it.start() as process:
        return it.loaded(process, lambda amount: move(it.target, amount), size // 50, size, 1e3 * 1e9 / size)


def idle(it: Turn) -> dict[str, float]:
    """Open WebSockets that say nothing; bytes for each."""
    count = it.options.idle
    program = it.place.native / "ws_idle"
    with it.start() as process:
        it.ready(process)
        with load.idle(program, it.target, 10):
            pass
        before = process.memory()["pss"]
        start = time.monotonic()
        with load.idle(program, it.target, count):
            took = time.monotonic() - start
            time.sleep(SETTLE)
            memory = process.memory()
        process.check()
    return {"bytes": (memory["pss"] - before) / count, "count": count, "rate": count / took, **memory}


def start(it: Turn) -> dict[str, float]:
    """From the command to the first answer, in milliseconds, and the CPU it took."""
    times, used, memory = [], [], {}
    for _ in range(STARTS):
        with it.start() as process:
            times.append((it.ready(process) - process.started) * 1e3)
            used.append(process.cpu() * 1e3)
            memory = process.memory()
    return {"time": statistics.median(times), "cpu": statistics.median(used), "count": STARTS, **memory}


def programs(it: Turn) -> dict[str, float]:
    """A process for each request, as CGI has it; milliseconds of CPU, and of time, for one."""
    command = it.server.words(it.work, it.place.words(it.server, it.port))
    env = {"PATH": os.environ["PATH"], **CGI_REQUEST}
    if it.options.tree and it.server.kind == GATEWAY:
        env["PYTHONPATH"] = str(HERE.parent)
    times, before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(PROGRAMS):
        begun = time.monotonic()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, env=env, cwd=HERE / "apps",
                              check=False)  # fmt: skip
        times.append((time.monotonic() - begun) * 1e3)
        if EXPECTED[it.work.function] not in done.stdout:
            raise BenchmarkError(done.stderr.decode(errors="replace").strip()[-500:] or "the answer is another one")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": used / PROGRAMS * 1e3, "time": statistics.median(times), "count": PROGRAMS}


def steady(it: Turn) -> dict[str, float]:
    """Few requests, at an even pace; microseconds of CPU for each, of all workers together."""

    def drive(seconds: int) -> dict[str, float]:
        return load.paced(it.target, seconds, PACE)

    with it.start() as process:
        it.ready(process)
        _all_there(process)
        return it.loaded(process, drive, WARM, it.options.seconds, 1e6)


def shares(it: Turn) -> dict[str, float]:
    """As many requests as can be; how much more the busiest worker does than the laziest."""
    with it.start() as process:
        it.ready(process)
        _all_there(process)
        before = process.cpu_of_each()
        figures = load.requests(it.target, it.options.seconds, it.options.connections)
        used = sorted((cpu - before.get(pid, 0.0) for pid, cpu in process.cpu_of_each().items()), reverse=True)
        process.check()
    busy = used[: it.work.workers]
    return {**figures, "spread": busy[0] / max(busy[-1], 1e-9)}


def fleet(it: Turn) -> dict[str, float]:
    """Many workers that were started and asked once: memory of all, and the CPU their start took."""
    with it.start() as process:
        it.ready(process)
        _all_there(process)
        memory = process.memory()
        return {"bytes": memory["pss"], "cpu": process.cpu() * 1e3, "count": 1, **memory}


def _all_there(process: Process) -> None:
    """Wait until a start with several workers is over: nobody comes, and hardly any CPU is used."""
    used, quiet = -1.0, 0
    for _ in range(200):
        now = process.cpu()
        quiet = quiet + 1 if now - used < 0.002 else 0
        used = now
        if quiet == 5:
            return
        time.sleep(0.1)
    raise BenchmarkError("it never came to rest after its start")


PACE = 300
"""Requests a second of ``steady``: so few that a worker sleeps before each, as on most servers for most of the day."""

PROGRAMS = 40
"""Processes in one turn of ``programs``."""

CGI_REQUEST = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "REQUEST_METHOD": "GET",
    "REQUEST_URI": "/",
    "SCRIPT_NAME": "",
    "PATH_INFO": "/",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
}
"""The environment of such a process."""

KINDS: dict[str, Callable[[Turn], dict[str, float]]] = {
    "requests": requests,
    "messages": messages,
    "upload": upload,
    "download": download,
    "idle": idle,
    "start": start,
    "programs": programs,
    "steady": steady,
    "shares": shares,
    "fleet": fleet,
}
