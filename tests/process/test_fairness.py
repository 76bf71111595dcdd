"""Every worker has its share, whoever was there first."""

from __future__ import annotations

import pytest

from tests.harness.process import wait_until
from tests.process.load import Load

pytestmark = [pytest.mark.nginx]


@pytest.mark.parametrize("route", ["scgi", "fastcgi"])
def test_all_workers_work(fleet, route):
    """The kernel wakes whoever has waited longest; without turns the first one would answer nearly everything."""
    it = fleet(4)
    it.wait_for_workers(4)
    load = Load(it.nginx.address(route), "POST", clients=16)
    try:
        wait_until(lambda: sum(map(bool, it.counts.read_bytes())) > 1500, "some requests")
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert len(seen.workers) == 4
    if route == "scgi":  # over FastCGI connections are shared out; how much comes over each is for the web server
        assert min(seen.workers.values()) > seen.total / 16, seen.workers
