from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest
from llama_index.core.agent.workflow import FunctionAgent, ToolCallResult
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.chat_engine.types import BaseChatEngine
from llama_index.core.llms.mock import MockFunctionCallingLLM

from tests.contract.harness import Subject, contract
from tests.contract.world import BATTERY, DELTAS, QUESTION, RADIO, SHOWN, Ragflow, answer, chunks, stream
from tests.support import sse

#: LlamaIndex's agents look at every attribute of themselves, pydantic's deprecated ones too (`workflows/utils.py`).
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


@contract("R1", "the six methods have the signatures of the base class; `chat_history` is a property")
def test_signatures(subject: Subject) -> None:
    for name in ("chat", "achat", "stream_chat", "astream_chat", "reset"):
        base = inspect.signature(getattr(BaseChatEngine, name)).parameters
        own = inspect.signature(getattr(subject.engine_class, name)).parameters
        assert list(own)[: len(base)] == list(base)
        assert all(own[each].default == base[each].default for each in base)
    assert isinstance(subject.engine_class.chat_history, property)


@contract("R15", "`source_nodes` is one list, filled in place when the answer is whole")
def test_same_list(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        held = response.source_nodes
        list(response.response_gen)
        assert held is response.source_nodes
        assert [node.node.node_id for node in held] == [BATTERY["id"], RADIO["id"]]
        assert response.sources[0].raw_output.source_nodes == held


@contract("R16", "the streamed response has metadata: session, message, citations, usage")
def test_metadata(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        keys = {"session_id", "message_id", "citations", "usage", "finish_reason"}
        keys |= {"input_request", "structured", "attachments", "trace"}  # of agents
        assert set(response.metadata) == keys
        assert response.metadata["session_id"] == "session-1"
        list(response.response_gen)
        assert set(response.metadata) == keys
        assert response.metadata["message_id"] == sse.MESSAGE_ID
        [citation] = response.metadata["citations"]
        assert (citation["index"], citation["number"], citation["chunk_id"]) == (0, 1, BATTERY["id"])
        assert SHOWN[citation["claim_start"] : citation["claim_end"]] == "The battery lasts eighteen months"


def _retrieve(subject: Subject, *found: dict[str, Any]) -> list[Any]:
    with Ragflow.answering() as server:
        server.retrieval = chunks(*found)
        nodes: list[Any] = subject.retriever(server).retrieve(QUESTION)
        return nodes


@contract("R17", "two chunks of one document are two nodes")
def test_two_chunks(subject: Subject) -> None:
    assert [node.node.node_id for node in _retrieve(subject, BATTERY, RADIO)] == [BATTERY["id"], RADIO["id"]]


@contract("R18", "a node knows its document, and its text is text")
def test_source(subject: Subject) -> None:
    [node] = _retrieve(subject, BATTERY)
    assert node.node.ref_doc_id == BATTERY["document_id"]
    assert node.text == BATTERY["content"]
    assert node.node.metadata["file_name"] == BATTERY["document_name"]


@contract("R19", "a score that the server does not give stays None")
def test_no_score(subject: Subject) -> None:
    assert [node.score for node in _retrieve(subject, BATTERY, RADIO)] == [0.81, None]


WHOLE = {"code": 0, "data": {"answer": "The battery lasts eighteen months [ID:0].", "reference": sse.reference(BATTERY, RADIO)}}
STATELESS = {
    "id": "x",
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {
                "role": "assistant",
                "content": "The battery lasts eighteen months [ID:0].",
                "reference": [BATTERY, RADIO],
            },
        }
    ],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}


def scripted(tool: str, arguments: dict[str, Any]) -> MockFunctionCallingLLM:
    """An LLM that calls the tool once, and then says what the tool said."""

    async def reply(messages: list[ChatMessage], **_: Any) -> Any:
        said = [message.content for message in messages if message.role is MessageRole.TOOL]
        if said:
            yield ChatMessage(role=MessageRole.ASSISTANT, content=str(said[-1]))
            return
        call = ToolCallBlock(tool_call_id="1", tool_name=tool, tool_kwargs=arguments)
        yield ChatMessage(role=MessageRole.ASSISTANT, blocks=[call])

    return MockFunctionCallingLLM(response_generator=reply)


@contract("R24", "an agent's tool gives the model clean text, and the program the source nodes")
async def test_agent_tool(subject: Subject) -> None:
    both = stream(
        sse.native_delta("".join(DELTAS)),
        sse.native_delta("".join(DELTAS), True, sse.reference(BATTERY, RADIO)),
        sse.terminator(),
    )
    with Ragflow.answering(
        lambda exchange: exchange.reply(json=STATELESS) if "messages" in exchange.json else both(exchange)
    ) as server:
        tool = subject.engine(server).as_tool("ask_manual", "Answers questions about devices.")
        argument = "input" if "input" in tool.metadata.get_parameters_dict()["properties"] else "question"
        agent = FunctionAgent(tools=[tool], llm=scripted("ask_manual", {argument: QUESTION}))
        running = agent.run("How long?")
        results = [event async for event in running.stream_events() if isinstance(event, ToolCallResult)]
        final = await running
        assert str(final) == SHOWN
        nodes = results[0].tool_output.raw_output.source_nodes
        assert [node.node.node_id for node in nodes] == [BATTERY["id"], RADIO["id"]]
        assert asyncio.current_task() is not None
