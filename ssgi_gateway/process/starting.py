"""Where a process is that takes too long to start, in its own words.

Once ``deadline_start`` is over the supervisor asks by a signal. Whoever gets it is in an import or a startup hook that
does not end: it says where, and ends. What hangs in C and never comes back to Python is killed a second later.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ssgi_gateway.process.messages import Channel

__all__ = ["SIGNAL", "answer", "started"]

SIGNAL: Final = signal.SIGRTMIN + 4

STATUS: Final = 2
"""The exit status of a process that was asked."""


def answer(channel: Channel, what: str, seconds: float) -> None:
    """From now on be ready for the question.

    Args:
        channel: to the supervisor.
        what: has not happened in time, ``"a worker was not ready"``.
        seconds: ``deadline_start``.
    """

    def on_signal(_: int, frame: FrameType | None) -> None:
        try:
            why = f"{what} after {seconds:g} s (--deadline-start); it was here:"
            channel.send("failed", "2", f"{why}\n{where(frame)}")
        finally:
            os._exit(STATUS)

    signal.signal(SIGNAL, on_signal)


def started() -> None:
    """Nobody needs to ask any more."""
    signal.signal(SIGNAL, signal.SIG_IGN)


def where(frame: FrameType | None) -> str:
    """What the main thread does in ``frame``, without what is this server's, and where the tasks of its loop wait."""
    import asyncio  # the supervisor, which only asks, has no use for these
    import importlib
    import traceback

    package = os.path.dirname(os.path.dirname(__file__))
    ours = (package, os.path.dirname(asyncio.__file__), importlib.__file__, "<frozen ")
    stack = [it for it in traceback.extract_stack(frame) if not it.filename.startswith(ours)]
    lines = traceback.format_list(stack)
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:  # it does not run yet
        pass
    else:
        from ssgi_gateway.observe.stacks import describe_tasks

        lines.append(describe_tasks(loop))  # the task that runs is in both
    return "".join(lines).rstrip()
