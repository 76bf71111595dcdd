"""Watching files: a process of its own that writes the paths which changed to a pipe.

With watchfiles the kernel reports changes, and nothing runs until it does. Without it, where the kernel's limit on
watches is reached, or where a folder may not be read, files are looked at time and again, for at most a hundredth of
the time. It is a process because watchfiles has threads, and a process with threads should not fork (``develop.py``
does).

What counts is a change of a file's identity, size or time, so editors may write in place, or write another file and
rename it. Hidden folders, caches and installed packages are not looked at.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ssgi_gateway.process.lifeline import Alive

__all__ = ["IGNORED", "Watcher", "is_watched", "scan"]

SUFFIXES: Final = (".py", ".pyi", ".pyx", ".so", ".toml", ".env", ".html", ".jinja", ".jinja2")
"""Of the files that count: what a Python application is made of and reads once."""
IGNORED: Final = frozenset(("__pycache__", "node_modules", "site-packages", "venv", "env", "dist", "build"))
"""Folders that are not looked at, beside those whose name begins with a dot."""
SHARE: Final = 100
"""Looking takes one in so many parts of the time."""
SHORTEST: Final = 0.25
"""Seconds between two looks at the files, at least."""
DEBOUNCE: Final = 1600
"""Milliseconds after which changes are reported even if more are coming."""
STEP: Final = 10
"""Milliseconds in which nothing more may come before changes are reported; the parent waits as well."""

Files = dict[str, tuple[int, int, int]]
"""What is at each path: inode, size in bytes, time of the last change in nanoseconds."""


def is_watched(path: str) -> bool:
    """Whether a change of the file at ``path`` counts."""
    return path.endswith(SUFFIXES) and not any(
        part in IGNORED or (part.startswith(".") and part not in (".", "..", ".env")) for part in path.split("/")
    )


class Watcher:
    """The process, from its fork to ``close``.

    Args:
        folders: what it watches.
        alive: this process', which it does not outlive.

    Attributes:
        fd: the pipe; a path a line.
    """

    def __init__(self, folders: Sequence[str], alive: Alive | None = None) -> None:
        before = scan(folders)  # here: the process may come to it late
        self.fd, writing = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.fd, False)
        self._rest = b""
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            os.close(self.fd)
            if alive is not None:
                alive.in_child()
            _run(folders, before, writing)
        os.close(writing)

    def read(self) -> list[str]:
        """The paths that have come since the last time; ``[""]`` when the process has ended."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return []
        if not data:
            return [""]
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [os.fsdecode(line) for line in lines]

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.fd)


def _run(folders: Sequence[str], before: Files, writing: int) -> None:
    """The process; it ends when its reader does, or by a signal."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # ^C reaches every process of a terminal; the parent ends this one
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        for path in _changes(folders, before):
            os.write(writing, os.fsencode(path).replace(b"\n", b"?") + b"\n")
    except BrokenPipeError:
        pass
    finally:
        os._exit(0)


def _changes(folders: Sequence[str], before: Files) -> Iterator[str]:
    try:
        from watchfiles._rust_notify import RustNotify  # documented under "Rust backend direct usage"
    except ImportError:
        yield from poll(folders, before)
        return
    try:
        watcher = RustNotify(
            [*folders], debug=False, force_polling=False, poll_delay_ms=0, recursive=True,
            ignore_permission_denied=False,  # which would hide the kernel's limit as well (watchfiles 1.3)
        )  # fmt: skip
        # Its watches stand. What has changed while they were set up, or before this process came to that, is found by
        # looking.
        yield from _differences(before, scan(folders))
        while isinstance(changes := watcher.watch(DEBOUNCE, STEP, 0, None), set):
            for _, path in changes:
                if is_watched(_within(path, folders)):
                    yield path
    except (OSError, RuntimeError) as error:
        print(f"{_why(error)}; looking at the files instead, which takes a little longer", file=sys.stderr, flush=True)
        yield from poll(folders, before)


def _why(error: Exception) -> str:
    """Why the kernel does not report changes."""
    text = str(error)
    if "limit" in text or "os error 24" in text or "os error 28" in text:
        return "the kernel watches no more files for this user (sysctl fs.inotify.max_user_watches, max_user_instances)"
    if isinstance(error, PermissionError) or "ermission denied" in text:
        return "there is a folder that may not be read, so changes cannot be watched"
    return f"changes cannot be watched ({text.splitlines()[0] if text else type(error).__name__})"


def _within(path: str, folders: Sequence[str]) -> str:
    """``path`` below the folder that is watched: what leads there may be hidden."""
    for folder in folders:
        if path.startswith(f"{folder}/"):
            return path[len(folder) + 1 :]
    return os.path.basename(path)


def poll(folders: Sequence[str], before: Files) -> Iterator[str]:
    """The paths that have changed since ``before``, found by looking."""
    parent = os.getppid()
    while os.getppid() == parent:
        began = time.process_time()
        after = scan(folders)
        yield from _differences(before, after)
        before = after
        time.sleep(max(SHORTEST, (time.process_time() - began) * SHARE))


def _differences(before: Files, after: Files) -> Iterator[str]:
    return (path for path in before.keys() | after.keys() if before.get(path) != after.get(path))


def scan(folders: Sequence[str]) -> Files:
    """Every file that counts, with what shows a change of it."""
    found: Files = {}
    left = list(folders)
    while left:
        try:
            with os.scandir(left.pop()) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if name not in IGNORED and not name.startswith("."):
                            left.append(entry.path)
                    elif is_watched(name):
                        status = entry.stat()
                        found[entry.path] = (status.st_ino, status.st_size, status.st_mtime_ns)
        except OSError:
            continue  # a folder that may not be read, or was removed meanwhile
    return found
