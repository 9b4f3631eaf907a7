"""OpenTelemetry for tests. Its providers are set once in a process, so ours is one that other tests do not notice."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace import ReadableSpan


class Switch(trace.TracerProvider):
    """Traces while it is on; off, it is as if there were no provider."""

    def __init__(self) -> None:
        self.on = False
        self.spans = InMemorySpanExporter()
        self.sdk = TracerProvider()
        self.sdk.add_span_processor(SimpleSpanProcessor(self.spans))

    def get_tracer(self, *args: Any, **given: Any) -> trace.Tracer:
        return _Tracer(self, self.sdk.get_tracer(*args, **given))


class _Tracer(trace.NoOpTracer):
    def __init__(self, switch: Switch, tracer: trace.Tracer) -> None:
        self._switch = switch
        self._tracer = tracer

    def start_span(self, *args: Any, **given: Any) -> trace.Span:
        return self._tracer.start_span(*args, **given) if self._switch.on else super().start_span(*args, **given)


_switch = Switch()
_reader = InMemoryMetricReader()


def install() -> None:
    """Set the providers, unless they are."""
    if trace.get_tracer_provider() is not _switch:
        trace.set_tracer_provider(_switch)
        metrics.set_meter_provider(MeterProvider([_reader]))


@contextmanager
def tracing() -> Iterator[InMemorySpanExporter]:
    install()
    _switch.on = True
    _switch.spans.clear()
    try:
        yield _switch.spans
    finally:
        _switch.on = False


@contextmanager
def current(name: str) -> Iterator[trace.Span]:
    """A span of the application."""
    with trace.use_span(_switch.sdk.get_tracer("test").start_span(name), end_on_exit=True) as span:
        yield span


def ours(spans: InMemorySpanExporter) -> list[ReadableSpan]:
    return [
        span
        for span in spans.get_finished_spans()
        if span.instrumentation_scope and span.instrumentation_scope.name == "ragflow_integrations"
    ]


def points(port: int) -> list[Any]:
    """The points of the duration histogram for one server."""
    data = _reader.get_metrics_data()
    return [
        point
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "http.client.request.duration" and metric.unit == "s"
        for point in metric.data.data_points
        if (point.attributes or {})["server.port"] == port
    ]
