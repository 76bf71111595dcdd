"""An application's own metrics by prometheus_client: one sum over workers that crash and are replaced, and no rest."""

from __future__ import annotations

import os
import re
import signal

import pytest

from tests.harness.process import wait_until

pytest.importorskip("prometheus_client")

APP = """\
import os
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

sold = Counter("sold", "Things.", ["kind"])
alive = Gauge("alive", "Workers.", multiprocess_mode="livesum")

def app(kind, server, remote, method, path, query, get_header, res):
    if path == "/metrics":
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        res.send(generate_latest(registry))
    elif path == "/folder":
        res.send(os.environ.get("PROMETHEUS_MULTIPROC_DIR", "none"))
    else:
        alive.set(1)
        sold.labels(path).inc()
        res.send("sold")
"""


@pytest.mark.parametrize("preload", [False, True])
def test_sums_over_the_lives_of_workers(watched, tmp_path, preload):
    (tmp_path / "shop.py").write_text(APP)
    options = ["--workers", "2", "--prometheus-multiproc", "--pythonpath", str(tmp_path), *["--preload"][:preload]]
    it = watched(*options, app="shop:app")
    folder = it.get("/folder")[1]
    assert os.path.isdir(folder)
    count, last = 0, 0.0

    def sold() -> float:
        """prometheus_client fails on a file that another worker has just made, still empty, and is asked again."""
        answers: list[tuple[int, str]] = []
        wait_until(lambda: answers.append(it.get("/metrics")) or answers[-1][0] != 500, "the files")
        return float(re.search(r'^sold_total\{kind="/thing"\} (\S+)$', answers[-1][1], re.MULTILINE)[1])

    def look() -> None:
        nonlocal count, last
        for _ in range(5):
            count += it.get("/thing") == (200, "sold")
        now = sold()
        assert now >= last, "a counter went back"
        last = now

    def workers() -> set[int]:
        return {worker["pid"] for worker in it.said()["workers"] if worker["state"] == "ready"}

    for round_ in range(4):
        look()
        before = workers()
        if round_ % 2:
            reloads = it.said()["reloads"]["ok"]
            it.gateway.process.send_signal(signal.SIGHUP)
            wait_until(lambda: look() or it.said()["reloads"]["ok"] > reloads, "a reload")  # noqa: B023 - at once
        else:
            os.kill(min(before), signal.SIGKILL)
            wait_until(lambda: look() or (len(workers()) == 2 and workers() != before), "another worker")  # noqa: B023
    assert sold() == count
    alive = [path for path in os.listdir(folder) if path.startswith("gauge_live")]
    assert len(alive) <= 4  # of those who live, and of a template
    counters = sorted(path for path in os.listdir(folder) if path.startswith("counter_"))
    # One is left by each number of a worker: a reload takes one more at a time.
    assert set(counters) <= {f"counter_{seat}.db" for seat in range(5)}, counters
    it.gateway.stop()
    assert not os.path.exists(folder)


def test_a_folder_of_the_environment_is_used_and_kept(watched, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    folder = tmp_path / "theirs"
    folder.mkdir()
    it = watched("--workers", "1", "--pythonpath", str(tmp_path), app="shop:app", PROMETHEUS_MULTIPROC_DIR=str(folder))
    it.get("/thing")
    it.gateway.stop()
    assert (folder / "counter_1.db").exists()


def test_nothing_is_changed_by_default(watched, tmp_path):
    (tmp_path / "shop.py").write_text(APP)
    it = watched("--workers", "1", "--pythonpath", str(tmp_path), app="shop:app")
    assert it.get("/folder")[1] == os.environ.get("PROMETHEUS_MULTIPROC_DIR", "none")
