"""Everything at once: ``make soak``. Skipped elsewhere; the other files have each thing shortly."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time

import pytest

from ssgi_gateway.observe import table as layout
from ssgi_gateway.observe.reading import opened, table_of
from tests.harness.process import wait_until
from tests.process import sites
from tests.process.conftest import children
from tests.process.load import SPAN, Load

pytestmark = [pytest.mark.nginx, pytest.mark.slow, pytest.mark.skipif(not os.environ.get("SOAK"), reason="make soak")]


def test_everything_that_changes_under_load_on_every_route(tmp_path, fleet):
    """20 reloads, 5 replacements, more and fewer, recycling, broken and slow applications: nothing is lost."""
    site = sites.Site(tmp_path)
    it = fleet(3, "--worker-max-requests", "2000", "--worker-max-memory", "200m", *site.options, app=site.app)
    loads = [
        Load(it.nginx.address("fastcgi"), "POST", 4, base=0),
        Load(it.nginx.address("fastcgi"), "GET", 4, base=4 * SPAN),
        Load(it.nginx.address("scgi"), "POST", 4, base=8 * SPAN),
        Load(it.nginx.address("scgi"), "websocket", 2, base=12 * SPAN),
        Load(it.nginx.address("direct"), "websocket", 2, base=14 * SPAN),
    ]
    generation = 1
    log = it.gateway.process.text
    try:
        for round_ in range(20):
            generation += 1
            it.reload(generation)
            if round_ % 4 == 0:
                before = log().count("the supervisor was replaced in place")
                it.signal(signal.SIGUSR2)
                for number in (signal.SIGTTIN, signal.SIGUSR1, signal.SIGTTOU, signal.SIGUSR1):
                    it.signal(number)
                wait_until(
                    lambda b=before: log().count("the supervisor was replaced in place") > b, "a replacement", 60
                )
            if round_ == 7:
                site.become(sites.BROKEN)
                it.signal(signal.SIGHUP)
                generation += 1
                it.gateway.wait_for_log("No module named 'nothing_like_this'")
                site.become(sites.SLOW.format(seconds=5))
            if round_ == 9:
                site.become(sites.COUNTED)
        it.wait_for_workers(3)  # what came before a WebSocket's Close has been heard when its worker has gone
    finally:
        seen = [load.stop() for load in loads]
    counts = it.counts.read_bytes()
    for each in seen:
        each.check(counts)
        assert each.total > 1000
    taken = connections(it.pid, "fastcgi")
    assert taken * 20 < seen[0].total + seen[1].total, "FastCGI connections are kept, and that is what is tried here"
    names = ("POST over FastCGI", "GET over FastCGI", "POST over SCGI", "in-band WebSockets", "direct WebSockets")
    told = ", ".join(f"{each.total} {name}" for each, name in zip(seen, names, strict=True))
    tell(f"20 reloads, 5 replacements of the supervisor, recycling: {told}: none lost, none executed twice")
    assert "[error]" not in it.nginx.error_log()
    assert "internal error" not in log()


def test_anything_at_any_moment(fleet):
    """Signals in storms, templates killed, workers stopped for a while, recycling; by chance, the same each time."""
    it = fleet(3, "--worker-max-requests", "700", "--worker-max-age", "4")
    loads = [
        Load(it.nginx.address("fastcgi"), "POST", 4, base=0),
        Load(it.nginx.address("scgi"), "POST", 4, base=8 * SPAN),
        Load(it.nginx.address("direct"), "websocket", 2, base=14 * SPAN),
    ]
    chance = random.Random(7)
    try:
        for _ in range(80):
            act(it, chance)
            time.sleep(chance.random() * 0.6)
        it.signal(signal.SIGHUP)
        wait_until(lambda: len(it.ready()) == len(it.workers()) >= 1, "calm", 60)
    finally:
        seen = [load.stop() for load in loads]
    counts = it.counts.read_bytes()
    for each in seen:
        each.check(counts)
    assert "[error]" not in it.nginx.error_log()
    assert "internal error" not in it.gateway.process.text()
    tell(f"80 things at any moment: {sum(each.total for each in seen)} requests and messages: none lost")


def act(it, chance: random.Random) -> None:
    """One thing that may happen to a server."""
    signals = [getattr(signal, f"SIG{name}") for name in ("HUP", "HUP", "USR1", "USR2", "TTIN", "TTOU")]
    what = chance.choice([*signals, "storm", "template", "stop"])
    with contextlib.suppress(ProcessLookupError):
        if what == "storm":
            for _ in range(20):
                it.signal(signal.SIGHUP)
        elif what == "template":
            for pid in children(it.pid, "template"):
                os.kill(pid, signal.SIGKILL)
        elif what == "stop":
            for pid in it.workers()[:1]:
                os.kill(pid, signal.SIGSTOP)
                time.sleep(0.3)
                os.kill(pid, signal.SIGCONT)
        else:
            it.signal(what)


def connections(supervisor: int, protocol: str) -> int:
    """How many connections of a protocol were accepted."""
    with opened(table_of(supervisor)) as reader:
        return reader.snapshot().total[layout.ACCEPTED + layout.PROTOCOLS.index(protocol)]


def tell(line: str) -> None:
    """Have ``make soak`` end with this."""
    if path := os.environ.get("SOAK_SUMMARY"):
        with open(path, "a") as summary:
            summary.write(f"{line}\n")


def test_workers_killed_time_and_again(fleet):
    it = fleet(4)
    load = Load(it.nginx.address("scgi"), "POST", clients=8)
    killed = 20
    try:
        for _ in range(killed):
            [victim, *_] = it.wait_for_workers(4)
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda v=victim: v not in it.workers(), "the end of a worker")
    finally:
        seen = load.stop()
    seen.check(it.counts.read_bytes(), forgiven=8 * killed)
    tell(f"{killed} workers killed: {len(seen.lost)} of {seen.total} POSTs lost, all of them in those workers")
