"""Workers that have served enough: the successor first, never two at once, nothing lost."""

from __future__ import annotations

import pytest

from tests.harness.client import request
from tests.harness.process import wait_until
from tests.process.load import Load

pytestmark = [pytest.mark.nginx]


def test_by_requests_under_load(fleet):
    it = fleet(3, "--worker-max-requests", "150")
    first = set(it.wait_for_workers(3))
    load = Load(it.nginx.address("fastcgi"), "POST")
    fewest = 3

    def six() -> bool:
        nonlocal fewest
        fewest = min(fewest, len(it.ready()))
        return it.gateway.process.text().count("to be replaced: requests") >= 6

    try:
        wait_until(six, "six replacements", 60)
    finally:
        seen = load.stop()
    assert fewest == 3, "a successor serves before one goes"
    seen.check(it.counts.read_bytes())
    assert len(seen.workers) >= 6
    assert set(seen.workers) - first
    assert "[error]" not in it.nginx.error_log()


def test_by_memory(fleet):
    it = fleet(1, "--worker-max-memory", "120m", app="tests.apps.troubles:app")
    [first] = it.workers()
    for _ in range(5):
        request(it.nginx.address("scgi"), "GET", "/leaks")
    it.gateway.wait_for_log("to be replaced: memory")
    wait_until(lambda: it.workers() not in ([], [first]) and first not in it.workers(), "its successor")
    assert request(it.nginx.address("scgi"), "GET", "/x").status == 200


def test_by_age(fleet):
    it = fleet(1, "--worker-max-age", "1")
    [first] = it.workers()
    it.gateway.wait_for_log("to be replaced: age")
    wait_until(lambda: first not in it.workers(), "its successor")
    assert request(it.nginx.address("scgi"), "GET", "/1").status == 200
