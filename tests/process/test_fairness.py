"""Every worker has its share, whoever was there first."""

from __future__ import annotations

import pytest

from tests.harness.process import wait_until
from tests.process.load import Load

pytestmark = [pytest.mark.nginx]


def test_kept_connections_are_shared_out(fleet):
    """The kernel wakes whoever was registered first; without turns that one would have nearly all of them.

    Connections of one request each are shared out when several come at once: tests/unit/server/test_acceptor.py.
    """
    it = fleet(4)
    it.wait_for_workers(4)
    load = Load(it.nginx.address("fastcgi"), "POST", clients=16)
    try:
        wait_until(lambda: sum(map(bool, it.counts.read_bytes())) > 1500, "some requests")
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert len(seen.workers) == 4
