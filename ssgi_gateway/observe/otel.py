"""OpenTelemetry, as hooks: ``--hooks ssgi_gateway.observe.otel:OpenTelemetry`` with the extra ``otel``.

W3C trace context in, server spans and the HTTP server metrics of the semantic conventions out. The span is current
while the application runs, so its own spans are children. Providers that the application has set are used; where there
are none, they are made from the environment (``OTEL_EXPORTER_OTLP_ENDPOINT``, ``OTEL_SERVICE_NAME``) when the worker
starts, which is behind the fork: exporters have threads, and threads do not survive one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from ssgi_gateway import __version__
from ssgi_gateway.observe.hooks import HookRequest
from ssgi_gateway.wire.addresses import split_address

__all__ = ["OpenTelemetry"]

NAME = "ssgi_gateway"


class OpenTelemetry:
    """The hooks."""

    def __init__(self) -> None:
        self._own: list[Any] = []  # providers that were made here
        self._spans: dict[int, trace.Span] = {}

    def start(self) -> None:
        """Set up what the application has not."""
        self._set_up()
        self._tracer = trace.get_tracer(NAME, __version__)
        meter = metrics.get_meter(NAME, __version__)
        self._durations = meter.create_histogram(
            "http.server.request.duration", "s", "Duration of HTTP server requests."
        )
        self._active = meter.create_up_down_counter("http.server.active_requests", "{request}", "Requests in progress.")

    def _set_up(self) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.metrics import MeterProvider
            from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError:
            return  # the application brings its own, or nothing is configured to receive traces
        if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
            tracers = TracerProvider()
            tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            trace.set_tracer_provider(tracers)
            self._own.append(tracers)
        if type(metrics.get_meter_provider()).__module__.startswith("opentelemetry.metrics"):
            meters = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())])
            metrics.set_meter_provider(meters)
            self._own.append(meters)

    def stop(self) -> None:
        """Export what is left."""
        for provider in self._own:
            provider.shutdown()

    def around(self, application: Callable[..., Any]) -> Callable[..., Any]:
        """The application with its span as the current one: it is called in a context of its own."""

        def traced(*call: Any) -> Any:
            span = self._spans.get(id(call[7]))
            if span is not None:
                context.attach(trace.set_span_in_context(span))
            return application(*call)

        return traced

    def request_started(self, request: HookRequest) -> None:
        """Begin a span, as a part of the client's trace."""
        names = ("traceparent", "tracestate", "baggage")
        carrier = {name: value for name in names if (value := request.header(name))}
        host, port = split_address(request.server) or (request.server, 0)
        attributes: dict[str, Any] = {
            "http.request.method": request.method,
            "url.scheme": request.scheme,
            "url.path": request.path,
            "network.protocol.name": "http",
            "network.protocol.version": request.http_version,
            "server.address": host,
            "ssgi.protocol": request.protocol,
            "ssgi.request_id": request.request_id,
        }
        if port:
            attributes["server.port"] = port
        if request.query:
            attributes["url.query"] = request.query
        client = split_address(request.remote)
        if client is not None:
            attributes["client.address"] = client[0]
        agent = request.header("user-agent")
        if agent:
            attributes["user_agent.original"] = agent
        span = self._tracer.start_span(
            request.method, propagate.extract(carrier), SpanKind.SERVER, attributes=attributes
        )
        self._spans[id(request.exchange)] = span
        request.data["otel"] = span
        self._active.add(1, {"http.request.method": request.method, "url.scheme": request.scheme})

    def request_ended(self, request: HookRequest, status: int, seconds: float) -> None:
        """End the span; that of an accepted WebSocket goes on."""
        self._active.add(-1, {"http.request.method": request.method, "url.scheme": request.scheme})
        span: trace.Span = request.data["otel"]
        span.set_attribute("http.response.status_code", status)
        if status == 101:
            return
        span.set_attribute("http.response.body.size", request.sent)
        if status >= 500:
            span.set_status(Status(StatusCode.ERROR))
            span.set_attribute("error.type", str(status))
        self._end(request)
        self._durations.record(
            seconds,
            {
                "http.request.method": request.method,
                "url.scheme": request.scheme,
                "http.response.status_code": status,
                "network.protocol.version": request.http_version,
            },
        )

    def websocket_closed(self, request: HookRequest, code: int) -> None:
        """End the span of a WebSocket."""
        request.data["otel"].set_attribute("ssgi.websocket.close_code", code)
        self._end(request)

    def _end(self, request: HookRequest) -> None:
        self._spans.pop(id(request.exchange), None)
        request.data["otel"].end()
