"""Markers of agents, wherever the text is cut and whenever the sources come."""

from __future__ import annotations

import re

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragflow_integrations import Answer, TextDelta
from ragflow_integrations._protocol.answers.reader import AnswerContext, AnswerReader
from ragflow_integrations._protocol.steps import Request, Subject
from tests.support.sse import DONE, chunk, event

REQUEST = Request("POST", "/agents/a/completions", subject=Subject("agent", "a"))
WORDS = st.sampled_from(
    ("One ", "two. ", "[ID:5]", " [ID:41]", "[ID:0]", " [ID:7] ", "(ID: 41)", "##5$$", "\n", "```\n", "[", " ", "x[ID:5]y")
)  # fmt: skip
KEYS = st.sets(st.sampled_from((5, 7, 41, 300)))


def read(pieces: list[str], keys: set[int], early: set[int]) -> tuple[str, Answer]:
    """Read a run; the sources of some keys come before the text."""

    def reference(known: set[int]) -> dict[str, object]:
        return {"reference": {"chunks": {str(key): chunk(f"Fact {key}.") for key in sorted(known)}}}

    def told(kind: str, data: dict[str, object]) -> bytes:
        return event({"event": kind, "session_id": "s", "data": data})

    reader = AnswerReader(AnswerContext("agent", REQUEST, session_id="s"))
    sent = [told("message", {"content": "", **reference(early)}), *(told("message", {"content": piece}) for piece in pieces)]
    events = [one for data in [*sent, told("message_end", reference(keys)), DONE] for one in reader.feed(data)]
    assert reader.answer is not None, reader.error
    return "".join(one.text for one in events if isinstance(one, TextDelta)), reader.answer


@settings(max_examples=300, deadline=None)
@example(words=["[ID:5]", "```\n", "```\n", "[ID:5]"], size=1, keys=set(), early=set())
@example(words=["[ID:5]", "```\n", "```\n", "[ID:41]"], size=1, keys={41}, early=set())
@given(words=st.lists(WORDS, max_size=14), size=st.integers(1, 9), keys=KEYS, early=KEYS)
def test_pieces_and_text_agree_and_numbers_have_sources(words: list[str], size: int, keys: set[int], early: set[int]) -> None:
    text = "".join(words)
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    shown, answer = read(pieces, keys, early & keys)
    assert shown == answer.text
    assert read([text], keys, set())[1].text == answer.text
    for cited in answer.citations:
        assert answer.text[cited.start : cited.end] == f"[{cited.number}]"
        assert answer.reference.chunks[cited.number - 1] == cited.chunk
    outside = re.sub(r"```\n.*?(?:```\n|\Z)", "", answer.text, flags=re.DOTALL) if "```" not in "".join(words[1:]) else ""
    assert not re.search(r"\[ID:\d+\]", outside)
    if not keys:
        assert not answer.citations
        assert not re.search(r"\[\d+\]", answer.text)
