"""Stop signals: which is a wish of its own, and which repeats the one before."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from ssgi_gateway.core.stop_signals import MOMENT, SPREAD, StopSignals
from tests.harness.gateway import ROOT

SOON, LATER = MOMENT / 2, MOMENT
AT = 0.0  # so that nothing is rounded


@pytest.mark.parametrize(
    ("come", "counted"),
    [
        ([("TERM", 0), ("TERM", 0)], "10"),
        ([("TERM", 0), ("TERM", SOON)], "10"),
        ([("TERM", 0), ("TERM", LATER)], "11"),
        ([("INT", 0), ("INT", SOON), ("INT", LATER)], "101"),
        ([("QUIT", 0), ("QUIT", SOON)], "10"),
        ([("TERM", 0), ("QUIT", 0), ("TERM", SOON)], "100"),
        ([("TERM", 0), ("INT", 0)], "11"),
        ([("TERM", 0), ("INT", 0), ("INT", SOON), ("TERM", SOON)], "1100"),
        ([("INT", 0), ("TERM", SOON), ("TERM", LATER)], "101"),
        ([("TERM", 0), ("TERM", LATER), ("TERM", LATER + SOON), ("TERM", 2 * LATER)], "1101"),
        ([("TERM", 0), ("TERM", SOON), ("TERM", 1.5 * LATER)], "101"),
    ],
    ids=lambda it: " ".join(name for name, _ in it) if isinstance(it, list) else it,
)
def test_one_wish_may_come_as_several_signals(come, counted):
    """It lasts from its first signal; a harsher one is another wish at once."""
    signals = StopSignals()
    seen = [signals.counts(getattr(signal, f"SIG{name}"), AT + after) for name, after in come]
    assert "".join(str(int(it)) for it in seen) == counted


@pytest.mark.parametrize(("moment", "number"), [(SPREAD, signal.SIGTERM), (MOMENT, signal.SIGHUP)])
def test_where_two_processes_have_to_run_in_between_the_moment_is_longer(moment, number):
    signals = StopSignals(moment)
    assert [signals.counts(number, AT + after) for after in (0, SPREAD / 2, SPREAD)] == [True, False, True]


START = """
import signal, sys
from ssgi_gateway.core.stop_signals import interrupt_start
if "ignored" in sys.argv:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
interrupt_start()
for name in sys.argv[1].split("+"):
    try:
        try:
            signal.raise_signal(getattr(signal, name))
            print("went on")
        finally:
            signal.raise_signal(getattr(signal, name))
            print("tidy")
    except KeyboardInterrupt:
        print("interrupted")
"""


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["SIGTERM"], ["tidy", "interrupted"]),
        (["SIGQUIT"], ["tidy", "interrupted"]),
        (["SIGINT"], ["tidy", "interrupted"]),
        (["SIGTERM+SIGINT"], ["tidy", "interrupted"] * 2),
        (["SIGINT", "ignored"], ["went on", "tidy"]),
    ],
    ids=" ".join,
)
def test_a_start_is_interrupted_once(words, lines):
    """The second signal came while the sockets were removed, and left them."""
    command = [sys.executable, "-c", START, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
    assert done.stdout.splitlines() == lines
