"""Processes, and what the kernel knows of them.

A server is the session that was started for it: whatever it forks stays in there, so a session's figures are the
server's, and ending the session ends all of it.

CPU time is read from the processes' CPU clocks, which count in nanoseconds what ``/proc/PID/stat`` shows in ticks of
ten milliseconds; what children used that have ended and been waited for is added from there (proc(5), fields 16, 17).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Self

TICKS = os.sysconf("SC_CLK_TCK")
PATIENCE = 5.0
"""Seconds that a server may take to end before it is killed."""


class BenchmarkError(Exception):
    """Something did not start, did not answer, or answered wrongly; says what."""


class Process:
    """A command in a session of its own; a context manager that leaves nothing of it running.

    Args:
        command: program and arguments.
        log: where its output goes.
        env: variables added to our own.
        cwd: where it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.log = log
        self.started = time.monotonic()
        with log.open("wb") as sink:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        self.session = self._child.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def check(self) -> None:
        """Raise ``BenchmarkError`` if it has ended."""
        status = self._child.poll()
        if status is not None:
            raise BenchmarkError(f"ended with status {status}: {self.complaint()}")

    def complaint(self) -> str:
        """The last line it wrote."""
        lines = self.log.read_text(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it wrote nothing")

    def stop(self) -> None:
        """Ask it to end, then insist."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(PATIENCE)
        self._signal(signal.SIGKILL)
        self._child.wait()

    def pids(self) -> list[int]:
        """The processes of the session."""
        return [pid for pid, fields in _processes() if int(fields[3]) == self.session]

    def cpu(self) -> float:
        """Seconds of CPU that all of it has used so far."""
        total = 0.0
        for pid, fields in _processes():
            if int(fields[3]) == self.session:
                with contextlib.suppress(OSError):  # it has just ended
                    total += time.clock_gettime(_cpu_clock(pid)) + (int(fields[13]) + int(fields[14])) / TICKS
        return total

    def cpu_of_each(self) -> dict[int, float]:
        """Seconds of CPU that each process has used so far."""
        used = {}
        for pid in self.pids():
            with contextlib.suppress(OSError):  # it has just ended
                used[pid] = time.clock_gettime(_cpu_clock(pid))
        return used

    def memory(self) -> dict[str, int]:
        """Bytes that all of it has resident (``rss``), and with shared pages counted in parts (``pss``); processes."""
        pids = self.pids()
        total = {"rss": 0, "pss": 0, "processes": len(pids)}
        for pid in pids:
            with contextlib.suppress(OSError):  # it has just ended
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    name, _, value = line.partition(":")
                    if name in ("Rss", "Pss"):
                        total[name.lower()] += int(value.split()[0]) * 1024
        return total

    def _signal(self, number: int) -> None:
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def allow_descriptors(wanted: int) -> None:
    """Raise the limit on open files for us and all that we start; root may go beyond the hard limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, hard)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def keep_to_one_cpu() -> None:
    """Keep ourselves and all that we start to one CPU.

    With CPUs apart a server that is good sleeps most of the time: each wake-up then finds a CPU that has slept as well
    and caches that others have filled, for one or two requests, where a server that is slow never sleeps and takes many
    at once. On one CPU everybody takes its turn and finds what has gathered meanwhile.
    """
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def run(command: Sequence[str], timeout: float) -> str:
    """What a command of ours, a load generator, prints.

    Raises:
        BenchmarkError: it did not end well or in time; with the last line it wrote.
    """
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        raise BenchmarkError(f"{Path(command[0]).name} was not done after {timeout:.0f} s") from None
    if told.returncode:
        words = (told.stderr or told.stdout).strip().splitlines()
        raise BenchmarkError(words[-1] if words else f"{Path(command[0]).name} ended with status {told.returncode}")
    return told.stdout


def describe() -> dict[str, str]:
    """What the figures depend on, as far as the machine tells."""
    model = "unknown processor"
    with contextlib.suppress(OSError), open("/proc/cpuinfo") as lines:
        model = _value(lines, "model name") or model
    system = os.uname()
    return {
        "processor": f"{len(os.sched_getaffinity(0))} x {model}",
        "system": f"{system.sysname} {system.release} {system.machine}",
        "load": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _value(lines: IO[str], name: str) -> str:
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _processes() -> list[tuple[int, list[str]]]:
    """Every process with its fields of ``/proc/PID/stat`` from the third on: state, parent, group, session ..."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{entry}/stat").read_text()
                found.append((int(entry), text.rpartition(")")[2].split()))
    return found


def _cpu_clock(pid: int) -> int:
    """The clock of a process' CPU time: what clock_getcpuclockid(3) returns, which Python has for threads only."""
    return (~pid << 3) | 2
