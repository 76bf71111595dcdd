"""The event loop goes on when code that it calls wants to end the process.

``sys.exit()`` in a call of the application is that call's failure (``core.exchange``). In a task, a timer or a callback
that the application has made itself nothing waits for their end: asyncio lets SystemExit and KeyboardInterrupt through
``run_forever()``, and all other requests would end with it. So the loop is entered again, where it was:
what was ready is ready still. ``loop.stop()`` has no other effect either.

Two of these are meant: an exit while the application starts, which cannot be served then; and one in a handler of a
signal that the application has put in the place of the server's, which begins the drain.
"""

from __future__ import annotations

import functools
import logging
import signal
import traceback
from collections.abc import Coroutine
from types import CodeType
from typing import TYPE_CHECKING, Any

from ssgi_gateway.core import forks

if TYPE_CHECKING:
    import asyncio

    from .control import Control

__all__ = ["run_on"]

logger = logging.getLogger("ssgi_gateway.app")


def run_on(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, None], control: Control) -> None:
    """Run ``main`` to its end.

    Args:
        loop: the loop, which does not run.
        main: the server.
        control: the server's; it knows whether the application has started.

    Raises:
        BaseException: what ``main`` raises, and an exit while the application starts.
    """
    task = loop.create_task(main)
    while not task.done():
        try:
            loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            forks.fail_child(error)
            if task.done() or not control.serving:
                raise
            if from_signal(error):
                control.stop()
            else:
                logger.error(
                    "a task or a callback of the application wants to end the process; it goes on", exc_info=error
                )
        except RuntimeError:
            if task.done():
                raise
            logger.error("the application has stopped the event loop; it goes on")


def from_signal(error: BaseException) -> bool:
    """Whether a signal's handler has raised it, and not code that the loop called."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    if isinstance(error, KeyboardInterrupt) and signal.default_int_handler in handlers:
        return True
    codes = set(map(_code, handlers)) - {None}
    return any(frame.f_code in codes for frame, _ in traceback.walk_tb(error.__traceback__))


def _code(handler: Any) -> CodeType | None:
    while isinstance(handler, functools.partial):
        handler = handler.func
    found = getattr(getattr(handler, "__func__", handler), "__code__", None)
    return found if isinstance(found, CodeType) else None
