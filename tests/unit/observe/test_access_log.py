"""The access log: one line a request, whatever the request holds; rotation; disks that are full."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ssgi_gateway.errors import ConfigurationError
from ssgi_gateway.observe.access_log import AccessLog


def one(log: AccessLog, request: str = "GET / HTTP/1.1", agent: str = "curl/8") -> None:
    log.add("192.0.2.7:4711", request, 200, 13, "", agent, 0.25)


def test_a_line_is_in_the_combined_format_with_the_seconds_behind_it(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"))
    one(log)
    log.close()
    line = (tmp_path / "log").read_text()
    assert line.startswith("192.0.2.7 - - [")
    assert line.endswith('] "GET / HTTP/1.1" 200 13 "-" "curl/8" 0.250000\n')


@pytest.mark.parametrize(
    ("remote", "host"), [("[2001:db8::1]:80", "2001:db8::1"), ("192.0.2.7", "192.0.2.7"), ("", "-")]
)
def test_an_address_is_shown_without_its_port(tmp_path: Path, remote: str, host: str) -> None:
    log = AccessLog(str(tmp_path / "log"))
    log.add(remote, "GET / HTTP/1.1", 204, 0, "", "", 0.0)
    log.close()
    assert (tmp_path / "log").read_text().split(" ")[0] == host


def test_bad_inputs_56_a_line_stays_a_line_and_a_field_a_field(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"))
    one(log, 'GET /\r\n"\x1b[31m\xff HTTP/1.1', 'a" "b\\')
    log.close()
    text = (tmp_path / "log").read_text()
    assert text.count("\n") == 1
    assert r'"GET /\x0d\x0a\x22\x1b[31m\xff HTTP/1.1"' in text
    assert r'"a\x22 \x22b\x5c"' in text


def test_after_a_rotation_a_new_file_is_begun(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(str(path))
    one(log, "GET /before HTTP/1.1")
    log.flush()
    path.rename(tmp_path / "log.1")
    one(log, "GET /after HTTP/1.1")
    log.close()
    assert "/before" in (tmp_path / "log.1").read_text()
    assert "/after" in path.read_text()


def test_lines_are_written_without_the_clock_when_there_are_many(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"))
    for _ in range(2000):
        one(log)
    assert (tmp_path / "log").stat().st_size > 0
    log.close()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_costs_lines_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    log = AccessLog("/dev/full")
    one(log)
    log.flush()
    one(log)
    log.close()
    assert "No space left on device; 1 lines were lost" in caplog.text


def test_a_file_that_cannot_be_opened_is_told_at_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--access-log: .*No such file or directory"):
        AccessLog(str(tmp_path / "nowhere" / "log"))
