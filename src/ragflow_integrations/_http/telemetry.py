"""Spans and metrics of requests, by OpenTelemetry's conventions for HTTP clients; loaded only where OpenTelemetry is in use."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from ragflow_integrations._version import __version__

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_NAME = "ragflow_integrations"
_FAILED = 400
#: The conventions' own.
_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

_tracer = trace.get_tracer(_NAME, __version__)


def _histogram() -> metrics.Histogram:
    meter = metrics.get_meter(_NAME, __version__)
    name, unit, text = "http.client.request.duration", "s", "Duration of HTTP client requests."
    try:
        return meter.create_histogram(name, unit, text, explicit_bucket_boundaries_advisory=_BOUNDARIES)
    except TypeError:  # opentelemetry-api < 1.30 has no such argument
        return meter.create_histogram(name, unit, text)


_duration = _histogram()


class Span:
    """The span of one request, a child of the current one, and its duration as a metric.

    Attributes:
        headers: Carry the trace to the server.
    """

    def __init__(self, method: str, url: str, resends: int) -> None:
        parts = urlsplit(url)
        self._attributes: dict[str, str | int] = {
            "http.request.method": method,
            "server.address": parts.hostname or "",
            "server.port": parts.port or (443 if parts.scheme == "https" else 80),
        }
        more = {"http.request.resend_count": resends} if resends else {}
        self._span = _tracer.start_span(method, kind=SpanKind.CLIENT, attributes={**self._attributes, "url.full": url, **more})
        self.headers: dict[str, str] = {}
        propagate.inject(self.headers, trace.set_span_in_context(self._span))

    def sending(self) -> AbstractContextManager[object]:
        """Keep instrumentations of requests, urllib3 and aiohttp from making a second span of the same request."""
        utils = sys.modules.get("opentelemetry.instrumentation.utils")
        return getattr(utils, "suppress_http_instrumentation", contextlib.nullcontext)()

    def end(self, status: int | None, error: str | None, seconds: float, ended: int) -> None:
        """End the span and record the duration.

        Args:
            status: HTTP status, if a reply came.
            error: Class of the error, if there was one.
            seconds: Duration.
            ended: Time of the end in nanoseconds since 1970.
        """
        if status is not None:
            self._attributes["http.response.status_code"] = status
            if status >= _FAILED:
                error = str(status)
        if error is not None:
            self._attributes["error.type"] = error
            self._span.set_status(StatusCode.ERROR)
        self._span.set_attributes(self._attributes)
        self._span.end(ended)
        _duration.record(seconds, self._attributes)


def begin(method: str, url: str, resends: int) -> Span | None:
    """Begin a span, unless the caller told OpenTelemetry's instrumentations to be silent."""
    utils = sys.modules.get("opentelemetry.instrumentation.utils")
    if utils is not None and not getattr(utils, "is_http_instrumentation_enabled", lambda: True)():
        return None
    return Span(method, url, resends)
