"""The fuzzers' corpus, and a bounded number of inputs made of it, the same each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz import seeds
from fuzz.loop import CORPUS, run
from fuzz.targets import TARGETS
from tests.equivalence.strategies import MORE

INPUTS = {"scgi": 1500, "uwsgi": 1500, "fastcgi": 2000, "websocket": 3000, "upgrade": 1500, "response": 5000}
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_and_what_can_be_made_of_it(target):
    inputs = round(INPUTS[target] * MORE)
    tried, _ = run(target, seed=1, inputs=inputs)
    assert tried > inputs


@pytest.mark.parametrize("target", TARGETS)
def test_the_seeds_are_in_the_corpus_as_they_are_written(target):
    for name, data in seeds.SEEDS[target].items():
        assert (CORPUS / target / name).read_bytes() == data, "python -m fuzz.seeds writes them anew"


def test_a_file_can_be_tried_again():
    command = [sys.executable, "-m", "fuzz", "scgi", str(CORPUS / "scgi" / "get"), str(CORPUS / "scgi" / "odd")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
