"""Every completion recorded from RAGFlow 0.27.0, replayed from a socket in pieces of all sizes, through both adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from ragflow_integrations import RAGFlowClient, RAGFlowError
from ragflow_integrations.langchain import ChatRAGFlow
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.core.catalogue import ALL, route
from tests.core.driver import AGENT, CHAT, SESSION
from tests.core.test_recorded_completions import one_session, say_nothing_of_the_version, want
from tests.support import recordings
from tests.support.wire import WireServer, replay

if TYPE_CHECKING:
    from tests.core.oracle import Expected
    from tests.support.wire import Pieces, Routes

PIECES: list[Pieces] = ["whole", "bytes", 7]
NAMES = [name for version, name in ALL if version == "v0.27.0" and route(recordings.load(version, name))]


ROUTES: Routes = {("GET", f"/api/v1/chats/{CHAT}/sessions"): one_session, ("GET", ".*"): say_nothing_of_the_version}


def of_langchain(client: RAGFlowClient, kind: str) -> tuple[ChatRAGFlow, dict[str, Any]]:
    """The model that asks on a route, and the call's own options."""
    if kind == "agent":
        return ChatRAGFlow(agent_id=AGENT, client=client), {"session_id": SESSION}
    return ChatRAGFlow(chat_id=CHAT, client=client), {} if kind == "openai" else {"session_id": SESSION}


def streamed(model: ChatRAGFlow, options: dict[str, Any]) -> Any:
    summed: Any = None
    for chunk in model.stream("Why?", **options):
        summed = chunk if summed is None else summed + chunk
    return summed


async def astreamed(model: ChatRAGFlow, options: dict[str, Any]) -> Any:
    summed: Any = None
    async for chunk in model.astream("Why?", **options):
        summed = chunk if summed is None else summed + chunk
    return summed


def check_message(message: Any, expected: Expected) -> None:
    assert message.text == expected.text
    assert expected.reasoning is None or message.additional_kwargs.get("reasoning_content", "") == expected.reasoning
    reference = message.response_metadata.get("reference", {"chunks": []})
    assert tuple(chunk["chunk_id"] for chunk in reference["chunks"]) == expected.chunks
    for item in message.additional_kwargs.get("citations", []):
        assert message.text[item["start_index"] : item["end_index"]] == f"[{item['extras']['number']}]"


def check_error(error: RAGFlowError, expected: Expected) -> None:
    assert expected.error is not None, error
    assert isinstance(error, expected.error)
    assert getattr(error, "partial", expected.text) == expected.text or not expected.text


@pytest.mark.parametrize("name", NAMES)
async def test_langchain(name: str) -> None:
    recording = recordings.load("v0.27.0", name)
    expected, kind = want(recording), route(recording)
    assert kind
    for pieces in PIECES:
        with (
            WireServer(replay(recording, pieces, extra=ROUTES)) as server,
            RAGFlowClient(server.base_url, "key", max_retries=0) as client,
        ):
            model, options = of_langchain(client, kind)
            try:
                messages = [streamed(model, options), await astreamed(model, options)]
            except RAGFlowError as error:
                check_error(error, expected)
                messages = []
            assert bool(messages) is (expected.error is None)
            for message in messages:
                check_message(message, expected)
            await model.aclose()


@pytest.mark.parametrize("name", [name for name in NAMES if route(recordings.load("v0.27.0", name)) != "openai"])
async def test_llamaindex(name: str) -> None:
    recording = recordings.load("v0.27.0", name)
    expected = want(recording)
    asked: dict[str, Any] = {"agent_id": AGENT} if route(recording) == "agent" else {"chat_id": CHAT}
    for pieces in PIECES:
        with (
            WireServer(replay(recording, pieces, extra=ROUTES)) as server,
            RAGFlowClient(server.base_url, "key", max_retries=0) as client,
        ):
            engines = [RAGFlowChatEngine(client, session_id=SESSION, **asked) for _ in range(2)]
            said, responses = [], []
            try:
                response = engines[0].stream_chat("Why?")
                said.append("".join(response.response_gen))
                later = await engines[1].astream_chat("Why?")
                said.append("".join([piece async for piece in later.async_response_gen()]))
                responses = [response, later]
            except RAGFlowError as error:
                check_error(error, expected)
            assert bool(responses) is (expected.error is None)
            for given in responses:
                assert given.response == expected.text
                assert tuple(node.node_id for node in given.source_nodes) == expected.chunks
            assert all(text == expected.text for text in said) or not responses
