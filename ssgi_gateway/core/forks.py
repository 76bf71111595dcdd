"""What a forked child must not keep of this process.

Applications fork: ``multiprocessing``, the first job of a ``ProcessPoolExecutor``, ``os.fork`` itself. The child gets a
copy of every descriptor, and as long as it holds one of a connection, that connection does not end for its peer when it
ends here; with one of a listener, the address stays taken after this process has ended. Signals that are sent to the
child would be written into this process's loop, and nothing in the child would end it.

So objects with descriptors are registered (``hold``), and in a child they are closed before anything else runs there.
Handlers of signals that are ours (``signals``) go back to the default. A child that comes back to the event loop ends
there: the loop's registrations are its parent's, and so is all that it would do.

Programs that are started by ``subprocess`` inherit nothing: every descriptor here is close-on-exec.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Final

__all__ = ["exit_child", "fail_child", "hold", "in_child", "release", "signals", "stray"]

Holder = tuple[Callable[[], None], Callable[[], None]]

signals: Final[set[int]] = set()
"""Signals whose handlers are this process's own."""

_holders: Final[list[Holder]] = []
_thread: Final = threading.local()
_state: Final = {"registered": False}

stray: Final[list[int]] = []
"""The process id, in a child that was forked off a process that serves and serves nothing itself; elsewhere empty."""


def hold(give_up: Callable[[], None], shared: Callable[[], None]) -> Holder:
    """Be notified of forks until ``release`` of what is returned.

    Args:
        give_up: called in a child, on whatever thread forked: close the descriptors, and nothing else.
        shared: called in this process after a fork: from now on others may hold copies.
    """
    if not _state["registered"]:
        _state["registered"] = True
        os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
    stray.clear()  # a worker that was forked to serve is no stray child
    holder = (give_up, shared)
    _holders.append(holder)
    return holder


def release(holder: Holder) -> None:
    """Nothing is held any more."""
    if holder in _holders:
        _holders.remove(holder)


def in_child() -> bool:
    """Whether this process was forked off one that serves, and serves nothing itself."""
    return bool(stray)


def fail_child(error: BaseException) -> None:
    """In a forked child, end it for what its code has raised, as an interpreter would; elsewhere nothing happens."""
    if not in_child():
        return
    if isinstance(error.__cause__, SystemExit):
        error = error.__cause__  # a task's, which asyncio must not see
    if isinstance(error, SystemExit):
        exit_child(error.code if isinstance(error.code, int) else 0 if error.code is None else 1)
    traceback.print_exception(error)
    exit_child(1)


def exit_child(status: int = 0) -> None:
    """End a forked child that has nothing left to do, without the cleanups that are its parent's."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(status)


def _before() -> None:
    # A signal that comes to the child before its handlers are the default ones is not lost but waits.
    _thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, signals)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _thread.mask)


def _after_in_parent() -> None:
    _unblock()
    for _, shared in _holders:
        shared()


def _after_in_child() -> None:
    if not _holders:
        _unblock()
        return
    stray[:] = [os.getpid()]
    holders = tuple(_holders)
    _holders.clear()
    signal.set_wakeup_fd(-1)
    for number in signals:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signals.clear()
    _unblock()
    for give_up, _ in holders:
        try:
            give_up()
        except Exception:
            traceback.print_exc()  # the others give up theirs all the same
