"""The server's lines: one each, with the application's part of a traceback."""

from __future__ import annotations

import io
import json
import logging
import os
import sys

import pytest

from ssgi_gateway.observe import log_setup
from ssgi_gateway.observe.log_setup import JsonFormatter, TextFormatter
from ssgi_gateway.settings import Settings
from tests.unit.server.peer import bench, request


def record_of(error: BaseException | None, text: str = "it raised") -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("ssgi_gateway.app", logging.ERROR, __file__, 1, text, (), trace)


async def test_a_traceback_begins_where_the_applications_code_does(caplog):
    def inner():
        raise ValueError("on purpose")

    def app(*args):
        inner()

    with bench(app) as b:
        _, peer = b.connect("scgi", request())
        await peer.read_all()
    [record] = [it for it in caplog.records if it.exc_info]
    for formatter in (TextFormatter(), JsonFormatter()):
        line = formatter.format(record)
        text = json.loads(line)["exc"] if isinstance(formatter, JsonFormatter) else line
        assert text.endswith("ValueError: on purpose")
        assert text.count('File "') == 2, text
        assert "in app" in text
        assert "in inner" in text


def test_what_is_ours_alone_is_shown_whole():
    code = compile("def ours():\n    raise ValueError('ours')\nours()", log_setup.__file__, "exec")
    try:
        exec(code, {})
    except ValueError as error:
        trace = error.__traceback__.tb_next
        text = TextFormatter().format(record_of(error.with_traceback(trace)))
    assert "in ours" in text


def test_a_line_of_text_is_one_line_whatever_is_in_it():
    assert "\n" not in TextFormatter().format(record_of(None, "a\nb\x1b[31m"))


@pytest.fixture
def own_logger():
    yield logging.getLogger(log_setup.ROOT)
    for handler in [*logging.getLogger(log_setup.ROOT).handlers]:
        if isinstance(handler, log_setup.OwnHandler):
            logging.getLogger(log_setup.ROOT).removeHandler(handler)
            handler.close()


def test_configured_twice_it_is_written_once_and_holds_one_descriptor(own_logger, monkeypatch, tmp_path):
    monkeypatch.setattr(logging.root, "handlers", [])
    with open(tmp_path / "log", "w") as file:
        monkeypatch.setattr(sys, "stderr", file)
        log_setup.configure(Settings())
        before = len(os.listdir("/proc/self/fd"))
        log_setup.configure(Settings(), 3)
        assert len(os.listdir("/proc/self/fd")) == before
        own_logger.warning("a line")
    [line] = (tmp_path / "log").read_text().splitlines()
    assert json.loads(line)["worker"] == 3


def test_standard_error_that_is_no_file(own_logger, monkeypatch):
    """A test's, or that of an embedding program."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    log_setup.configure(Settings(log_format="text"))
    own_logger.warning("a line")
    assert sys.stderr.getvalue().endswith("WARNING a line\n")
    monkeypatch.setattr(sys, "stderr", None)
    log_setup.configure(Settings(log_format="text"))
    own_logger.warning("nobody can read this")
