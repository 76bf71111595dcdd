"""A child process of a test: its output is kept, its memory can be read, and it never outlives the test.

The child writes to a file, not to a pipe: nobody has to read along, and a child that writes much never blocks.
It leads a session of its own, so that whatever it started can be ended with it, and the kernel sends it SIGTERM should
the tests themselves be killed (setpriv(1), from util-linux).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

__all__ = ["DEADLINE", "Process", "ProcessError", "wait_until"]

DEADLINE = 30.0
"""Seconds that anything may take before a test gives up. Generous: it only bounds how long a failure takes."""


class ProcessError(AssertionError):
    """A child did not start, ended early or did not end; the message holds what it wrote."""


def wait_until(condition: Callable[[], object], what: str, timeout: float = DEADLINE, interval: float = 0.01) -> None:
    """Ask until ``condition()`` is true.

    Args:
        condition: asked every ``interval`` seconds.
        what: completes "waited N s for ..." in the failure.
        timeout: seconds.
        interval: seconds.

    Raises:
        AssertionError: it was still false after ``timeout``.
    """
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for {what}")
        time.sleep(interval)


class Process:
    """A running command.

    Args:
        command: program and arguments.
        output: the file that standard output and error go to.
        env: variables added to this process' own.
        cwd: where the child runs.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        output: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.command = [os.fspath(word) for word in command]
        self.output = output
        with output.open("ab") as sink:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *self.command],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        self.pid = self._child.pid
        self.signals: list[int] = []  # that it was sent

    @property
    def returncode(self) -> int | None:
        """The exit status, ``-N`` for signal N, ``None`` while it runs."""
        return self._child.poll()

    def text(self) -> str:
        """All that it wrote so far."""
        return self.output.read_text(errors="backslashreplace")

    def lines(self) -> list[str]:
        """The same, as lines."""
        return self.text().splitlines()

    def wait_for(self, condition: Callable[[], object], what: str, timeout: float = DEADLINE) -> None:
        """Wait until ``condition()`` holds, and fail at once if the child ends before that."""

        def settled() -> bool:
            return bool(condition()) or self.returncode is not None

        try:
            wait_until(settled, what, timeout)
        except AssertionError as error:
            raise self.failure(str(error)) from None
        if not condition():
            raise self.failure(f"it ended with status {self.returncode} before {what}")

    def send_signal(self, number: int) -> None:
        """Send a signal to the child itself."""
        self.signals.append(number)
        self._child.send_signal(number)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for the end; returns the exit status.

        Raises:
            ProcessError: it still runs after ``timeout`` seconds; it is killed then.
        """
        try:
            return self._child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise self.failure(f"it still ran after {timeout} s") from None

    def stop(self, number: int = signal.SIGTERM, timeout: float = DEADLINE) -> int:
        """Ask it to end and wait; returns the exit status. A child that has ended already is fine."""
        if self.returncode is None:
            self.send_signal(number)
        return self.wait(timeout)

    def kill(self) -> None:
        """End it, and whatever it started, at once."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()

    def failure(self, reason: str) -> ProcessError:
        """An exception that shows the command, the reason and the output."""
        return ProcessError(f"{' '.join(self.command)}\n{reason}; it wrote:\n{self.text() or '(nothing)'}")

    def rss(self) -> int:
        """Resident memory now, in bytes."""
        return self._status("VmRSS") * 1024

    def peak_rss(self) -> int:
        """The most resident memory it had since its start or ``reset_peak_rss``, in bytes."""
        return self._status("VmHWM") * 1024

    def reset_peak_rss(self) -> None:
        """Let ``peak_rss`` begin at the present size (proc(5), ``clear_refs``)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def descriptors(self) -> int:
        """How many file descriptors it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system (proc(5), ``stat`` fields 14 and 15)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
        raise self.failure(f"/proc/{self.pid}/status has no {name}")
