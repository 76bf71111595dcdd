"""Log lines that an attacker cannot multiply, and that stay on their line."""

from __future__ import annotations

import logging

import pytest

from ssgi_gateway.observe.logs import BURST, PERIOD, RateLimitedLog, printable

NAME = "ssgi_gateway.test"


@pytest.fixture
def log() -> RateLimitedLog:
    return RateLimitedLog(NAME)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_line_is_a_warning_of_its_logger(log, caplog):
    log.warning("kind", "what was wrong", 0.0)
    assert caplog.record_tuples == [(NAME, logging.WARNING, "what was wrong")]


def test_so_many_lines_of_a_kind_are_written_in_a_period_and_no_more(log, caplog):
    for number in range(BURST + 5):
        log.warning("kind", f"line {number}", 100.0 + number / 1000)
    assert lines(caplog) == [f"line {number}" for number in range(BURST)]


def test_a_million_lines_cost_one_number(log, caplog):
    for _ in range(1000):
        log.warning("kind", "again", 100.0)
    caplog.clear()
    log.warning("kind", "later", 100.0 + PERIOD)
    assert lines(caplog) == [f"later (and {1000 - BURST} more of this kind before)"]


def test_what_was_not_held_back_is_not_counted(log, caplog):
    for _ in range(BURST):
        log.warning("kind", "again", 100.0)
    caplog.clear()
    log.warning("kind", "later", 100.0 + PERIOD)
    assert lines(caplog) == ["later"]


def test_a_new_period_has_lines_of_its_own(log, caplog):
    for start in (0.0, PERIOD, 2 * PERIOD):
        caplog.clear()
        for _ in range(BURST + 1):
            log.warning("kind", "line", start)
        assert len(lines(caplog)) == BURST


def test_a_period_lasts_to_its_end(log, caplog):
    for _ in range(BURST):
        log.warning("kind", "line", 100.0)
    caplog.clear()
    log.warning("kind", "too early", 100.0 + PERIOD - 0.001)
    assert lines(caplog) == []


def test_no_kind_hides_another(log, caplog):
    for _ in range(BURST + 1):
        log.warning("flood", "line", 100.0)
    caplog.clear()
    log.warning("rare", "seen", 100.0)
    assert lines(caplog) == ["seen"]


@pytest.mark.parametrize("text", ["", "GET /", "J\xfcrgen", "日本", "100 %s %d {}"])
def test_printable_leaves_what_is(text):
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nERROR b", r"a\r\nERROR b"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("nul\0", r"nul\x00"),
        ("\x7f\x85\u2028", r"\x7f\x85\u2028"),
        ("\udcff", r"\udcff"),
    ],
)
def test_bad_inputs_56_a_line_stays_one_line_whatever_a_peer_put_into_it(text, shown, log, caplog):
    assert printable(text) == shown
    log.warning("kind", text, 0.0)
    assert lines(caplog) == [shown]


def test_a_line_is_no_format(log, caplog):
    log.warning("kind", "100 %s", 0.0)
    assert lines(caplog) == ["100 %s"]
