"""What a supervisor publishes about itself: in the shared table, to commands (``report``), to the service manager."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ssgi_gateway import __version__, linux
from ssgi_gateway.observe.table import (
    BUILD_TEXT,
    CPU,
    CPU_BEFORE,
    EXITS,
    GENERATION,
    H_GENERATION,
    H_MODE,
    H_RELOAD_STATE,
    H_WANTED,
    NAME_TEXT,
    PID,
    RELOAD_STATES,
    VERSION_TEXT,
    Table,
    create,
)
from ssgi_gateway.process import states, systemd
from ssgi_gateway.process.report import Report

if TYPE_CHECKING:
    from ssgi_gateway.server.listeners import Listener

__all__ = ["Account", "known_descriptors"]

MAX_SEATS: Final = 128
"""Workers whose numbers are seen; those with a higher number are served by as well."""


class Account:
    """The table and the report of one supervisor, and how its reloads have ended.

    Args:
        app: the application's name.
        known: what the account of a predecessor gave (``dump``).
    """

    def __init__(self, app: str, known: Mapping[str, Any] | None = None) -> None:
        self._notified = ""  # the service manager
        if known is None:
            self.table = Table(create(MAX_SEATS))
            self.table.set_text(NAME_TEXT, app)
            self.table.set_text(VERSION_TEXT, __version__)
            self._report = Report()
            self._reloads: dict[str, Any] = {"ok": 0, "failed": 0, "last": ""}
        else:
            self.table = Table(known["table"])
            self._report = Report(known["report"])
            self._reloads = known["reloads"]

    def built(self, codecs: str, loop: str) -> None:
        """The codecs and the event loop in use, as ``engine`` describes them."""
        self.table.set_text(BUILD_TEXT, " ".join(it.partition(" (")[0] for it in (codecs, loop)))

    def say(self, state: states.State, listeners: Iterable[Listener]) -> None:
        """This is how things are."""
        words, seats = self.table.words, state.seats.values()
        words[H_GENERATION], words[H_WANTED] = max(state.goal, 0), state.wanted
        words[H_MODE] = int(state.mode != states.SERVING)
        self.table.set_listeners((it.protocol, str(it.address), it.socket.fileno()) for it in listeners)
        if state.reload:
            words[H_RELOAD_STATE] = RELOAD_STATES.index("running")
        for seat in seats:
            if seat.pid and seat.number <= self.table.seats:
                self.table.seat(seat.number).words[GENERATION] = seat.generation
        self._report.write(
            {
                "reloads": self._reloads,
                "reloading": state.reload or state.again,
                "generation": state.goal,
                "mode": state.mode,
                "wanted": state.wanted,
                "workers": [[it.number, it.pid, it.generation, it.state, it.worn] for it in seats],
            }
        )

    def settle(self, pid: int) -> None:
        """A process has ended and is not waited for yet: CPU time that it had no time to write down is its seat's.

        A reader that took it from the kernel for a worker that hung has seen it, and counters never go back.
        """
        for number in range(1, self.table.seats + 1):
            words = self.table.seat(number).words
            if words[PID] == pid:
                with contextlib.suppress(OSError, ValueError, IndexError):
                    words[CPU] = max(words[CPU], words[CPU_BEFORE] + int(linux.cpu_time(pid) * 1e9))
                return

    def count_exit(self, state: states.State, number: int) -> None:
        """A worker has ended, of which the plan does not know yet: its seat is free, and why is counted."""
        seat = state.seats.get(number)
        if number <= self.table.seats:
            self.table.seat(number).leave()
        if seat is not None and seat.worn in EXITS:
            reason = seat.worn
        elif state.mode != states.SERVING:
            reason = "stop"
        else:
            reason = "reload" if seat is not None and seat.state == states.RETIRING else "crash"
        self.table.count_exit(reason)

    def count_reload(self, text: str) -> None:
        """A reload has ended; ``text`` is why it failed, empty for one that worked."""
        how = "failed" if text else "ok"
        self._reloads[how] += 1
        self._reloads["last"] = text
        self.table.reload(how, text)

    def notify(self, state: states.State, text: str = "") -> None:
        """Report the state to the service manager, where it has changed.

        Args:
            state: how things are.
            text: what else to send, as ``READY=1``.
        """
        line = self._line(state)
        if text or line != self._notified:
            self._notified = line
            systemd.notify(f"{text}\nSTATUS={line}".lstrip())

    def _line(self, state: states.State) -> str:
        """One line for ``systemctl status``."""
        ready = sum(seat.state == states.READY for seat in state.seats.values())
        text = f"{ready} of {state.wanted} workers, generation {state.goal}, {state.mode}"
        return f"{text}; the last reload failed" if self._reloads["last"] else text

    def dump(self) -> dict[str, Any]:
        """What a successor has to know."""
        return {"report": self._report.fd, "table": self.table.fd, "reloads": self._reloads}

    def close(self) -> None:
        """It is not read any more."""
        os.close(self._report.fd)


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors in what ``Account.dump`` gave."""
    yield known["report"]
    yield known["table"]
