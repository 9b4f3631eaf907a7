"""Markers: the same whether a text comes whole or in pieces, never half of one, code left alone."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragflow_integrations import Chunk, Message, Reference
from ragflow_integrations._protocol.history import history
from ragflow_integrations.citations import CitationStyle, MarkerRewriter, cite, rewrite, strip_markers

PARTS = st.lists(
    st.sampled_from(
        ["[ID:0]", "##12$$", "[ID: 3 ]", "(ID:4)", "【ID：5】", "[ID 6]", "[", "##", "$$", "ID", ":", "7", "]", " ", "\t", "text ", "\n",  # noqa: E501 - one row of a table
         "```\n", "~~~\n", "    ", "`", "#", "# Title\n", "[link](url)", "(", ".", "[ID:1234567]", "🔋"]
    ), max_size=30
).map("".join)  # fmt: skip
STYLES: tuple[CitationStyle, ...] = ("bracket", "raw", "none")


@settings(max_examples=300, deadline=None)
@given(text=PARTS, cuts=st.lists(st.integers(0, 200), max_size=20), sources=st.integers(0, 14), bound=st.integers(0, 14))
def test_what_waits_for_its_source_comes_at_the_end(text: str, cuts: list[int], sources: int, bound: int) -> None:
    known: list[int] = []  # how many sources there are, when it is known

    def number(key: int) -> int | None:
        return key + 1 if key < max(bound, *known, 0) else None

    rewriter = MarkerRewriter("bracket", number, lambda key: key >= bound and not known)
    places = sorted({0, *(min(place, len(text)) for place in cuts), len(text)})
    shown = "".join([rewriter.feed(text[start:end]) for start, end in pairwise(places)])
    known.append(sources)
    shown += rewriter.finish()
    whole = rewrite(text, "bracket", number)
    assert shown == whole.text
    assert rewriter.markers == list(whole.markers)


@settings(max_examples=300, deadline=None)
@given(text=PARTS, cuts=st.lists(st.integers(0, 200), max_size=20), style=st.sampled_from(STYLES))
def test_pieces_give_what_the_whole_gives(text: str, cuts: list[int], style: CitationStyle) -> None:
    whole = rewrite(text, style)
    rewriter = MarkerRewriter(style)
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    given_text = ""
    for start, end in pairwise(edges):
        given_text += rewriter.feed(text[start:end])
        assert whole.text.startswith(given_text)  # what was shown never changes
    assert given_text + rewriter.finish() == whole.text
    assert tuple(rewriter.markers) == whole.markers
    for marker in whole.markers:
        if style == "bracket":
            assert whole.text[marker.start : marker.end] == f"[{marker.key + 1}]"
        elif style == "none":
            assert marker.start == marker.end
    if style == "raw":
        assert whole.text == text


@settings(max_examples=200, deadline=None)
@given(text=PARTS)
def test_code_is_left_alone(text: str) -> None:
    block = "```python\nx = d[ID:0] ##1$$\n```\n"
    body = text.replace("`", "").replace("~", "")
    assert block in rewrite(f"{body}\n{block}{body}", "none").text


@pytest.mark.parametrize(
    ("text", "bracket", "none"),
    [
        ("A [ID:0].", "A [1].", "A."),
        ("A [ID:0] [ID:1].", "A [1] [2].", "A."),
        ("A##3$$ B", "A[4] B", "A B"),
        ("A (ID:12) B [ID 1] C 【ID:2】", "A [13] B [2] C [3]", "A B C"),
        ("A [ID：9]", "A [10]", "A"),
        ("no [ID:x] [ID:] [id:1] [1] ##a$$ (ID)", "no [ID:x] [ID:] [id:1] [1] ##a$$ (ID)", "no [ID:x] [ID:] [id:1] [1] ##a$$ (ID)"),  # noqa: E501 - one row of a table
        ("```\n[ID:0]\n```\n[ID:0]", "```\n[ID:0]\n```\n[1]", "```\n[ID:0]\n```\n"),
        ("````\n```\n[ID:0]\n````\n[ID:0]", "````\n```\n[ID:0]\n````\n[1]", "````\n```\n[ID:0]\n````\n"),
        ("~~~\n[ID:0]\n```\n[ID:1]\n~~~ \n", "~~~\n[ID:0]\n```\n[ID:1]\n~~~ \n", "~~~\n[ID:0]\n```\n[ID:1]\n~~~ \n"),
        ("  ```\n[ID:0]", "  ```\n[ID:0]", "  ```\n[ID:0]"),
        ("a ``` b [ID:0]", "a ``` b [1]", "a ``` b"),
        ("", "", ""),
    ],
)  # fmt: skip
def test_styles(text: str, bracket: str, none: str) -> None:
    assert rewrite(text, "bracket").text == bracket
    assert rewrite(text, "none").text == none
    assert rewrite(text, "raw").text == text


@pytest.mark.parametrize("marker", ["[ID:0]", "##0$$", "[ID: 12 ]", "【ID：3】", "(ID 4)"])
@pytest.mark.parametrize("style", STYLES)
def test_half_a_marker_is_never_shown(marker: str, style: CitationStyle) -> None:
    for at in range(1, len(marker)):
        rewriter = MarkerRewriter(style)
        before = rewriter.feed("Fact " + marker[:at])
        assert re.fullmatch(r"Fact ?", before)
        rest = rewriter.feed(marker[at:] + " more.") + rewriter.finish()
        assert before + rest == rewrite(f"Fact {marker} more.", style).text


@pytest.mark.parametrize("text", ["a [b", "x #1", "(see", "1 < 2", "[ID: nothing", "```\n[ID"])
def test_text_that_is_no_marker_is_not_kept_back_for_long(text: str) -> None:
    rewriter = MarkerRewriter("bracket")
    assert rewriter.feed(text + " and more text") == text + " and more text"


CHUNKS = tuple(Chunk(id=str(number), content=f"Fact {number}") for number in range(3))


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("One fact [ID:0]. Two facts [ID:1].", ["One fact", "Two facts"]),
        ("One fact. [ID:0] Two facts. [ID:1]", ["One fact.", "Two facts."]),
        ("One fact [ID:0][ID:2]. Two.", ["One fact", "One fact"]),
        ("One fact [ID:0] [ID:2]. Two.", ["One fact", "One fact"]),
        ("Is it? Yes [ID:0]!", ["Yes"]),
        ("第一句。第二句[ID:0]。第三句。[ID:1]", ["第二句", "第三句。"]),
        ("- item one [ID:0]\n- item two [ID:1]\n", ["- item one", "- item two"]),
        ("[ID:0] First.", [""]),
        ("No chunk [ID:7]. One [ID:1].", ["One"]),
    ],
)  # fmt: skip
def test_claims(text: str, claims: list[str]) -> None:
    shown = rewrite(text, "bracket")
    citations = cite(shown, CHUNKS)
    assert [shown.text[citation.claim_start : citation.claim_end] for citation in citations] == claims
    for citation in citations:
        assert shown.text[citation.start : citation.end] == f"[{citation.number}]"
        assert citation.chunk is CHUNKS[citation.index]


@settings(max_examples=150, deadline=None)
@given(text=PARTS, style=st.sampled_from(STYLES))
def test_citations_lie_within_the_text(text: str, style: CitationStyle) -> None:
    shown = rewrite(text, style)
    for citation in cite(shown, CHUNKS):
        assert 0 <= citation.claim_start <= citation.claim_end <= len(shown.text)
        assert 0 <= citation.start <= citation.end <= len(shown.text)
        assert citation.claim_end <= citation.start or citation.claim_start >= citation.end


def test_markers_are_taken_out_of_a_history() -> None:
    assert strip_markers("A [ID:0]. B ##1$$.") == "A. B."
    assert strip_markers("A [1]. B [2].", [(2, 5), (9, 12)]) == "A. B."
    assert strip_markers("A [1].", [(2, 99), (5, 2)]) == "A [1]."
    assert strip_markers("A.", [(1, 1)]) == "A."


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("It lasts a week [1].", "It lasts a week."),
        ("It lasts [1][2], [3] then.", "It lasts, then."),
        ("电池可用一年[1]。", "电池可用一年。"),
        ("Take `a[1]` and a[1].", "Take `a[1]` and a[1]."),
        ("```\nx = [1]\n```\nDone [2].", "```\nx = [1]\n```\nDone."),
        ("See [1](https://x.org) and [31].", "See [1](https://x.org) and [31]."),
        ("[1] Smith\n[2] Jones", "[1] Smith\n[2] Jones"),
    ],
)
def test_numbers_that_are_citations_are_removed_from_history(text: str, kept: str) -> None:
    (turn, _) = history([{"role": "assistant", "content": text}, {"role": "user", "content": "And?"}])
    assert turn == {"role": "assistant", "content": kept}


def test_a_reference_tells_which_numbers_are_citations() -> None:
    found = Reference(chunks=(Chunk(id="a"), Chunk(id="b")))
    message = Message(role="assistant", content="One[1]. Two [2]. Three [3].", reference=found)
    (turn, _) = history([message, Message(role="user", content="And?")])
    assert turn == {"role": "assistant", "content": "One. Two. Three [3]."}
