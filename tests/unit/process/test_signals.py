"""The signals of a supervisor: none is lost, whenever it comes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.harness.gateway import ROOT

ENDS_LATE = """
import os, select, signal
from types import SimpleNamespace as Some
from ssgi_gateway.process.signals import Signals
from ssgi_gateway.process.supervisor import Supervisor

child = os.fork()
if not child:
    signal.pause()

class Late(Signals):
    def take(self):
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        return super().take()

ended = []
supervisor = Supervisor.__new__(Supervisor)
supervisor.signals = Late()
supervisor.signals.listen()
supervisor.account = Some(settle=lambda pid: None)
supervisor.children = Some(end_group=lambda pid: None, ended=lambda pid, status: ended.append(pid) or True)
supervisor.terminal = False
os.kill(os.getpid(), signal.SIGWINCH)
supervisor.hear = print
supervisor._on_signals()
Late.take = Signals.take
while select.select([supervisor.signals], [], [], 0)[0]:
    supervisor._on_signals()
assert ended == [child], ended
"""
"""A child ends after the supervisor has looked for children that have, and before it looks at its other signals."""


def test_a_child_that_ends_while_another_signal_is_handled_is_noticed():
    """It was taken together with that signal, and waited for the next one: a worker was not replaced until then."""
    done = subprocess.run([sys.executable, "-c", ENDS_LATE], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Winch()\n"


KEPT = """
import os, signal
from ssgi_gateway.process.signals import Signals

signals = Signals([signal.SIGHUP])
signals.listen()
os.kill(os.getpid(), signal.SIGTTIN)
assert signals.block() == [signal.SIGHUP, signal.SIGTTIN]
os.kill(os.getpid(), signal.SIGTTOU)
signals.listen()
assert signals.waiting()
assert list(signals.take()) == [signal.SIGHUP, signal.SIGTTIN]
assert not signals.waiting()
signals.collect()
assert list(signals.take()) == [signal.SIGTTOU]
"""


def test_what_a_replacement_that_fails_has_taken_is_still_there():
    done = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr


TRANSCRIPT = """
import os, signal, sys
from ssgi_gateway.process.signals import Signals

now = 1000.0
given, *batches = sys.argv[1:]
signals = Signals([getattr(signal, f"SIG{name}") for name in given.split()], lambda: now)
signals.listen()
for batch in batches:
    for word in batch.split():
        name, _, after = word.partition("@")
        now = 1000.0 + float(after or 0)
        os.kill(os.getpid(), getattr(signal, f"SIG{name}"))
    now = 2000.0  # whatever the signals had to wait for
    signals.collect()
print(" ".join(signal.Signals(it).name[3:] for it in signals.take()))
"""


@pytest.mark.parametrize(
    ("given", "batches", "taken"),
    [
        ("", ["TERM TERM"], "TERM"),
        ("", ["TERM", "TERM@0.01"], "TERM"),
        ("", ["TERM", "TERM@0.01", "TERM@1"], "TERM TERM"),
        ("", ["INT", "INT"], "INT"),
        ("", ["QUIT", "TERM"], "QUIT"),
        ("", ["TERM", "INT"], "TERM INT"),
        ("", ["INT", "TERM", "TERM@1"], "INT TERM"),
        ("", ["TTIN TTIN", "TTIN"], "TTIN TTIN TTIN"),
        ("TERM", ["TERM", "HUP"], "TERM HUP"),
    ],
)
def test_stop_signals_of_one_wish_are_one(given, batches, taken):
    """By when they have come, not by when they are collected. ``given``: what a predecessor has not taken."""
    command = [sys.executable, "-c", TRANSCRIPT, given, *batches]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stdout.strip()) == (0, taken), done.stderr


HANGS_UP = """
import signal
from types import SimpleNamespace as Some
from ssgi_gateway.process import supervisor, system
from ssgi_gateway.process.signals import Signals

now = 1000.0
system.has_terminal = lambda: False
it = supervisor.Supervisor.__new__(supervisor.Supervisor)
it.terminal, it.signals, it.hear = True, Signals((), lambda: now), print
it._hang_up()
it._hang_up()
it.signals.stops(signal.SIGTERM) and print("TERM")
now += 1
it._hang_up()
"""


def test_a_terminal_that_is_closed_is_one_wish():
    """The kernel sends SIGHUP when the terminal is gone and when its shell has ended, and the shell sends one, too."""
    done = subprocess.run([sys.executable, "-c", HANGS_UP], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["Term()", "Term()"]
