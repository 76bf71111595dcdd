"""What a supervisor hands to the program that takes its place."""

from __future__ import annotations

import json
import os

import pytest

from ssgi_gateway.process import states, successor
from ssgi_gateway.process.states import Generation, Limits, Seat, State


def test_a_state_survives_the_way():
    state = State(
        3, Limits(drain=7.0), mode=states.SERVING, goal=4, last=5, good=4,
        seats={1: Seat(1, 4, states.READY, 12.5, pid=77), 3: Seat(3, 4, states.BACKOFF, 1.0, due=9.0, deaths=2)},
        generations={4: Generation(4, states.LOADED)},
    )  # fmt: skip
    assert successor.load_state(json.loads(json.dumps(successor.dump_state(state)))) == state


def test_what_a_newer_version_knows_more_is_left_out_and_what_it_lacks_is_the_default():
    dumped = successor.dump_state(State(1, seats={1: Seat(1, 1, states.READY, 0.0)}))
    dumped["colour"] = "blue"
    dumped["seats"][0]["mood"] = "good"
    del dumped["replace"]
    assert successor.load_state(dumped) == State(1, seats={1: Seat(1, 1, states.READY, 0.0)})


def test_only_the_process_that_is_meant_takes_it(monkeypatch):
    fd = os.memfd_create("test")
    os.write(fd, b'{"a": 1}')
    monkeypatch.setenv(successor.VARIABLE, f"1:{fd}")
    assert successor.take() is None
    monkeypatch.setenv(successor.VARIABLE, f"{os.getpid()}:{fd}")
    assert successor.take() == {"a": 1}
    assert successor.VARIABLE not in os.environ
    assert successor.take() is None


@pytest.mark.parametrize("known", [{}, {"state": {"wanted": "x"}}])
def test_a_try_reports_what_is_missing(known):
    replacement = successor.Replacement()
    assert replacement.check(known) == ""
    _, status = os.waitpid(replacement.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 1
    assert "KeyError" in replacement.checked(status)
