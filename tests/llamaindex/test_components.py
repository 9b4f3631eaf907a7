"""What all seven components have in common: clients, `from_defaults`, `close` and `aclose`, stop sequences, defaults."""

from __future__ import annotations

import inspect
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage

from ragflow_integrations import AsyncRAGFlowClient, InvalidArgumentError, RAGFlowClient
from ragflow_integrations.llamaindex import (
    RAGFlowChatEngine,
    RAGFlowIndex,
    RAGFlowLLM,
    RAGFlowQueryEngine,
    RAGFlowReader,
    RAGFlowRetriever,
    RAGFlowToolSpec,
)
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION
from tests.support.wire import WireServer

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator

KEY = "ragflow-key"
ASKING: dict[str, Any] = {"chat_id": "chat"}
COMPONENTS: dict[type[Any], dict[str, Any]] = {
    RAGFlowChatEngine: ASKING,
    RAGFlowQueryEngine: ASKING,
    RAGFlowLLM: ASKING,
    RAGFlowRetriever: {"dataset_ids": ["dataset"]},
    RAGFlowReader: {"dataset_id": "dataset"},
    RAGFlowIndex: {"dataset_id": "dataset"},
    RAGFlowToolSpec: {**ASKING, "dataset_ids": ["dataset"]},
}
SETTINGS: dict[str, Any] = {"base_url": "http://other", "api_key": "other", "timeout": 1, "max_retries": 9}
STOP = "charging"


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("component", COMPONENTS)
def test_a_setting_beside_a_client_is_refused(component: type[Any], setting: str) -> None:
    for client in (RAGFlowClient("http://h", KEY), AsyncRAGFlowClient("http://h", KEY)):
        with pytest.raises(InvalidArgumentError, match=f"`client` excludes `{setting}`"):
            component(client, **COMPONENTS[component], **{setting: SETTINGS[setting]})


@pytest.mark.parametrize("component", COMPONENTS)
def test_from_defaults_is_the_constructor(component: type[Any]) -> None:
    client = RAGFlowClient("http://h", KEY)
    made = component.from_defaults(client, **COMPONENTS[component])
    assert type(made) is component
    assert inspect.signature(component.from_defaults) == inspect.signature(component)
    with pytest.raises(InvalidArgumentError, match="excludes `timeout`"):
        component.from_defaults(client, timeout=1, **COMPONENTS[component])


@pytest.mark.parametrize("component", COMPONENTS)
async def test_a_component_is_closed_in_both_modes_and_is_used_again(component: type[Any], server: Emulator) -> None:
    arguments = {"chat_id": server.chat_id, "dataset_id": server.dataset_id, "dataset_ids": [server.dataset_id]}
    own = {name: arguments[name] for name in COMPONENTS[component]}
    made = component(base_url=server.base_url, api_key=server.api_key, **own)
    for _ in range(2):
        assert made._client_pair().sync.chats.get(server.chat_id).id == server.chat_id
        assert (await made._client_pair().async_.chats.get(server.chat_id)).id == server.chat_id
        made.close()
        await made.aclose()


async def test_closing_leaves_the_connections_of_a_callers_client_open() -> None:
    def reply(exchange: Any) -> None:
        exchange.reply(json={"code": 0, "data": [{"id": "dataset", "name": "d"}]})

    with WireServer(reply) as server, RAGFlowClient(server.base_url, KEY) as client:
        reader = RAGFlowReader(client, dataset_id="dataset")
        client.datasets.find("d")
        reader.close()
        await reader.aclose()
        client.datasets.find("d")
        assert server.connections == 1


@pytest.mark.parametrize("component", [RAGFlowChatEngine, RAGFlowRetriever, RAGFlowReader, RAGFlowToolSpec, RAGFlowLLM])
def test_a_pickled_component_keeps_its_settings(component: type[Any]) -> None:
    made = component(base_url="http://h", api_key=KEY, timeout=3, max_retries=1, **COMPONENTS[component])
    client = pickle.loads(pickle.dumps(made._client_pair())).sync  # noqa: S301 - our own bytes
    assert (client.base_url, client.timeout.read, client.max_retries) == ("http://h", 3, 1)


async def test_a_wrong_option_of_a_first_question_creates_no_session() -> None:
    wrong: dict[str, Any] = {"temprature": 1}
    with WireServer(lambda exchange: exchange.reply(json={"code": 0, "data": {"id": "session"}})) as server:
        engine = RAGFlowChatEngine(base_url=server.base_url, api_key=KEY, chat_id="chat")
        for ask in (engine.chat, engine.stream_chat):
            with pytest.raises(InvalidArgumentError, match="`temprature` is no option"):
                ask("q", **wrong)
        for aask in (engine.achat, engine.astream_chat):
            with pytest.raises(InvalidArgumentError, match="`temprature` is no option"):
                await aask("q", **wrong)
        assert server.requests == []
        assert engine.session_id is None


# -- stop sequences: "A full charge at a charging station takes four hours [1]."


@pytest.mark.parametrize("once", [True, False], ids=["of the call", "of the engine"])
async def test_a_chat_engine_cuts_the_answer_off_before_a_stop_sequence(server: Emulator, once: bool) -> None:
    settings: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "chat_id": server.chat_id}
    option: dict[str, Any] = {"stop": [STOP]}
    engine = RAGFlowChatEngine(**settings, **({} if once else option))
    call = option if once else {}
    expected = ANSWER.partition(STOP)[0]
    response = engine.chat(QUESTION, **call)
    assert response.response == expected
    assert response.metadata is not None
    assert response.metadata["citations"] == []
    assert response.source_nodes
    assert (await engine.achat(QUESTION, **call)).response == expected
    streamed = engine.stream_chat(QUESTION, **call)
    assert "".join(streamed.response_gen) == expected == streamed.response
    astreamed = await engine.astream_chat(QUESTION, **call)
    assert "".join([piece async for piece in astreamed.async_response_gen()]) == expected == astreamed.response
    assert [message.content for message in engine.chat_history[1::2]] == [expected] * 4
    await engine.aclose()


def test_the_text_that_may_begin_a_stop_sequence_is_shown_if_it_does_not(server: Emulator) -> None:
    engine = RAGFlowChatEngine(
        base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id, stop=[ANSWER + "!", "[1].."]
    )
    streamed = engine.stream_chat(QUESTION)
    assert "".join(streamed.response_gen) == ANSWER == streamed.response
    engine.close()


async def test_a_query_engine_cuts_the_answer_off_before_a_stop_sequence(server: Emulator) -> None:
    settings: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "chat_id": server.chat_id}
    engine = RAGFlowQueryEngine(**settings, stop=[STOP])
    expected = ANSWER.partition(STOP)[0]
    assert str(engine.query(QUESTION)) == str(await engine.aquery(QUESTION)) == expected
    streaming: Any = RAGFlowQueryEngine(**settings, stop=[STOP], streaming=True).query(QUESTION)
    assert "".join(streaming.response_gen) == expected == str(streaming)
    await engine.aclose()


async def test_an_llm_cuts_the_answer_off_before_a_stop_sequence(server: Emulator) -> None:
    llm = RAGFlowLLM(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id)
    expected = ANSWER.partition(STOP)[0]
    messages = [ChatMessage(role="user", content=QUESTION)]
    assert llm.complete(QUESTION, stop=[STOP]).text == expected
    assert (await llm.achat(messages, stop=[STOP])).message.content == expected
    pieces = list(llm.stream_chat(messages, stop=[STOP]))
    assert "".join(piece.delta or "" for piece in pieces) == expected == pieces[-1].message.content
    last = [piece async for piece in await llm.astream_chat(messages, stop=[STOP])][-1]
    assert last.message.content == expected
    assert last.message.additional_kwargs["citations"] == []
    await llm.aclose()


def test_wrong_stop_sequences_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`stop` must be a list of strings"):
        RAGFlowChatEngine(base_url="http://h", api_key=KEY, chat_id="chat", stop=STOP)


# -- the words and defaults of the other adapter


def test_a_search_returns_eight_passages_by_default(server: Emulator) -> None:
    settings: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "dataset_ids": [server.dataset_id]}
    assert RAGFlowRetriever(**settings).similarity_top_k == 8
    spec = RAGFlowToolSpec(**settings)
    (search,) = spec.to_tool_list()
    assert len(search(query="battery charge station helmet winter").raw_output.source_nodes) > 6
    spec.close()


def test_the_tools_have_the_names_that_langchains_have(server: Emulator) -> None:
    settings: dict[str, Any] = {"base_url": server.base_url, "api_key": server.api_key, "chat_id": server.chat_id}
    settings["dataset_ids"] = [server.dataset_id]
    prefixes: list[dict[str, Any]] = [{}, {"prefix": "bikes"}, {"prefix": ""}]
    specs = [RAGFlowToolSpec(**{**settings, **prefix}) for prefix in prefixes]
    names = [[tool.metadata.name for tool in spec.to_tool_list()] for spec in specs]
    assert names == [["ragflow_search", "ragflow_ask"], ["bikes_search", "bikes_ask"], ["search", "ask"]]
