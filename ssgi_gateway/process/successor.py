"""A supervisor replaced in place: the same process runs the program anew (execve(2)).

Process id, children, listeners and messages on their way stay; what the old program knew goes to the new one in memory
that it inherits. Before that a child tries whether the new program could start at all. Signals are blocked meanwhile,
so that none is lost and none meets a program that does not know it yet.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

from ssgi_gateway import linux
from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.process import account, children, states, status, system
from ssgi_gateway.process.signals import HEARD

__all__ = ["Replacement", "check_known", "dump_state", "known_descriptors", "load_state", "take"]

VARIABLE: Final = "SSGI_GATEWAY_SUCCESSOR"
"""``PID:FD``: who is to find what the predecessor knew, and where."""

LAST_WAIT: Final = 1.0
"""Seconds that the try has to end after SIGKILL."""

PATIENCE: Final = 30
"""Seconds that a try may take."""


def dump_state(state: states.State) -> dict[str, Any]:
    """Plain values that ``load_state`` makes the same of."""
    return {
        **state._asdict(),
        "limits": state.limits._asdict(),
        "seats": [seat._asdict() for seat in state.seats.values()],
        "generations": [generation._asdict() for generation in state.generations.values()],
    }


def load_state(dumped: Mapping[str, Any]) -> states.State:
    """What ``dump_state`` gave, maybe that of another version: what this one does not know is left out."""

    def known(kind: Any, values: Mapping[str, Any]) -> Any:
        return kind(**{name: value for name, value in values.items() if name in kind._fields})

    seats = [known(states.Seat, it) for it in dumped["seats"]]
    generations = [known(states.Generation, it) for it in dumped["generations"]]
    state: states.State = known(states.State, dumped)
    return state._replace(
        limits=known(states.Limits, dumped["limits"]),
        seats={seat.number: seat for seat in seats},
        generations={generation.number: generation for generation in generations},
    )


def _memory(known: Mapping[str, Any]) -> int:
    fd = linux.make_memory("ssgi-gateway-successor")
    os.write(fd, json.dumps(known).encode())
    return fd


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)


def _read(fd: int) -> dict[str, Any]:
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb") as file:
        found: dict[str, Any] = json.load(file)
        return found


class Replacement:
    """The way there: first a try, then the exec.

    Attributes:
        pid: of the child that tries; 0 for none.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._output = -1

    def check(self, known: Mapping[str, Any]) -> str:
        """Start the new program in a child that only looks at what it would find; why that fails, or nothing."""
        memory = output = -1
        try:
            memory, output = _memory(known), linux.make_memory("ssgi-gateway-check")
            command = system.python_module(__name__)
            targets = ((memory, 3), (output, 1), (output, 2))
            actions = [(os.POSIX_SPAWN_DUP2, fd, target) for fd, target in targets]
            environment = system.child_environment()
            self.pid = os.posix_spawn(sys.executable, command, environment, file_actions=actions, setsigmask=())
        except OSError as error:
            _close(output)
            return os.strerror(error.errno or 0)
        finally:
            _close(memory)
        self._output = output
        return ""

    def checked(self, status: int) -> str:
        """The child has ended with this status of ``os.waitpid``: what is against the new program, or nothing."""
        self.pid = 0
        with open(self._output, "rb") as file:
            file.seek(0)
            text = file.read(4000).decode("utf-8", "replace").strip()
        return "" if status == 0 else text or system.ended(status)

    def close(self) -> None:
        """Nothing is replaced any more: the child that tries, if there is one, ends."""
        if self.pid:
            system.kill(self.pid, signal.SIGKILL)
            system.wait_for([self.pid], LAST_WAIT)

    def replace(self, known: Mapping[str, Any]) -> str:
        """Run the program anew; signals are blocked. It returns only if it fails, with the reason."""
        memory = -1
        inherited: list[int] = []
        try:
            memory = _memory(known)
            inherited = [*known_descriptors(known), memory]
            for fd in inherited:
                os.set_inheritable(fd, True)
            environment = {**os.environ, VARIABLE: f"{os.getpid()}:{memory}"}
            os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
        except OSError as error:
            for fd in inherited:
                os.set_inheritable(fd, False)
            _close(memory)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HEARD)
            return f"{sys.executable}: {error.strerror}"


NEEDED: Final = (
    "listeners", "templates", "workers", "pids", "adoption", "report", "table", "status", "reloads", "terminal",
    "signals",
)  # fmt: skip
"""What a successor has to find beside the state."""


def check_known(known: Mapping[str, Any]) -> None:
    """Whether a successor would find what it needs; raises ``KeyError`` for what is missing."""
    for name in NEEDED:
        known[name]


def known_descriptors(known: Mapping[str, Any]) -> Iterable[int]:
    """The descriptors that a supervisor leaves to its successor."""
    yield from (dumped[3] for dumped in known["listeners"])
    yield from children.known_descriptors(known)
    yield from known["adoption"]
    yield from account.known_descriptors(known)
    yield from status.known_descriptors(known["status"])


def take() -> dict[str, Any] | None:
    """What a predecessor in this process knew; ``None`` for a start of its own."""
    pid, _, fd = os.environ.pop(VARIABLE, "").partition(":")
    if pid != str(os.getpid()):
        return None
    return _read(int(fd))


def main() -> int:
    """The try: read what a successor would read."""
    signal.alarm(PATIENCE)
    importlib.import_module("ssgi_gateway.process.supervisor")  # whether it can be loaded is what is tried
    from ssgi_gateway.settings import sources

    try:
        known = _read(3)
        load_state(known["state"])
        os.chdir(known["directory"])
        sources.read(known["given"])
        check_known(known)
    except (ConfigurationError, OSError, KeyError, TypeError, ValueError) as error:
        print(error if isinstance(error, (ConfigurationError, OSError)) else repr(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
