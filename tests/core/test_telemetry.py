"""OpenTelemetry: one client span and one duration for each HTTP request, and no key in either."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import requests
from openinference.instrumentation.langchain import LangChainInstrumentor
from openinference.instrumentation.llama_index import LlamaIndexInstrumentor
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled, suppress_http_instrumentation
from opentelemetry.trace import SpanKind, StatusCode
from requests.adapters import HTTPAdapter

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.core.driver import CHAT, KEY
from tests.core.scripts import HISTORY, QUESTION, Held, answered, chat_server, envelope, in_turn, raw, said, status
from tests.core.tracing import current, ours, points, tracing
from tests.support.sse import native_delta, native_error, terminator
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from tests.core.conftest import Connect
    from tests.support.wire import Script

COMPLETIONS = f"/api/v1/chats/{CHAT}/completions"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    with tracing() as exporter:
        yield exporter


def told(spans: InMemorySpanExporter) -> list[dict[str, Any]]:
    """The attributes of the client spans, and how each ended."""
    return [
        {
            **{name: value for name, value in (span.attributes or {}).items() if not name.startswith("server.")},
            "failed": span.status.status_code is StatusCode.ERROR,
        }
        for span in ours(spans)
    ]


def test_a_request_is_a_client_span(connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(said([])) as server, current("app") as app:
        connect(server.base_url).do(lambda client: client.datasets.list(name="my secret plan"))
    [span] = ours(spans)
    assert span.name == "GET"
    assert span.kind is SpanKind.CLIENT
    assert span.parent is not None
    assert span.parent.span_id == app.get_span_context().span_id
    assert span.attributes == {
        "http.request.method": "GET",
        "url.full": f"{server.base_url}/api/v1/datasets",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(server.base_url).port,
        "http.response.status_code": 200,
    }
    assert span.status.status_code is StatusCode.UNSET
    assert not span.events
    assert KEY not in span.to_json()


def test_the_trace_goes_on_at_the_server(connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(chat_server(answered())) as server:
        driver = connect(server.base_url)
        driver.do(lambda client: client.ask(**QUESTION))
        driver.drain(lambda client: client.stream(**QUESTION))
    sent = [request.headers["traceparent"].rpartition("-")[0] for request in server.requests]
    contexts = [span.context for span in ours(spans) if span.context]
    _, *asked = [f"00-{context.trace_id:032x}-{context.span_id:016x}" for context in contexts]  # the first is a look-up
    assert sent == asked
    assert len(sent) == 2


def test_each_retry_is_a_span(connect: Connect, spans: InMemorySpanExporter) -> None:
    busy = status(429, b"", ("Retry-After", "0.01"))
    with WireServer(in_turn(busy, lambda exchange: exchange.abort(), said([]))) as server:
        connect(server.base_url).do(lambda client: client.datasets.list())
    url = {"http.request.method": "GET", "url.full": f"{server.base_url}/api/v1/datasets"}
    assert told(spans) == [
        {**url, "http.response.status_code": 429, "error.type": "429", "failed": True},
        {**url, "http.request.resend_count": 1, "error.type": "ConnectionFailedError", "failed": True},
        {**url, "http.request.resend_count": 2, "http.response.status_code": 200, "failed": False},
    ]


def test_a_span_lasts_as_long_as_its_stream(connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(chat_server(raw(native_delta("one "), native_delta("two"), terminator()))) as server:
        driver = connect(server.base_url)
        stream = driver.open(lambda client: client.stream(**QUESTION))
        assert ours(spans) == []
        while driver.next(stream) is not None:
            pass
        assert told(spans) == [
            {
                "http.request.method": "POST",
                "url.full": server.base_url + COMPLETIONS,
                "http.response.status_code": 200,
                "failed": False,
            }
        ]
        driver.close(stream)
    assert len(ours(spans)) == 1


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (raw(native_delta("one "), native_error("gone"), terminator()), "ServerError"),
        (raw(native_delta("one "), end=lambda exchange: exchange.close()), "StreamInterruptedError"),
        (envelope(102, "You don't own the chat x"), "ChatNotFoundError"),
        (status(502), "502"),
    ],
)
def test_a_stream_that_fails(script: Script, error: str, connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(chat_server(script)) as server:
        connect(server.base_url, max_retries=0).drain(lambda client: client.stream(**QUESTION))
    [span] = told(spans)
    assert span["error.type"] == error
    assert span["failed"]


@pytest.mark.parametrize("how", ["close", "drop"])
def test_a_stream_that_is_left(how: str, connect: Connect, spans: InMemorySpanExporter) -> None:
    held = Held()
    with WireServer(chat_server(held)) as server:
        driver = connect(server.base_url)
        stream = driver.open(lambda client: client.stream(**QUESTION))
        assert driver.next(stream) is not None
        if how == "close":
            driver.close(stream)
        else:
            del stream
            gc.collect()
        driver.shut()
        assert held.was_closed()
    [span] = told(spans)
    assert not span["failed"]


def test_a_dropped_stream_ends_when_it_was_dropped(connect: Connect, spans: InMemorySpanExporter) -> None:
    held = Held()
    with WireServer(in_turn(held, said([]))) as server:
        driver = connect(server.base_url)
        stream = driver.open(lambda client: client.stream(**QUESTION))
        assert driver.next(stream) is not None
        del stream
        gc.collect()
        assert ours(spans) == []
        driver.do(lambda client: client.datasets.list())
        assert held.was_closed()
    dropped, listed = ours(spans)
    assert dropped.name == "POST"
    assert dropped.end_time is not None
    assert listed.start_time is not None
    assert dropped.end_time <= listed.start_time


async def test_a_cancelled_request_ends_its_span(spans: InMemorySpanExporter) -> None:
    held = Held(first=None)
    with WireServer(held) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY) as client:
            asking = asyncio.create_task(client.complete(**HISTORY))
            await asyncio.to_thread(held.begun.acquire)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
    [span] = told(spans)
    assert span["error.type"] == "CancelledError"


def test_durations_are_measured(connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(in_turn(said([]), said([]), envelope(401, "no"), lambda exchange: exchange.abort())) as server:
        driver = connect(server.base_url, max_retries=0)
        driver.do(lambda client: client.datasets.list())
        driver.do(lambda client: client.datasets.list())
        driver.fails(lambda client: client.datasets.list())
        driver.fails(lambda client: client.datasets.list())
    port = urlsplit(server.base_url).port
    assert port is not None
    about = {"http.request.method": "GET", "server.address": "127.0.0.1", "server.port": port}
    measured = {tuple(sorted(point.attributes.items())): point for point in points(port)}
    assert {key: point.count for key, point in measured.items()} == {
        tuple(sorted((about | {"http.response.status_code": 200}).items())): 2,
        tuple(sorted((about | {"http.response.status_code": 200, "error.type": "AuthenticationError"}).items())): 1,
        tuple(sorted((about | {"error.type": "ConnectionFailedError"}).items())): 1,
    }
    assert all(0 < point.sum < 10 and point.explicit_bounds[0] == 0.005 for point in measured.values())
    assert len(ours(spans)) == 4


def test_suppression_is_obeyed(connect: Connect, spans: InMemorySpanExporter) -> None:
    with WireServer(said([])) as server, suppress_http_instrumentation():
        connect(server.base_url).do(lambda client: client.datasets.list())
    assert ours(spans) == []
    assert "traceparent" not in server.requests[0].headers


class Asking(HTTPAdapter):
    """Asks what an instrumentation of requests asks before it makes a span."""

    def __init__(self) -> None:
        super().__init__()
        self.enabled: list[bool] = []

    def send(self, *args: Any, **given: Any) -> requests.Response:
        self.enabled.append(is_http_instrumentation_enabled())
        return super().send(*args, **given)


def test_other_instrumentations_are_silent_meanwhile(spans: InMemorySpanExporter) -> None:
    adapter = Asking()
    with WireServer(said([])) as server, requests.Session() as session:
        session.mount("http://", adapter)
        list(RAGFlowClient(server.base_url, KEY, session=session).datasets.list())
    assert adapter.enabled == [False]
    assert is_http_instrumentation_enabled()
    assert len(ours(spans)) == 1


async def test_other_instrumentations_are_silent_meanwhile_async(spans: InMemorySpanExporter) -> None:
    enabled: list[bool] = []

    async def ask(*_: object) -> None:
        enabled.append(is_http_instrumentation_enabled())

    config = aiohttp.TraceConfig()
    config.on_request_start.append(ask)
    with WireServer(said([])) as server:
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            client = AsyncRAGFlowClient(server.base_url, KEY, session=session)
            assert [item async for item in client.datasets.list()] == []
    assert enabled == [False]
    assert is_http_instrumentation_enabled()
    assert len(ours(spans)) == 1


def test_without_opentelemetry_nothing_is_loaded() -> None:
    program = """
import sys
from ragflow_integrations import RAGFlowClient
from ragflow_integrations.emulator import Emulator
with Emulator() as server, RAGFlowClient(server.base_url, server.api_key) as client:
    client.ask("Who must wear a helmet?", chat_id=server.chat_id)
print(sorted(name for name in sys.modules if name.startswith("opentelemetry")))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "[]\n", run.stderr


@pytest.mark.parametrize("framework", ["langchain", "llamaindex"])
def test_a_request_of_a_traced_framework_is_one_span(framework: str, spans: InMemorySpanExporter) -> None:
    instrumentor: Any = LangChainInstrumentor() if framework == "langchain" else LlamaIndexInstrumentor()
    with WireServer(chat_server(answered())) as server, current("app") as app:
        instrumentor.instrument(tracer_provider=trace.get_tracer_provider())
        try:
            if framework == "langchain":
                with RAGFlowClient(server.base_url, KEY) as client:
                    assert (
                        "".join(piece.text for piece in ChatRAGFlow(chat_id=CHAT, client=client).stream("Why?")) == "Because."
                    )
            else:
                engine = RAGFlowChatEngine(chat_id=CHAT, base_url=server.base_url, api_key=KEY)
                assert "".join(engine.stream_chat("Why?").response_gen) == "Because."
        finally:
            instrumentor.uninstrument()
    assert len(ours(spans)) == len(server.requests) >= 1
    finished = spans.get_finished_spans()
    assert len(finished) > len(ours(spans)) + 1
    assert {span.context.trace_id for span in finished if span.context} == {app.get_span_context().trace_id}
    known = {span.context.span_id for span in finished if span.context}
    assert all(span.parent is not None and span.parent.span_id in known for span in ours(spans))
    assert not any(KEY in span.to_json() for span in finished)
