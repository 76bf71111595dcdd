"""The processes of a supervisor: its templates and workers, the pairs to them, and their messages as events.

It decides nothing. A child that cannot be started, or has ended when it is sent a message, is an event like any other.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from ssgi_gateway.process import events, starting, system
from ssgi_gateway.process.messages import VERSION, Channel, pair
from ssgi_gateway.process.signals import HEARD
from ssgi_gateway.process.system import kill
from ssgi_gateway.process.template import CONTROL

__all__ = ["Children", "known_descriptors"]

LAST_WAIT: Final = 1.0
"""Seconds that processes have to end after SIGKILL; one that waits for a disk may need longer, and ends without us."""

Hear: TypeAlias = Callable[[events.Event], None]
Served: TypeAlias = Callable[[bool, bool, str, str], None]
"""Takes whether HTTP and whether WebSockets are served, the codecs and the event loop in use."""


class Template(NamedTuple):
    """A template's process."""

    pid: int
    channel: Channel


class Children:
    """Those that there are.

    Args:
        selector: what the supervisor waits with; the data of a descriptor is a function to call.
        hear: takes what has happened.
        served: called when a worker reports what it serves.
        workers_wanted: how many workers there are to be; sent to each.
    """

    def __init__(
        self, selector: selectors.BaseSelector, hear: Hear, served: Served, workers_wanted: Callable[[], int]
    ) -> None:
        self._selector = selector
        self._hear = hear
        self._served = served
        self._workers_wanted = workers_wanted
        self._templates: dict[int, Template] = {}  # by generation
        self._workers: dict[int, Channel] = {}  # by seat
        self._pids: dict[int, int] = {}  # of workers: seat by process id
        self._ends = system.Ends()
        self._unforked: dict[int, str] = {}  # why no worker has come, by seat

    # -- starting and ending -------------------------------------------------------------------------------------

    def start_template(self, generation: int, about: Mapping[str, Any], descriptors: Sequence[int]) -> None:
        """Start a fresh interpreter.

        Args:
            generation: its number.
            about: what it is to load.
            descriptors: that go with it.
        """
        try:
            template = _spawn()
        except OSError as error:
            self._hear(events.TemplateExited(generation, f"{sys.executable}: {error.strerror}"))
            return
        self._watch_template(generation, template)
        if not template.channel.send("start", VERSION, json.dumps(about), descriptors=descriptors):
            kill(template.pid, signal.SIGKILL)  # it waits for what it is to load

    def kill_template(self, generation: int) -> None:
        """End it, if it is there."""
        template = self._templates.get(generation)
        if template is not None:
            kill(template.pid, signal.SIGKILL)

    def fork(self, generation: int, seat: int, descriptors: Sequence[int] = ()) -> None:
        """Have a template fork a worker, which gets these descriptors."""
        template = self._templates.get(generation)
        try:
            ours, theirs = pair()
        except OSError as error:
            self._hear(events.WorkerExited(seat, 0, error.strerror or ""))
            return
        words = ("fork", str(seat), str(self._workers_wanted()))
        sent = template is not None and template.channel.send(*words, descriptors=[theirs.fileno(), *descriptors])
        theirs.close()
        if not sent:
            ours.close()
            self._hear(events.WorkerExited(seat, 0, "the template is gone"))
            return
        self._unforked.pop(seat, None)
        if seat in self._workers:
            self._forget(self._workers[seat])
        self._watch_worker(seat, ours)

    def ask(self, seat: int, generation: int) -> None:
        """Have a worker, or with seat 0 a template, that starts say where it is, and end."""
        template = self._templates.get(generation)
        pid = self._pid_of(seat) if seat else template.pid if template is not None else 0
        kill(pid, starting.SIGNAL)

    def retire(self, seat: int, last: bool) -> None:
        """Have a worker drain; ``last``: no other takes its connections over."""
        if not self._tell(seat, "last" if last else "retire"):
            kill(self._pid_of(seat), signal.SIGTERM)  # it has not read for long, or there is no memory for a message

    def _tell(self, seat: int, word: str) -> bool:
        channel = self._workers.get(seat)
        return channel is not None and channel.send(word)

    def _pid_of(self, seat: int) -> int:
        """0 for one that has not reported it, or is not there."""
        return next((pid for pid, its in self._pids.items() if its == seat), 0)

    def tell_all(self, *words: str, descriptors: Sequence[int] = ()) -> None:
        """Send a message to all workers."""
        for channel in self._workers.values():
            channel.send(*words, descriptors=descriptors)

    def kill_worker(self, seat: int, hard: bool) -> None:
        """Send SIGTERM, or ``hard`` SIGKILL to all that it has started as well."""
        pid = self._pid_of(seat)
        if not pid:
            return  # it has not reported its process id; when it does, the plan kills it again
        if hard:
            kill_all(pid)
        else:
            self._tell(seat, "end")
            kill(pid, signal.SIGTERM)  # before its loop runs it reads no messages

    # -- their ends ----------------------------------------------------------------------------------------------

    def ended(self, pid: int, status: int) -> bool:
        """A process has ended, with this status of ``os.waitpid``; whether it was one of these."""
        how = self._ends.describe(status)
        seat = self._seat_of(pid)
        generation = next((number for number, it in self._templates.items() if it.pid == pid), None)
        if seat is not None:
            self._drop_worker(seat)
            del self._pids[pid]
            self._hear(events.WorkerExited(seat, pid, how))
        elif generation is not None:
            self._drop_template(generation)
            self._hear(events.TemplateExited(generation, how))
        return seat is not None or generation is not None

    def end_group(self, pid: int) -> None:
        """A process has ended, and not in order: if it was a worker, what it has started does not outlive it."""
        if self._seat_of(pid) is not None:
            kill(-pid, signal.SIGKILL)

    def _seat_of(self, pid: int) -> int | None:
        if pid not in self._pids:
            for seat, channel in list(self._workers.items()):
                self._on_worker(seat, channel)  # it may not have been read yet
        return self._pids.get(pid)

    def _drop_worker(self, seat: int) -> None:
        channel = self._workers.get(seat)
        if channel is not None:
            self._on_worker(seat, channel)  # its last words
            self._forget(channel)
            self._workers.pop(seat, None)

    def _drop_template(self, generation: int) -> None:
        template = self._templates.pop(generation)
        self._on_template(generation, template.channel)
        self._forget(template.channel)

    # -- their messages ------------------------------------------------------------------------------------------

    def _watch_template(self, generation: int, template: Template) -> None:
        self._templates[generation] = template
        channel = template.channel
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._on_template(generation, channel))

    def _watch_worker(self, seat: int, channel: Channel) -> None:
        self._workers[seat] = channel
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._on_worker(seat, channel))

    def _on_template(self, generation: int, channel: Channel) -> None:
        while channel.fileno() >= 0 and (message := channel.receive()) is not None:
            words = message[0]
            if not words:
                self._ignore(channel)  # the rest comes by SIGCHLD
                return
            if words[0] == "loaded":
                self._hear(events.TemplateLoaded(generation))
            elif words[0] == "failed":
                self._hear(events.TemplateFailed(generation, words[2]))
            elif words[0] == "unforked":
                self._unforked[int(words[1])] = words[2]  # the end of the stream shows that none came

    def _on_worker(self, seat: int, channel: Channel) -> None:
        while channel.fileno() >= 0 and (message := channel.receive()) is not None:
            words = message[0]
            if not words:
                self._ignore(channel)
                self._end_unborn(seat, channel)
                return
            if words[0] == "started":
                self._pids[int(words[1])] = seat
            elif words[0] == "ready":
                self._served(words[1] == "1", words[2] == "1", words[3], words[4])
            event = SAID.get(words[0])
            if event is not None:
                self._hear(event(seat, words))

    def _end_unborn(self, seat: int, channel: Channel) -> None:
        """A stream has ended. A child that has reported its process id is waited for; no other will come."""
        if seat in self._pids.values():
            return
        for generation, template in list(self._templates.items()):
            self._on_template(generation, template.channel)  # it may know why
        if self._workers.get(seat) is channel:
            self._forget(self._workers.pop(seat))
            self._hear(events.WorkerExited(seat, 0, self._unforked.pop(seat, "it ended before it had begun")))

    def _forget(self, channel: Channel) -> None:
        self._ignore(channel)
        channel.close()

    def _ignore(self, channel: Channel) -> None:
        try:
            self._selector.unregister(channel)
        except (KeyError, ValueError):
            pass  # it was before: its stream had ended

    # -- a supervisor that is replaced in place, and the end -----------------------------------------------------

    def dump(self) -> dict[str, Any]:
        """What a successor has to know."""
        return {
            "templates": [(number, it.pid, it.channel.fileno()) for number, it in self._templates.items()],
            "workers": [(seat, channel.fileno()) for seat, channel in self._workers.items()],
            "pids": list(self._pids.items()),
        }

    def take_over(self, known: Mapping[str, Any]) -> None:
        """Go on with the processes of the predecessor."""
        for number, pid, fd in known["templates"]:
            self._watch_template(number, Template(pid, Channel(socket.socket(fileno=fd))))
        for seat, fd in known["workers"]:
            self._watch_worker(seat, Channel(socket.socket(fileno=fd)))
        self._pids = dict(known["pids"])

    def close(self) -> None:
        """Kill all that are left, and wait for them: there is to be nobody when this process ends."""
        left = [*self._pids, *(it.pid for it in self._templates.values())]
        for pid in left:
            kill_all(pid)
        system.wait_for(left, LAST_WAIT)
        for channel in [*self._workers.values(), *(it.channel for it in self._templates.values())]:
            channel.close()


SAID: Final[Mapping[str, Callable[[int, list[str]], events.Event]]] = {
    "started": lambda seat, words: events.WorkerStarted(seat, int(words[1])),
    "ready": lambda seat, words: events.WorkerReady(seat),
    "failed": lambda seat, words: events.WorkerFailed(seat, words[2], int(words[1])),
    "worn": lambda seat, words: events.WorkerWorn(seat, words[1]),
    "stuck": lambda seat, words: events.WorkerStuck(seat),
}
"""What a worker's messages mean to the plan."""


def _spawn() -> Template:
    """A fresh interpreter, and the pair to it.

    Raises:
        OSError: there can be none.
    """
    ours, theirs = pair()
    try:
        pid = os.posix_spawn(
            sys.executable,
            system.python_module("ssgi_gateway.process.template"),
            system.child_environment(),
            file_actions=[(os.POSIX_SPAWN_DUP2, theirs.fileno(), CONTROL)],
            setsigdef=HEARD,
            setsigmask=HEARD,
        )
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Template(pid, ours)


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors in what ``Children.dump`` gave."""
    yield from (fd for _, _, fd in known["templates"])
    yield from (fd for _, fd in known["workers"])


def kill_all(pid: int) -> None:
    """End a process and its group at once."""
    kill(-pid, signal.SIGKILL)
    kill(pid, signal.SIGKILL)
