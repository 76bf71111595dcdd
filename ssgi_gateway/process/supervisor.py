"""The process that starts workers and never serves: it hands events to ``plan``, and performs its actions.

It has no event loop of asyncio, no application, no thread and no timer: between events it sleeps. It may be replaced in
place (``successor``): process id, children, listeners and what it knows stay.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import (
    actions,
    directory,
    events,
    from_settings,
    plan,
    privileges,
    prometheus,
    sockets,
    states,
    status,
    successor,
    system,
)
from ssgi_gateway.process.account import Account
from ssgi_gateway.process.children import Children
from ssgi_gateway.process.health import Health
from ssgi_gateway.process.lines import choose_log, log, notice, say
from ssgi_gateway.process.signals import MEANING, MEANT_LATER, Signals
from ssgi_gateway.settings import sources

if TYPE_CHECKING:
    from ssgi_gateway.settings import Settings

__all__ = ["MEANT_LATER", "Supervisor", "run"]

Announce: TypeAlias = Callable[[sockets.Listeners, bool, bool, str, str], None]
"""Takes the listeners, whether HTTP and whether WebSockets are served, the codecs and the event loop in use."""


def run(given: Mapping[str, Any], settings: Settings, announce: Announce) -> int:
    """Supervise until the end; returns the exit status.

    Args:
        given: the command line's settings; templates read the settings again.
        settings: the same, read.
        announce: called once the first worker is ready.

    Raises:
        ConfigurationError: a listener cannot be opened, or the first generation cannot start.
    """
    known = successor.take()
    if known is None:
        supervisor = _begin(given, settings, announce)
    else:
        successor.check_known(known)
        log_file = from_settings.LogFile(known.get("access_log", settings.access_log))
        listeners = sockets.Listeners.load(known["listeners"])
        supervisor = Supervisor(given, settings, listeners, announce, known["directory"], log_file, known)
    try:
        return supervisor.run()
    finally:
        supervisor.close()


def _begin(given: Mapping[str, Any], settings: Settings, announce: Announce) -> Supervisor:
    """A start of its own, with everything opened; where something cannot be, nothing is left behind."""
    privileges.check(settings)
    started_in = directory.current()
    with directory.entered(settings.chdir), contextlib.ExitStack() as stack:
        log_file = from_settings.LogFile(settings.access_log)
        log_file.check()
        listeners = sockets.Listeners.open(settings)
        stack.callback(listeners.close)
        supervisor = Supervisor(given, settings, listeners, announce, started_in, log_file)
        stack.callback(supervisor.close)
        supervisor.status_process.open(settings)
        stack.pop_all()
    return supervisor


class Supervisor:
    """The actor; what it decides is in ``plan``.

    Args:
        given: the command line's settings.
        settings: the same, read.
        listeners: open ones.
        announce: called once the first worker is ready.
        started_in: the directory of the start, where settings are read again.
        log_file: the access log.
        known: what a predecessor in this process has left.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        settings: Settings,
        listeners: sockets.Listeners,
        announce: Announce,
        started_in: str,
        log_file: from_settings.LogFile,
        known: Mapping[str, Any] | None = None,
    ) -> None:
        self.given = given
        self.listeners = listeners
        self.announce = announce
        self.announced = known is not None and known.get("announced", True)
        self.directory = started_in
        self.access_log = log_file
        self.access_log_before: from_settings.LogFile | None = None  # while a reload is under way
        self.fixed = from_settings.fixed(settings) | dict((known or {}).get("fixed", {}))
        choose_log(settings.log_format)
        self.pid_file = privileges.PidFile(self.fixed["pid_file"] and os.path.abspath(self.fixed["pid_file"]))
        self.status: int | None = None
        self.text = ""
        self.log_waiting = -1  # what the selector watches for it
        self.selector = selectors.DefaultSelector()
        self.children = Children(self.selector, self.hear, self._is_served, lambda: self.state.wanted)
        self.replacement = successor.Replacement()
        self.account = Account(settings.app, known)
        self.prometheus = prometheus.Directory(settings)
        self.health = Health(self.account.table, settings)
        if known is None:
            self.state = states.State(from_settings.wanted_workers(settings), from_settings.limits(settings))
            self.adoption = sockets.adoption_pair()
            self.status_process = status.Status(self.account.table.fd)
            self.terminal = system.has_terminal()
            self.signals = Signals()
        else:
            self._take_over(known)

    def _take_over(self, known: Mapping[str, Any]) -> None:
        """Go on where the predecessor stopped."""
        for fd in successor.known_descriptors(known):
            os.set_inheritable(fd, False)
        self.state = successor.load_state(known["state"])
        incoming, outgoing = (socket.socket(fileno=fd) for fd in known["adoption"])
        self.adoption = (incoming, outgoing)
        self.status_process = status.Status(self.account.table.fd, known["status"])
        self.prometheus.path = known.get("prometheus", "")
        self.terminal = known["terminal"]
        self.signals = Signals([*known["signals"], signal.SIGCHLD])
        self.children.take_over(known)
        log.load(known.get("lines", ""))
        say("info", "the supervisor was replaced in place")

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until the plan ends it."""
        if os.getpid() != 1:
            system.become_subreaper()
        system.entitle("ssgi supervisor")
        self.selector.register(self.signals, selectors.EVENT_READ, self._on_signals)
        self.signals.listen()
        self._on_signals()
        self.hear(events.Tick())
        self.status_process.start()
        system.trim()
        while self.status is None:
            self._step()
        if self.text:
            raise ConfigurationError(self.text)
        return self.status

    def _step(self) -> None:
        self._wait_for_reader()
        due = min(plan.next_due(self.state), self.health.due)
        timeout = None if due == states.NEVER else max(0.0, due - time.monotonic())
        if self.signals.waiting():  # a replacement has failed that had taken them
            self._handle(self._on_signals)
            timeout = 0.0
        for key, _ in self.selector.select(timeout):
            self._handle(key.data)
        if plan.next_due(self.state) <= time.monotonic():
            self.hear(events.Tick())
        ready = [seat.number for seat in self.state.seats.values() if seat.state == states.READY]
        for number in self.health.look(ready):
            self.hear(events.WorkerStuck(number))

    def _wait_for_reader(self) -> None:
        """Lines wait for the reader of the log: go on when there is room."""
        waiting = log.waiting()
        if waiting == self.log_waiting:
            return
        if self.log_waiting >= 0:
            self.selector.unregister(self.log_waiting)
        if waiting >= 0:
            self.selector.register(waiting, selectors.EVENT_WRITE, log.offer)
        self.log_waiting = waiting

    def _handle(self, handler: Callable[[], None]) -> None:
        """Do something that should not fail, and would keep other things from being done if it did."""
        try:
            handler()
        except Exception:  # whatever it is, what serves must go on serving
            import traceback

            say("error", f"internal error of the supervisor, which goes on:\n{traceback.format_exc().rstrip()}")

    def hear(self, event: events.Event) -> None:
        """Something has happened: hand it to the plan, and perform its actions."""
        if isinstance(event, events.WorkerExited) and event.pid:
            self.account.count_exit(self.state, event.seat)
            self.prometheus.leave(event.seat)
        self.state, todo = plan.plan(self.state, event, time.monotonic())
        for action in todo:
            self._handle(partial(ACTIONS[type(action)], self, action))
        self._handle(partial(self.account.say, self.state, self.listeners))
        self._handle(partial(self.account.notify, self.state))

    def _is_served(self, http: bool, websocket: bool, codecs: str, loop: str) -> None:
        self.account.built(codecs, loop)
        if not websocket and self.listeners.drop("websocket"):
            notice(f"ssgi-gateway: {sockets.NO_WEBSOCKETS}", sockets.NO_WEBSOCKETS, "warning")
        if not self.announced:
            self.announced = True
            self.announce(self.listeners, http, websocket, codecs, loop)

    # -- signals -------------------------------------------------------------------------------------------------

    def _on_signals(self) -> None:
        # In this order: of a child that ends after they were reaped a SIGCHLD is still to be read, which reaps it.
        self.signals.collect()
        self._reap()
        for number in self.signals.take():
            if number == signal.SIGHUP:
                self._hang_up()
            elif number == signal.SIGUSR1:
                self._reopen_logs()
            elif number == signal.SIGWINCH and not self.terminal:  # from a terminal it means another size
                self.hear(events.Winch())
            elif number in MEANING:
                self.hear(MEANING[number]())

    def _reap(self) -> None:
        while True:
            try:
                gone = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if gone is None:
                    return
                self.account.settle(gone.si_pid)  # for as long as the kernel knows what it has cost
                if (gone.si_code, gone.si_status) != (os.CLD_EXITED, 0):
                    self.children.end_group(gone.si_pid)  # for as long as this process id is nobody else's
                pid, ended = os.waitpid(gone.si_pid, 0)
            except ChildProcessError:
                return
            if self.children.ended(pid, ended):
                continue
            if self.replacement.pid == pid:
                self.hear(events.ReplacementChecked(self.replacement.checked(ended)))
            elif self.status_process.pid == pid:
                self.status_process.ended(system.ended(ended))
            # Any other was a child of a child: its status means nothing here.

    def _hang_up(self) -> None:
        if self.terminal and not system.has_terminal():
            if self.signals.stops(signal.SIGHUP):  # from the kernel, and once more from the shell
                self.hear(events.Term())
            return
        try:
            directory.enter(self.directory, "the directory of the start")
            settings = sources.read(self.given)
            if not settings.workers:
                raise ConfigurationError("--workers 0 needs a start of its own")
            privileges.check(settings)
            with directory.entered(settings.chdir):
                log_file = from_settings.LogFile(settings.access_log)
                log_file.check()
                self.listeners.prepare(settings)
        except (ConfigurationError, OSError) as error:
            self.hear(events.Refused(str(error)))
            return
        from_settings.tell_fixed(self.fixed, settings)
        self.health.adjust(settings)
        self.access_log_before = self.access_log_before or self.access_log
        self.access_log = log_file
        choose_log(settings.log_format)
        self.hear(events.Hup(from_settings.wanted_workers(settings), from_settings.limits(settings)))

    def _reopen_logs(self) -> None:
        """After a rotation: workers may have no right to do this themselves."""
        with self.access_log.descriptors() as descriptors:
            self.children.tell_all("logs", descriptors=descriptors)

    # -- actions -------------------------------------------------------------------------------------------------

    def _start_template(self, action: actions.StartTemplate) -> None:
        about = {
            "directory": self.directory,
            "given": dict(self.given),
            "listeners": [(it.protocol, str(it.address), it.inherited) for it in self.listeners],
            "watched": self.health.watched,
        }
        descriptors = [
            self.account.table.fd,
            *(it.fileno() for it in (*self.adoption, *(it.socket for it in self.listeners))),
        ]
        self.children.start_template(action.generation, about, descriptors)

    def _kill_template(self, action: actions.KillTemplate) -> None:
        self.children.kill_template(action.generation)

    def _fork(self, action: actions.Fork) -> None:
        with self.access_log.descriptors() as descriptors:
            self.children.fork(action.generation, action.seat, descriptors)

    def _ask(self, action: actions.Ask) -> None:
        self.children.ask(action.seat, action.generation)

    def _retire(self, action: actions.Retire) -> None:
        self.children.retire(action.seat, action.last)

    def _kill(self, action: actions.Kill) -> None:
        self.children.kill_worker(action.seat, action.hard)

    def _unlisten(self, _: actions.Unlisten) -> None:
        self.listeners.refuse()

    def _notify(self, action: actions.Notify) -> None:
        self.account.notify(self.state, action.text)

    def _record(self, action: actions.Record) -> None:
        if action.text and action.begun:
            self.listeners.roll_back()
            self.access_log = self.access_log_before or self.access_log
        elif not action.text:
            self.listeners.commit()
        if action.begun:
            self.access_log_before = None
        self.account.count_reload(action.text)

    def _log(self, action: actions.Log) -> None:
        say(action.level, action.text)

    def _exit(self, action: actions.Exit) -> None:
        self.status = action.status
        self.text = action.text

    # -- replacement in place ------------------------------------------------------------------------------------

    def _check(self, _: actions.Check) -> None:
        trouble = self.replacement.check(self._known([]))
        if trouble:
            self.hear(events.ReplacementChecked(trouble))

    def _exec(self, _: actions.Exec) -> None:
        say("info", "the supervisor is replaced in place")
        os.chdir(self.directory)
        waiting = self.signals.block()
        known = {**self._known(waiting), "lines": log.dump()}
        trouble = self.replacement.replace(known)  # it returns where that fails
        log.load(known["lines"])
        self.hear(events.ReplacementChecked(trouble))

    def _known(self, waiting: list[int]) -> dict[str, Any]:
        """What a successor has to know; ``waiting`` are signals that were not taken."""
        return {
            "state": successor.dump_state(self.state),
            "directory": self.directory,
            "given": dict(self.given),
            "listeners": self.listeners.dump(),
            **self.children.dump(),
            "adoption": [end.fileno() for end in self.adoption],
            **self.account.dump(),
            "status": self.status_process.dump(),
            "prometheus": self.prometheus.path,
            "terminal": self.terminal,
            "fixed": self.fixed,
            "access_log": self.access_log.path,
            "announced": self.announced,
            "signals": waiting,
        }

    # -- the end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Nothing of it is left: children are killed, listeners closed."""
        self.children.close()
        self.replacement.close()
        self.signals.close()
        for end in self.adoption:
            end.close()
        self.account.close()
        self.status_process.close()
        self.listeners.close()
        self.pid_file.remove()
        self.prometheus.close()
        self.selector.close()
        log.close()


ACTIONS: Final[Mapping[type, Callable[[Supervisor, Any], None]]] = {
    actions.StartTemplate: Supervisor._start_template,
    actions.KillTemplate: Supervisor._kill_template,
    actions.Fork: Supervisor._fork,
    actions.Ask: Supervisor._ask,
    actions.Retire: Supervisor._retire,
    actions.Kill: Supervisor._kill,
    actions.Unlisten: Supervisor._unlisten,
    actions.Notify: Supervisor._notify,
    actions.Record: Supervisor._record,
    actions.Log: Supervisor._log,
    actions.Check: Supervisor._check,
    actions.Exec: Supervisor._exec,
    actions.Exit: Supervisor._exit,
}
