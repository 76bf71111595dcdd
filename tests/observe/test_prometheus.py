"""A real Prometheus scrapes a gateway, knows the rules that are shipped, and the dashboard asks for what there is."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from ssgi_gateway.observe.exposition import exposition
from ssgi_gateway.observe.snapshot import Snapshot
from ssgi_gateway.observe.table import PAGE, Table, create
from tests.harness.gateway import ROOT
from tests.harness.process import wait_until

RULES = ROOT / "deploy" / "prometheus" / "ssgi-gateway.rules.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "ssgi-gateway.json"

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")


def known_names() -> set[str]:
    """Every metric that there is."""
    fd = create(1)
    table = Table(fd)
    table.seat(1).begin(1)
    text = exposition(Snapshot(bytes(table.words.cast("B")[: 3 * PAGE]), 0))
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


@needs_prometheus
def test_the_rules_are_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_all_metrics_are_there(path: Path):
    names = known_names() | {
        "ssgi_worker_open_fds",
        "ssgi_worker_resident_memory_bytes",
        "ssgi_worker_cpu_seconds_total",
    }
    for name in set(re.findall(r"\bssgi_[a-z_]+", path.read_text())):
        assert name in names or re.sub(r"_(bucket|sum|count)$", "", name) in names, name


def test_the_page_names_every_metric():
    page = (ROOT / "docs" / "observability.md").read_text()
    for name in known_names():
        assert f"`{name}`" in page, name


def test_the_dashboard_can_be_imported():
    board = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        assert panel["targets"][0]["expr"]
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24


@needs_prometheus
def test_prometheus_scrapes(watched, tmp_path):
    it = watched("--workers", "2")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{RULES}']\n"
        f"scrape_configs: [{{job_name: ssgi-gateway, static_configs: [{{targets: ['{it.status}']}}]}}]\n"
    )
    with (tmp_path / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(
            ["prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data",
             f"--web.listen-address=127.0.0.1:{port}"],
            stdout=log, stderr=log,
        )  # fmt: skip

    def ask(query: str) -> list[str]:
        url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return [sample["value"][1] for sample in json.load(answer)["data"]["result"]]
        except OSError:
            return []

    try:
        for _ in range(7):
            it.get()
        wait_until(lambda: ask('ssgi_requests_total{protocol="http",status="2xx"}') == ["7"], "the scraped figure")
        assert ask('up{job="ssgi-gateway"}') == ["1"]
        assert ask("sum(ssgi_workers_wanted)") == ["2"]
        wait_until(lambda: ask("ssgi:requests:rate5m") != [], "a recorded rule")
        wait_until(lambda: ask('count(ALERTS{alertname="SsgiNotReady"})') == [], "no alarm")
    finally:
        server.terminate()
        server.wait(30)
