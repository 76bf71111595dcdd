"""The process that starts workers and never serves: it hears signals and messages, asks ``plan``, and does that.

It has no event loop of asyncio, no application, no thread and no timer: between events it sleeps. It may be replaced in
place (``successor``): process id, children, listeners and what it knows stay.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ssgi_gateway import __version__
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.table import (
    BEAT,
    BUILD_TEXT,
    CALL_SINCE,
    EXITS,
    GENERATION,
    H_GENERATION,
    H_MODE,
    H_RELOAD_STATE,
    H_WANTED,
    NAME_TEXT,
    RELOAD_STATES,
    STUCK,
    VERSION_TEXT,
    Table,
    create,
)
from ssgi_gateway.process import (
    directory,
    plan,
    privileges,
    prometheus,
    sockets,
    states,
    status,
    successor,
    system,
    systemd,
)
from ssgi_gateway.process.messages import VERSION, Channel, pair
from ssgi_gateway.process.report import Report
from ssgi_gateway.process.system import kill, say
from ssgi_gateway.process.template import CONTROL
from ssgi_gateway.settings import sources
from ssgi_gateway.settings.values import AUTO

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["Supervisor", "check_known", "run"]

Announce: TypeAlias = Callable[[sockets.Listeners, bool, bool, str, str], None]
"""Takes the listeners, whether HTTP and whether WebSockets are served, the codecs and the event loop in use."""

SIGNALS: Final[Mapping[int, Callable[[], states.Event]]] = {
    signal.SIGTERM: states.Term,
    signal.SIGQUIT: states.Term,
    signal.SIGINT: states.Int,
    signal.SIGTTIN: states.Ttin,
    signal.SIGTTOU: states.Ttou,
    signal.SIGUSR2: states.Usr2,
}
"""What a signal means to the plan, for those that mean nothing else."""

LOOK: Final = 1.0
"""Seconds between two looks at the workers' signs of life, where ``request_timeout`` is set."""

GRACE: Final = 7.0
"""Seconds that a worker has to notice and interrupt a request by itself."""

COUNTED: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGTTIN, signal.SIGTTOU})
"""Signals of which two are more than one."""

LOG_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY

MAX_SEATS: Final = 128
"""Workers whose numbers are seen; those with a higher number are served by as well."""

HEARD: Final = frozenset({*SIGNALS, signal.SIGHUP, signal.SIGUSR1, signal.SIGWINCH, signal.SIGCHLD})


def run(given: Mapping[str, Any], settings: Settings, announce: Announce) -> int:
    """Supervise until the end; returns the exit status.

    Args:
        given: what the command line says; templates read the settings again.
        settings: the same, read.
        announce: called once the first worker is ready.

    Raises:
        ConfigurationError: a listener cannot be opened, or the first generation cannot start.
    """
    known = successor.take()
    if known is None:
        privileges.check(settings)
        with directory.entered(settings.chdir):
            supervisor = Supervisor(given, settings, sockets.Listeners.open(settings), announce)
            supervisor.status_process.open(settings)
    else:
        supervisor = Supervisor(given, settings, sockets.Listeners.load(known["listeners"]), announce)
        supervisor.take_over(known)
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
        self, given: Mapping[str, Any], settings: Settings, listeners: sockets.Listeners, announce: Announce
    ) -> None:
        self.given = given
        self.listeners = listeners
        self.announce = announce
        self.directory = os.getcwd()
        self.access_log = settings.access_log
        self.state = states.State(wanted_workers(settings), limits(settings))
        self.patience = patience(settings)
        self.next_look = time.monotonic() if self.patience else states.NEVER
        self.templates: dict[int, Template] = {}
        self.workers: dict[int, Channel] = {}  # by seat
        self.pids: dict[int, int] = {}  # of workers: seat by process id
        self.adoption = sockets.adoption_pair()
        self.wakeup = socket.socketpair(type=socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self.selector = selectors.DefaultSelector()
        self.table = Table(create(MAX_SEATS))
        self.table.set_text(NAME_TEXT, settings.app)
        self.table.set_text(VERSION_TEXT, __version__)
        self.status_process = status.Status(self.table.fd)
        self.prometheus = prometheus.Directory(settings)
        self.report = Report()
        self.reloads = {"ok": 0, "failed": 0, "last": ""}
        self.pid_file = privileges.PidFile(os.path.abspath(settings.pid_file) if settings.pid_file else "")
        self.terminal = has_terminal()
        self.signals: deque[int] = deque()
        self.check: tuple[int, int] | None = None
        self.watchdog = systemd.watchdog_interval()
        self.next_watchdog = time.monotonic() if self.watchdog else states.NEVER
        self.announced = False
        self.status: int | None = None
        self.text = ""

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until the plan says that it is over."""
        if os.getpid() != 1:
            system.become_subreaper()
        system.entitle("ssgi supervisor")
        self._listen_to_signals()
        self._hear(states.Tick())
        self.status_process.start()
        system.trim()
        while self.status is None:
            self._step()
        if self.text:
            raise ConfigurationError(self.text)
        return self.status

    def _step(self) -> None:
        due = min(plan.next_due(self.state), self.next_watchdog, self.next_look)
        timeout = None if due == states.NEVER else max(0.0, due - time.monotonic())
        for key, _ in self.selector.select(timeout):
            self._handle(key.data)
        now = time.monotonic()
        if plan.next_due(self.state) <= now:
            self._hear(states.Tick())
        if self.next_look <= now:
            self.next_look = now + LOOK
            self._look_for_stuck()
        if self.next_watchdog <= now:
            self.next_watchdog = now + self.watchdog
            if self._alive():
                systemd.notify("WATCHDOG=1")

    def _look_for_stuck(self) -> None:
        """Workers that cannot even be interrupted, and say nothing."""
        for seat in list(self.state.seats.values()):
            if seat.state == states.READY and is_stuck(self.table, seat.number, self.patience):
                self.table.seat(seat.number).words[STUCK + 2] += 1
                self._hear(states.WorkerStuck(seat.number))

    def _alive(self) -> bool:
        """Whether anybody serves, or nobody can be expected to."""
        ready = [seat.number for seat in self.state.seats.values() if seat.state == states.READY]
        return not ready or any(not is_silent(self.table, seat, self.watchdog) for seat in ready)

    def _handle(self, handler: Callable[[], None]) -> None:
        try:
            handler()
        except Exception:  # whatever it is, what serves must go on serving
            import traceback

            say("error", f"internal error of the supervisor, which goes on:\n{traceback.format_exc().rstrip()}")

    def _hear(self, event: states.Event) -> None:
        self.state, actions = plan.plan(self.state, event, time.monotonic())
        for action in actions:
            ACTIONS[type(action)](self, action)
        self._say_state()

    def _say_state(self) -> None:
        """For commands that want to know."""
        seats = self.state.seats.values()
        words = self.table.words
        words[H_GENERATION], words[H_WANTED] = max(self.state.goal, 0), self.state.wanted
        words[H_MODE] = int(self.state.mode != states.SERVING)
        self.table.set_listeners((it.protocol, str(it.address), it.socket.fileno()) for it in self.listeners)
        if self.state.reload:
            words[H_RELOAD_STATE] = RELOAD_STATES.index("running")
        self.report.write(
            {
                "reloads": self.reloads,
                "reloading": self.state.reload or self.state.again,
                "generation": self.state.goal,
                "mode": self.state.mode,
                "wanted": self.state.wanted,
                "workers": [[it.number, it.pid, it.generation, it.state, it.worn] for it in seats],
            }
        )

    # -- signals -------------------------------------------------------------------------------------------------

    def _listen_to_signals(self) -> None:
        reading, writing = self.wakeup
        self.selector.register(reading, selectors.EVENT_READ, self._on_signal)
        for number in HEARD:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        self._on_signal()

    def _on_signal(self) -> None:
        self._collect_signals()
        while self.signals:
            number = self.signals.popleft()
            if number == signal.SIGCHLD:
                self._reap()
            elif number == signal.SIGHUP:
                self._hang_up()
            elif number == signal.SIGUSR1:
                self._reopen_logs()
            elif number == signal.SIGWINCH and not self.terminal:  # from a terminal it means another size
                self._hear(states.Winch())
            elif number in SIGNALS:
                self._hear(SIGNALS[number]())

    def _collect_signals(self) -> None:
        try:
            numbers = self.wakeup[0].recv(4096)
        except BlockingIOError:
            return
        # Of one kind many are one, except where each counts.
        self.signals.extend(it for place, it in enumerate(numbers) if it in COUNTED or it not in numbers[:place])

    def _hang_up(self) -> None:
        if self.terminal and not has_terminal():
            self._hear(states.Term())  # it was closed
            return
        try:
            os.chdir(self.directory)
            settings = sources.read(self.given)
            if not settings.workers:
                raise ConfigurationError("--workers 0 needs a start of its own")
            privileges.check(settings)
            with directory.entered(settings.chdir):
                self.listeners.prepare(settings)
        except (ConfigurationError, OSError) as error:
            self._hear(states.Refused(str(error)))
            return
        self.patience = patience(settings)
        self.next_look = time.monotonic() if self.patience else states.NEVER
        self._hear(states.Hup(wanted_workers(settings), limits(settings)))

    def _reopen_logs(self) -> None:
        """After a rotation: workers may have no right to do this themselves."""
        fd = self._open_log()
        for channel in self.workers.values():
            channel.send("logs", descriptors=[] if fd < 0 else [fd])
        if fd >= 0:
            os.close(fd)

    def _open_log(self) -> int:
        """The access log's file; -1 where there is none, or it cannot be opened, which is then said."""
        path = self.access_log
        if path in ("", "-"):
            return -1
        try:
            return os.open(os.path.join(self.directory, path), LOG_FLAGS, 0o640)
        except OSError as error:
            say("warning", f"--access-log: {path} cannot be opened: {error.strerror}")
            return -1

    # -- children ------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._child_ended(pid, status)

    def _child_ended(self, pid: int, status: int) -> None:
        how = system.ended(status)
        seat = self._seat_of(pid)
        generation = next((number for number, it in self.templates.items() if it.pid == pid), None)
        if seat is not None:
            del self.pids[pid]
            self._drop_worker(seat)
            self._write_down_exit(seat)
            self._hear(states.WorkerExited(seat, pid, how))
        elif generation is not None:
            self._drop_template(generation)
            self._hear(states.TemplateExited(generation, how))
        elif self.check is not None and self.check[0] == pid:
            self._checked(status)
        elif self.status_process.pid == pid:
            self.status_process.ended(how)
        # Anybody else was a child of a child: its status means nothing here.

    def _write_down_exit(self, seat: int) -> None:
        """The seat is free, and why is counted; the plan has not heard of it yet."""
        known = self.state.seats.get(seat)
        if seat <= self.table.seats:
            self.table.seat(seat).leave()
        self.prometheus.leave(seat)
        if known is not None and known.worn in EXITS:
            reason = known.worn
        elif self.state.mode != states.SERVING:
            reason = "stop"
        else:
            reason = "reload" if known is not None and known.state == states.RETIRING else "crash"
        self.table.count_exit(reason)

    def _seat_of(self, pid: int) -> int | None:
        if pid not in self.pids:
            for seat, channel in list(self.workers.items()):
                self._on_worker(seat, channel)  # it may not have been heard yet
        return self.pids.get(pid)

    def _drop_worker(self, seat: int) -> None:
        channel = self.workers.get(seat)
        if channel is not None:
            self._on_worker(seat, channel)  # its last words
            self._forget(channel)
            self.workers.pop(seat, None)

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

    def _watch_template(self, generation: int, template: Template) -> None:
        self.templates[generation] = template
        channel = template.channel
        self.selector.register(channel, selectors.EVENT_READ, lambda: self._on_template(generation, channel))

    def _watch_worker(self, seat: int, channel: Channel) -> None:
        self.workers[seat] = channel
        self.selector.register(channel, selectors.EVENT_READ, lambda: self._on_worker(seat, channel))

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
                known = self.state.seats.get(seat)
                if known is not None and seat <= self.table.seats:
                    self.table.seat(seat).words[GENERATION] = known.generation
                self._hear(states.WorkerStarted(seat, int(words[1])))
            elif words[0] == "ready":
                self._is_served(words[1] == "1", words[2] == "1", words[3], words[4])
                self._hear(states.WorkerReady(seat))
            elif words[0] == "failed":
                self._hear(states.WorkerFailed(seat, words[2], int(words[1])))
            elif words[0] == "worn":
                self._hear(states.WorkerWorn(seat, words[1]))
            elif words[0] == "stuck":
                self._hear(states.WorkerStuck(seat))

    def _is_served(self, http: bool, websocket: bool, codecs: str, loop: str) -> None:
        self.table.set_text(BUILD_TEXT, " ".join(it.partition(" (")[0] for it in (codecs, loop)))
        try:
            if not websocket and self.listeners.drop("websocket"):
                print(f"ssgi-gateway: {sockets.NO_WEBSOCKETS}", file=sys.stderr, flush=True)
            if not self.announced:
                self.announced = True
                self.announce(self.listeners, http, websocket, codecs, loop)
        except OSError:
            pass  # a full disk: what was to be read there is lost, and nothing else

    # -- actions -------------------------------------------------------------------------------------------------

    def _start_template(self, action: states.StartTemplate) -> None:
        ours, theirs = pair()
        try:
            pid = os.posix_spawn(
                sys.executable,
                [sys.executable, *system.python_options(), "-m", "ssgi_gateway.process.template"],
                system.child_environment(),
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL)],
                setsigdef=HEARD,
                setsigmask=HEARD,
            )
        except OSError as error:
            ours.close()
            self._hear(states.TemplateExited(action.generation, f"{sys.executable}: {error.strerror}"))
            return
        finally:
            theirs.close()
        self._watch_template(action.generation, Template(pid, ours))
        about = {
            "directory": self.directory,
            "given": dict(self.given),
            "listeners": [(it.protocol, str(it.address)) for it in self.listeners],
        }
        descriptors = [self.table.fd, *(it.fileno() for it in (*self.adoption, *(it.socket for it in self.listeners)))]
        log = self._open_log()
        if log >= 0:
            descriptors.append(log)
        ours.send("start", VERSION, json.dumps(about), descriptors=descriptors)
        if log >= 0:
            os.close(log)

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
        if action.seat in self.workers:
            self._forget(self.workers[action.seat])
        self._watch_worker(action.seat, ours)

    def _retire(self, action: states.Retire) -> None:
        channel = self.workers.get(action.seat)
        if channel is not None:
            channel.send("last" if action.last else "retire")

    def _kill(self, action: states.Kill) -> None:
        pid = next((pid for pid, seat in self.pids.items() if seat == action.seat), 0)
        if not pid:
            return  # it has not said who it is; when it does, the plan kills it again
        channel = self.workers.get(action.seat)
        if action.hard:
            kill(-pid, signal.SIGKILL)
            kill(pid, signal.SIGKILL)
        else:
            if channel is not None:
                channel.send("end")
            kill(pid, signal.SIGTERM)  # before its loop runs it hears no messages

    def _unlisten(self, _: states.Unlisten) -> None:
        self.listeners.refuse()

    def _notify(self, action: states.Notify) -> None:
        systemd.notify(f"{action.text}\nSTATUS={self._status()}")

    def _status(self) -> str:
        """One line for ``systemctl status``."""
        ready = sum(seat.state == states.READY for seat in self.state.seats.values())
        text = f"{ready} of {self.state.wanted} workers, generation {self.state.goal}, {self.state.mode}"
        return f"{text}; the last reload failed" if self.reloads["last"] else text

    def _record(self, action: states.Record) -> None:
        if action.text:
            self.listeners.roll_back()
        else:
            self.listeners.commit()
        self.reloads["failed" if action.text else "ok"] += 1  # type: ignore[operator]
        self.reloads["last"] = action.text
        self.table.reload("failed" if action.text else "ok", action.text)

    def _log(self, action: states.Log) -> None:
        say(action.level, action.text)

    def _exit(self, action: states.Exit) -> None:
        self.status = action.status
        self.text = action.text

    # -- replacement ---------------------------------------------------------------------------------------------

    def _check(self, _: states.Check) -> None:
        try:
            self.check = successor.begin_check(self._known())
        except OSError as error:
            self._hear(states.ReplacementChecked(os.strerror(error.errno or 0)))

    def _checked(self, status: int) -> None:
        _, said = self.check or (0, -1)
        self.check = None
        with open(said, "rb") as file:
            file.seek(0)
            text = file.read(4000).decode("utf-8", "replace").strip()
        self._hear(states.ReplacementChecked("" if status == 0 else text or system.ended(status)))

    def _exec(self, _: states.Exec) -> None:
        say("info", "the supervisor is replaced in place")
        signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
        self._collect_signals()
        os.chdir(self.directory)
        trouble = successor.replace(self._known(), self._descriptors(), HEARD)
        self._hear(states.ReplacementChecked(trouble))

    def _known(self) -> dict[str, Any]:
        """What a successor has to know."""
        return {
            "state": successor.dump_state(self.state),
            "directory": self.directory,
            "given": dict(self.given),
            "listeners": self.listeners.dump(),
            "templates": [(number, it.pid, it.channel.fileno()) for number, it in self.templates.items()],
            "workers": [(seat, channel.fileno()) for seat, channel in self.workers.items()],
            "pids": list(self.pids.items()),
            "adoption": [end.fileno() for end in self.adoption],
            "report": self.report.fd,
            "table": self.table.fd,
            "status": self.status_process.dump(),
            "prometheus": self.prometheus.path,
            "reloads": self.reloads,
            "terminal": self.terminal,
            "signals": list(self.signals),
        }

    def _descriptors(self) -> Iterable[int]:
        yield from (listener.socket.fileno() for listener in self.listeners)
        yield from (it.channel.fileno() for it in self.templates.values())
        yield from (channel.fileno() for channel in self.workers.values())
        yield from (end.fileno() for end in self.adoption)
        yield self.report.fd
        yield self.table.fd
        yield from self.status_process.descriptors()

    def take_over(self, known: Mapping[str, Any]) -> None:
        """Go on where the predecessor stopped."""
        for fd in known_descriptors(known):
            os.set_inheritable(fd, False)
        for end in self.adoption:
            end.close()
        os.close(self.report.fd)
        os.close(self.table.fd)
        self.table = Table(known["table"])
        self.status_process.take_over(known["status"], self.table.fd)
        self.prometheus.path = known.get("prometheus", "")
        self.state = successor.load_state(known["state"])
        for number, pid, fd in known["templates"]:
            self._watch_template(number, Template(pid, Channel(socket.socket(fileno=fd))))
        for seat, fd in known["workers"]:
            self._watch_worker(seat, Channel(socket.socket(fileno=fd)))
        self.pids = dict(known["pids"])
        incoming, outgoing = (socket.socket(fileno=fd) for fd in known["adoption"])
        self.adoption = (incoming, outgoing)
        self.report = Report(known["report"])
        self.reloads = known["reloads"]
        self.terminal = known["terminal"]
        self.signals = deque([*known["signals"], signal.SIGCHLD])
        self.announced = True
        say("info", "the supervisor was replaced in place")

    # -- the end -------------------------------------------------------------------------------------------------

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
        os.close(self.report.fd)
        self.status_process.close()
        self.listeners.close()
        self.pid_file.remove()
        self.prometheus.close()
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


def wanted_workers(settings: Settings) -> int:
    """How many workers the settings want."""
    if settings.workers != AUTO:
        return settings.workers
    from ssgi_gateway.process.wanted import cpus  # pathlib and all that belongs to it

    return cpus()


def limits(settings: Settings) -> states.Limits:
    """What the plan needs of the settings."""
    deadlines = settings.deadlines
    return states.Limits(start=deadlines.start, drain=deadlines.drain, stop_delay=settings.stop_delay)


def is_silent(table: Table, seat: int, seconds: float) -> bool:
    """Whether a worker's loop has not turned for so long."""
    return table.seat(seat).words[BEAT] < time.monotonic_ns() - int(seconds * 1e9)


def is_stuck(table: Table, seat: int, seconds: float) -> bool:
    """Whether a worker has been in one call, and its loop has not turned, for so long."""
    began = table.seat(seat).words[CALL_SINCE]
    return 0 < began < time.monotonic_ns() - int(seconds * 1e9) and is_silent(table, seat, seconds)


def patience(settings: Settings) -> float:
    """Seconds after which a worker that does not turn is given up; 0 for never."""
    return settings.request_timeout + GRACE if settings.request_timeout else 0.0


NEEDED: Final = (
    "listeners", "templates", "workers", "pids", "adoption", "beats", "report", "reloads", "terminal", "signals",
)  # fmt: skip


def check_known(known: Mapping[str, Any]) -> None:
    """Whether a successor would find what it needs; raises ``KeyError`` for what is missing."""
    for name in (
        "listeners",
        "templates",
        "workers",
        "pids",
        "adoption",
        "report",
        "table",
        "status",
        "reloads",
        "terminal",
        "signals",
    ):
        known[name]


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors that a predecessor left."""
    yield from (dumped[3] for dumped in known["listeners"])
    yield from (fd for _, _, fd in known["templates"])
    yield from (fd for _, fd in known["workers"])
    yield from known["adoption"]
    yield known["report"]
    yield known["table"]
    yield from status.known_descriptors(known["status"])


def has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True
