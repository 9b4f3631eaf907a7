"""Records what tracing tools hear: spans and events of the root dispatcher, legacy callbacks, OpenTelemetry spans."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span import SimpleSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index_instrumentation import root_dispatcher
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llama_index.core.callbacks import CBEventType
    from llama_index_instrumentation.base import BaseEvent


class Tape(BaseCallbackHandler):
    """One list of everything in the order it came; `callbacks` is that of the legacy callbacks alone."""

    def __init__(self) -> None:
        super().__init__([], [])
        self.lines: list[str] = []
        self.events: list[BaseEvent] = []
        self.payloads: list[Any] = []
        self.callbacks: list[str] = []

    def lines_of(self, *kinds: str) -> list[str]:
        return [line for line in self.lines if line.split()[0] in kinds]

    def start_trace(self, trace_id: str | None = None) -> None:
        self.callbacks.append(f"start {trace_id}")

    def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:  # noqa: ARG002
        self.callbacks.append(f"end {trace_id}")

    def on_event_start(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        *_: Any,
        **__: Any,
    ) -> str:
        self.callbacks.append(f"+{event_type.value}")
        self.payloads.append(payload)
        return event_id

    def on_event_end(self, event_type: CBEventType, payload: dict[str, Any] | None = None, *_: Any, **__: Any) -> None:
        self.callbacks.append(f"-{event_type.value} {' '.join(sorted(payload or {}))}".strip())
        self.payloads.append(payload)


class _Events(BaseEventHandler):
    tape: Any

    def handle(self, event: BaseEvent, **_: Any) -> None:
        self.tape.events.append(event)
        self.tape.lines.append(f"event {event.class_name()}")


class _Spans(BaseSpanHandler[SimpleSpan]):
    _tape: Tape = PrivateAttr()

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self._tape = tape

    def _note(self, what: str, id_: str) -> None:
        self._tape.lines.append(f"{what} {id_.partition('-')[0].partition('.')[2]}")

    def new_span(self, id_: str, *_: Any, parent_span_id: str | None = None, **__: Any) -> SimpleSpan:
        self._note("enter", id_)
        return SimpleSpan(id_=id_, parent_id=parent_span_id)

    def prepare_to_exit_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan | None:
        self._note("exit", id_)
        return self.open_spans.get(id_)

    def prepare_to_drop_span(self, id_: str, *_: Any, **__: Any) -> SimpleSpan | None:
        self._note("drop", id_)
        return self.open_spans.get(id_)


@contextlib.contextmanager
def recording() -> Iterator[Tape]:
    tape = Tape()
    events, spans = _Events(tape=tape), _Spans(tape)
    root_dispatcher.event_handlers.append(events)
    root_dispatcher.span_handlers.append(spans)
    try:
        yield tape
    finally:
        root_dispatcher.event_handlers.remove(events)
        root_dispatcher.span_handlers.remove(spans)


@contextlib.contextmanager
def exporting() -> Iterator[InMemorySpanExporter]:
    """OpenInference's instrumentor, with an exporter in memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LlamaIndexInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter
    finally:
        instrumentor.uninstrument()
        provider.shutdown()
