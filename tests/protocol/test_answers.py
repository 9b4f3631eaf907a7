"""The same answer, however a server tells it and wherever the bytes are cut."""

from __future__ import annotations

import json
import random
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragflow_integrations import Answer, Completed, ProtocolError, ReasoningDelta, TextDelta
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader
from ragflow_integrations._protocol.answers.sse import EventStream
from ragflow_integrations._protocol.steps import Request, Subject
from tests.support.sse import DONE, chunk, event, native_cumulative, native_delta, openai_chunk, reference, terminator

if TYPE_CHECKING:
    from collections.abc import Callable

    from ragflow_integrations import AnswerEvent
    from ragflow_integrations._protocol.answers.reader import Route

FOUND = reference(*(chunk(f"Fact {number}.") for number in range(4)))
ASKED = Request("POST", "/chats/c/completions", subject=Subject("chat assistant", "c"))

WORDS = st.sampled_from(
    ["battery ", "lasts ", "a year", "[ID:0]", " [ID:1] [ID:2]", "##3$$", "🔋", "\u2028", "\u0085", "\n\n", ". ", "!", "**bold** ", "[", "#",  # noqa: E501 - one row of a table
     "I", "(x) ", "data: no\n\n", "[DONE]", "```py\nx[ID:0]\n```\n", "东京塔。", "\\u0041", '"', "<b>", "</p>", "*", "E"]
)  # fmt: skip
TEXTS = (
    st.lists(WORDS, min_size=1, max_size=12)
    .map("".join)
    .filter(lambda text: re.sub(r"[ID:\d\[\]#$\s]", "", text) and "**ERROR**: " not in text)
)
THOUGHTS = st.lists(st.sampled_from(["hmm ", "why? ", "[ID:0] ", "🤔", "\n", "so "]), max_size=5).map("".join)
SEEDS = st.integers(0, 2**32)


def cut(text: str, chance: random.Random) -> list[str]:
    """Cut a text into pieces, as a server batches what its model writes."""
    pieces = []
    while text:
        size = chance.choice((1, 2, 5, 16))
        pieces.append(text[:size])
        text = text[size:]
    return pieces


def cumulative(thought: str, text: str, chance: random.Random) -> bytes:
    """≤ 0.23: each event has all so far; thinking is closed on every event and opened again."""
    sent, seen = [], ""
    for piece in cut(thought, chance):
        seen += piece
        sent.append(native_cumulative(f"<think>{seen}</think>"))
    head = f"<think>{thought}</think>" if thought else ""
    seen = ""
    for piece in cut(text, chance):
        seen += piece
        sent.append(native_cumulative(head + seen))
    return b"".join((*sent, native_cumulative(head + text, final=True, reference=FOUND), terminator(cumulative=True)))


def _flags(thought: str, chance: random.Random) -> list[bytes]:
    if not thought:
        return []
    inside = [native_delta(piece) for piece in cut(thought, chance)]
    return [native_delta("", start_to_think=True), *inside, native_delta("", end_to_think=True)]


def deltas(thought: str, text: str, chance: random.Random) -> bytes:
    """0.24 and ≥ 0.26.1: what is new, thinking between flags, an empty final event."""
    sent = [*_flags(thought, chance), *map(native_delta, cut(text, chance))]
    return b"".join((*sent, native_delta("", final=True, reference=FOUND), terminator()))


def deltas_and_all(thought: str, text: str, chance: random.Random) -> bytes:
    """0.25.0–0.26.0: the final event has all of it, thinking in front."""
    sent = [*_flags(thought, chance), *map(native_delta, cut(text, chance))]
    head = f"<think>{thought}</think>" if thought else ""
    return b"".join((*sent, native_delta(head + text, final=True, reference=FOUND), terminator()))


def legacy(thought: str, text: str, chance: random.Random) -> bytes:
    """≥ 0.26.1 asked for with `legacy`: cumulative, although each event says that it is not final."""
    if not thought:
        return deltas(thought, text, chance)
    whole = f"<think>{thought}</think>{text}"
    sent = [native_delta(whole[:end]) for end in range(len("<think>") + 1, len(whole) + 1, 7)]
    return b"".join((*sent, native_delta(whole), native_delta(whole, final=True, reference=FOUND), terminator()))


def openai(thought: str, text: str, chance: random.Random) -> bytes:
    """The OpenAI route, ≥ 0.26."""
    sent = [openai_chunk(None, piece) for piece in cut(thought, chance)]
    sent += [openai_chunk(piece) for piece in cut(text, chance)]
    return b"".join((*sent, openai_chunk(finish="stop", reference=FOUND["chunks"], final_content=text), DONE))


def openai_twice(thought: str, text: str, chance: random.Random) -> bytes:
    """The OpenAI route, 0.25: all of it again as the last piece."""
    sent = [openai_chunk(None, piece) for piece in cut(thought, chance)]
    sent += [openai_chunk(piece) for piece in cut(text, chance)]
    sent.append(openai_chunk(text))
    return b"".join((*sent, openai_chunk(finish="stop", reference=FOUND["chunks"], final_content=text), DONE))


def openai_tagged(thought: str, text: str, chance: random.Random) -> bytes:
    """The OpenAI route, 0.17: thinking in the text, each of its pieces closed and only the first opened."""
    if not thought:
        return openai(thought, text, chance)
    pieces = cut(thought, chance)
    first, *rest = cut(text, chance)
    marked = [f"{'' if at else '<think>'}{piece}</think>" for at, piece in enumerate(pieces[:-1])]
    last = f"{'' if marked else '<think>'}{pieces[-1]}</think>{first}"
    sent = map(openai_chunk, (*marked, last, *rest))
    return b"".join((*sent, openai_chunk(finish="stop", reference=FOUND["chunks"]), DONE))


ERAS: dict[str, tuple[Callable[[str, str, random.Random], bytes], Route]] = {
    "cumulative": (cumulative, "native"),
    "deltas": (deltas, "native"),
    "deltas and all": (deltas_and_all, "native"),
    "legacy": (legacy, "native"),
    "openai": (openai, "openai"),
    "openai twice": (openai_twice, "openai"),
    "openai tagged": (openai_tagged, "openai"),
}


def read(body: bytes, route: Route, chance: random.Random, **more: Any) -> tuple[list[AnswerEvent], AnswerReader]:
    """Feed a reply in random pieces."""
    reader = AnswerReader(AnswerContext(route, ASKED), **more)
    events: list[AnswerEvent] = []
    while body and not reader.done:
        size = chance.choice((1, 2, 3, 10, 100, 10_000))
        events += reader.feed(body[:size])
        body = body[size:]
    events += reader.finish()
    if reader.in_doubt:
        events += reader.settle(None)
    return events, reader


def shown(text: str) -> str:
    """Show markers as numbers, outside of code."""
    parts = re.split(r"(```py\n.*?\n```(?:\n|$))", text)
    for at in range(0, len(parts), 2):
        parts[at] = re.sub(r"\[ID:(\d+)\]|##(\d+)\$\$", lambda found: f"[{int(found[1] or found[2]) + 1}]", parts[at])
    return "".join(parts)


def fenced_at_line_starts(text: str) -> bool:
    """Whether each block of code begins a line, so that it is one."""
    return all(not before or before.endswith("\n") for before in re.split(r"```py\n.*?\n```\n", text, flags=re.DOTALL)[:-1])


@pytest.mark.parametrize("era", ERAS)
@settings(max_examples=60, deadline=None)
@given(thought=THOUGHTS, text=TEXTS.filter(fenced_at_line_starts), seed=SEEDS, coalesce=st.booleans())
def test_every_era_gives_the_same_answer(era: str, thought: str, text: str, seed: int, coalesce: bool) -> None:
    text, thought = text.strip(), thought.strip()
    chance = random.Random(seed)
    render, route = ERAS[era]
    events, reader = read(render(thought, text, chance), route, chance, coalesce=coalesce)
    assert reader.error is None
    assert isinstance(events[-1], Completed)
    answer: Answer = events[-1].answer
    assert answer is reader.answer
    assert answer.text == shown(text)
    assert answer.reasoning == thought
    assert [item.content for item in answer.reference.chunks] == [f"Fact {number}." for number in range(4)]
    assert "".join(item.text for item in events if isinstance(item, TextDelta)) == shown(text)
    assert "".join(item.text for item in events if isinstance(item, ReasoningDelta)) == thought
    assert all(item.text for item in events if isinstance(item, TextDelta | ReasoningDelta))
    for citation in answer.citations:
        assert answer.text[citation.start : citation.end] == f"[{citation.number}]"
        assert (
            answer.text[citation.claim_start : citation.claim_end].strip()
            == answer.text[citation.claim_start : citation.claim_end]
        )


@settings(max_examples=80, deadline=None)
@given(text=TEXTS, seed=SEEDS)
def test_every_event_is_given_as_soon_as_it_is_whole(text: str, seed: int) -> None:
    """A stream that is cut gives the same text as one that goes on: nothing waits for the end but what may be a marker."""
    chance = random.Random(seed)
    reader = AnswerReader(AnswerContext("native", ASKED))
    given_text, sent = "", ""
    for piece in cut(text, chance):
        sent += piece
        given_text += "".join(item.text for item in reader.feed(native_delta(piece)) if isinstance(item, TextDelta))
        assert reader.partial == given_text
        assert len(sent) - len(re.sub(r"\[\d+\]", "[ID:0]", given_text)) <= 24


@pytest.mark.parametrize("blank", [b"\n\n", b"\r\n\r\n"])
@settings(max_examples=50, deadline=None)
@given(texts=st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])), max_size=6), seed=SEEDS)
def test_events_of_a_stream_in_pieces(blank: bytes, texts: list[str], seed: int) -> None:
    body = b"".join(b"data:" + json.dumps(text, ensure_ascii=False).encode() + blank for text in texts)
    chance = random.Random(seed)
    stream = EventStream()
    seen: list[str] = []
    while body:
        size = chance.randint(1, 9)
        seen += stream.feed(body[:size])
        body = body[size:]
    assert list(stream.finish()) == []
    assert [json.loads(data) for data in seen] == texts


def test_an_event_has_a_bound() -> None:
    stream = EventStream(max_frame=100)
    assert list(stream.feed(b"data:" + b"x" * 200 + b"\n\n")) == ["x" * 200]
    with pytest.raises(ProtocolError, match="100 bytes"):  # noqa: PT012 - the loop is what fails
        for _ in range(20):
            list(stream.feed(b"x" * 10))


def test_a_large_event_in_small_pieces_takes_linear_time() -> None:
    stream = EventStream()
    body = b"data:" + b"x" * 2_000_000 + b"\n\n"
    seen: list[str] = []
    for at in range(0, len(body), 16):
        seen += stream.feed(body[at : at + 16])
    assert [len(data) for data in seen] == [2_000_000]


def test_a_wrong_byte_is_told() -> None:
    with pytest.raises(ProtocolError, match="not UTF-8"):
        list(EventStream().feed(b"data:\xff\n\n"))


# ----------------------------------------------------------------------------------------------------------- single oddities


def answer_of(*pieces: bytes, route: Route = "native") -> Answer:
    events, reader = read(b"".join(pieces), route, random.Random(0))
    assert reader.error is None, reader.error
    assert isinstance(events[-1], Completed)
    return events[-1].answer


def test_a_final_text_replaces() -> None:
    answer = answer_of(native_delta("Nothing found."), native_delta("Nothing found.", final=True), terminator())
    assert answer.text == "Nothing found."


def test_a_final_text_with_inserted_markers_replaces() -> None:
    final = native_delta("One [ID:0]. Two [ID:1].", final=True, reference=FOUND)
    answer = answer_of(native_delta("One. "), native_delta("Two."), final, terminator())
    assert answer.text == "One [1]. Two [2]."
    assert [citation.index for citation in answer.citations] == [0, 1]


def test_an_early_final_text_is_kept() -> None:
    assert answer_of(native_delta("All.", final=True), native_delta("", final=True), terminator()).text == "All."


def test_thinking_that_never_ends_is_the_answer() -> None:
    answer = answer_of(native_delta("", start_to_think=True), native_delta("inner Echo: hello"), terminator())
    assert (answer.text, answer.reasoning) == ("inner Echo: hello", "")


def test_thinking_that_never_ends_in_tags_is_the_answer() -> None:
    answer = answer_of(native_cumulative("<think>inner Echo"), terminator(cumulative=True))
    assert (answer.text, answer.reasoning) == ("inner Echo", "")


@pytest.mark.parametrize(
    "extra", [native_delta("", end_to_think=True), native_delta("", start_to_think=True, end_to_think=True)]
)
def test_stray_flags_do_no_harm(extra: bytes) -> None:
    assert answer_of(extra, native_delta("Text"), extra, terminator()).text == "Text"


def test_an_answer_that_speaks_of_thinking_is_whole() -> None:
    for text in ("Write <think>x</think> around it.", "The tag </think> ends it.", "a <think> b"):
        assert answer_of(native_delta(text), terminator()).text == text
        assert answer_of(native_cumulative(text), terminator(cumulative=True)).text == text
        assert answer_of(openai_chunk(text), openai_chunk(finish="stop"), DONE, route="openai").text == text


def test_repetition_within_an_answer_is_none_of_the_servers() -> None:
    answer = answer_of(openai_chunk("ha"), openai_chunk("ha"), openai_chunk("!"), DONE, route="openai")
    assert answer.text == "haha!"
    final = openai_chunk(finish="stop", final_content="haha")
    assert answer_of(openai_chunk("ha"), openai_chunk("ha"), final, DONE, route="openai").text == "haha"


def test_an_answer_only_in_final_content() -> None:
    final = openai_chunk(finish="stop", final_content="Nothing found.")
    assert answer_of(final, DONE, route="openai").text == "Nothing found."


def test_what_an_answer_tells_of_itself() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "completion_tokens_details": {"x": 1}}
    answer = answer_of(openai_chunk("Hi"), openai_chunk(finish="stop", usage=usage), DONE, route="openai")
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (3, 4, 7)
    assert answer.usage.raw == usage
    assert answer.finish_reason == "stop"
    assert answer.model == "model"
    prompt = "### Query:\nq\n\n## Time elapsed:\n  - Total: 1500.5ms\n  - Retrieval: 200.0ms\n  - Generate answer: 1300.0ms\n"
    answer = answer_of(native_delta("Hi"), native_delta("", final=True, prompt=prompt), terminator())
    assert answer.timings is not None
    assert (answer.timings.total, answer.timings.retrieval, answer.timings.generation) == (1.5005, 0.2, 1.3)
    assert answer_of(native_delta("Hi", prompt="no times"), terminator()).timings is None


@pytest.mark.parametrize("found", [{}, [], None, {"chunks": []}, {"chunks": {}}, {"chunks": None, "doc_aggs": {}}, "x"])
def test_references_of_all_shapes(found: Any) -> None:
    final = native_delta("", final=True) if found is None else native_delta("", final=True, reference=found)
    assert answer_of(native_delta("Hi"), final, terminator()).reference.chunks == ()


def test_bare_nan_is_read() -> None:
    body = native_delta("Hi", final=True, reference=reference(chunk("x"))).replace(b'"similarity": 0.5', b'"similarity": NaN')
    answer = answer_of(body, terminator())
    assert answer.reference.chunks[0].similarity is None
    assert answer.reference.chunks[0].term_similarity == 0.5


def agent(kind: str, **data: Any) -> bytes:
    return event({"event": kind, "message_id": "m", "session_id": "s", "created_at": 1, "task_id": "t", "data": data})


def test_an_agents_chunks_are_in_the_order_of_its_markers() -> None:
    chunks = {key: chunk(f"Fact {key}.") for key in ("5", "77", "300")}
    answer = answer_of(
        agent("message", content="One [ID:300]. Two [ID:"),
        agent("message", content="5][ID:300]. Three [ID:9]."),
        agent("message_end", reference={"chunks": chunks, "doc_aggs": {"a": {"doc_name": "a", "doc_id": "d", "count": 2}}}),
        DONE,
        route="agent",
    )
    assert answer.text == "One [1]. Two [2][1]. Three."
    assert [item.content for item in answer.reference.chunks] == ["Fact 300.", "Fact 5.", "Fact 77."]
    assert [citation.index for citation in answer.citations] == [0, 1, 0]
    assert answer.reference.documents[0].count == 2


def test_an_agents_failure_is_told_beside_the_text() -> None:
    events, reader = read(
        agent("message", content="One ") + agent("node_finished", error="**ERROR**: TIMEOUT - slow") + DONE,
        "agent",
        random.Random(1),
    )
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "One "
    assert getattr(reader.error, "kind", None) == "TIMEOUT"
    _, reader = read(agent("node_finished", error="no such tool") + DONE, "agent", random.Random(1))
    assert getattr(reader.error, "detail", None) == "no such tool"


def test_an_agents_stream_may_end_without_a_terminator() -> None:
    assert answer_of(agent("message", content="Hi"), agent("workflow_finished", usage={}), route="agent").text == "Hi"


def test_nothing_is_read_behind_the_end() -> None:
    reader = AnswerReader(AnswerContext("native", ASKED))
    assert reader.feed(native_delta("Hi") + terminator())[-1] == Completed(reader.answer)  # type: ignore[arg-type]
    assert reader.feed(native_delta("more")) == []
    assert reader.finish() == []
