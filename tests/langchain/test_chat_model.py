"""`ChatRAGFlow`: construction, sessions, options, forms of messages."""

from __future__ import annotations

import asyncio
import copy
import pickle
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import pytest
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.runnables import ConfigurableField
from pydantic import SecretStr, ValidationError

from ragflow_integrations import AsyncRAGFlowClient, RAGFlowClient, Timeout
from ragflow_integrations.emulator import Emulator
from ragflow_integrations.langchain import (
    ChatRAGFlow,
    RAGFlowChatNotFoundError,
    RAGFlowInvalidArgumentError,
    RAGFlowSessionBusyError,
    RAGFlowUnsupportedByServerError,
)
from tests.langchain.support import QUESTION, added, citations, openai_stream, shown, streaming
from tests.support import sse
from tests.support.recordings import load
from tests.support.wire import Exchange, WireServer, replay, replay_map

KEY = "ragflow-key"


def sessions_created(server: Emulator, since: int = 0) -> int:
    posts = [record for record in server.requests[since:] if record.method == "POST"]
    return sum(record.path.endswith("/sessions") for record in posts)


# -- construction


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({}, "none was given"),
        ({"chat_id": "a", "chat_name": "b"}, "not `chat_id` and `chat_name`"),
        ({"chat_id": "a", "agent_id": "b"}, "not `chat_id` and `agent_id`"),
        ({"chat_id": " "}, "`chat_id` must not be empty"),
        ({"chat_id": "a", "session_id": "s", "conversation_id": "c"}, "exclude each other"),
        ({"chat_id": "a", "temprature": 1}, "Extra inputs are not permitted"),
        ({"chat_id": "a", "base_url": "ragflow.test"}, "must begin with http"),
        ({"chat_id": "a", "client": object()}, "must be a RAGFlowClient"),
    ],
)
def test_wrong_arguments_are_refused_at_once(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(problem)) as caught:
        ChatRAGFlow(**{"api_key": KEY, **fields})
    assert KEY not in str(caught.value)


def test_a_client_stands_alone_and_above_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    client = RAGFlowClient("http://one.test", KEY)
    for other in ({"base_url": "http://two.test"}, {"api_key": "k"}, {"timeout": 1}, {"max_retries": 1}):
        with pytest.raises(ValidationError, match="the client has its own"):
            ChatRAGFlow(chat_id="a", client=client, **other)
    monkeypatch.setenv("RAGFLOW_BASE_URL", "http://env.test")
    monkeypatch.setenv("RAGFLOW_API_KEY", "env-key")
    model = ChatRAGFlow.from_client(client, chat_id="a")
    assert model.client is client
    assert model._identifying_params["base_url"] == "http://one.test"


def test_the_key_is_not_shown() -> None:
    model = ChatRAGFlow(chat_id="a", api_key=KEY, timeout=Timeout(read=5))
    assert isinstance(model.api_key, SecretStr)
    texts = (repr(model), str(model), str(model._serialized), str(model._get_invocation_params()), model.model_dump_json())
    assert not any(KEY in text for text in texts)
    assert isinstance(model.client, RAGFlowClient)
    assert model.client.timeout.read == 5


def test_copies_keep_everything_but_connections(model: ChatRAGFlow) -> None:
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), model.model_copy(deep=True)):  # noqa: S301 - our own
        assert twin.invoke(QUESTION).content == model.invoke(QUESTION).content
        chosen = twin.configurable_fields(citation_style=ConfigurableField(id="style"))
        assert "[ID:0]" in chosen.invoke(QUESTION, {"configurable": {"style": "raw"}}).content
        twin.close()


# -- the form of messages


async def test_all_four_ways_give_the_same_message(model: ChatRAGFlow) -> None:
    whole = [model.invoke(QUESTION), await model.ainvoke(QUESTION)]
    streamed = [added(model.stream(QUESTION)), added([chunk async for chunk in model.astream(QUESTION)])]
    for message in whole + streamed:
        assert isinstance(message.content, str)
        assert message.content == whole[0].content
        assert message.additional_kwargs == whole[0].additional_kwargs
        assert message.response_metadata == whole[0].response_metadata
        assert message.content_blocks == whole[0].content_blocks
    assert [message.usage_metadata for message in whole] == [whole[0].usage_metadata] * 2
    metadata = whole[0].response_metadata
    assert metadata["model_provider"] == "ragflow"
    assert metadata["chat_id"] == model.chat_id
    assert "session_id" not in metadata
    assert shown(whole[0].text, citations(whole[0])) == ["[1]", "[2]"]
    assert metadata["reference"]["chunks"][0]["chunk_id"] == citations(whole[0])[0]["extras"]["chunk_id"]


def test_a_chunk_holds_its_piece_and_the_last_the_rest(model: ChatRAGFlow) -> None:
    *pieces, last = model.stream(QUESTION)
    for piece in pieces:
        assert piece.response_metadata == {"model_provider": "ragflow"}
        assert piece.additional_kwargs == {}
        assert piece.usage_metadata is None
        assert piece.chunk_position is None
    assert isinstance(last, AIMessageChunk)
    assert last.chunk_position == "last"
    assert last.usage_metadata is not None
    assert last.additional_kwargs["citations"]


@pytest.mark.parametrize("version", ["0.22.1", "0.24.0", "0.25.3", "0.26.0", "0.27.0"])
def test_reasoning(version: str) -> None:
    with (
        WireServer(replay(load(f"v{version}", "05_openai_stream_thinking"))) as server,
        ChatClosing(base_url=server.base_url) as model,
    ):
        total = added(model.stream("think"))
        thought = total.additional_kwargs["reasoning_content"]
        assert thought
        assert "<think>" not in str(total.content)
        assert total.content_blocks[0] == {"type": "reasoning", "reasoning": thought}
        assert total.content_blocks[1]["type"] == "text"
        v1 = added(model.model_copy(update={"output_version": "v1"}).stream("think"))
        assert [block["type"] for block in v1.content_blocks] == ["reasoning", "text"]
        assert v1.content_blocks[0].get("reasoning") == thought
        assert v1.text == total.text


def test_reasoning_of_a_whole_answer() -> None:
    def script(exchange: Exchange) -> None:
        said = {"role": "assistant", "content": "So.", "reasoning_content": "Hm."}
        exchange.reply(json={"model": "m@X", "choices": [{"index": 0, "message": said, "finish_reason": "length"}]})

    with WireServer(script) as server, ChatClosing(base_url=server.base_url) as model:
        message = model.invoke("think")
    assert [block["type"] for block in message.content_blocks] == ["reasoning", "text"]
    assert message.additional_kwargs["reasoning_content"] == "Hm."
    assert message.response_metadata["finish_reason"] == "length"
    assert message.response_metadata["model_name"] == "m@X"
    assert message.usage_metadata is None


@pytest.mark.parametrize("stream", [False, True])
def test_timings_where_the_server_reports_them(stream: bool) -> None:
    name = "03_completion_stream_several_chunks_cited" if stream else "03_completion_nonstream_several_chunks_cited"
    with (
        WireServer(replay(load("v0.27.0", name))) as server,
        ChatClosing(base_url=server.base_url, session_id="s") as model,
    ):
        message = added(model.stream("q")) if stream else model.invoke("q")
        timings = message.response_metadata["timings"]
        assert set(timings) == {"total", "retrieval", "generation"}
        assert all(isinstance(seconds, float) for seconds in timings.values())
        assert citations(message)


def test_the_text_of_a_stream_is_the_sum_of_its_chunks() -> None:
    chunks = [sse.chunk("It lasts a week."), sse.chunk("It weighs 2 kg.")]
    script = openai_stream(
        "It lasts a week.", " It weighs 2 kg.", final="It lasts a week [ID:0]. It weighs 2 kg [ID:1].", chunks=chunks
    )
    with WireServer(script) as server, ChatClosing(base_url=server.base_url) as model:
        total = added(model.stream("q"))
        assert total.content == "It lasts a week. It weighs 2 kg."
        assert shown(total.text, citations(total)) == ["It lasts a week", "It weighs 2 kg"]
        assert total.response_metadata["final_answer"] == "It lasts a week [1]. It weighs 2 kg [2]."


def test_citation_styles(server: Emulator, where: dict[str, Any]) -> None:
    texts = {}
    for style in ("bracket", "raw", "none"):
        model = ChatRAGFlow(chat_id=server.chat_id, citation_style=style, **where)
        message = model.invoke(QUESTION)
        total = added(model.stream(QUESTION))
        assert message.content == total.content
        assert citations(message) == citations(total)
        texts[style] = shown(message.text, citations(message))
        assert [item["extras"]["number"] for item in citations(message)] == [1, 2]
        model.close()
    assert texts["bracket"] == ["[1]", "[2]"]
    assert texts["raw"] == ["[ID:0]", "[ID:1]"]
    assert texts["none"][0] == "A full charge at a charging station takes four hours"


@pytest.mark.parametrize("style", ["bracket", "raw", "none"])
def test_history_is_sent_without_markers(style: str) -> None:
    with WireServer(openai_stream("Yes [ID:0].", chunks=[sse.chunk("It does.")])) as server:
        with ChatClosing(base_url=server.base_url, citation_style=style) as model:
            first = added(model.stream("Does it?"))
            added(model.stream([HumanMessage("Does it?"), first, HumanMessage("Sure?")]))
        assert [item["content"] for item in server.requests[-1].json["messages"]] == ["Does it?", "Yes.", "Sure?"]


# -- stop


async def test_stop(model: ChatRAGFlow) -> None:
    whole = str(model.invoke(QUESTION).content)
    cut = whole[: whole.index("hours [1]. A cold")]
    for stop in (["hours [1]. A cold"], ["nowhere", "hours [1]. A cold", ""]):
        for message in (
            model.invoke(QUESTION, stop=stop),
            await model.ainvoke(QUESTION, stop=stop),
            added(model.stream(QUESTION, stop=stop)),
            added([chunk async for chunk in model.astream(QUESTION, stop=stop)]),
            model.model_copy(update={"stop": stop}).invoke(QUESTION),
        ):
            assert message.content == cut
            assert citations(message) == []
            assert message.usage_metadata


# -- sessions


async def test_a_session_keeps_the_history(server: Emulator, model: ChatRAGFlow) -> None:
    client = model._sync
    session_id = client.sessions.create(server.chat_id).id
    first = model.invoke("How long does charging take?", session_id=session_id)
    await model.ainvoke([HumanMessage("old"), first, HumanMessage("And in winter?")], session_id=session_id)
    added(model.bind(session_id=session_id).stream("Third?"))
    added([chunk async for chunk in model.astream("Fourth?", session_id=session_id)])
    assert first.response_metadata["session_id"] == session_id
    asked = [item.content for item in client.sessions.get(server.chat_id, session_id).messages if item.role == "user"]
    assert asked == ["How long does charging take?", "And in winter?", "Third?", "Fourth?"]


def test_session_as_field_and_by_configuration(server: Emulator, model: ChatRAGFlow, where: dict[str, Any]) -> None:
    client = model._sync
    one, two = (client.sessions.create(server.chat_id).id for _ in range(2))
    held = ChatRAGFlow(chat_id=server.chat_id, session_id=one, **where)
    assert held.invoke("a?").response_metadata["session_id"] == one
    assert held.invoke("b?", session_id=two).response_metadata["session_id"] == two
    chosen = model.configurable_fields(session_id=ConfigurableField(id="session"))
    config: Any = {"configurable": {"session": one}}
    assert chosen.invoke("c?", config=config).response_metadata["session_id"] == one
    *pieces, last = chosen.stream(QUESTION, config=config)
    assert len(pieces) > 1, "configuration must not switch streaming off"
    assert last.response_metadata["session_id"] == one
    held.close()


def test_configured_copies_share_connections(server: Emulator, where: dict[str, Any]) -> None:
    model = ChatRAGFlow(chat_name="Emulator assistant", **where)
    chosen = model.configurable_fields(conversation_id=ConfigurableField(id="thread_id"))
    since = len(server.requests)
    ids = {
        thread: {
            chosen.invoke("q?", config={"configurable": {"thread_id": thread}}).response_metadata["session_id"]
            for _ in range(2)
        }
        for thread in ("a", "b")
    }
    assert all(len(found) == 1 for found in ids.values())
    assert ids["a"] != ids["b"]
    assert sessions_created(server, since) == 2
    lookups = [record for record in server.requests[since:] if record.method == "GET" and record.path.endswith("/chats")]
    assert len(lookups) == 1, "the name is looked up once"
    assert model.session_store == {thread: found.pop() for thread, found in ids.items()}
    model.close()


def test_configuring_another_address_makes_another_client(server: Emulator, model: ChatRAGFlow) -> None:
    with Emulator() as other:
        chosen = model.configurable_fields(base_url=ConfigurableField(id="url"), chat_id=ConfigurableField(id="chat"))
        before = len(server.requests)
        config: Any = {"configurable": {"url": other.base_url, "chat": other.chat_id}}
        assert chosen.invoke("q?", config=config).response_metadata["chat_id"] == other.chat_id
        assert len(server.requests) == before


async def test_a_conversation_gets_one_session(server: Emulator, model: ChatRAGFlow) -> None:
    since = len(server.requests)
    store: dict[str, str] = {}
    model = model.model_copy(update={"session_store": store})
    answers = await asyncio.gather(*(model.ainvoke("q?", conversation_id="ann") for _ in range(5)))
    with ThreadPoolExecutor(5) as pool:
        threads = [pool.submit(model.invoke, "q?", conversation_id="ben") for _ in range(5)]
        mixed = [asyncio.to_thread(model.invoke, "q?", conversation_id="cat"), model.ainvoke("q?", conversation_id="cat")]
        await asyncio.gather(*mixed)
        answers += [await asyncio.wrap_future(item) for item in threads]
    assert {item.response_metadata["session_id"] for item in answers} == {store["ann"], store["ben"]}
    assert sessions_created(server, since) == 3
    assert set(store) == {"ann", "ben", "cat"}


async def test_one_who_gives_up_leaves_the_creation_to_the_next() -> None:
    asked, go = threading.Event(), threading.Event()

    def create(exchange: Exchange) -> None:
        if not asked.is_set():
            asked.set()
            go.wait(5)
        exchange.reply(json={"code": 0, "data": {"id": "s1", "chat_id": "chat"}})

    routes: Any = {
        ("POST", ".*/sessions"): create,
        ("POST", ".*/completions"): streaming(sse.native_delta("Yes."), sse.native_delta("", final=True), sse.terminator()),
    }
    with WireServer(replay_map(routes)) as server:
        model = ChatRAGFlow(chat_id="chat", base_url=server.base_url, api_key=KEY)

        async def ask() -> AIMessageChunk:
            return added([chunk async for chunk in model.astream("q?", conversation_id="x")])

        first, second, third = (asyncio.create_task(ask()) for _ in range(3))
        await asyncio.to_thread(asked.wait, 5)
        second.cancel()
        first.cancel()
        go.set()
        assert (await third).content == "Yes."
        assert all(
            isinstance(item, asyncio.CancelledError) for item in await asyncio.gather(first, second, return_exceptions=True)
        )
        assert model.session_store == {"x": "s1"}
        await model.aclose()


async def test_a_blocking_call_does_not_wait_for_its_own_event_loop() -> None:
    asked, go = threading.Event(), threading.Event()

    def create(exchange: Exchange) -> None:
        asked.set()
        go.wait(5)
        exchange.reply(json={"code": 0, "data": {"id": "s1", "chat_id": "chat"}})

    routes: Any = {
        ("POST", ".*/sessions"): create,
        ("POST", ".*/completions"): streaming(sse.native_delta("Yes."), sse.native_delta("", final=True), sse.terminator()),
    }
    with WireServer(replay_map(routes)) as server:
        model = ChatRAGFlow(chat_id="chat", base_url=server.base_url, api_key=KEY)
        first = asyncio.ensure_future(anext(model.astream("q?", conversation_id="x")))
        await asyncio.to_thread(asked.wait, 5)
        with pytest.raises(RAGFlowSessionBusyError, match="within an event loop use `ainvoke`") as caught:
            next(model.stream("q?", conversation_id="x"))
        assert caught.value.retryable
        go.set()
        assert (await first).content
        await model.aclose()


async def test_a_blocking_call_in_an_event_loop_waits_for_a_session_that_another_thread_creates() -> None:
    creating, go = threading.Event(), threading.Event()

    class Store(dict[str, str]):
        """Lets the server create the session once a second call has looked for it."""

        def get(self, key: str, default: Any = None) -> Any:
            if creating.is_set():
                go.set()
            return super().get(key, default)

    def create(exchange: Exchange) -> None:
        creating.set()
        go.wait(5)
        exchange.reply(json={"code": 0, "data": {"id": "s1", "chat_id": "chat"}})

    routes: Any = {
        ("POST", ".*/sessions"): create,
        ("POST", ".*/completions"): streaming(sse.native_delta("Yes."), sse.native_delta("", final=True), sse.terminator()),
    }
    with WireServer(replay_map(routes)) as server:
        model = ChatRAGFlow(chat_id="chat", base_url=server.base_url, api_key=KEY, session_store=Store())
        first = asyncio.create_task(asyncio.to_thread(lambda: added(model.stream("q?", conversation_id="x"))))
        await asyncio.to_thread(creating.wait, 5)
        assert added(model.stream("q?", conversation_id="x")).content == "Yes."
        assert (await first).content == "Yes."
        assert [request.path for request in server.requests].count("/api/v1/chats/chat/sessions") == 1
        model.close()


# -- options


def test_what_is_asked_for_is_sent() -> None:
    chat = {("GET", ".*/chats"): lambda exchange: exchange.reply(json={"code": 0, "data": {"chats": [{"id": "chat"}]}})}
    with WireServer(replay_map(chat, openai_stream("Yes."))) as server:
        with ChatClosing(base_url=server.base_url, temperature=0.5, model="one@X", max_tokens=7) as model:
            condition = {"logic": "and", "conditions": [{"name": "a", "comparison_operator": "is", "value": "b"}]}
            last = added(model.stream("q", model="two@X", top_p=0.25, temperature=None, metadata_condition=condition))
            assert last.response_metadata["model_name"] == "two@X"
        body = server.requests[-1].json
    assert body["model"] == "two@X"
    assert (body["top_p"], body["max_tokens"]) == (0.25, 7)
    assert "temperature" not in body
    assert body["extra_body"]["metadata_condition"] == condition


def test_options_that_only_the_native_route_has(server: Emulator, model: ChatRAGFlow) -> None:
    document = next(iter(model._sync.documents.list(server.dataset_id, name="charging-stations.md")))
    message = model.invoke(QUESTION, document_ids=[document.id], reasoning_effort="off")
    assert {item["document_name"] for item in message.response_metadata["reference"]["chunks"]} == {"charging-stations.md"}


def test_an_option_that_a_server_lacks_is_refused() -> None:
    with (
        Emulator(version="0.22.1") as server,
        ChatClosing(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id) as model,
        pytest.raises(RAGFlowUnsupportedByServerError, match="`temperature` without a session"),
    ):
        model.invoke("q?", temperature=0.5)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"temprature": 1}, "`temprature` is no option of a call"),
        ({"tools": []}, "`tools` is no option"),
        ({"temperature": "hot"}, "`temperature` must be a number"),
        ({"inputs": {"a": 1}}, "`inputs` is an option of agents"),
        ({"session_id": ""}, "`session_id` must not be empty"),
        ({"session_id": "a", "conversation_id": "b"}, "exclude each other"),
    ],
)
def test_wrong_options_are_refused(model: ChatRAGFlow, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(RAGFlowInvalidArgumentError, match=problem):
        model.invoke("q?", **options)
    with pytest.raises(ValueError, match=problem):
        next(model.stream("q?", **options))


def test_variables_of_the_prompt() -> None:
    script = streaming(sse.native_delta("Yes."), sse.native_delta("", final=True), sse.terminator())
    with WireServer(script) as server:
        with ChatClosing(base_url=server.base_url, session_id="s", variables={"tone": "kind"}) as model:
            added(model.stream("q"))
        assert server.requests[-1].json["tone"] == "kind"


async def test_a_name_that_does_not_exist(where: dict[str, Any]) -> None:
    model = ChatRAGFlow(chat_name="nobody", **where)
    with pytest.raises(RAGFlowChatNotFoundError, match="nobody"):
        model.invoke("q?")
    with pytest.raises(RAGFlowChatNotFoundError, match="nobody"):
        await model.ainvoke("q?")
    await model.aclose()


# -- agents


@pytest.mark.parametrize("version", ["0.27.0", "0.24.0", "0.20.5"])
async def test_an_agent_answers(version: str) -> None:
    with Emulator(version=version) as server:
        model = ChatRAGFlow(agent_id=server.agent_id, base_url=server.base_url, api_key=server.api_key)
        assert model._llm_type == "ragflow-agent"
        for message in (model.invoke(QUESTION), await model.ainvoke(QUESTION), added(model.stream(QUESTION))):
            assert message.response_metadata["agent_id"] == server.agent_id
            assert message.response_metadata["session_id"]
            assert shown(message.text, citations(message)) == [f"[{n + 1}]" for n in range(len(citations(message)))]
            assert citations(message)
        one, two = (model.invoke("hello?", conversation_id="c").response_metadata["session_id"] for _ in range(2))
        assert one == two == model.session_store["c"]
        await model.aclose()


def test_an_agent_needs_a_session_for_a_history(server: Emulator, where: dict[str, Any]) -> None:
    model = ChatRAGFlow(agent_id=server.agent_id, **where)
    history = [("human", "a"), ("ai", "b"), ("human", "How long does charging take?")]
    with pytest.raises(RAGFlowInvalidArgumentError, match="`session_id` or `conversation_id`"):
        model.invoke(history)
    assert model.invoke(history, conversation_id="h").content
    model.close()


def test_an_agent_waits_for_a_form(server: Emulator, where: dict[str, Any]) -> None:
    model = ChatRAGFlow(agent_id=server.form_agent_id, conversation_id="f", **where)
    waiting = model.invoke("hello")
    assert "topic" in waiting.response_metadata["input_request"]["inputs"]
    assert model.invoke("hello", inputs={"topic": "battery"}).content
    assert model.invoke("hello", conversation_id="g", inputs={"topic": "battery"}, return_trace=True).response_metadata["trace"]
    model.close()


# -- sharing


async def test_many_models_share_the_connections_of_a_client() -> None:
    def script(exchange: Exchange) -> None:
        openai_stream("Yes.")(exchange)

    with WireServer(script) as server:
        client = RAGFlowClient(server.base_url, KEY)
        models = [ChatRAGFlow(client=client, chat_id=f"chat-{number}") for number in range(5)]
        for model in models:
            added(model.stream("q"))
            added([chunk async for chunk in model.astream("q")])
        assert server.connections == 2, "one for each mode"
        await models[0].aclose()
        client.close()

    with WireServer(script) as server:
        async with AsyncRAGFlowClient(server.base_url, KEY) as asynchronous:
            models = [ChatRAGFlow.from_client(asynchronous, chat_id=f"chat-{number}") for number in range(5)]
            for model in models:
                added(model.stream("q"))
                added([chunk async for chunk in model.astream("q")])
            assert server.connections == 2
            models[0].close()


class ChatClosing(ChatRAGFlow):
    """A model for one `with`; standard arguments fill in for those that do not matter."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"api_key": KEY, "chat_id": "chat", **fields})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
