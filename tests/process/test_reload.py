"""Reloads under load: nothing is lost, nothing is executed twice."""

from __future__ import annotations

import pytest

from tests.process.load import Load

pytestmark = [pytest.mark.nginx]


@pytest.mark.parametrize(("route", "kind"), [("fastcgi", "POST"), ("fastcgi", "GET"), ("scgi", "POST")])
def test_reloads_lose_no_request(fleet, route, kind):
    it = fleet(2)
    load = Load(it.nginx.address(route), kind)
    try:
        for generation in range(2, 7):
            it.reload(generation)
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert seen.total > 100
    assert len(seen.workers) >= 6
    assert "[error]" not in it.nginx.error_log()
