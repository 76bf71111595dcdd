"""Every worker has its share, whoever was there first."""

from __future__ import annotations

import signal

import pytest

from ssgi_gateway.observe.reading import opened, table_of
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


def test_who_comes_later_has_a_share_of_the_kept_connections(fleet):
    """They stay with whoever has taken them; one that answers more than the others gives some away."""
    it = fleet(1)
    load = Load(it.nginx.address("fastcgi"), "POST")
    try:
        wait_until(lambda: sum(map(bool, it.counts.read_bytes())) > 500, "some requests")
        it.signal(signal.SIGTTIN)
        it.wait_for_workers(2)
        wait_until(
            lambda: len(answered := served(it.pid)) == 2 and min(answered) > 200, "the second worker's share", 60
        )
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes())
    assert "[error]" not in it.nginx.error_log()


def served(supervisor: int) -> list[int]:
    """How many requests each worker has answered."""
    with opened(table_of(supervisor)) as reader:
        return [worker.requests for worker in reader.snapshot().workers]
