"""Lines of a process without logging: as workers write theirs."""

from __future__ import annotations

import json
import os
import re

import pytest

from ssgi_gateway.process import system


@pytest.fixture(autouse=True)
def as_before():
    yield
    system.choose_log("text")


def test_text(capfd):
    system.choose_log("text")
    system.say("info", "draining")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO  draining\n", capfd.readouterr().err)


@pytest.mark.parametrize("log_format", ["json", "auto"])
def test_json_unless_it_is_a_terminal(capfd, log_format):
    system.choose_log(log_format)
    system.say("warning", 'two\nlines "quoted", \udcff')
    [line] = capfd.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["level"], said["msg"].splitlines()[0], said["pid"]) == ("warning", "two", os.getpid())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", said["ts"])
