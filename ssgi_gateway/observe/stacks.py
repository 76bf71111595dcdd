"""What a process is doing, for ``ssgi-gateway stacks``: it writes its stacks into memory that the kernel leads to.

A signal requests it. The threads are written by faulthandler, from the signal itself, so a process in an endless loop
or a wait that never ends shows where it is as well; the tasks follow when its event loop comes to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import fcntl
import linecache
import os
import signal
import time
from collections.abc import Iterator
from types import FrameType
from typing import Any, Final

from ssgi_gateway import linux

__all__ = ["NAME", "SIGNAL", "Stacks", "ask", "describe_task", "describe_tasks"]

NAME: Final = "ssgi-gateway-stacks"
SIGNAL: Final = signal.SIGRTMIN + 3
END: Final = "-- end --\n"
MAX_TASKS: Final = 200
PATIENCE: Final = 1.0
"""Seconds for a process to write everything."""


class Stacks:
    """The process whose stacks can be requested; ``close`` ends that."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fd = linux.make_memory(NAME)
        # A reader empties it first, and then nothing is to be written behind a hole.
        fcntl.fcntl(self._fd, fcntl.F_SETFL, os.O_APPEND)
        loop.add_signal_handler(SIGNAL, self._write_tasks)
        faulthandler.register(SIGNAL, file=self._fd, all_threads=True, chain=True)

    def _write_tasks(self) -> None:
        os.write(self._fd, f"\n{describe_tasks(self._loop)}{END}".encode("utf-8", "backslashreplace"))

    def close(self) -> None:
        """No stacks can be requested any more."""
        faulthandler.unregister(SIGNAL)
        with contextlib.suppress(RuntimeError):
            self._loop.remove_signal_handler(SIGNAL)
        os.close(self._fd)


def describe_tasks(loop: asyncio.AbstractEventLoop) -> str:
    """The tasks of a loop, ``MAX_TASKS`` at most, as ``describe_task`` does."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda it: it.get_name())
    # Compiled coroutines have no frames; the server's own are no news.
    tasks = [task for task in tasks if not _is_own(task)]
    text = "".join(describe_task(task) for task in tasks[:MAX_TASKS])
    return text + (f"{len(tasks) - MAX_TASKS} tasks more\n" if len(tasks) > MAX_TASKS else "")


def _is_own(task: asyncio.Task[Any]) -> bool:
    """Whether a task is the server's own: it runs the server, or waits for a signal."""
    coroutine = task.get_coro()
    frame = getattr(coroutine, "cr_frame", None)
    where = frame.f_globals.get("__name__", "") if frame is not None and hasattr(frame, "f_globals") else ""
    return getattr(coroutine, "__qualname__", "") in ("run.<locals>.main", "serve", "Control.stopped") and (
        not where or where.startswith("ssgi_gateway.")
    )


def describe_task(task: asyncio.Task[Any]) -> str:
    """A task and where it waits, the newest frame last."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", "")
    lines = [f"Task {task.get_name()} {name}\n"]
    for frame, line in _frames(coroutine):
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {line} in {getattr(code, "co_qualname", code.co_name)}\n')
        text = linecache.getline(code.co_filename, line).strip()
        if text:
            lines.append(f"    {text}\n")
    return "".join(lines) if len(lines) > 1 else f"{lines[0]}  (nothing that has a frame)\n"


def _frames(awaitable: Any) -> Iterator[tuple[FrameType, int]]:
    """The frames of what is awaited, from the outside in.

    Not ``task.get_stack``: it gives one frame, and raises for coroutines that are compiled.
    """
    for _ in range(100):
        if awaitable is None:
            return
        frame = getattr(awaitable, "cr_frame", None) or getattr(awaitable, "gi_frame", None)
        line = getattr(frame, "f_lineno", None)
        if frame is not None and line:
            yield frame, line
        inner = getattr(awaitable, "cr_await", None)
        awaitable = inner if inner is not None else getattr(awaitable, "gi_yieldfrom", None)


# -- the other side ------------------------------------------------------------------------------------------------


def ask(pid: int) -> str:
    """The stacks of another process of this user; ``""`` if it cannot be asked.

    Raises:
        ProcessLookupError: there is none.
    """
    path = _path(pid)
    if not path:
        return ""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.ftruncate(fd, 0)
        os.kill(pid, SIGNAL)
        end = time.monotonic() + PATIENCE
        text = ""
        while time.monotonic() < end:
            text = os.pread(fd, os.fstat(fd).st_size, 0).decode("utf-8", "replace")
            if text.endswith(END):
                return text.removesuffix(END)
            time.sleep(0.01)
        return f"{text}\n(its event loop did not come to the tasks: what runs above blocks it)\n"
    finally:
        os.close(fd)


def _path(pid: int) -> str:
    with contextlib.suppress(OSError):
        return linux.find_memory(pid, NAME)
    return ""
