"""A process that serves alone (``--workers 0``): what the signals mean that are a supervisor's where there is one.

None of them ends it. SIGUSR1 begins the access log anew; SIGHUP stops it where its terminal was closed. Nothing can be
reloaded or replaced, and there is no number of workers: the log says so.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final

from ssgi_gateway.core import forks
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.sink import open_file
from ssgi_gateway.process.lines import say
from ssgi_gateway.process.system import has_terminal
from ssgi_gateway.server.control import Control, post

if TYPE_CHECKING:
    import asyncio

    from ssgi_gateway.settings import Settings

__all__ = ["Alone"]

NOTHING: Final = {
    signal.SIGHUP: "no reload: --workers 0 has no supervisor; restart the server, or serve with --workers 1",
    signal.SIGUSR2: "nothing is replaced: --workers 0 has no supervisor; restart the server",
    signal.SIGTTIN: "no more workers: --workers 0 is this process alone",
    signal.SIGTTOU: "no fewer workers: --workers 0 is this process alone",
}


class Alone(Control):
    """The control of such a process. From now on its signals are handled, those that end it once its loop runs.

    Args:
        settings: with the access log.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        path = settings.access_log
        self._log_path = os.path.abspath(path) if path not in ("", "-") else ""
        self._terminal = has_terminal()
        self._loop: asyncio.AbstractEventLoop | None = None
        for number in (*NOTHING, signal.SIGUSR1):
            signal.signal(number, self._on_signal)
            forks.signals.add(number)

    def begin(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object], bound: float) -> None:
        """As every control, and from now on the loop does what the signals mean."""
        super().begin(loop, cancel, bound)
        self._loop = loop

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        closed = number == signal.SIGHUP and self._terminal and not has_terminal()
        if self._loop is not None:
            post(self._loop, partial(self._hear, number), "closed" if closed else "")
        elif closed:
            raise KeyboardInterrupt  # it starts: nothing is in progress

    def _hear(self, number: int, closed: str) -> None:
        if closed:
            self.stop()
        elif number == signal.SIGUSR1:
            self._begin_log()
        else:
            say("warning", NOTHING[signal.Signals(number)])

    def _begin_log(self) -> None:
        if self._log_path:
            try:
                self.reopen_log(open_file(self._log_path, "--access-log"))
            except ConfigurationError as error:
                say("warning", str(error))
