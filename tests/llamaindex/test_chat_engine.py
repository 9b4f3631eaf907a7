from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole
from llama_index.core.memory import ChatMemoryBuffer

from ragflow_integrations import (
    AgentNotFoundError,
    AsyncRAGFlowClient,
    AuthenticationError,
    ChatNotFoundError,
    InvalidArgumentError,
    RAGFlowClient,
    SessionBusyError,
    SessionNotFoundError,
)
from ragflow_integrations.emulator import Emulator, FaultPlan
from ragflow_integrations.llamaindex import RAGFlowChatEngine
from tests.contract.tape import recording

QUESTION = "How long does a full charge take?"
ANSWER = "A full charge at a charging station takes four hours [1]."


def engine_of(server: Emulator, **settings: Any) -> RAGFlowChatEngine:
    named = {} if {"chat_name", "agent_id"} & settings.keys() else {"chat_id": server.chat_id}
    return RAGFlowChatEngine(base_url=server.base_url, api_key=server.api_key, **{**named, **settings})


def test_a_conversation(server: Emulator) -> None:
    engine = engine_of(server)
    assert engine.session_id is None
    first = engine.chat(QUESTION)
    assert (first.response, str(first)) == (ANSWER, ANSWER)
    session = engine.session_id
    assert first.metadata is not None
    assert first.metadata["session_id"] == session
    assert first.metadata["citations"][0]["document_name"] == "charging-stations.md"
    assert first.sources[0].raw_output.source_nodes == first.source_nodes
    with engine.stream_chat(QUESTION) as second:
        assert "".join(second.response_gen) == ANSWER
    assert engine.session_id == session
    assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 2
    with RAGFlowClient(server.base_url, server.api_key) as client:
        assert len(client.sessions.get(server.chat_id, str(session)).messages) == 5  # the opener too


async def test_a_conversation_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        engine = RAGFlowChatEngine.from_defaults(client, chat_name="Emulator assistant")
        assert (await engine.achat(QUESTION)).response == ANSWER
        async with await engine.astream_chat(QUESTION) as response:
            assert "".join([delta async for delta in response.async_response_gen()]) == ANSWER
        assert str(response) == ANSWER
        assert len(await engine.aload_history()) == 5
        await engine.areset()
        assert (engine.session_id, engine.chat_history) == (None, [])


def test_questions_at_once_share_one_session(server: Emulator) -> None:
    async def main() -> RAGFlowChatEngine:
        async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
            engine = RAGFlowChatEngine(client, chat_id=server.chat_id)
            answers = await asyncio.gather(*(engine.achat(QUESTION) for _ in range(3)))
            assert {str(answer) for answer in answers} == {ANSWER}
            return engine

    engine = asyncio.run(main())
    assert [message.role.value for message in engine.chat_history] == ["user", "assistant"] * 3
    assert len(engine_of(server, session_id=engine.session_id).load_history()) == 7


def test_a_second_turn_within_a_stream_is_refused(server: Emulator) -> None:
    engine = engine_of(server)
    with engine.stream_chat(QUESTION), pytest.raises(SessionBusyError):
        engine.chat(QUESTION)
    assert str(engine.chat(QUESTION)) == ANSWER


def test_an_agent(server: Emulator) -> None:
    engine = engine_of(server, agent_id=server.agent_id)
    assert str(engine.chat(QUESTION)) == ANSWER
    with engine.stream_chat(QUESTION) as response:
        assert "".join(response.response_gen) == ANSWER
    assert response.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"
    assert [message.role.value for message in engine.load_history()] == ["assistant", *["user", "assistant"] * 2]
    with pytest.raises(InvalidArgumentError, match="session"):
        engine.chat(QUESTION, chat_history=[])


async def test_an_agent_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        engine = RAGFlowChatEngine(client, agent_id=server.agent_id)
        assert str(await engine.achat(QUESTION)) == ANSWER
        async with await engine.astream_chat(QUESTION) as response:
            assert "".join([delta async for delta in response.async_response_gen()]) == ANSWER
        assert len(await engine.aload_history()) == 5


async def test_a_cancelled_question() -> None:
    with Emulator(faults=FaultPlan(stall_after=0, path="/completions")) as silent:
        async with AsyncRAGFlowClient(silent.base_url, silent.api_key) as client:
            engine = RAGFlowChatEngine(client, chat_id=silent.chat_id)
            with recording() as tape, pytest.raises(TimeoutError):
                await asyncio.wait_for(engine.achat(QUESTION), 0.3)
            assert tape.lines[-2:] == ["event SpanDropEvent", "drop achat"]
            assert "exit _ask" in tape.lines
            assert engine.chat_history == []


def test_an_agent_does_not_take_messages(server: Emulator) -> None:
    with pytest.raises(InvalidArgumentError, match="agent"):
        engine_of(server, agent_id=server.agent_id).chat(QUESTION, chat_history=[])


def test_an_agent_that_asks(server: Emulator) -> None:
    engine = engine_of(server, agent_id=server.form_agent_id)
    engine.chat(QUESTION)
    assert "topic" in engine.chat_history[-1].additional_kwargs["input_request"]["inputs"]
    assert str(engine.chat(QUESTION, inputs={"topic": "charging"}))


def test_history_comes_back_with_its_citations(server: Emulator) -> None:
    engine = engine_of(server)
    engine.chat(QUESTION)
    loaded = engine_of(server, session_id=engine.session_id).load_history()
    assert loaded[0].role is MessageRole.ASSISTANT
    assert [loaded[1].content, loaded[2].content] == [QUESTION, ANSWER]
    assert loaded[2].additional_kwargs["citations"] == engine.chat_history[1].additional_kwargs["citations"]
    assert [block.block_type for block in loaded[2].blocks] == ["text", "citation"]


def test_history_without_a_session(server: Emulator) -> None:
    with pytest.raises(InvalidArgumentError, match="session_id"):
        engine_of(server).load_history()
    with pytest.raises(SessionNotFoundError):
        engine_of(server, session_id="no-such-session").load_history()


def test_messages_as_history(server: Emulator) -> None:
    earlier = [ChatMessage(role="user", content="Hello"), ChatMessage(role="assistant", content="Good day.")]
    engine = engine_of(server)
    response = engine.chat(QUESTION, chat_history=earlier)
    assert str(response) == ANSWER
    assert response.metadata is not None
    assert response.metadata["session_id"] is None
    assert response.metadata["usage"]["total_tokens"] > 0
    assert engine.session_id is None
    assert [message.content for message in engine.chat_history] == ["Hello", "Good day.", QUESTION, ANSWER]
    with engine.stream_chat(QUESTION) as streamed:
        assert "".join(streamed.response_gen) == ANSWER
    assert len(engine.chat_history) == 6


async def test_messages_as_history_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        engine = RAGFlowChatEngine(client, chat_id=server.chat_id)
        assert str(await engine.achat(QUESTION, chat_history=[])) == ANSWER
        async with await engine.astream_chat(QUESTION) as response:
            assert "".join([delta async for delta in response.async_response_gen()]) == ANSWER
        assert (engine.session_id, len(engine.chat_history)) == (None, 4)


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (ChatMessage(role="system", content="Be brief."), "system"),
        (ChatMessage(role="tool", content="4"), "tool"),
        (ChatMessage(role="user", blocks=[ImageBlock(url="http://x/y.png")]), "image"),
    ],
)
def test_messages_that_no_server_reads(server: Emulator, message: ChatMessage, match: str) -> None:
    engine = engine_of(server)
    with pytest.raises(InvalidArgumentError, match=match):
        engine.chat(QUESTION, chat_history=[message])
    assert engine.chat_history == []


def test_memory_holds_the_same(server: Emulator) -> None:
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000, tokenizer_fn=str.split)
    engine = engine_of(server, memory=memory)
    engine.chat(QUESTION)
    with engine.stream_chat(QUESTION) as response:
        list(response.response_gen)
    assert memory.get_all() == engine.chat_history
    engine.load_history()
    assert len(memory.get_all()) == 5
    engine.reset()
    assert memory.get_all() == []


async def test_memory_holds_the_same_async(server: Emulator) -> None:
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000, tokenizer_fn=str.split)
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        engine = RAGFlowChatEngine(client, chat_id=server.chat_id, memory=memory)
        await engine.achat(QUESTION)
        assert memory.get_all() == engine.chat_history
        await engine.aload_history()
        assert len(memory.get_all()) == 3
        await engine.areset()
    assert memory.get_all() == []


def test_a_turn_that_outlives_a_reset_ends_in_its_own_conversation(server: Emulator) -> None:
    engine = engine_of(server)
    response = engine.stream_chat(QUESTION)
    engine.reset()
    list(response.response_gen)
    assert engine.chat_history == []


def test_options(server: Emulator) -> None:
    raw = engine_of(server, citation_style="raw")
    assert str(raw.chat(QUESTION)).endswith("[ID:0].")
    assert str(raw.chat(QUESTION, citation_style="none")) == ANSWER.replace(" [1]", "")
    with pytest.raises(InvalidArgumentError, match="colour"):
        engine_of(server, colour="red")
    with pytest.raises(InvalidArgumentError, match="citation_style"):
        engine_of(server, citation_style="red")
    with pytest.raises(InvalidArgumentError, match="colour"):
        raw.chat(QUESTION, colour="red")  # type: ignore[call-arg]  # what is wrong is the point


@pytest.mark.parametrize(
    "named", [{}, {"chat_id": "a", "agent_id": "b"}, {"chat_id": "a", "chat_name": "b"}, {"agent_id": " "}]
)
def test_exactly_one_is_asked(server: Emulator, named: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError):
        RAGFlowChatEngine(base_url=server.base_url, api_key=server.api_key, **named)  # type: ignore[arg-type]  # likewise


def test_errors_are_those_of_the_core(server: Emulator) -> None:
    with pytest.raises(ChatNotFoundError):
        engine_of(server, chat_id="no-such-chat").chat(QUESTION)
    with pytest.raises(ChatNotFoundError):
        engine_of(server, chat_name="No such chat").stream_chat(QUESTION)
    with pytest.raises(AgentNotFoundError):
        engine_of(server, agent_id="no-such-agent").chat(QUESTION)
    with pytest.raises(AuthenticationError):
        RAGFlowChatEngine(base_url=server.base_url, api_key="wrong", chat_id=server.chat_id).chat(QUESTION)


def test_a_failed_whole_answer_leaves_nothing() -> None:
    with Emulator(faults=FaultPlan(llm_error="**ERROR**: RATE_LIMIT_EXCEEDED - later")) as server:
        engine = engine_of(server)
        with pytest.raises(Exception, match="RATE_LIMIT"):
            engine.chat(QUESTION)
        assert engine.chat_history == []


def test_pickle(server: Emulator) -> None:
    engine = engine_of(server)
    engine.chat(QUESTION)
    twin = pickle.loads(pickle.dumps(engine))  # noqa: S301 - our own
    assert (twin.session_id, twin.chat_history) == (engine.session_id, engine.chat_history)
    assert str(twin.chat(QUESTION)) == ANSWER
    assert len(twin.load_history()) == 5


def test_the_repl(server: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = iter([QUESTION, "exit"] * 2)
    monkeypatch.setattr("builtins.input", lambda _: next(said))
    for repl in ("chat_repl", "streaming_chat_repl"):
        engine = engine_of(server)
        getattr(engine, repl)()
        assert f"Assistant: {ANSWER}" in capsys.readouterr().out
        assert len(engine.chat_history) == 2


def test_as_query_engine_and_tool(server: Emulator) -> None:
    engine = engine_of(server)
    assert str(engine.as_query_engine().query(QUESTION)) == ANSWER
    tool = engine.as_tool("manual", "Answers questions about bikes.")
    output = tool("How long does a full charge take?")
    assert (output.tool_name, output.content) == ("manual", ANSWER)
    assert output.raw_output.source_nodes[0].node.metadata["file_name"] == "charging-stations.md"
    assert (engine.session_id, engine.chat_history) == (None, [])


if TYPE_CHECKING:
    # The engine may stand wherever a chat engine is wanted.
    from llama_index.core.chat_engine.types import BaseChatEngine

    _: type[BaseChatEngine] = RAGFlowChatEngine
