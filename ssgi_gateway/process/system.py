"""Small things that processes do to the system and to each other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

import ssgi_gateway
from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError

__all__ = [
    "Ends", "become_subreaper", "child_environment", "ended", "entitle", "has_terminal", "kill", "python_module",
    "show_crashes", "stay_visible", "trim", "wait_for",
]  # fmt: skip

NOT_FOR_CHILDREN: Final = (
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)
"""What a service manager passes to the supervisor alone (sd_notify(3), sd_listen_fds(3))."""


def kill(pid: int, number: int) -> None:
    """Send a signal, unless the process has ended; 0 is no process."""
    try:
        if pid:
            os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def wait_for(pids: Iterable[int], seconds: float) -> None:
    """Wait until these children have ended, but not for longer."""
    end = time.monotonic() + seconds
    for pid in pids:
        with contextlib.suppress(ChildProcessError):
            while not os.waitpid(pid, os.WNOHANG)[0] and time.monotonic() < end:
                time.sleep(0.002)


class Ends:
    """How processes end, in words; and whether it was for want of memory."""

    def __init__(self) -> None:
        self._oom_kills = linux.oom_kills()

    def describe(self, status: int) -> str:
        """``status`` is that of ``os.waitpid``."""
        text = ended(status)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            before, self._oom_kills = self._oom_kills, linux.oom_kills()
            if self._oom_kills > before:
                return f"{text}: the kernel's, for its cgroup is out of memory; see --worker-max-memory, MemoryMax="
        return text


def ended(status: int) -> str:
    """How a process has ended, in words; ``status`` is that of ``os.waitpid``."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def entitle(name: str) -> None:
    """Call this process something in ps(1) and top(1), 15 bytes at most."""
    try:
        linux.name_process(name)
    except OSError:
        pass


def child_environment() -> dict[str, str]:
    """This process' environment without what is for it alone."""
    return {name: value for name, value in os.environ.items() if name not in NOT_FOR_CHILDREN}


def python_module(name: str) -> list[str]:
    """The command that runs a module of this package by an interpreter like this one.

    The current directory is mostly the application's, and is not to be searched for what the server is made of: a
    file there may be called ``queue.py``. The application's modules are found there all the same (``loading``).
    """
    return [sys.executable, *_options(sys.orig_argv[1:]), *([] if _in_working_tree() else ["-P"]), "-m", name]


def _in_working_tree() -> bool:
    """Whether this package is not installed, but that of the current directory."""
    try:
        return os.path.dirname(os.path.dirname(ssgi_gateway.__file__)) == os.getcwd()
    except OSError:  # that directory was removed
        return False


def _options(words: list[str]) -> Iterator[str]:
    left = iter(words)
    for word in left:
        if word in ("-m", "-c") or not word.startswith("-"):
            return
        yield word
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            yield next(left)


def stay_visible() -> None:
    """After a change of the user: let this process read what the kernel has about it.

    The kernel hides it from a process that was root's, because it could show what only root may see. A worker
    holds nothing of that kind, and without this it could not name itself or find its own descriptors.
    """
    linux.become_readable()


def show_crashes() -> None:
    """Have a crash, as one in a library in C, write where all threads were; the process ends as it would have."""
    import faulthandler  # a supervisor has no use for it

    with contextlib.suppress(OSError):  # a socket might have to be waited for
        faulthandler.enable(linux.reopen(2))


def trim() -> None:
    """Give memory back that was needed to load modules (malloc_trim(3)); C libraries without it keep it."""
    trim_heap = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim_heap is not None:
        trim_heap(0)


def become_subreaper() -> None:
    """Be the parent of the children of children that end; process 1 is that already.

    Raises:
        ConfigurationError: the system refuses.
    """
    trouble = linux.adopt_orphans()
    if trouble:
        raise ConfigurationError(f"this system cannot supervise workers ({trouble}); use --workers 0")


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
