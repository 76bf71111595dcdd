"""What a forked child gives up, and how it ends. Real forks, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

PRELUDE = """
import os, signal, socket, sys, time
from ssgi_gateway.core import forks
ours, theirs = socket.socketpair()
told = []
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    """Run ``PRELUDE`` and ``program`` in a new interpreter."""
    return subprocess.run(
        # From 3.12 on Python warns of a fork beside threads, which is what some of these are about.
        [sys.executable, "-W", "ignore:This process:DeprecationWarning", "-c", PRELUDE + program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=False,
    )


def test_the_child_gives_up_and_the_parent_learns_that_there_may_be_copies():
    result = run("""
held = forks.hold(ours.close, lambda: told.append("shared"))
child = os.fork()
if child == 0:
    os._exit(10 if forks.in_child() and ours.fileno() == -1 else 11)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10
assert told == ["shared"] and not forks.in_child() and ours.fileno() != -1
forks.release(held)
if (child := os.fork()) == 0:
    os._exit(12 if not forks.in_child() and ours.fileno() != -1 else 13)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 12
assert told == ["shared"]
""")
    assert (result.returncode, result.stderr) == (0, "")


def test_one_that_cannot_give_up_keeps_no_other_from_it():
    result = run("""
forks.hold(lambda: 1 / 0, lambda: None)
forks.hold(ours.close, lambda: None)
if (child := os.fork()) == 0:
    os._exit(10 if ours.fileno() == -1 else 11)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 10
""")
    assert result.returncode == 0
    assert "ZeroDivisionError" in result.stderr


@pytest.mark.parametrize("threaded", [False, True])
def test_a_signal_ends_the_child_even_if_it_comes_at_once(threaded):
    """Between the fork and the default handlers it waits; a lost one would leave a child that nobody can end."""
    result = run(f"""
import threading
signal.signal(signal.SIGTERM, lambda *_: told.append("parent"))
forks.signals.add(signal.SIGTERM)
forks.hold(ours.close, lambda: None)
def fork():
    for _ in range(50):
        if (child := os.fork()) == 0:
            time.sleep(60)
            os._exit(1)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
if {threaded}:
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
else:
    fork()
assert told == [], told
""")
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        ("SystemExit(3)", 3, ""),
        ("SystemExit()", 0, ""),
        ("SystemExit('no')", 1, ""),
        ("ValueError('in the child')", 1, "in the child"),
    ],
)
def test_what_a_childs_code_raises_ends_it_as_an_interpreter_would(error, status, text):
    result = run(f"""
forks.hold(ours.close, lambda: None)
forks.fail_child({error})  # not here
if (child := os.fork()) == 0:
    forks.fail_child({error})
    os._exit(99)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
""")
    assert (result.returncode, result.stdout) == (0, f"{status}\n")
    assert text in result.stderr


def test_what_a_child_has_printed_is_not_lost():
    result = run("""
forks.hold(ours.close, lambda: None)
if (child := os.fork()) == 0:
    print("said by the child")
    forks.exit_child(0)
os.waitpid(child, 0)
""")
    assert result.stdout == "said by the child\n"
