from __future__ import annotations

import asyncio
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.instrumentation.events.llm import LLMChatEndEvent
from llama_index.core.memory import ChatMemoryBuffer
from pydantic import PrivateAttr

from tests.contract.harness import Subject, contract
from tests.contract.tape import recording
from tests.contract.world import (
    BATTERY,
    DELTAS,
    FINAL,
    QUESTION,
    RADIO,
    SHOWN,
    Ragflow,
    answer,
    growing,
    stream,
)
from tests.support import sse

THINKING = stream(
    sse.native_delta("", start_to_think=True),
    sse.native_delta("Let me look."),
    sse.native_delta("", end_to_think=True),
    *(sse.native_delta(delta) for delta in DELTAS),
    sse.native_delta(FINAL, True, sse.reference(BATTERY, RADIO)),
    sse.terminator(),
)
STATELESS = stream(
    sse.openai_chunk("Of course."),
    sse.openai_chunk(None, finish="stop", reference=[], usage={"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}),
    sse.DONE,
)


@contract("T9", "the history keeps thinking, text and citations as blocks")
def test_blocks(subject: Subject) -> None:
    with Ragflow.answering(THINKING) as server:
        engine = subject.engine(server)
        assert "".join(engine.stream_chat(QUESTION).response_gen) == SHOWN
        blocks = engine.chat_history[-1].blocks
        assert [block.block_type for block in blocks] == ["thinking", "text", "citation"]
        assert blocks[0].content == "Let me look."
        assert blocks[2].source == BATTERY["id"]
        assert blocks[2].additional_location_info["index"] == 0
        assert engine.chat_history[-1].additional_kwargs["citations"][0]["chunk_id"] == BATTERY["id"]


@contract("T10", "the text is not stripped: offsets of citations point into it")
def test_not_stripped(subject: Subject) -> None:
    with Ragflow.answering(answer("\n\nFirst", " line [ID:0]\n")) as server:
        engine = subject.engine(server)
        response = engine.stream_chat(QUESTION)
        shown = "".join(response.response_gen)
        assert str(response) == shown == engine.chat_history[-1].content
        citation = response.metadata["citations"][0]
        assert shown[citation["start"] : citation["end"]] == "[1]"


class _Noting(ChatMemoryBuffer):
    """Notes how it is written."""

    _notes: list[str] = PrivateAttr(default_factory=list)

    def put(self, message: ChatMessage) -> None:
        self._notes.append("put")
        super().put(message)

    async def aput(self, message: ChatMessage) -> None:
        self._notes.append("aput")
        assert asyncio.get_running_loop() is not None
        await super().aput(message)


def _memory() -> _Noting:
    return _Noting(token_limit=10**6, tokenizer_fn=str.split)


@contract("T18", "a memory is written in the mode of the caller")
async def test_memory_async(subject: Subject) -> None:
    memory = _memory()
    with Ragflow.answering(answer(*DELTAS)) as server:
        engine = subject.engine(server, memory=memory)
        response = await engine.astream_chat(QUESTION)
        assert "".join([delta async for delta in response.async_response_gen()]) == SHOWN
    assert memory._notes == ["aput", "aput"]
    assert [message.content for message in memory.get_all()] == [QUESTION, SHOWN]


@contract("R2", "`chat_history` replaces the history, or is refused where the server keeps it")
def test_chat_history(subject: Subject) -> None:
    earlier = [
        ChatMessage(role=MessageRole.USER, content="Who are you?"),
        ChatMessage(
            role=MessageRole.ASSISTANT, content="A guide [1].", additional_kwargs={"citations": [{"start": 8, "end": 11}]}
        ),
    ]
    with Ragflow.answering(STATELESS, STATELESS, answer(*DELTAS)) as server:
        engine = subject.engine(server)
        assert "".join(engine.stream_chat("Can you help?", chat_history=earlier).response_gen) == "Of course."
        assert [message["content"] for message in server.completions[0]["messages"]] == [
            "Who are you?",
            "A guide.",
            "Can you help?",
        ]
        assert len(engine.chat_history) == 4
        assert server.sessions == 0
        "".join(engine.stream_chat("And now?").response_gen)
        assert len(server.completions[1]["messages"]) == 5
        engine.reset()
        "".join(engine.stream_chat(QUESTION).response_gen)
        assert engine.session_id == "session-1"
        with pytest.raises(ValueError, match="session-1"):
            engine.stream_chat(QUESTION, chat_history=earlier)


@contract("R3", "`reset` deletes nothing, and the next turn begins a new session")
def test_reset(subject: Subject) -> None:
    with Ragflow.answering(answer(*DELTAS)) as server:
        engine = subject.engine(server)
        list(engine.stream_chat(QUESTION).response_gen)
        engine.reset()
        assert engine.chat_history == []
        list(engine.stream_chat(QUESTION).response_gen)
        assert [asked["session_id"] for asked in server.completions] == ["session-1", "session-2"]
        assert server.deleted == []


def _read(subject: Subject, script: Any) -> tuple[list[str], str, list[str]]:
    with Ragflow.answering(script) as server:
        response = subject.engine(server).stream_chat(QUESTION)
        deltas = list(response.response_gen)
        return deltas, str(response), [node.node.node_id for node in response.source_nodes]


@contract("R13", "servers that repeat the answer and servers that send deltas give the same")
def test_eras(subject: Subject) -> None:
    now, before = _read(subject, answer(*DELTAS)), _read(subject, growing(*DELTAS, final=FINAL))
    assert now == before == ([*DELTAS[:2], "eighteen months [1]."], SHOWN, [BATTERY["id"], RADIO["id"]])


@contract("R14", "the server's final text is the response, in the history and in traces; deltas are left as they were")
def test_final_text(subject: Subject) -> None:
    plain = ("The battery ", "lasts eighteen months.")
    with Ragflow.answering(answer(*plain, final=FINAL)) as server, recording() as tape:
        engine = subject.engine(server)
        response = engine.stream_chat(QUESTION)
        assert "".join(response.response_gen) == "".join(plain) == response.unformatted_response
        assert str(response) == response.response == SHOWN
        assert engine.chat_history[-1].content == SHOWN
        [end] = [event for event in tape.events if isinstance(event, LLMChatEndEvent)]
        assert end.response is not None
        assert end.response.message.content == SHOWN
