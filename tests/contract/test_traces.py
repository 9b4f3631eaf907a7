from __future__ import annotations

import asyncio
import copy
import dataclasses
import threading
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler, TokenCountingHandler
from llama_index.core.instrumentation.span import active_span_id

from tests.contract.harness import Subject, contract
from tests.contract.tape import exporting, recording
from tests.contract.test_errors import FAILS_LATE
from tests.contract.world import DELTAS, KEY, QUESTION, SHOWN, Endless, Ragflow, Silent, answer, refused
from tests.support import sse

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

BEGIN = ["enter _stream", "event StreamChatStartEvent", "event LLMChatStartEvent"]
DELTA = "event StreamChatDeltaReceivedEvent"
RETRIEVAL = ["enter _retrieve", "event RetrievalStartEvent", "event RetrievalEndEvent", "exit _retrieve"]
END = ["event LLMChatEndEvent", "event StreamChatEndEvent", "exit _stream"]
CALLBACKS = [
    "start chat",
    "+llm",
    "+retrieve",
    "-retrieve nodes",
    "-llm messages response",
    "end chat",
]


def _engine(subject: Subject, server: Ragflow, **settings: Any) -> Any:
    return subject.engine(server, session_id="session-0", **settings)


@contract("R20", "a streamed turn: spans and events in the order of the recipe, callbacks within one trace")
def test_order(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server, recording() as tape:
        list(_engine(subject, server, callback_manager=CallbackManager([tape])).stream_chat(QUESTION).response_gen)
    assert tape.lines == ["enter stream_chat", *BEGIN, "exit stream_chat", *[DELTA] * 3, *RETRIEVAL, *END]
    assert tape.callbacks == CALLBACKS


@contract("R20a", "… asynchronously")
async def test_order_async(subject: Subject) -> None:
    with Ragflow.answering(Silent(("first ",), patience=0.05)) as server, recording() as tape:
        response = await _engine(subject, server, callback_manager=CallbackManager([tape])).astream_chat(QUESTION)
        assert [delta async for delta in response.async_response_gen()] == ["first "]
    assert tape.lines == ["enter astream_chat", *BEGIN, "exit astream_chat", DELTA, *RETRIEVAL, *END]
    assert tape.callbacks == CALLBACKS


@contract("R20b", "… that fails on the way: the error once, the span dropped")
def test_order_error(subject: Subject) -> None:
    with Ragflow.answering(FAILS_LATE) as server, recording() as tape:
        response = _engine(subject, server, callback_manager=CallbackManager([tape])).stream_chat(QUESTION)
        with pytest.raises(Exception, match="boom"):
            list(response.response_gen)
    failed = ["event ExceptionEvent", "event StreamChatErrorEvent", "drop _stream"]
    assert tape.lines == ["enter stream_chat", *BEGIN, "exit stream_chat", *[DELTA] * 3, *failed]
    assert tape.callbacks == ["start chat", "+llm", "-llm exception", "end chat"]


@contract("R20c", "… that is refused: both spans dropped")
def test_order_refused(subject: Subject) -> None:
    with Ragflow.answering(refused()) as server, recording() as tape, pytest.raises(Exception, match="own the chat"):
        _engine(subject, server).stream_chat(QUESTION)
    failed = ["event ExceptionEvent", "event StreamChatErrorEvent", "drop _stream"]
    assert tape.lines == ["enter stream_chat", *BEGIN, *failed, "event SpanDropEvent", "drop stream_chat"]


@contract("R20d", "… that is left early: ended, not failed, and nothing leaks into the reader's context")
def test_order_left(subject: Subject) -> None:
    with Ragflow.answering(Endless()) as server, recording() as tape:
        response = _engine(subject, server, callback_manager=CallbackManager([tape])).stream_chat(QUESTION)
        pieces = response.response_gen
        next(pieces)
        assert active_span_id.get() is None
        pieces.close()
    assert tape.lines == ["enter stream_chat", *BEGIN, "exit stream_chat", DELTA, *END]
    assert tape.callbacks == ["start chat", "+llm", "-llm messages response", "end chat"]


def _whole(exchange: Any) -> None:
    found = sse.reference(sse.chunk("The battery lasts eighteen months."))
    data = {"answer": "".join(DELTAS), "reference": found, "id": sse.MESSAGE_ID, "session_id": "session-0"}
    exchange.reply(json={"code": 0, "data": data})


@contract("R20e", "a turn that is not streamed: the same without the stream's events")
async def test_order_whole(subject: Subject) -> None:
    within = ["enter _ask", "event LLMChatStartEvent", *RETRIEVAL, "event LLMChatEndEvent", "exit _ask"]
    with Ragflow.answering(_whole) as server, recording() as tape:
        engine = _engine(subject, server, callback_manager=CallbackManager([tape]))
        assert engine.chat(QUESTION).response == SHOWN
        assert tape.lines == ["enter chat", *within, "exit chat"]
        tape.lines.clear()
        assert (await engine.achat(QUESTION)).response == SHOWN
        assert tape.lines == ["enter achat", *within, "exit achat"]
    assert tape.callbacks == CALLBACKS * 2


@contract("R20f", "… that fails: the error once, both spans dropped")
async def test_order_whole_error(subject: Subject) -> None:
    failed = ["event ExceptionEvent", "drop _ask", "event SpanDropEvent"]
    with Ragflow.answering(refused()) as server, recording() as tape:
        engine = _engine(subject, server, callback_manager=CallbackManager([tape]))
        with pytest.raises(Exception, match="own the chat"):
            engine.chat(QUESTION)
        assert tape.lines == ["enter chat", "enter _ask", "event LLMChatStartEvent", *failed, "drop chat"]
        tape.lines.clear()
        with pytest.raises(Exception, match="own the chat"):
            await engine.achat(QUESTION)
        assert tape.lines == ["enter achat", "enter _ask", "event LLMChatStartEvent", *failed, "drop achat"]
    assert tape.callbacks == ["start chat", "+llm", "-llm exception", "end chat"] * 2


@contract("R20g", "a cancelled reader, and a closed response: ended, not failed, once")
async def test_order_cancelled(subject: Subject) -> None:
    with Ragflow.answering(Silent(("first ",)), Silent(("first ",)), Silent(("first ",))) as server, recording() as tape:
        engine = _engine(subject, server, callback_manager=CallbackManager([tape]))

        async def read() -> None:
            response = await engine.astream_chat(QUESTION)
            async for _ in response.async_response_gen():
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.3)
        assert tape.lines == ["enter astream_chat", *BEGIN, "exit astream_chat", DELTA, *END]
        for mode in ("sync", "async"):
            tape.lines.clear()
            if mode == "sync":
                engine.stream_chat(QUESTION).close()
            else:
                response = await engine.astream_chat(QUESTION)
                await response.aclose()
                await response.aclose()
            assert tape.lines[1:4] == BEGIN
            assert tape.lines[5:] == END
    assert tape.callbacks == ["start chat", "+llm", "-llm messages response", "end chat"] * 3


def _by_kind(spans: tuple[ReadableSpan, ...]) -> dict[str, dict[str, Any]]:
    return {str(dict(span.attributes or {})["openinference.span.kind"]): dict(span.attributes or {}) for span in spans}


@contract("R21", "OpenInference: one trace; an LLM span with input, output, true duration; a RETRIEVER span")
def test_openinference(subject: Subject) -> None:
    with exporting() as exporter, Ragflow.answering(Silent(("first ",), patience=0.3)) as server:
        list(_engine(subject, server).stream_chat(QUESTION).response_gen)
        spans = exporter.get_finished_spans()
    assert len({span.context.trace_id for span in spans}) == 1
    kinds = _by_kind(spans)
    assert set(kinds) == {"CHAIN", "LLM", "RETRIEVER"}
    llm = kinds["LLM"]
    assert llm["llm.input_messages.0.message.content"] == QUESTION
    assert llm["llm.output_messages.0.message.content"] == "late"
    assert "The battery lasts eighteen months." in kinds["RETRIEVER"]["retrieval.documents.0.document.content"]
    [own] = [span for span in spans if span.name.endswith("._stream")]
    assert own.end_time is not None
    assert own.start_time is not None
    assert own.end_time - own.start_time > 0.3e9
    assert {span.status.status_code.name for span in spans} == {"OK"}
    assert not any(KEY in str(span.attributes) for span in spans)


@contract("R21a", "… status ERROR where the answer fails, OK where it is left or closed")
def test_openinference_status(subject: Subject) -> None:
    with exporting() as exporter, Ragflow.answering(FAILS_LATE, Endless(), Endless()) as server:
        engine = _engine(subject, server)
        with pytest.raises(Exception, match="boom"):
            list(engine.stream_chat(QUESTION).response_gen)
        for _ in engine.stream_chat(QUESTION).response_gen:
            break
        engine.stream_chat(QUESTION).close()
        spans = [span for span in exporter.get_finished_spans() if span.name.endswith("._stream")]
    assert [span.status.status_code.name for span in spans] == ["ERROR", "OK", "OK"]


@contract("T19", "a tracer that copies the fields of a response does not read it empty")
async def test_copied_fields(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        response = await _engine(subject, server).astream_chat(QUESTION)
        for field in dataclasses.fields(response):
            try:
                copy.deepcopy(getattr(response, field.name))
            except TypeError:  # a lock: OpenInference goes on with its repr
                continue
        assert "".join([delta async for delta in response.async_response_gen()]) == SHOWN


@contract("R22", "LlamaDebugHandler: the LLM and RETRIEVE events are inside the trace, with their true duration")
def test_debug_handler(subject: Subject) -> None:
    ended: list[int] = []

    class Debug(LlamaDebugHandler):
        def end_trace(self, trace_id: str | None = None, trace_map: dict[str, list[str]] | None = None) -> None:
            ended.append(len(self.get_event_pairs(CBEventType.LLM)))
            super().end_trace(trace_id, trace_map)

    handler = Debug(print_trace_on_end=False)
    with Ragflow.answering(Silent(("first ",), patience=0.2)) as server:
        list(_engine(subject, server, callback_manager=CallbackManager([handler])).stream_chat(QUESTION).response_gen)
    assert ended == [1]
    assert handler.get_event_time_info(CBEventType.LLM).total_secs > 0.2
    assert handler.get_event_time_info(CBEventType.RETRIEVE).total_count == 1


@contract("R23", "TokenCountingHandler counts question and answer")
def test_token_counting(subject: Subject) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    with Ragflow.answering(answer(*DELTAS)) as server:
        list(_engine(subject, server, callback_manager=CallbackManager([counter])).stream_chat(QUESTION).response_gen)
    assert counter.prompt_llm_token_count >= len(QUESTION.split())
    assert counter.completion_llm_token_count >= len(SHOWN.split())
    assert len(counter.llm_token_counts) == 1


@contract("R25", "the key is in no event, no payload and no repr")
def test_no_key(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server, recording() as tape:
        engine = _engine(subject, server, callback_manager=CallbackManager([tape]))
        response = engine.stream_chat(QUESTION)
        list(response.response_gen)
        heard = [*(event.model_dump() for event in tape.events), *tape.payloads, engine, response, vars(engine)]
    assert not any(KEY in repr(item) for item in heard)


@contract("X2", "turns at once have a clean trace each")
def test_parallel_traces(subject: Subject) -> None:
    with exporting() as exporter, Ragflow.answering(*[Silent(("first ",), patience=0.1)] * 3) as server:
        engines = [subject.engine(server, session_id=f"session-{at}") for at in range(3)]
        together = threading.Barrier(3)

        def turn(engine: Any) -> None:
            together.wait()
            list(engine.stream_chat(QUESTION).response_gen)

        threads = [threading.Thread(target=turn, args=(engine,)) for engine in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spans = exporter.get_finished_spans()
    traces: dict[int, set[str]] = {}
    for span in spans:
        traces.setdefault(span.context.trace_id, set()).add(span.name.partition(".")[2])
    assert list(traces.values()) == [{"stream_chat", "_stream", "_retrieve"}] * 3
