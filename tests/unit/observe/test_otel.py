"""OpenTelemetry: the client's trace goes on through the application; spans and durations come out."""

from __future__ import annotations

import pytest

pytest.importorskip("opentelemetry.sdk")

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ssgi_gateway.observe.hooks import HookObserver
from ssgi_gateway.observe.otel import OpenTelemetry
from tests.unit.server.peer import bench, request

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture(scope="module")
def providers():
    """What an application sets up; it can be set once in a process, which sees this module twice."""
    known = getattr(trace.get_tracer_provider(), "for_this_test", None)
    if known is not None:
        return known
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.for_this_test = (exporter, reader)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    return exporter, reader


async def served(app, *requests):
    observer = HookObserver(OpenTelemetry())
    observer.start()
    with bench(observer.around(app), observer=observer) as b:
        for data in requests:
            _, peer = b.connect("scgi", data)
            await peer.read_all()


async def test_spans(providers):
    exporter, reader = providers
    exporter.clear()

    async def app(*args):
        with trace.get_tracer("app").start_as_current_span("inner"):
            args[-1].send("hello")

    await served(
        app,
        request(
            target="/a?b", HTTP_TRACEPARENT=f"00-{TRACE}-b7ad6b7169203331-01", HTTP_USER_AGENT="curl",
            REMOTE_ADDR="192.0.2.7", REMOTE_PORT="1",
        ),
    )  # fmt: skip
    # The answer is out before the application's own span ends.
    outer, inner = sorted(exporter.get_finished_spans(), key=lambda span: span.name)
    assert (outer.name, inner.name) == ("GET", "inner")
    assert inner.parent.span_id == outer.context.span_id
    assert f"{outer.context.trace_id:032x}" == TRACE
    assert f"{outer.parent.span_id:016x}" == "b7ad6b7169203331"
    expected = {
        "http.request.method": "GET", "url.path": "/a", "url.query": "b", "http.response.status_code": 200,
        "client.address": "192.0.2.7", "user_agent.original": "curl", "http.response.body.size": 5,
    }  # fmt: skip
    assert expected.items() <= dict(outer.attributes).items()
    names = {
        metric.name
        for resource in reader.get_metrics_data().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert {"http.server.request.duration", "http.server.active_requests"} <= names


async def test_two_requests_do_not_meet(providers):
    exporter, _ = providers
    exporter.clear()

    def app(*args):
        args[-1].send(f"{trace.get_current_span().get_span_context().span_id:016x}")

    await served(app, request(), request())
    first, second = exporter.get_finished_spans()
    assert first.context.span_id != second.context.span_id
    assert first.parent is second.parent is None


async def test_a_failure_is_an_error(providers, caplog):
    exporter, _ = providers
    exporter.clear()

    def app(*args):
        raise RuntimeError("oh")

    await served(app, request())
    [span] = exporter.get_finished_spans()
    assert not span.status.is_ok
    assert span.attributes["http.response.status_code"] == 500
