"""``dev``: one worker that is replaced whenever a file changes.

This process holds the listeners, so that a browser waits for the next worker and is never refused. It has no event loop
and no threads, and loads what every worker needs before the first fork: a new worker then imports the application and
nothing else. A worker whose application cannot be loaded serves the traceback in its place, until a change fixes it.

There are no process groups: a debugger in the application reads the terminal. What a worker leaves behind when it ends
becomes this process' child and is ended, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import engine, linux
from ssgi_gateway.adapters import loading, negotiation
from ssgi_gateway.adapters.application import Application
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe import log_setup
from ssgi_gateway.observe.failure_page import failure_page, wants_page, without_own_frames
from ssgi_gateway.process.lifeline import Alive
from ssgi_gateway.process.lines import Lines
from ssgi_gateway.process.watch import Watcher
from ssgi_gateway.server.control import Control

if TYPE_CHECKING:
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["BROWSER", "Development", "failure_application"]

SILENCE: Final = 0.05
"""Seconds in which nothing more may change before the worker is replaced: editors write several files."""
PATIENCE: Final = 1.0
"""Seconds a worker has to end after its signal."""
BROWSER: Final = "SSGI_GATEWAY_BROWSER"
"""A variable in the environment of the browser that was opened, and of all it starts: those are not to be ended."""

OWN: Final = (
    os.path.dirname(loading.__file__), os.path.dirname(__file__), os.path.dirname(asyncio.__file__),
    "<frozen importlib", os.path.join(os.path.dirname(os.__file__), "importlib"),
)  # fmt: skip
"""Where frames come from that are of no use to a developer."""


class _Control(Control):
    """A worker's: others have the listeners, too, and the parent waits until it is ready."""

    shared = True

    def __init__(self, pipe: int) -> None:
        super().__init__()
        self._pipe = pipe
        self.failed = False  # the page with the reason is served in the application's place
        self.leaving = asyncio.Event()  # for streams that would hold the drain up

    def stop(self) -> None:
        super().stop()
        self.leaving.set()

    def begin(self, loop: asyncio.AbstractEventLoop, cancel: Callable[[], object], bound: float) -> None:
        # ^C at a terminal reaches this process and its parent, which then sends SIGTERM: both are the same.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self.listen_to_questions(loop)

    @property
    def alone(self) -> bool:
        return False  # the next worker is for what waits

    def ready(self) -> None:
        os.write(self._pipe, b"failed" if self.failed else b"ready")


class Development:
    """The process that replaces the worker.

    Args:
        settings: the workers'.
        listeners: open ones.
        folders: what is watched.
        out: where ``say`` prints.
        say: prints a line for the developer.
    """

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[Listener],
        folders: Sequence[str],
        out: Lines,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._folders = folders
        self._out = out
        self._say = say
        self._watcher: Watcher | None = None
        self._alive = Alive()
        self._worker = 0  # its pid
        self._exit = -1
        self._pipe = -1  # the pipe on which it reports that it is ready
        self._began = 0.0
        self._signals, self._wakeup = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.opened: Callable[[], None] = lambda: None  # called when the first worker is ready
        self.others: set[int] = set()  # children that are no worker's

    def run(self) -> int:
        """Until SIGINT or SIGTERM; returns the exit status."""
        engine.module("server.serve", self._settings.codec).loop_factory()  # loaded once, for every worker
        linux.adopt_orphans()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._watcher = Watcher(self._folders, self._alive)
        try:
            self._start()
            self._loop(self._watcher)
        finally:
            self._stop()
            self._watcher.close()
        return 0

    def _loop(self, watcher: Watcher) -> None:
        changed: set[str] = set()
        while True:
            poll = select.poll()
            for fd in (self._signals, watcher.fd, self._exit, self._pipe):
                if fd >= 0:
                    poll.register(fd, select.POLLIN)
            if (stopped := self._out.waiting()) >= 0:  # the terminal, or a pager
                poll.register(stopped, select.POLLOUT)
            ready = [fd for fd, _ in poll.poll(SILENCE * 1000 if changed else None)]
            if self._is_over():
                return
            if stopped in ready:
                self._out.offer()
            if watcher.fd in ready:
                paths = watcher.read()
                if "" in paths:
                    raise ConfigurationError("the process that watches the files has ended")
                changed.update(paths)
            elif changed and not ready:
                self._say(f"changed: {_listed(changed)}")
                changed.clear()
                self._stop()
                self._start()
            if self._pipe in ready:
                self._hear()
            elif self._exit in ready:
                self._ended()

    def _is_over(self) -> bool:
        """Whether a signal has come. ^C ends the worker as well, and ``poll`` may have seen only that."""
        return bool(select.select([self._signals], [], [], 0)[0])

    # -- the worker ----------------------------------------------------------------------------------------------

    def _start(self, failure: str = "") -> None:
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._began = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        self._worker = os.fork()
        if not self._worker:
            os.close(reading)
            self._become_worker(writing, failure)
        os.close(writing)
        self._pipe = reading
        self._exit = linux.exit_descriptor(self._worker)

    def _become_worker(self, writing: int, failure: str) -> None:
        """The child: never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            self._alive.in_child()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            status = work(self._settings, self._listeners, writing, failure)
        except KeyboardInterrupt:
            status = 130
        except BaseException:
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _hear(self) -> None:
        report = os.read(self._pipe, 64)
        os.close(self._pipe)
        self._pipe = -1
        if report == b"ready":
            self._say(f"ready in {time.monotonic() - self._began:.2f} s")
        elif report == b"failed":
            self._say("the browser shows why, until a change fixes it")
        if report:
            self.opened()
            self.opened = lambda: None

    def _ended(self) -> None:
        """The worker has ended by itself."""
        _, status = os.waitpid(self._worker, 0)
        how = describe(os.waitstatus_to_exitcode(status))
        self._forget()
        self._say(f"the worker {how}; the next change starts another one")
        self._start(f"The worker {how}.")

    def _stop(self) -> None:
        """End the worker now, and what it has started."""
        if not self._worker:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._worker, number)
            if select.select([self._exit], [], [], PATIENCE)[0]:
                break
        os.waitpid(self._worker, 0)
        self._forget()

    def _forget(self) -> None:
        os.close(self._exit)
        if self._pipe >= 0:
            os.close(self._pipe)
        self._worker, self._exit, self._pipe = 0, -1, -1
        known = self.others | {self._watcher.pid if self._watcher else 0}
        for pid in linux.children():
            if pid not in known and not _is_browser(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)


def _is_browser(pid: int) -> bool:
    try:
        return any(it.startswith(f"{BROWSER}=".encode()) for it in linux.environment_of(pid))
    except OSError:
        return False


def work(settings: Settings, listeners: Sequence[Listener], writing: int, failure: str = "") -> int:
    """What a worker does: the application if it can be loaded, and otherwise the page with the reason."""
    log_setup.configure(settings)
    serve = engine.module("server.serve", settings.codec)
    control = _Control(writing)
    if not failure:
        try:
            loaded = loading.load(settings.app, pythonpath=settings.pythonpath)
            application = negotiation.resolve(loaded, settings.interface, settings)
            log_setup.enable()
            return int(serve.run(settings, application, listeners, control))
        except Exception as error:
            print(error, file=sys.stderr, flush=True)
            control.failed = True
            cause = error.__cause__ if isinstance(error, ConfigurationError) else error
            application = failure_application(cause and without_own_frames(cause, OWN), str(error), control.leaving)
    else:
        control.failed = True
        application = failure_application(None, failure, control.leaving)
    return int(serve.run(settings, application, listeners, control))


def failure_application(exc: BaseException | None, words: str, ending: asyncio.Event) -> Application:
    """An application that answers everything with what went wrong, and keeps the pages that wait for a change.

    Args:
        exc: what was raised, if anything was.
        words: the same for terminals.
        ending: set when the worker ends, and the pages should reload.
    """
    title = words.splitlines()[0] if words else "The application could not be loaded"
    page = failure_page(title, exc, "Save a change, and this page comes again by itself.", waiting=True)

    def answer(*args: Any) -> Any:
        get_header, response = args[6], args[7]
        accept = get_header("accept")
        if accept == "text/event-stream":
            response.send_headers([("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
            return _hold(response, ending)
        response.send_status(500)
        kind = "text/html" if wants_page(accept) else "text/plain"
        response.send_headers([("Content-Type", f"{kind}; charset=utf-8"), ("Cache-Control", "no-store")])
        return response.send(page if kind == "text/html" else words.encode("utf-8", "backslashreplace") + b"\n")

    return Application(answer, None)


async def _hold(response: Any, ending: asyncio.Event) -> None:
    await response.send(": until a file changes\n\n", True)
    await ending.wait()
    response.send()


def describe(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _listed(paths: set[str]) -> str:
    names = sorted(os.path.relpath(path) for path in paths)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
