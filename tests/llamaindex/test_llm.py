from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.evaluation import FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.response_synthesizers import get_response_synthesizer

from ragflow_integrations import AsyncRAGFlowClient, InvalidArgumentError
from ragflow_integrations.llamaindex import RAGFlowLLM, RAGFlowQueryEngine
from tests.contract.tape import exporting, recording
from tests.contract.world import CHAT, KEY, Ragflow, stream
from tests.llamaindex.scripted import Scripted
from tests.llamaindex.test_chat_engine import ANSWER, QUESTION
from tests.llamaindex.test_retriever import retriever_of
from tests.support import sse

if TYPE_CHECKING:
    from ragflow_integrations.emulator import Emulator

ASKED = [ChatMessage(role="user", content=QUESTION)]


def llm_of(server: Emulator, **settings: Any) -> RAGFlowLLM:
    return RAGFlowLLM(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id, **settings)


def test_chat_and_complete(server: Emulator) -> None:
    llm = llm_of(server)
    response = llm.chat(ASKED)
    assert response.message.content == ANSWER
    assert [block.block_type for block in response.message.blocks] == ["text", "citation"]
    assert response.message.additional_kwargs["citations"][0]["document_name"] == "charging-stations.md"
    assert response.raw is not None
    assert response.raw["usage"]["total_tokens"] > 0
    assert llm.complete(QUESTION).text == ANSWER
    chat = list(llm.stream_chat(ASKED))
    assert "".join(piece.delta or "" for piece in chat) == ANSWER == chat[-1].message.content
    assert chat[-1].message.additional_kwargs["citations"]
    completion = list(llm.stream_complete(QUESTION))
    assert completion[-1].text == ANSWER
    assert llm.metadata.is_chat_model
    assert llm.metadata.model_name == f"ragflow/{server.chat_id}"


async def test_async(server: Emulator) -> None:
    async with AsyncRAGFlowClient(server.base_url, server.api_key) as client:
        llm = RAGFlowLLM.from_defaults(client, chat_name="Emulator assistant")
        assert (await llm.achat(ASKED)).message.content == ANSWER
        assert (await llm.acomplete(QUESTION)).text == ANSWER
        pieces = [piece async for piece in await llm.astream_chat(ASKED)]
        assert "".join(piece.delta or "" for piece in pieces) == ANSWER
        assert [piece async for piece in await llm.astream_complete(QUESTION)][-1].text == ANSWER


def test_thinking_and_growing_messages() -> None:
    events = stream(
        sse.openai_chunk(reasoning="Let me "),
        sse.openai_chunk(reasoning="look."),
        sse.openai_chunk("Four "),
        sse.openai_chunk("hours."),
        sse.openai_chunk(finish="stop", reference=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
        sse.DONE,
    )
    with Ragflow.answering(events) as server:
        llm = RAGFlowLLM(base_url=server.base_url, api_key=KEY, chat_id=CHAT)
        pieces: list[ChatResponse] = list(llm.stream_chat(ASKED))
    assert [piece.additional_kwargs.get("thinking_delta") for piece in pieces] == ["Let me ", "look.", None, None, None]
    assert [piece.message.content for piece in pieces] == ["", "", "Four ", "Four hours.", "Four hours."]
    assert pieces[-1].message.blocks[0].content == "Let me look."  # type: ignore[union-attr]  # the thinking
    assert pieces[-1].raw == {"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}


def test_system_messages_are_put_before_the_question() -> None:
    events = stream(sse.openai_chunk("Yes."), sse.openai_chunk(finish="stop", reference=[]), sse.DONE)
    with Ragflow.answering(events) as server:
        llm = RAGFlowLLM(base_url=server.base_url, api_key=KEY, chat_id=CHAT)
        list(llm.stream_chat([ChatMessage(role="system", content="Be brief."), *ASKED]))
        list(llm.stream_chat([ChatMessage(role="system", content="Be brief.")]))
        assert [asked["messages"] for asked in server.completions] == [
            [{"role": "user", "content": f"Be brief.\n\n{QUESTION}"}],
            [{"role": "user", "content": "Be brief."}],
        ]
        with pytest.raises(InvalidArgumentError, match="question"):
            llm.chat([ChatMessage(role="assistant", content="Hello")])
        with pytest.raises(InvalidArgumentError, match="colour"):
            llm.complete("x", colour="red")


# OpenInference asks metadata for `json()`; an error in its handler would be swallowed, and the span lost.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecationWarning")
def test_tracing_once(server: Emulator) -> None:
    counter = TokenCountingHandler(tokenizer=str.split)
    with recording() as tape, exporting() as exporter:
        llm = llm_of(server, callback_manager=CallbackManager([counter, tape]))
        llm.complete(QUESTION)
        list(llm.stream_chat(ASKED))
        spans = exporter.get_finished_spans()
    assert tape.callbacks[:4] == ["start completion", "+llm", "-llm completion formatted_prompt", "end completion"]
    assert len(counter.llm_token_counts) == 2
    assert counter.total_llm_token_count > 0
    assert {dict(span.attributes or {})["openinference.span.kind"] for span in spans} == {"LLM"}
    assert server.api_key not in str([*tape.payloads, *tape.events, *(span.attributes for span in spans), llm, llm.to_dict()])


def test_pickle(server: Emulator) -> None:
    twin = pickle.loads(pickle.dumps(llm_of(server, citation_style="none")))  # noqa: S301 - our own
    assert twin.complete(QUESTION).text == ANSWER.replace(" [1]", "")


def test_in_a_synthesizer(server: Emulator) -> None:
    nodes = retriever_of(server, similarity_top_k=2).retrieve(QUESTION)
    response = get_response_synthesizer(llm=llm_of(server)).synthesize(QUESTION, nodes=nodes)
    assert str(response)
    assert response.source_nodes == nodes


@pytest.mark.parametrize("evaluator", [FaithfulnessEvaluator, RelevancyEvaluator])
async def test_evaluators(server: Emulator, evaluator: Any) -> None:
    response = RAGFlowQueryEngine(base_url=server.base_url, api_key=server.api_key, chat_id=server.chat_id).query(QUESTION)
    judge = Scripted("YES")
    result = await evaluator(llm=judge).aevaluate_response(query=QUESTION, response=response)
    assert result.passing
    assert any("four hours" in prompt for prompt in judge.prompts)
    assert not (await evaluator(llm=Scripted("NO")).aevaluate_response(query=QUESTION, response=response)).passing
