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


@pytest.mark.parametrize("more", ["", "\nsignal.raise_signal(signal.SIGTERM)"])
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
