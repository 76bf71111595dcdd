"""``--hooks`` in workers: begun behind the fork, ended with the worker; OpenTelemetry's data arrive at a collector."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.harness.process import wait_until

HOOKS = """
import os, pathlib

LOG = pathlib.Path(__file__).with_name("heard")


def write(*words):
    with LOG.open("a") as file:
        print(os.getpid(), *words, file=file)


class {name}:
    def start(self):
        write("start")

    def stop(self):
        write("stop")

    def {hook}(self, request, *more):
        write("{hook}", request.path)
"""


@pytest.mark.parametrize("hook", ["request_ended", "another_name"])
def test_hooks_begin_and_end_with_each_worker(watched, tmp_path, hook):
    """Those that hear of no request as well, which then costs requests nothing."""
    (tmp_path / "hooked.py").write_text(HOOKS.format(name="Hooks", hook=hook))
    it = watched("--workers", "2", "--pythonpath", str(tmp_path), "--hooks", "hooked:Hooks")
    heard = tmp_path / "heard"
    wait_until(lambda: it.metric("ssgi_workers", state="ready") == 2, "both workers")
    pids = {worker["pid"] for worker in it.said()["workers"]}
    assert it.get("/wait") == (200, "hello")
    it.gateway.stop()
    lines = [line.split() for line in heard.read_text().splitlines()]
    for what in ("start", "stop"):
        assert {int(line[0]) for line in lines if line[1:] == [what]} == pids
    assert [line[1:] for line in lines if line[1] == hook] == ([[hook, "/wait"]] if hook == "request_ended" else [])
    for pid in pids:
        own = [line[1] for line in lines if int(line[0]) == pid]
        assert (own[0], own[-1]) == ("start", "stop")


class Collector(ThreadingHTTPServer):
    """What an OpenTelemetry collector is to those who export: it takes OTLP over HTTP."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.taken: dict[str, list[bytes]] = {"/v1/traces": [], "/v1/metrics": []}


class Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, Collector)
        self.server.taken[self.path].append(
            gzip.decompress(data) if self.headers.get("Content-Encoding") == "gzip" else data
        )
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_opentelemetry_from_workers(watched, collector):
    """Exporters are threads, which do not survive a fork: set up in each worker, what is left is sent at its end."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    endpoint = "http://{}:{}".format(*collector.server_address[:2])
    it = watched(
        "--workers", "2", "--preload", "--hooks", "ssgi_gateway.observe.otel:OpenTelemetry",
        OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="shop",
    )  # fmt: skip
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert it.get("/wait", traceparent=f"00-{trace}-b7ad6b7169203331-01") == (200, "hello")
    assert it.get("/fail")[0] == 500
    it.gateway.stop()
    resources: list[Any] = []
    for data in collector.taken["/v1/traces"]:
        resources += ExportTraceServiceRequest.FromString(data).resource_spans
    spans = {
        next(a.value.string_value for a in span.attributes if a.key == "url.path"): span
        for resource in resources
        for scope in resource.scope_spans
        for span in scope.spans
    }
    assert set(spans) == {"/wait", "/fail"}
    assert spans["/wait"].trace_id.hex() == trace
    assert spans["/wait"].parent_span_id.hex() == "b7ad6b7169203331"
    assert spans["/fail"].status.code == 2
    services = {a.value.string_value for it in resources for a in it.resource.attributes if a.key == "service.name"}
    assert services == {"shop"}
    names = {
        metric.name
        for data in collector.taken["/v1/metrics"]
        for resource in ExportMetricsServiceRequest.FromString(data).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"http.server.request.duration", "http.server.active_requests"} <= names
