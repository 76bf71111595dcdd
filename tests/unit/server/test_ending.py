"""The bound of the end, in processes of their own: it ends them."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys

import pytest

from ssgi_gateway.server.ending import UNFINISHED
from tests.harness.gateway import ROOT

BEGIN = "import signal, time\nfrom ssgi_gateway.server.ending import Ending\nending = Ending(0.3)\n"


def run(text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BEGIN + text]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=30)


@pytest.mark.parametrize(
    "begin", ["ending.begin()", "ending.listen(print, print)\nsignal.raise_signal(signal.SIGTERM)"]
)
def test_what_is_not_done_by_then_is_left_undone(begin: str) -> None:
    done = run(f"{begin}\ntime.sleep(20)\nprint('too long')")
    assert done.returncode == UNFINISHED
    assert "too long" not in done.stdout
    assert "still running" in done.stderr


@pytest.mark.parametrize("more", ["", "\nsignal.raise_signal(signal.SIGINT)"])
def test_code_that_never_lets_another_thread_run_is_ended_as_well(more: str) -> None:
    """A regular expression looks for signals, and holds the interpreter's lock."""
    done = run(
        f"import re\nending.listen(print, print)\nsignal.raise_signal(signal.SIGTERM){more}\n"
        "re.match('(a+)+$', 'a' * 50 + 'b')\nprint('too long')"
    )
    assert done.returncode == UNFINISHED
    assert "too long" not in done.stdout
    assert "Timeout" in done.stderr
    assert "in match" in done.stderr


def test_a_reader_that_has_stopped_does_not_hold_the_end_up() -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writing, b"." * 4096)
    text = "import re\nending.begin()\nre.match('(a+)+$', 'a' * 50 + 'b')"
    done = subprocess.run([sys.executable, "-c", BEGIN + text], stderr=writing, cwd=ROOT, check=False, timeout=30)
    os.close(reading)
    os.close(writing)
    assert done.returncode == UNFINISHED


def test_a_process_that_goes_on_after_its_server_has_no_bound_and_its_own_signals_again() -> None:
    done = run(
        "signal.signal(signal.SIGTERM, lambda *_: print('mine'))\n"
        "ending.listen(print, print)\nsignal.raise_signal(signal.SIGTERM)\nending.lift()\ntime.sleep(1)\n"
        "signal.raise_signal(signal.SIGTERM)\nprint('went on')"
    )
    assert (done.returncode, done.stdout.split()) == (0, ["SIGTERM", "mine", "went", "on"])


TRANSCRIPT = """
import signal, sys
from ssgi_gateway.server.ending import Ending

now = 1000.0
Ending.limit = lambda self, seconds: print(f"{seconds:g} s", end=" ")
ending = Ending(30, lambda: now)

def first(name):
    during and signal.raise_signal(getattr(signal, f"SIG{during}"))
    print(name, "first", end=" ")

during, words = sys.argv[1], sys.argv[2:]
ending.listen(first, lambda name: print(name, "again", end=" "))
for word in words:
    name, _, after = word.partition("@")
    now = 1000.0 + float(after or 0)
    ending.begin() if name == "begin" else signal.raise_signal(getattr(signal, f"SIG{name}"))
"""


@pytest.mark.parametrize(
    ("during", "words", "heard"),
    [
        ("", "TERM TERM", "30 s SIGTERM first"),
        ("", "TERM TERM@0.01 TERM@1", "30 s SIGTERM first 1 s SIGTERM again"),
        ("", "INT INT INT@1", "30 s SIGINT first 1 s SIGINT again"),
        ("", "INT TERM", "30 s SIGINT first"),
        ("", "QUIT TERM QUIT", "30 s SIGQUIT first"),
        ("", "TERM INT", "30 s SIGTERM first 1 s SIGINT again"),
        ("", "begin TERM", "30 s"),
        ("", "begin TERM@1", "30 s 1 s SIGTERM again"),
        ("", "begin INT", "30 s 1 s SIGINT again"),
        ("TERM", "TERM", "30 s SIGTERM first"),
        ("INT", "TERM", "30 s SIGTERM first 1 s SIGINT again"),
    ],
)
def test_signals_of_one_wish_are_one_and_are_handled_in_their_order(during: str, words: str, heard: str) -> None:
    """``during``: a signal that comes while the first one is handled. The seconds are those left for the end."""
    command = [sys.executable, "-c", TRANSCRIPT, during, *words.split()]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=30)
    assert (done.returncode, done.stdout.strip()) == (0, heard), done.stderr
