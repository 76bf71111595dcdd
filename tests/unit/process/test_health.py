"""Who is taken for stuck, and what the service manager is told: by beats, and only where a beat can be expected."""

from __future__ import annotations

import os
import socket
import time

import pytest

from ssgi_gateway.observe.table import BEAT, CALL_SINCE, STUCK, Table, create
from ssgi_gateway.process.health import GRACE, Health
from ssgi_gateway.settings import Settings

NOW, LONG_AGO, AT_REST = 0, 3600, None
"""Seconds since; at rest there is no beat at all."""


@pytest.fixture
def table():
    fd = create(2)
    yield Table(fd)
    os.close(fd)


def sits(table: Table, number: int, beat: int | None, call: int | None) -> None:
    """A worker that beat so many seconds ago, and has been in a call for so many."""
    now = time.monotonic_ns()
    words = table.seat(number).words
    words[BEAT] = 0 if beat is None else now - beat * 10**9
    words[CALL_SINCE] = 0 if call is None else now - call * 10**9


@pytest.mark.parametrize(
    ("beat", "call", "stuck"),
    [
        (LONG_AGO, LONG_AGO, True),
        (LONG_AGO, None, False),  # whatever it does, no request waits for it: an import that holds the lock, say
        (NOW, LONG_AGO, False),  # its loop turns, so it sees to that itself
        (LONG_AGO, NOW, False),
        (AT_REST, None, False),
        (AT_REST, LONG_AGO, False),
    ],
)
def test_only_a_worker_in_a_call_whose_loop_does_not_turn_is_stuck(table, monkeypatch, beat, call, stuck):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    health = Health(table, Settings(request_timeout=1.0))
    sits(table, 1, beat, call)
    assert health.look([1]) == ([1] if stuck else [])
    assert table.seat(1).words[STUCK + 2] == stuck


def test_one_that_starts_is_not_judged_and_nobody_is_without_a_timeout(table, monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    sits(table, 1, LONG_AGO, LONG_AGO)
    assert Health(table, Settings(request_timeout=1.0)).look([]) == []
    idle = Health(table, Settings())
    assert idle.look([1]) == []
    assert idle.due == float("inf"), "nor is anybody looked at"


def test_the_timeout_has_to_be_over_and_the_time_to_interrupt_the_request_as_well(table, monkeypatch):
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    health = Health(table, Settings(request_timeout=20.0))
    sits(table, 1, 20 + int(GRACE) - 1, 20 + int(GRACE) - 1)
    assert health.look([1]) == []


@pytest.mark.parametrize(
    ("beats", "told"),
    [
        ((NOW, NOW), True),
        ((LONG_AGO, NOW), True),
        ((LONG_AGO, LONG_AGO), False),
        ((AT_REST, LONG_AGO), True),
        ((), True),
    ],
)
def test_the_service_manager_gets_signs_of_life_while_a_worker_lives(table, monkeypatch, tmp_path, beats, told):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        health = Health(table, Settings())
        assert health.watched
        for number, beat in enumerate(beats, 1):
            sits(table, number, beat, None)
        health.look(range(1, len(beats) + 1))
        if told:
            assert manager.recv(100) == b"WATCHDOG=1"
        else:
            with pytest.raises(BlockingIOError):
                manager.recv(100)
