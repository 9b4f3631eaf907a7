"""`CitedAnswer` as text with footnotes and in notebooks, and of other models' messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, Generation

from ragflow_integrations import models
from ragflow_integrations.citations import cite, rewrite
from ragflow_integrations.langchain import CitedAnswer, CitedAnswerParser
from ragflow_integrations.langchain._answers import MessageBuilder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CHUNKS = (
    models.Chunk(id="a", content="It lasts  a week.\n\n" + "Really. " * 50, document_name="a [1].md"),
    models.Chunk(id="b", content="<b>It</b> weighs 2 kg.", document_name="<b>.md", url="https://b.test/"),
)


def answer(style: models.CitationStyle = "bracket") -> CitedAnswer:
    rewritten = rewrite("It weighs 2 kg [ID:1] and lasts a week [ID:0]. It is light [ID:1]. <script>", style)
    whole = models.Answer(
        text=rewritten.text,
        citations=cite(rewritten, CHUNKS),
        reference=models.Reference(chunks=CHUNKS),
        reasoning="Hm <b>",
        chat_id="chat",
        citation_style=style,
    )
    message = MessageBuilder("chat", None, None, ()).result(whole).generations[0].message
    return CitedAnswer.from_message(message)


def test_footnotes() -> None:
    lines = answer().to_markdown().splitlines()
    assert lines[:2] == ["It weighs 2 kg [^2] and lasts a week [^1]. It is light [^2]. <script>", ""]
    assert lines[2].startswith("[^1]: a \\[1\\].md: “It lasts a week. Really.")
    assert lines[2].endswith("…”")
    assert lines[3] == "[^2]: [<b>.md](https://b.test/): “<b>It</b> weighs 2 kg.”"
    assert len(lines) == 4
    hidden = answer("none").to_markdown().splitlines()[0]
    assert hidden == "It weighs 2 kg[^2] and lasts a week[^1]. It is light[^2]. <script>"
    assert answer("raw").to_markdown() == answer().to_markdown()
    assert CitedAnswer(text="plain").to_markdown() == "plain"


def test_in_a_notebook() -> None:
    html = answer()._repr_html_()
    assert "<script>" not in html
    assert "&lt;b&gt;It&lt;/b&gt; weighs" in html
    assert html.count("<sup") == 3
    assert "Hm &lt;b&gt;" in html
    assert answer("none")._repr_html_().count("<sup") == 3


def test_sources_are_numbered_as_markers_are() -> None:
    found = answer()
    assert [item.id for item in found.sources] == ["a", "b"]
    for citation in found.citations:
        assert found.sources[citation["extras"]["number"] - 1].id == citation["extras"]["chunk_id"]
    assert CitedAnswer.model_validate_json(found.model_dump_json()) == found


async def test_messages_of_others() -> None:
    parser = CitedAnswerParser()
    assert parser.invoke("text") == CitedAnswer(text="text")
    assert parser.invoke(HumanMessage("text")) == CitedAnswer(text="text")
    assert parser.parse_result([Generation(text="text")]) == await parser.aparse_result([Generation(text="text")])
    blocks = AIMessage(
        content_blocks=[
            {"type": "reasoning", "reasoning": "Hm."},
            {"type": "text", "text": "One. "},
            {
                "type": "text",
                "text": "Two.",
                "annotations": [
                    {"type": "citation", "title": "t", "start_index": 0, "end_index": 3},
                    {"type": "citation", "title": "no span"},
                    {"type": "non_standard_annotation", "value": {}},
                ],
            },
        ]
    )
    found = parser.parse_result([ChatGeneration(message=blocks)])
    assert found.text == "One. Two."
    assert found.reasoning == "Hm."
    assert found.sources == []
    assert [item.get("start_index") for item in found.citations] == [5, None]
    assert [piece async for piece in parser.atransform(_pieces())] == [CitedAnswer(text="a"), CitedAnswer(text="b")]
    assert parser._type == "ragflow-cited-answer"


async def _pieces() -> AsyncIterator[str]:
    for piece in ("a", "b"):
        yield piece
