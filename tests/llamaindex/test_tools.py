from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent, ToolCallResult
from llama_index.core.chat_engine.types import AgentChatResponse
from llama_index.core.chat_ui.events import SourceNodesEvent
from llama_index.core.workflow import Context, Event, StartEvent, StopEvent, Workflow, step

from ragflow_integrations import AsyncRAGFlowClient, InvalidArgumentError, RAGFlowClient
from ragflow_integrations.llamaindex import RAGFlowChatEngine, RAGFlowToolSpec
from tests.llamaindex.scripted import calling
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator

#: LlamaIndex's agents look at every attribute of themselves, pydantic's deprecated ones too (`workflows/utils.py`).
pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")


def spec_of(server: Emulator, **settings: Any) -> RAGFlowToolSpec:
    given: dict[str, Any] = {"chat_id": server.chat_id, "dataset_ids": [server.dataset_id], **settings}
    return RAGFlowToolSpec(base_url=server.base_url, api_key=server.api_key, **given)


def test_tools(server: Emulator) -> None:
    search, ask = spec_of(server, similarity_top_k=2).to_tool_list()
    found = search(query=QUESTION)
    assert found.content.startswith("[1] charging-stations.md\n")
    assert "[2] " in found.content
    assert len(found.raw_output.source_nodes) == 2
    answered = ask(question=QUESTION)
    assert answered.content == ANSWER
    assert AgentChatResponse(sources=[found, answered]).source_nodes == [
        *found.raw_output.source_nodes,
        *answered.raw_output.source_nodes,
    ]


def test_what_the_model_sees(server: Emulator) -> None:
    for tool, argument in zip(spec_of(server).to_tool_list(), ("query", "question"), strict=True):
        described = tool.metadata.to_openai_tool()["function"]
        assert described["parameters"]["required"] == [argument]
        assert described["parameters"]["properties"][argument]["type"] == "string"
        assert described["parameters"]["properties"][argument]["description"]
        assert f"({argument}: str)" in described["description"]


def test_only_what_is_named(server: Emulator) -> None:
    assert [tool.metadata.name for tool in spec_of(server, chat_id=None).to_tool_list()] == ["ragflow_search"]
    assert [tool.metadata.name for tool in spec_of(server, dataset_ids=None).to_tool_list()] == ["ragflow_ask"]
    with pytest.raises(InvalidArgumentError, match="chat_id"):
        spec_of(server, dataset_ids=None, chat_id=None)
    with RAGFlowClient(server.base_url, server.api_key) as client, pytest.raises(InvalidArgumentError, match="client"):
        spec_of(server, client=client)


def test_nothing_found(server: Emulator) -> None:
    [search] = spec_of(server, chat_id=None).to_tool_list()
    assert search(query="qwertyuiop zxcvbnm").content == "Nothing was found."


async def test_function_agent(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        spec = RAGFlowToolSpec.from_defaults(client, chat_id=server.chat_id, dataset_ids=[server.dataset_id])
        llm = calling(("ragflow_search", {"query": QUESTION}), ("ragflow_ask", {"question": QUESTION}))
        agent = FunctionAgent(tools=spec.to_tool_list(), llm=llm)
        running = agent.run("How long does it take?")
        results = [event async for event in running.stream_events() if isinstance(event, ToolCallResult)]
        output: Any = await running
    assert str(output) == f"It says: {ANSWER}"
    assert [result.tool_name for result in results] == ["ragflow_search", "ragflow_ask"]
    for result in results:
        assert result.tool_output.raw_output.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"
    assert [call.tool_output.content for call in output.tool_calls][1] == ANSWER


async def test_agent_workflow(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        engine = RAGFlowChatEngine(client, chat_id=server.chat_id)
        tool = engine.as_tool("manual", "Answers questions about the bikes.")
        workflow = AgentWorkflow.from_tools_or_functions([tool], llm=calling(("manual", {"input": QUESTION})))
        output = await workflow.run(user_msg="How long does it take?")
    assert str(output) == f"It says: {ANSWER}"


class Delta(Event):
    """A piece of the answer."""

    text: str


class Chat(Workflow):
    """Passes the pieces on as they come, and the sources at the end."""

    def __init__(self, engine: RAGFlowChatEngine) -> None:
        super().__init__()
        self.engine = engine

    @step
    async def answer(self, ctx: Context, start: StartEvent) -> StopEvent:
        async with await self.engine.astream_chat(start.question) as response:
            async for delta in response.async_response_gen():
                ctx.write_event_to_stream(Delta(text=delta))
        ctx.write_event_to_stream(SourceNodesEvent(nodes=response.source_nodes))
        return StopEvent(result=str(response))


async def test_workflow_that_streams(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        running = Chat(RAGFlowChatEngine(client, chat_id=server.chat_id)).run(question=QUESTION)
        events = [event async for event in running.stream_events()]
        assert await running == ANSWER
    assert "".join(event.text for event in events if isinstance(event, Delta)) == ANSWER
    [sources] = [event for event in events if isinstance(event, SourceNodesEvent)]
    assert sources.nodes[0].node.metadata["file_name"] == "charging-stations.md"
