from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager
from llama_index.core.query_engine import RouterQueryEngine, SubQuestionQueryEngine
from llama_index.core.question_gen.llm_generators import LLMQuestionGenerator
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.selectors import LLMSingleSelector
from llama_index.core.tools import QueryEngineTool

from ragflow_integrations import AsyncRAGFlowClient, ChatNotFoundError, UnsupportedByServerError
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.llamaindex import RAGFlowChatEngine, RAGFlowQueryEngine
from tests.contract.tape import exporting, recording
from tests.contract.test_nodes import STATELESS
from tests.contract.world import CHAT, KEY, Endless, Ragflow
from tests.llamaindex.scripted import Scripted
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION
from tests.support import sse

if TYPE_CHECKING:
    from llama_index.core.base.base_query_engine import BaseQueryEngine


def engine_of(server: Emulator, **settings: Any) -> RAGFlowQueryEngine:
    return RAGFlowQueryEngine(base_url=server.base_url, api_key=server.api_key, **{"chat_id": server.chat_id, **settings})


def test_query(server: Emulator) -> None:
    response = engine_of(server).query(QUESTION)
    assert isinstance(response, Response)
    assert (response.response, str(response)) == (ANSWER, ANSWER)
    assert response.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"
    assert response.metadata is not None
    assert response.metadata["session_id"] is None
    assert response.metadata["citations"][0]["index"] == 0
    assert response.metadata["usage"]["total_tokens"] > 0


def test_queries_stand_alone(server: Emulator) -> None:
    before = len(server.requests)
    engine = engine_of(server)
    engine.query(QUESTION)
    engine.query(QUESTION)
    assert not any("/sessions" in request.path for request in server.requests[before:])


def test_query_streaming(server: Emulator) -> None:
    response = engine_of(server, streaming=True).query(QUESTION)
    assert isinstance(response, StreamingResponse)
    assert response.source_nodes == []
    assert "".join(response.response_gen) == ANSWER
    assert response.source_nodes
    assert response.metadata is not None
    assert response.metadata["citations"]
    assert str(engine_of(server, streaming=True).query(QUESTION)) == ANSWER


async def test_query_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        whole = await RAGFlowQueryEngine(client, chat_id=server.chat_id).aquery(QUESTION)
        assert str(whole) == ANSWER
        engine = RAGFlowQueryEngine.from_defaults(client, chat_id=server.chat_id, streaming=True)
        response = await engine.aquery(QUESTION)
        assert isinstance(response, AsyncStreamingResponse)
        assert "".join([delta async for delta in response.async_response_gen()]) == ANSWER
        assert response.source_nodes
        assert str(response) == ANSWER
        assert await (await engine.aquery(QUESTION)).get_response() == whole  # type: ignore[union-attr, misc]  # it is async


def test_the_final_text_wins() -> None:
    """On 0.22.1 citations that the LLM left out come with the last event only."""
    with Emulator(version="0.22.1") as old:
        engine = engine_of(old, streaming=True, agent_id=None)
        response = engine.query(QUESTION)
        assert isinstance(response, StreamingResponse)
        assert str(response.get_response()) == ANSWER == str(response)


def test_an_agent(server: Emulator) -> None:
    engine = engine_of(server, chat_id=None, agent_id=server.agent_id)
    assert str(engine.query(QUESTION)) == ANSWER
    with Emulator(version="0.22.1") as old, pytest.raises(UnsupportedByServerError):
        engine_of(old, chat_id=None, agent_id=old.agent_id).query(QUESTION)


def test_nothing_is_said() -> None:
    """LlamaIndex's own response would say "None"."""
    empty = {**STATELESS, "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": ""}}]}
    with Ragflow.answering(lambda exchange: exchange.reply(json=empty)) as scripted:
        engine = RAGFlowQueryEngine(base_url=scripted.base_url, api_key=KEY, chat_id=CHAT)
        assert str(engine.query(QUESTION)) == ""


def test_failures(server: Emulator) -> None:
    with pytest.raises(ChatNotFoundError):
        engine_of(server, chat_id="no-such-chat", streaming=True).query(QUESTION)
    with Emulator(faults=FaultPlan(cut_after=1)) as broken, pytest.raises(Exception, match="cut off"):
        str(engine_of(broken, streaming=True).query(QUESTION))


def test_leaving_a_stream_frees_the_connection() -> None:
    endless = Endless(sse.openai_chunk, sse.DONE)
    with Ragflow.answering(endless) as scripted, recording() as tape:
        engine = RAGFlowQueryEngine(base_url=scripted.base_url, api_key=KEY, chat_id=CHAT, streaming=True)
        response = engine.query(QUESTION)
        assert isinstance(response, StreamingResponse)
        next(iter(response.response_gen))
        tape.events.clear()  # they hold the response too
        del response
        assert endless.gone.wait(1.0)
        assert tape.lines[-1] == "exit _stream"


def test_tracing(server: Emulator) -> None:
    with recording() as tape, exporting() as exporter:
        engine = engine_of(server, callback_manager=CallbackManager([tape]))
        engine.query(QUESTION)
        streaming = engine_of(server, streaming=True).query(QUESTION)
        assert isinstance(streaming, StreamingResponse)
        list(streaming.response_gen)
        spans = exporter.get_finished_spans()
    inner = ["enter _ask", "event LLMChatStartEvent", "enter _retrieve", "event RetrievalStartEvent", "event RetrievalEndEvent"]
    inner += ["exit _retrieve", "event LLMChatEndEvent", "exit _ask"]
    whole = tape.lines[: tape.lines.index("exit query") + 1]
    assert whole == [
        "enter query",
        "event QueryStartEvent",
        "enter _query",
        *inner,
        "exit _query",
        "event QueryEndEvent",
        "exit query",
    ]
    assert tape.callbacks == [
        *(
            "start query",
            "+query",
            "+llm",
            "+retrieve",
            "-retrieve nodes",
            "-llm messages response",
            "-query response",
            "end query",
        )
    ]
    traces = {span.context.trace_id for span in spans}
    assert len(traces) == 2
    assert all("openinference.span.kind" in (span.attributes or {}) for span in spans)


def _tools(engine: BaseQueryEngine) -> list[QueryEngineTool]:
    return [
        QueryEngineTool.from_defaults(engine, name="bikes", description="Answers about bikes."),
        QueryEngineTool.from_defaults(engine, name="boats", description="Answers about boats."),
    ]


async def test_router(server: Emulator) -> None:
    llm = Scripted('[{"choice": 1, "reason": "It is about bikes."}]')
    engine = RAGFlowChatEngine(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id).as_query_engine()
    router = RouterQueryEngine(
        selector=LLMSingleSelector.from_defaults(llm=llm), query_engine_tools=_tools(engine), llm=llm, summarizer=None
    )
    response = router.query(QUESTION)
    assert str(response) == ANSWER
    assert response.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"
    assert str(await router.aquery(QUESTION)) == ANSWER


def test_sub_questions(server: Emulator) -> None:
    asked = f'```json\n{{"items": [{{"sub_question": "{QUESTION}", "tool_name": "bikes"}}]}}\n```'
    writer = Scripted("Four hours.")
    engine = SubQuestionQueryEngine.from_defaults(
        query_engine_tools=_tools(engine_of(server)),
        llm=writer,
        question_gen=LLMQuestionGenerator.from_defaults(llm=Scripted(asked)),
        response_synthesizer=get_response_synthesizer(llm=writer),
        verbose=False,
        use_async=False,
    )
    response = engine.query("How long must a rider wait?")
    assert str(response) == "Four hours."
    assert any(ANSWER in prompt for prompt in writer.prompts)
    assert any(node.node.metadata.get("file_name") == "charging-stations.md" for node in response.source_nodes)
    assert asyncio.run(engine.aquery("How long must a rider wait?")).source_nodes
