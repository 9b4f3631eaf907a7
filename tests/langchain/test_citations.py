"""The same standard citations, with right spans, whichever way a message comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage, message_to_dict, messages_from_dict
from langchain_core.messages.content import Citation
from langgraph.graph import END, START, MessagesState, StateGraph
from pydantic import TypeAdapter

from ragflow_integrations.emulator import Emulator
from ragflow_integrations.langchain import ChatRAGFlow, CitedAnswer
from tests.langchain.support import QUESTION, added, annotated, citations, shown

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage


async def every_way(server: Emulator) -> dict[str, BaseMessage]:
    connection: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "chat_id": server.chat_id}
    model = ChatRAGFlow(**connection)
    v1 = ChatRAGFlow(**connection, output_version="v1")
    cached = ChatRAGFlow(**connection, cache=InMemoryCache())
    cached.invoke(QUESTION)
    invoked = model.invoke(QUESTION)
    found: dict[str, BaseMessage] = {
        "invoke": invoked,
        "ainvoke": await model.ainvoke(QUESTION),
        "stream": added(model.stream(QUESTION)),
        "astream": added([chunk async for chunk in model.astream(QUESTION)]),
        "invoke v1": v1.invoke(QUESTION),
        "stream v1": added(v1.stream(QUESTION)),
        "cached": cached.invoke(QUESTION),
        "dumps and loads": loads(dumps(invoked), allowed_objects="core"),
        "dicts": messages_from_dict([message_to_dict(invoked)])[0],
        "json": AIMessage.model_validate_json(invoked.model_dump_json()),
        "v3": await (await model.astream_events(QUESTION, version="v3")),
        "v3 sync": model.stream_events(QUESTION, version="v3").output,
    }
    async for event in model.astream_events(QUESTION, version="v2"):
        if event["event"] == "on_chat_model_end":
            found["events v2"] = cast("AIMessage", event["data"]["output"])
    chunks = [
        event["data"]["chunk"]
        async for event in model.astream_events(QUESTION, version="v2")
        if event["event"] == "on_chat_model_stream"
    ]
    found["chunks of events v2"] = added(chunks)

    async def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer").add_edge("answer", END).compile()
    start: Any = {"messages": [HumanMessage(QUESTION)]}
    found["graph"] = (await graph.ainvoke(start))["messages"][-1]
    streamed = [cast("Any", item)[0] async for item in graph.astream(start, stream_mode="messages")]
    assert len(streamed) > 1
    found["graph's messages"] = added(streamed)
    for each in (model, v1, cached):
        await each.aclose()
    return found


@pytest.mark.filterwarnings("ignore::langchain_core._api.LangChainBetaWarning")  # `loads` and the third version of events
@pytest.mark.parametrize("version", ["0.27.0", "0.24.0", "0.22.1"])
async def test_one_list_of_citations(version: str) -> None:
    with Emulator(version=version) as server:
        messages = await every_way(server)
    expected = citations(messages["invoke"])
    assert len(expected) == 2
    for way, message in messages.items():
        text = str(message.text)
        assert text == messages["invoke"].text, way
        assert citations(message) == expected, way
        assert shown(text, expected) == ["[1]", "[2]"]
        answer = CitedAnswer.from_message(message)
        assert answer.citations == expected, way
        assert answer.sources == CitedAnswer.from_message(messages["invoke"]).sources, way
        assert [answer.sources[n - 1].page_content for n in (1, 2)] == [item.get("cited_text") for item in expected], way
        metadata = message.response_metadata
        assert metadata["model_provider"] == "ragflow", way
        assert metadata["model_name"] == messages["invoke"].response_metadata["model_name"], way


async def test_v1_content_needs_no_translator(model: ChatRAGFlow) -> None:
    message = model.model_copy(update={"output_version": "v1"}).invoke(QUESTION)
    assert isinstance(message.content, list)
    assert annotated(cast("Any", message.content)) == citations(message)


def test_citations_are_standard(model: ChatRAGFlow) -> None:
    message = model.invoke(QUESTION)
    adapter = TypeAdapter(Citation)
    for item in citations(message):
        assert set(item) <= set(Citation.__annotations__)
        adapter.validate_python(item, strict=True)
        extras = item["extras"]
        assert "index" not in item, "equal ones would be merged"
        claim = message.text[extras["claim_start"] : extras["claim_end"]]
        assert claim
        assert message.text[item["start_index"] :].startswith(f"[{extras['number']}]")
        assert {"chunk_id", "document_id", "document_name", "dataset_id", "similarity", "positions"} <= set(extras)
