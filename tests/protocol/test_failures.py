"""LLM failures within texts: found at the end, never shown, quotes of them left alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragflow_integrations._protocol.answers.llm_errors import MARK, FailureGate, find
from ragflow_integrations._protocol.answers.think_tags import ThinkSplitter, split

PARTS = st.lists(
    st.sampled_from([MARK, "**ERR", "OR**: ", "TIMEOUT - slow", "text ", "\n", " ", "*", "**bold** ", "E", "Error code: 500", "."]), max_size=12  # noqa: E501 - one row of a table
).map("".join)  # fmt: skip
FAILED = f"{MARK}TIMEOUT - slow"


def gate(text: str, cuts: list[int]) -> str:
    gated = FailureGate()
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    shown = ""
    for start, end in pairwise(edges):
        shown += gated.feed(text[start:end])
        assert text.startswith(shown)
    return shown + gated.finish()


@settings(max_examples=300, deadline=None)
@given(text=PARTS, cuts=st.lists(st.integers(0, 100), max_size=15))
def test_the_gate_shows_what_comes_before_a_failure(text: str, cuts: list[int]) -> None:
    shown = gate(text, cuts)
    failure = find(text)
    if failure is None:
        assert shown == text
    else:
        # A failure behind a quoted one on the same line is held back from the quoted one on.
        assert failure.partial.startswith(shown.rstrip())
        held = failure.partial[len(shown.rstrip()) :].lstrip()
        assert not held or held.startswith(MARK.strip())


@pytest.mark.parametrize(
    ("text", "partial", "kind", "detail"),
    [
        (FAILED, "", "TIMEOUT", "slow"),
        (f"One two{FAILED}", "One two", "TIMEOUT", "slow"),
        (f"One two\n{FAILED}", "One two", "TIMEOUT", "slow"),
        (f"\n{MARK}Error code: 500 - x", "", None, "Error code: 500 - x"),
        (f"{FAILED}\nand lines\nof it", "", "TIMEOUT", "slow\nand lines\nof it"),
        (f"One {FAILED}\n\n", "One", "TIMEOUT", "slow"),
        (f"{MARK}quoted first\nthen {FAILED}", f"{MARK}quoted first\nthen", "TIMEOUT", "slow"),
        (f"{MARK}", "", None, ""),
    ],
)
def test_failures(text: str, partial: str, kind: str | None, detail: str) -> None:
    failure = find(text)
    assert failure is not None
    assert (failure.partial, failure.kind, failure.detail) == (partial, kind, detail)
    error = failure.error(failure.partial)
    assert (error.partial, error.kind, error.detail) == (partial, kind, detail)
    assert (detail or "no details") in str(error)


@pytest.mark.parametrize(
    "text",
    ["", "all is well", "**ERROR**", "**Error**: TIMEOUT - x", f"One {FAILED}\nand on it goes.", f"It says {MARK}x.\nRead on."],
)
def test_no_failures(text: str) -> None:
    assert find(text) is None
    for size in (1, 2, 3, 1000):
        gated = FailureGate()
        assert "".join(gated.feed(text[at : at + size]) for at in range(0, len(text), size)) + gated.finish() == text


THINKING = st.lists(st.sampled_from(["<think>", "</think>", "<th", "ink>", "</", "text ", " ", "\n", "<b>"]), max_size=12).map(
    "".join
)


@settings(max_examples=300, deadline=None)
@given(text=THINKING, cuts=st.lists(st.integers(0, 80), max_size=15))
def test_thinking_in_pieces_is_thinking_as_a_whole(text: str, cuts: list[int]) -> None:
    splitter = ThinkSplitter()
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [pair for start, end in pairwise(edges) for pair in splitter.feed(text[start:end])]
    pieces += splitter.finish()
    assert split(text) == (
        "".join(piece for thinking, piece in pieces if thinking),
        "".join(piece for thinking, piece in pieces if not thinking),
    )


@pytest.mark.parametrize(
    ("text", "reasoning", "answer"),
    [
        ("<think>a</think>b", "a", "b"),
        ("<think>a</think></think>b", "a", "b"),
        ("<think>a</think><think>c</think>b", "ac", "b"),
        ("<think>a<think>c</think>d</think>b", "acd", "b"),
        ("<think>a < b</think>b", "a < b", "b"),
        ("b <think>a</think>", "", "b <think>a</think>"),
        ("  \n<think>a</think>b", "a", "b"),
        ("<think>a", "a", ""),
        ("<retrieving>Looking for x<br/></retrieving>b", "Looking for x<br/>", "b"),
        ("<retrieving>x<br/></retrieving><think>a</think>b <retrieving>", "x<br/>a", "b <retrieving>"),
        ("", "", ""),
    ],
)
def test_thinking(text: str, reasoning: str, answer: str) -> None:
    assert split(text) == (reasoning, answer)
