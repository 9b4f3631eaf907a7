"""What is sent of LangChain's messages, and what stop sequences and late markers do to answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.load import dumpd
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGenerationChunk

from ragflow_integrations import InvalidArgumentError, models
from ragflow_integrations._adapters.stop import StopFilter
from ragflow_integrations.citations import cite, rewrite
from ragflow_integrations.langchain import _answers, _requests

if TYPE_CHECKING:
    from ragflow_integrations.langchain._requests import SystemMessagePolicy

CHUNKS = tuple(models.Chunk(id=f"c{at}", content=f"content {at}", document_name=f"d{at}.txt") for at in range(4))


def sent(*messages: BaseMessage, policy: SystemMessagePolicy = "warn") -> list[tuple[str, str]]:
    history = _requests.history([*messages, HumanMessage("last?")], policy)
    return [(message.role, message.content) for message in history[:-1]]


def answer(raw: str, style: models.CitationStyle = "bracket") -> models.Answer:
    rewritten = rewrite(raw, style)
    return models.Answer(
        text=rewritten.text,
        citations=cite(rewritten, CHUNKS),
        reference=models.Reference(chunks=CHUNKS),
        citation_style=style,
        chat_id="chat",
    )


def asked(*stop: str) -> _answers.MessageBuilder:
    return _answers.MessageBuilder(chat_id="chat", agent_id=None, model=None, stop=stop)


def test_roles() -> None:
    assert sent(
        HumanMessage("a", name="ann"),
        AIMessage("b"),
        ChatMessage(role="user", content="c"),
        ChatMessage(role="assistant", content="d"),
        AIMessageChunk(content="e"),
        HumanMessage([{"type": "text", "text": "f"}, {"type": "text", "text": "g"}]),
    ) == [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"), ("assistant", "e"), ("user", "fg")]


@pytest.mark.parametrize(
    "message", [ToolMessage("x", tool_call_id="1"), FunctionMessage(name="f", content="x"), ChatMessage(role="x", content="x")]
)
def test_messages_without_a_place_are_refused(message: BaseMessage) -> None:
    with pytest.raises(InvalidArgumentError, match=r"messages\[1\].*RAGFlowToolkit"):
        sent(HumanMessage("a"), message)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image_url", "image_url": {"url": "https://a.test/b.png"}},
        {"type": "image", "url": "https://a.test/b.png"},
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "file", "base64": "AAAA", "mime_type": "application/pdf"},
        {"type": "reasoning", "reasoning": "hm"},
        {"type": "unheard-of", "value": 1},
    ],
)
def test_anything_but_text_is_refused(block: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=r"messages\[0\].*text only"):
        sent(HumanMessage([{"type": "text", "text": "what is this?"}, block]))


def test_tool_calls_are_refused_and_reasoning_is_not_said_again() -> None:
    with pytest.raises(InvalidArgumentError, match="'tool_call'"):
        sent(AIMessage("", tool_calls=[{"name": "f", "args": {}, "id": "1"}]))
    thoughtful = AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "so"}])
    assert sent(thoughtful, HumanMessage("and?")) == [("assistant", "so"), ("user", "and?")]


def test_markers_are_not_sent_back() -> None:
    message = asked().result(answer("One [ID:0]. Two [ID:1][ID:2]. [1] is a footnote.")).generations[0].message
    assert message.content == "One [1]. Two [2][3]. [1] is a footnote."
    assert sent(message)[0][1] == "One. Two. [1] is a footnote."
    changed = message.model_copy(update={"content": "Here: " + message.content})
    assert sent(changed)[0][1] == "Here: One [1]. Two [2][3]. [1] is a footnote.", "no other text may be cut out"


@pytest.mark.parametrize("style", ["raw", "none"])
def test_markers_of_other_styles_are_not_sent_back(style: models.CitationStyle) -> None:
    message = asked().result(answer("One [ID:0]. Two [ID:1].", style)).generations[0].message
    assert sent(message)[0][1] == "One. Two."


def test_system_messages() -> None:
    messages = [SystemMessage("be brief"), SystemMessage("be kind"), HumanMessage("a"), AIMessage("b"), HumanMessage("c")]
    with pytest.warns(UserWarning, match="every RAGFlow server drops"):
        assert sent(*messages) == [("user", "a"), ("assistant", "b"), ("user", "c")]
    assert sent(*messages, policy="prepend")[0] == ("user", "be brief\n\nbe kind\n\na")
    with pytest.raises(InvalidArgumentError, match=r"messages\[0\].*system_message='prepend'"):
        sent(*messages, policy="error")
    assert _requests.history([SystemMessage("x"), AIMessage("b"), HumanMessage("c")], "prepend")[1].content == "x\n\nc"


def test_the_question_of_a_session() -> None:
    first = [SystemMessage("be brief"), HumanMessage("a")]
    assert _requests.question(first, "prepend") == "be brief\n\na"
    later = [*first, AIMessage("b"), HumanMessage("c")]
    assert _requests.question(later, "prepend") == "c"
    with pytest.warns(UserWarning, match=r"messages\[0\]"):
        assert _requests.question(later, "warn") == "c"
    for messages in ([], [AIMessage("b")], [SystemMessage("x")], [HumanMessage(" ")]):
        for write in (_requests.question, _requests.history):
            with pytest.raises(InvalidArgumentError, match="must end with a message of the user"):
                write(messages, "prepend")


@settings(deadline=None)
@given(
    text=st.text("ab\n.", max_size=30),
    cuts=st.lists(st.integers(1, 4), max_size=30),
    stop=st.lists(st.text("ab\n.", min_size=1, max_size=4), max_size=3),
)
def test_a_stream_stops_where_a_whole_text_does(text: str, cuts: list[int], stop: list[str]) -> None:
    stopper = StopFilter(stop)
    said, at = "", 0
    for size in [*cuts, len(text) or 1]:
        said += stopper.feed(text[at : at + size])
        at += size
        assert not any(item in said for item in stop), "nothing behind the stop is ever shown"
    whole = asked(*stop).result(models.Answer(text=text)).generations[0].message.content
    assert said + stopper.finish() == whole


def test_citations_beyond_the_stop_are_dropped() -> None:
    raw = "One [ID:0]. Two [ID:1]. STOP Three [ID:2]."
    message = asked("STOP").result(answer(raw)).generations[0].message
    assert message.content == "One [1]. Two [2]. "
    assert [item["extras"]["number"] for item in message.additional_kwargs["citations"]] == [1, 2]


def in_stream(streamed: str, final: models.Answer, *stop: str) -> AIMessageChunk:
    chunks = _answers.ChunkBuilder(asked(*stop))
    pieces = [chunks.feed(models.TextDelta(streamed[at : at + 5])) for at in range(0, len(streamed), 5)]
    pieces.append(chunks.feed(models.Completed(final)))
    messages = [piece.message for piece in pieces if piece is not None]
    total = messages[0]
    for message in messages[1:]:
        total = total + message
    assert isinstance(total, AIMessageChunk)
    return total


def test_spans_fit_the_text_that_was_streamed() -> None:
    final = answer("One thing [ID:0]. Two things [ID:1][ID:3]. Two things. Three [ID:2].")
    total = in_stream("One thing. Two things [2]. Two things. Three [3].", final)
    text = str(total.content)
    spans = [text[item["start_index"] : item["end_index"]] for item in total.additional_kwargs["citations"]]
    assert spans == ["One thing", "[2]", "Two things", "[3]"]
    claims = [
        text[item["extras"]["claim_start"] : item["extras"]["claim_end"]] for item in total.additional_kwargs["citations"]
    ]
    assert claims == ["One thing", "Two things", "Two things", "Three"]
    assert total.response_metadata["final_answer"] == final.text


def test_spans_of_a_text_that_was_rewritten_altogether() -> None:
    total = in_stream("Quite different.", answer("One thing [ID:0]."))
    assert total.content == "Quite different."
    assert total.additional_kwargs["citations"] == []
    assert total.response_metadata["final_answer"] == "One thing [1]."


def test_a_stream_that_was_stopped_has_no_other_final_answer() -> None:
    total = in_stream("One [1]. Two [2].", answer("One [ID:0]. Two [ID:1]."), "Two")
    assert total.content == "One [1]. "
    assert "final_answer" not in total.response_metadata
    assert len(total.additional_kwargs["citations"]) == 1


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["Ann has it", "Bo", "It is so (see [x])", "中文"]), st.integers(0, 3)), max_size=6),
    st.sets(st.integers(0, 5)),
)
def test_spans_always_fit(sentences: list[tuple[str, int]], late: set[int]) -> None:
    final = answer(" ".join(f"{text} [ID:{number}]." for text, number in sentences))
    streamed = " ".join(f"{text}." if at in late else f"{text} [{number + 1}]." for at, (text, number) in enumerate(sentences))
    total = in_stream(streamed, final)
    text = str(total.content)
    assert text == streamed
    assert len(total.additional_kwargs["citations"]) == len(sentences), "a marker that came late is a citation of its sentence"
    for item, (claim, number) in zip(total.additional_kwargs["citations"], sentences, strict=True):
        assert text[item["start_index"] : item["end_index"]] in (f"[{number + 1}]", claim)
        assert text[item["extras"]["claim_start"] : item["extras"]["claim_end"]] == claim


def test_a_piece_is_as_if_it_were_made_anew_and_shares_nothing_that_can_be_changed() -> None:
    chunks = _answers.ChunkBuilder(_answers.MessageBuilder("c", None, None, ()))
    one, other = (chunks.feed(models.TextDelta(text)) for text in ("four ", "hours"))
    assert one is not None
    assert other is not None
    made = AIMessageChunk(content="hours", response_metadata={"model_provider": "ragflow"})
    assert other == ChatGenerationChunk(message=made)
    assert dumpd(other) == dumpd(ChatGenerationChunk(message=made))
    assert (one + other).text == "four hours"
    changeable = [value for _, value in one.message if isinstance(value, list | dict | set)]
    assert changeable
    assert not any(value is also for value in changeable for _, also in other.message)
