"""The process that starts workers and never serves: it hears signals and messages, asks ``plan``, and does that.

It has no event loop of asyncio, no application, no thread and no timer: between events it sleeps. It may be replaced in
place (``exec``): process id, children, listeners and what it knows stay (``successor``).
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import plan, sockets, states
from ssgi_gateway.process.messages import VERSION, Channel, pair
from ssgi_gateway.process.template import CONTROL
from ssgi_gateway.process.wanted import wanted_workers
from ssgi_gateway.settings import sources

if TYPE_CHECKING:
    from ssgi_gateway.server.listeners import Listener
    from ssgi_gateway.settings import Settings

__all__ = ["Supervisor", "run"]

PR_SET_CHILD_SUBREAPER: Final = 36  # prctl(2)

Announce: TypeAlias = "Callable[[list[Listener], bool, bool, str, str], None]"
"""Takes the listeners, whether HTTP and whether WebSockets are served, the codecs and the event loop in use."""

SIGNALS: Final[Mapping[int, Callable[[], states.Event]]] = {
    signal.SIGTERM: states.Term,
    signal.SIGQUIT: states.Term,
    signal.SIGINT: states.Int,
    signal.SIGTTIN: states.Ttin,
    signal.SIGTTOU: states.Ttou,
    signal.SIGWINCH: states.Winch,
    signal.SIGUSR2: states.Usr2,
}
"""What a signal means to the plan; SIGHUP, SIGUSR1 and SIGCHLD need more than that."""

COUNTED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU})

HEARD: Final = frozenset({*SIGNALS, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD})


def run(given: Mapping[str, Any], settings: Settings, announce: Announce) -> int:
    """Supervise until the end; returns the exit status.

    Args:
        given: what the command line says; templates read the settings again.
        settings: the same, read.
        announce: called once the first worker is ready.

    Raises:
        ConfigurationError: a listener cannot be opened, or the first generation cannot start.
    """
    with sockets.entered(settings.chdir):
        opened = sockets.open_all(sockets.addresses(settings), settings)
    supervisor = Supervisor(given, settings, opened, announce)
    try:
        return supervisor.run()
    finally:
        supervisor.close()


class Template:
    """A template's process."""

    def __init__(self, pid: int, channel: Channel) -> None:
        self.pid = pid
        self.channel = channel


class Supervisor:
    """The actor; what it decides is in ``plan``."""

    def __init__(
        self,
        given: Mapping[str, Any],
        settings: Settings,
        opened: list[Listener],
        announce: Announce,
    ) -> None:
        self.given = given
        self.settings = settings
        self.listeners = opened
        self.announce = announce
        self.directory = os.getcwd()
        self.state = states.State(wanted_workers(settings.workers), limits(settings))
        self.templates: dict[int, Template] = {}
        self.workers: dict[int, Channel] = {}  # by seat
        self.pids: dict[int, int] = {}  # of workers: seat by process id
        self.adoption = sockets.adoption_pair()
        self.wakeup = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.selector = selectors.DefaultSelector()
        self.status: int | None = None
        self.text = ""
        self.announced = False

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until the plan says that it is over."""
        if os.getpid() != 1:
            become_subreaper()
        self._listen_to_signals()
        self._hear(states.Tick())
        while self.status is None:
            due = plan.next_due(self.state)
            timeout = None if due == states.NEVER else max(0.0, due - time.monotonic())
            for key, _ in self.selector.select(timeout):
                self._handle(key.data)
            if plan.next_due(self.state) <= time.monotonic():
                self._hear(states.Tick())
        if self.text:
            raise ConfigurationError(self.text)
        return self.status

    def _handle(self, handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:  # whatever it is, what serves must go on serving
            import traceback

            say("error", f"internal error of the supervisor, which goes on:\n{traceback.format_exc().rstrip()}")

    def _hear(self, event: states.Event) -> None:
        self.state, actions = plan.plan(self.state, event, time.monotonic())
        for action in actions:
            self._act(action)

    def _listen_to_signals(self) -> None:
        reading, writing = self.wakeup
        self.selector.register(reading, selectors.EVENT_READ, self._on_signal)
        for number in HEARD:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())

    def _on_signal(self) -> None:
        try:
            numbers = self.wakeup[0].recv(4096)
        except BlockingIOError:
            return
        for number in _coalesced(numbers):
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                self._reload()
            elif number in SIGNALS:
                self._hear(SIGNALS[number]())

    def _reload(self) -> None:
        try:
            os.chdir(self.directory)
            settings = sources.read(self.given)
        except (ConfigurationError, OSError) as error:
            self._hear(states.Refused(str(error)))
            return
        self.settings = settings
        self._hear(states.Hup(wanted_workers(settings.workers), limits(settings)))

    # -- children ------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            how = ended(status)
            seat = self.pids.pop(pid, None)
            generation = next((number for number, it in self.templates.items() if it.pid == pid), None)
            if seat is not None:
                self._drop_worker(seat)
                self._hear(states.WorkerExited(seat, pid, how))
            elif generation is not None:
                self._drop_template(generation)
                self._hear(states.TemplateExited(generation, how))

    def _drop_worker(self, seat: int) -> None:
        channel = self.workers.pop(seat, None)
        if channel is not None:
            self._on_worker(seat, channel)  # its last words
            self._forget(channel)

    def _drop_template(self, generation: int) -> None:
        template = self.templates.pop(generation)
        for seat in self.state.seats.values():
            if seat.generation == generation and not seat.pid and seat.number in self.workers:
                self._forget(self.workers.pop(seat.number))  # if it was forked, the end of the stream tells it
        self._on_template(generation, template.channel)
        self._forget(template.channel)

    def _forget(self, channel: Channel) -> None:
        self._ignore(channel)
        channel.close()

    def _ignore(self, channel: Channel) -> None:
        try:
            self.selector.unregister(channel)
        except (KeyError, ValueError):
            pass  # it was before: its stream had ended

    def _on_template(self, generation: int, channel: Channel) -> None:
        while channel.fileno() >= 0 and (message := channel.receive()) is not None:
            words = message[0]
            if not words:
                self._ignore(channel)  # SIGCHLD says the rest
                return
            if words[0] == "loaded":
                self._hear(states.TemplateLoaded(generation))
            elif words[0] == "failed":
                self._hear(states.TemplateFailed(generation, words[2]))
            elif words[0] == "unforked":
                seat = int(words[1])
                self._drop_worker(seat)
                self._hear(states.WorkerExited(seat, 0, words[2]))

    def _on_worker(self, seat: int, channel: Channel) -> None:
        while channel.fileno() >= 0 and (message := channel.receive()) is not None:
            words = message[0]
            if not words:
                self._ignore(channel)
                return
            if words[0] == "started":
                self.pids[int(words[1])] = seat
                self._hear(states.WorkerStarted(seat, int(words[1])))
            elif words[0] == "ready":
                self._is_served(words[1] == "1", words[2] == "1", words[3], words[4])
                self._hear(states.WorkerReady(seat))
            elif words[0] == "failed":
                self._hear(states.WorkerFailed(seat, words[2], int(words[1])))
            elif words[0] == "worn":
                self._hear(states.WorkerWorn(seat, words[1]))

    def _is_served(self, http: bool, websocket: bool, codecs: str, loop: str) -> None:
        if not websocket:
            for listener in [it for it in self.listeners if it.protocol == "websocket"]:
                say("info", sockets.NO_WEBSOCKETS)
                listener.close()
                self.listeners.remove(listener)
        if not self.announced:
            self.announced = True
            self.announce(self.listeners, http, websocket, codecs, loop)

    # -- actions -------------------------------------------------------------------------------------------------

    def _act(self, action: states.Action) -> None:
        ACTIONS[type(action)](self, action)

    def _start_template(self, action: states.StartTemplate) -> None:
        ours, theirs = pair()
        command = [sys.executable, *python_options(), "-m", "ssgi_gateway.process.template"]
        try:
            pid = os.posix_spawn(
                sys.executable,
                command,
                os.environ,
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL)],
                setsigdef=HEARD,
                setsigmask=HEARD,
            )
        except OSError as error:
            self._hear(states.TemplateExited(action.generation, os.strerror(error.errno or 0)))
            return
        finally:
            theirs.close()
        self.templates[action.generation] = Template(pid, ours)
        about = {
            "directory": self.directory,
            "given": dict(self.given),
            "listeners": [(it.protocol, str(it.address)) for it in self.listeners],
        }
        descriptors = [it.fileno() for it in (*self.adoption, *(it.socket for it in self.listeners))]
        ours.send("start", VERSION, json.dumps(about), descriptors=descriptors)
        generation = action.generation
        self.selector.register(ours, selectors.EVENT_READ, lambda: self._on_template(generation, ours))

    def _kill_template(self, action: states.KillTemplate) -> None:
        template = self.templates.get(action.generation)
        if template is not None:
            kill(template.pid, signal.SIGKILL)

    def _fork(self, action: states.Fork) -> None:
        template = self.templates.get(action.generation)
        ours, theirs = pair()
        sent = template is not None and template.channel.send("fork", str(action.seat), descriptors=[theirs.fileno()])
        theirs.close()
        if not sent:
            ours.close()
            self._hear(states.WorkerExited(action.seat, 0, "the template is gone"))
            return
        self.workers[action.seat] = ours
        seat = action.seat
        self.selector.register(ours, selectors.EVENT_READ, lambda: self._on_worker(seat, ours))

    def _retire(self, action: states.Retire) -> None:
        channel = self.workers.get(action.seat)
        if channel is not None:
            channel.send("last" if action.last else "retire")

    def _kill(self, action: states.Kill) -> None:
        pid = next((pid for pid, seat in self.pids.items() if seat == action.seat), 0)
        channel = self.workers.get(action.seat)
        if not pid:
            return  # it has not said who it is; when it does, the plan kills it again
        if not action.hard and channel is not None:
            channel.send("end")
        number = signal.SIGKILL if action.hard else signal.SIGTERM
        if action.hard:
            kill(-pid, number)
        kill(pid, number)

    def _unlisten(self, _: states.Unlisten) -> None:
        for listener in self.listeners:
            listener.cleanup()
            if listener.address.kind == "unix":
                listener.socket.shutdown(socket.SHUT_RD)  # what is in the queue can still be accepted
            listener.close()
        self.listeners.clear()

    def _notify(self, action: states.Notify) -> None:
        pass

    def _record(self, action: states.Record) -> None:
        pass

    def _log(self, action: states.Log) -> None:
        say(action.level, action.text)

    def _check(self, _: states.Check) -> None:
        self._hear(states.ReplacementChecked("not there yet"))

    def _exec(self, _: states.Exec) -> None:
        pass

    def _exit(self, action: states.Exit) -> None:
        self.status = action.status
        self.text = action.text

    def close(self) -> None:
        """Nothing of it is left: children are killed, listeners closed."""
        for pid in [*self.pids, *(it.pid for it in self.templates.values())]:
            kill(-pid, signal.SIGKILL)
            kill(pid, signal.SIGKILL)
        for channel in [*self.workers.values(), *(it.channel for it in self.templates.values())]:
            channel.close()
        signal.set_wakeup_fd(-1)
        for end in (*self.adoption, *self.wakeup):
            end.close()
        for listener in self.listeners:
            listener.close()
        self.selector.close()


ACTIONS: Final[Mapping[type, Callable[[Supervisor, Any], None]]] = {
    states.StartTemplate: Supervisor._start_template,
    states.KillTemplate: Supervisor._kill_template,
    states.Fork: Supervisor._fork,
    states.Retire: Supervisor._retire,
    states.Kill: Supervisor._kill,
    states.Unlisten: Supervisor._unlisten,
    states.Notify: Supervisor._notify,
    states.Record: Supervisor._record,
    states.Log: Supervisor._log,
    states.Check: Supervisor._check,
    states.Exec: Supervisor._exec,
    states.Exit: Supervisor._exit,
}


def _coalesced(numbers: bytes) -> list[int]:
    """Signals in their order; of one kind many are one, except where each counts."""
    return [it for place, it in enumerate(numbers) if it in COUNTED or it not in numbers[:place]]


def limits(settings: Settings) -> states.Limits:
    """What the plan needs of the settings."""
    deadlines = settings.deadlines
    return states.Limits(start=deadlines.start, drain=deadlines.drain, stop_delay=settings.stop_delay)


def say(level: str, text: str) -> None:
    """A line in the log. The supervisor has one kind of line, and no use for a module of a megabyte."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    now = time.time()
    try:
        os.write(2, f"{stamp},{int(now % 1 * 1000):03d} {level.upper()} {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass  # a full disk, or nobody who reads: there is nobody to tell


def kill(pid: int, number: int) -> None:
    """Send a signal, unless nobody is there any more."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def ended(status: int) -> str:
    """How a process has ended, in words."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def python_options() -> list[str]:
    """The options that this interpreter was started with, for another one."""
    options = sys.orig_argv[1:]
    for index, word in enumerate(options):
        if word == "-m" or not word.startswith("-"):
            return options[:index]
        if word in ("-W", "-X"):
            return [*options[: index + 2], *_rest(options[index + 2 :])]
    return []


def _rest(options: list[str]) -> list[str]:
    for index, word in enumerate(options):
        if word == "-m" or not word.startswith("-"):
            return options[:index]
        if word in ("-W", "-X"):
            return [*options[: index + 2], *_rest(options[index + 2 :])]
    return []


def become_subreaper() -> None:
    """Be the parent of the children of children that end."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise ConfigurationError(f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(ctypes.get_errno())}")
