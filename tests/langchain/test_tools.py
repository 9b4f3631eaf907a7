"""`RAGFlowToolkit`: its tools, what they give, and what they say when something fails."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from langchain_core.tools import ToolException
from pydantic import ValidationError

from ragflow_integrations import RAGFlowClient
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.langchain import CitedAnswer, RAGFlowToolkit
from tests.langchain.support import QUESTION

if TYPE_CHECKING:
    from langchain_core.messages import ToolMessage
    from langchain_core.tools import BaseTool


def toolkit(server: Emulator, **fields: Any) -> RAGFlowToolkit:
    connection: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "max_retries": 0}
    return RAGFlowToolkit(**{**connection, "chat_id": server.chat_id, "dataset_ids": [server.dataset_id], **fields})


async def messages(tool: BaseTool, **arguments: str) -> list[ToolMessage]:
    call: Any = {"type": "tool_call", "name": tool.name, "id": "1", "args": arguments}
    return [tool.invoke(call), await tool.ainvoke(call)]


async def test_what_tools_give(server: Emulator) -> None:
    tools = toolkit(server, k=2)
    ask, search = tools.get_tools()
    for message in await messages(ask, question=QUESTION):
        assert isinstance(message.artifact, CitedAnswer)
        assert message.content == message.artifact.text
        assert len(message.artifact.citations) == 2
    for message in await messages(search, query="full charge"):
        assert isinstance(message.content, str)
        assert len(message.artifact) == 2
        for number, item in enumerate(message.artifact, 1):
            assert f"[{number}] {item.metadata['document_name']}\n{item.page_content}" in message.content
    for message in await messages(search, query="zzzzqqq"):
        assert message.artifact == []
        assert "Try other words" in str(message.content)
    await tools.aclose()


async def test_which_tools(server: Emulator) -> None:
    named = toolkit(
        server, chat_id=None, chat_name="Emulator assistant", dataset_ids=None, dataset_names=["Emulator documents"]
    )
    ask, search = named.get_tools()
    assert ask.invoke({"question": QUESTION})
    assert search.invoke({"query": "battery"})
    (only,) = toolkit(server, dataset_ids=None, prefix="bikes", about="shared bikes").get_tools()
    assert only.name == "bikes_ask"
    assert only.description.endswith("The documents are about shared bikes.")
    assert [tool.name for tool in toolkit(server, chat_id=None).get_tools()] == ["ragflow_search"]
    (agent,) = toolkit(server, chat_id=None, agent_id=server.agent_id, dataset_ids=None).get_tools()
    assert agent.invoke({"question": QUESTION})
    named.close()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "give exactly one of `chat_id` or `chat_name` or `agent_id` or `dataset_ids`"),
        ({"chat_id": "a", "chat_name": "b"}, "not `chat_id` and `chat_name`"),
        ({"chat_id": "a", "dataset_ids": []}, "at least one id"),
        ({"chat_ids": "a"}, "Extra inputs"),
    ],
)
def test_wrong_arguments(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        RAGFlowToolkit(api_key="key", **fields)


async def test_text_that_a_model_can_act_on() -> None:
    with Emulator() as server:
        for tool, arguments in zip(toolkit(server).get_tools(), ({"question": "a?"}, {"query": "a"}), strict=True):
            server.faults = FaultPlan(status=503)
            for message in await messages(tool, **arguments):
                assert message.status == "error"
                assert str(message.content).endswith("This may pass: try again once.")
            server.faults = FaultPlan()
            for message in await messages(tool, **dict.fromkeys(arguments, " ")):
                assert message.status == "error"
            for message in await messages(tool, other="a"):
                assert message.status == "error"
        (wrong,) = toolkit(server, chat_id="nobody", dataset_ids=None).get_tools()
        for message in await messages(wrong, question="a?"):
            assert "nobody" in str(message.content)
            assert str(message.content).endswith("do not repeat it.")
        wrong.handle_tool_error = False
        with pytest.raises(ToolException) as caught:
            wrong.invoke({"question": "a?"})
        assert caught.value.__cause__ is not None


async def test_tools_share_connections_and_can_be_pickled(server: Emulator) -> None:
    with RAGFlowClient(server.base_url, server.api_key) as client:
        ask, search = RAGFlowToolkit(client=client, chat_id=server.chat_id, dataset_ids=[server.dataset_id]).get_tools()
        assert ask.func.__self__.model.client is client  # type: ignore[attr-defined]  # of StructuredTool
        assert search.func.__self__.retriever.client is client  # type: ignore[attr-defined]  # as above
        assert pickle.loads(pickle.dumps(ask)).invoke({"question": QUESTION}) == ask.invoke({"question": QUESTION})  # noqa: S301 - our own
